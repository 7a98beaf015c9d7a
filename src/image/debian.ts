/**
 * The Debian packages that images are made of: fetched with apt, which checks their signatures, and unpacked into a cache;
 * nothing of them is installed here, and no script of theirs runs.
 */

import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { runTool } from './tools.ts'

export interface Package {
  readonly name: string
  readonly version: string
  readonly architecture: string
  /** Of the .deb. */
  readonly sha256: string
  /** What of it is unpacked. */
  readonly folder: string
}

/** What a kernel package is called that always depends on the newest. */
export const KERNEL = 'linux-image-cloud-amd64'

/** Fetches and unpacks them, with the libraries they need. */
export function fetchPackages(names: readonly string[], cache: string): Package[] {
  return fetch(withLibraries(names), cache)
}

export function fetchKernel(cache: string): Package {
  const [name] = dependencies([KERNEL]).get(KERNEL) ?? []
  if (name === undefined) throw new Error(`apt does not know ${KERNEL}: apt-get update`)
  const [kernel] = fetch([name], cache)
  if (kernel === undefined) throw new Error(`${name} could not be fetched`)
  return kernel
}

/** A file as it is in the packages, through their links; `undefined` when none has it. */
export function fileOf(
  packages: readonly Package[],
  path: string,
): { path: string; from: Package } | undefined {
  for (const from of packages) {
    // Debian's /bin, /lib and /sbin are links into /usr, and packages may use either name.
    for (const name of [
      path,
      path.replace(/^usr\//, ''),
      path.replace(/^(bin|sbin|lib|lib64)\//, 'usr/$1/'),
    ]) {
      const place = join(from.folder, name)
      const status = lstatSync(place, { throwIfNoEntry: false })
      if (status?.isFile()) return { path: place, from }
      if (!status?.isSymbolicLink()) continue
      const target = readlinkSync(place)
      return fileOf(
        packages,
        normalize(target.startsWith('/') ? target.slice(1) : join(dirname(name), target)),
      )
    }
  }
  return undefined
}

/** Of the dependencies only libraries: what is a program is named. */
function withLibraries(names: readonly string[]): string[] {
  const graph = dependencies(names)
  const found = new Set(names)
  for (const name of found) {
    for (const next of graph.get(name) ?? []) if (/^z?lib/.test(next) && !/-perl$/.test(next)) found.add(next)
  }
  return [...found].toSorted()
}

function dependencies(names: readonly string[]): Map<string, string[]> {
  const kinds = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
    kind => `--no-${kind}`,
  )
  const text = runTool('apt-cache', ['depends', '--recurse', ...kinds, ...names])
  const graph = new Map<string, string[]>()
  let current: string[] = []
  for (const line of text.split('\n')) {
    if (/^\S/.test(line)) {
      current = graph.get(line) ?? []
      graph.set(line, current)
    }
    // An alternative after the first begins with "|" before it: apt would take the first, and so do we.
    const [, dependency] = /^ {2}(?:Pre)?Depends: ([^<\s]+)$/.exec(line) ?? []
    if (dependency !== undefined) current.push(dependency)
  }
  return graph
}

interface Wanted {
  readonly file: string
  readonly octets: number
  readonly sha256: string | undefined
}

function fetch(names: readonly string[], cache: string): Package[] {
  mkdirSync(cache, { recursive: true })
  const wanted = candidates(names)
  const missing = [...wanted].filter(([, { file, octets }]) => sizeOf(join(cache, file)) !== octets)
  if (missing.length > 0)
    download(
      missing.map(([name]) => name),
      cache,
    )
  return [...wanted].map(([name, { file, sha256: promised }]) => {
    const octets = readFileSync(join(cache, file))
    const sha256 = createHash('sha256').update(octets).digest('hex')
    if (promised !== undefined && promised !== sha256) {
      rmSync(join(cache, file))
      throw new Error(`${file} is not what apt's lists promise: build again, it is fetched anew`)
    }
    const [, version = '', architecture = ''] = /^[^_]+_([^_]+)_([^_]+)\.deb$/.exec(file) ?? []
    return { name, version: decodeURIComponent(version), architecture, sha256, folder: unpack(cache, file) }
  })
}

/** What apt would fetch now. */
function candidates(names: readonly string[]): Map<string, Wanted> {
  let text: string
  try {
    text = runTool('apt-get', ['download', '--print-uris', ...names])
  } catch (error) {
    throw new Error(`${(error as Error).message}\nIf apt has no lists of packages yet: apt-get update`)
  }
  const found = new Map<string, Wanted>()
  for (const line of text.split('\n')) {
    const [, file = '', octets, sha256] =
      /^'\S+' (\S+\.deb) (\d+)(?: SHA256:([0-9a-f]{64}))?/.exec(line) ?? []
    const name = file.split('_')[0]
    if (name) found.set(name, { file, octets: Number(octets), sha256 })
  }
  const unknown = names.filter(name => !found.has(name))
  if (unknown.length > 0) throw new Error(`apt cannot fetch ${unknown.join(', ')}: apt-get update`)
  return new Map([...found].toSorted(([one], [other]) => (one < other ? -1 : 1)))
}

function download(names: readonly string[], cache: string): void {
  const asUs = process.getuid?.() === 0 ? ['-o', 'APT::Sandbox::User=root'] : []
  // Into a folder of its own first: what is half fetched does not stay.
  const folder = mkdtempSync(join(cache, 'fetch-'))
  try {
    runTool('apt-get', ['-qq', ...asUs, 'download', ...names], { cwd: folder })
    for (const [, { file }] of candidates(names)) renameSync(join(folder, file), join(cache, file))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function unpack(cache: string, file: string): string {
  const folder = join(cache, file.replace(/\.deb$/, ''))
  if (existsSync(folder)) return folder
  const unfinished = mkdtempSync(join(cache, 'unpack-'))
  runTool('dpkg-deb', ['--extract', join(cache, file), unfinished])
  try {
    renameSync(unfinished, folder)
  } catch {
    // Another build was faster.
    rmSync(unfinished, { recursive: true, force: true })
  }
  return folder
}

function sizeOf(path: string): number | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.size
}
