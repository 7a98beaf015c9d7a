/**
 * The root of a running image: Node, ptt, the programs a service starts (git with https and ssh, gpg for signed commits), what
 * looks after the data disk, the libraries of all these, and CA certificates. No shell, no package manager, nobody who could sign in.
 */

import {
  chmodSync,
  copyFileSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { writeCodeCache } from './code-cache.ts'
import { fileOf, type Package } from './debian.ts'
import { readElf } from './elf.ts'
import { runTool } from './tools.ts'

/** Package → the files of it that are wanted as they are. Their libraries are found by what they want. */
const PROGRAMS: Readonly<Record<string, readonly string[]>> = {
  git: ['usr/bin/git', 'usr/lib/git-core/git-remote-http'],
  'openssh-client': ['usr/bin/ssh', 'usr/bin/ssh-keygen'],
  gpg: ['usr/bin/gpg'],
  e2fsprogs: ['usr/sbin/mke2fs', 'usr/sbin/e2fsck', 'etc/mke2fs.conf'],
  'ca-certificates': [],
  // What a program does not say it wants: the resolver of names, and threads that are cancelled.
  'libgcc-s1': ['usr/lib/x86_64-linux-gnu/libgcc_s.so.1'],
  'libstdc++6': [],
  libc6: [],
}

export const ROOT_PACKAGES: readonly string[] = Object.keys(PROGRAMS)

const LINKS: Readonly<Record<string, string>> = {
  bin: 'usr/bin',
  lib: 'usr/lib',
  lib64: 'usr/lib64',
  sbin: 'usr/sbin',
  'usr/lib/git-core/git': '../../bin/git',
  'usr/lib/git-core/git-remote-https': 'git-remote-http',
  'etc/resolv.conf': '/run/resolv.conf',
  'etc/mtab': '/proc/self/mounts',
}

const FILES: Readonly<Record<string, string>> = {
  'etc/passwd': 'root:x:0:0:root:/nonexistent:/nonexistent\nptt:x:100:100:ptt:/run/ptt:/nonexistent\n',
  'etc/group': 'root:x:0:\nptt:x:100:\n',
  'etc/hosts': '127.0.0.1 localhost\n::1 localhost\n',
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nhosts: files dns\n',
  // Nothing is asked, and a host that is not known is refused: there is nobody to ask.
  'etc/ssh/ssh_config':
    'Host *\n  BatchMode yes\n  StrictHostKeyChecking yes\n  UserKnownHostsFile ~/.ssh/known_hosts\n',
  'etc/gitconfig': '[init]\n\tdefaultBranch = main\n[safe]\n\tdirectory = *\n',
}

/** Where file systems are mounted (image/init/mounts.c). */
const MOUNT_POINTS = ['data', 'dev', 'proc', 'run', 'sys', 'tmp', 'usr/share/git-core/templates']

const CA_BUNDLE = 'etc/ssl/certs/ca-certificates.crt'

/** Writes it into `folder`. The packages of which something is in it, and every file. */
export function makeRoot(
  folder: string,
  { node, bundle, packages }: { node: string; bundle: string; packages: readonly Package[] },
): { used: readonly Package[]; files: readonly string[] } {
  const root = new Root(folder, packages)
  for (const path of MOUNT_POINTS) mkdirSync(join(folder, path), { recursive: true })
  for (const files of Object.values(PROGRAMS)) for (const path of files) root.take(path)
  root.add('ptt/node', node)
  root.strip('ptt/node')
  // All but what another Node may have made of the script.
  for (const name of readdirSync(bundle).toSorted())
    if (name !== 'main.cache') root.add(`ptt/${name}`, join(bundle, name))
  const cache = join(folder, 'ptt/main.cache')
  writeCodeCache(node, join(folder, 'ptt/main.wrapped'), cache)
  root.keep('ptt/main.cache')
  for (const [path, text] of Object.entries(FILES)) root.write(path, text)
  root.write(CA_BUNDLE, certificates(packages))
  root.use('ca-certificates')
  root.closeOverLibraries()
  for (const [path, target] of Object.entries(LINKS)) root.link(path, target)
  return { used: root.used(), files: root.files() }
}

class Root {
  readonly #folder: string
  readonly #packages: readonly Package[]
  readonly #used = new Set<Package>()
  readonly #files = new Set<string>()

  constructor(folder: string, packages: readonly Package[]) {
    this.#folder = folder
    this.#packages = packages
  }

  /** A file of a package, under the name by which it was asked for. */
  take(path: string): void {
    const found = fileOf(this.#packages, path)
    if (found === undefined) throw new Error(`no Debian package has ${path}: was it renamed?`)
    this.#used.add(found.from)
    this.add(path, found.path)
  }

  add(path: string, source: string): void {
    const place = this.#place(path)
    copyFileSync(source, place)
    const octets = readFileSync(place)
    const executable = readElf(octets) !== null
    chmodSync(place, executable ? 0o555 : 0o444)
  }

  /** What is in the folder already. */
  keep(path: string): void {
    chmodSync(this.#place(path), 0o444)
  }

  write(path: string, text: string): void {
    const place = this.#place(path)
    writeFileSync(place, text)
    chmodSync(place, 0o444)
  }

  link(path: string, target: string): void {
    mkdirSync(dirname(join(this.#folder, path)), { recursive: true })
    symlinkSync(target, join(this.#folder, path))
  }

  /** Symbols nobody looks at: of Node's 120 MB some 18. */
  strip(path: string): void {
    const place = join(this.#folder, path)
    chmodSync(place, 0o755)
    runTool('strip', ['--enable-deterministic-archives', place])
    chmodSync(place, 0o555)
  }

  use(name: string): void {
    const found = this.#packages.find(one => one.name === name)
    if (found) this.#used.add(found)
  }

  /** Takes what the programs want, and what that wants. */
  closeOverLibraries(): void {
    for (const path of this.#files) {
      const wants = readElf(readFileSync(join(this.#folder, path)))
      if (wants === null) continue
      const interpreter = wants.interpreter?.replace(/^\//, '')
      const libraries = wants.libraries.map(name => this.#library(name, path))
      for (const wanted of [...(interpreter ? [`usr/${interpreter}`] : []), ...libraries])
        if (!this.#files.has(wanted)) this.take(wanted)
    }
  }

  used(): Package[] {
    return [...this.#used].toSorted((one, other) => (one.name < other.name ? -1 : 1))
  }

  files(): string[] {
    return [...this.#files].toSorted()
  }

  #library(name: string, by: string): string {
    // The loader is one of the libraries of the C library.
    if (/^ld-linux/.test(name)) return `usr/lib64/${name}`
    const path = `usr/lib/x86_64-linux-gnu/${name}`
    if (fileOf(this.#packages, path) === undefined)
      throw new Error(`${by} wants ${name}, which no package has`)
    return path
  }

  #place(path: string): string {
    const place = join(this.#folder, path)
    mkdirSync(dirname(place), { recursive: true })
    this.#files.add(path)
    return place
  }
}

/** As update-ca-certificates(8) makes it, of all that Debian trusts. */
function certificates(packages: readonly Package[]): string {
  const folder = packages.find(({ name }) => name === 'ca-certificates')?.folder ?? ''
  const paths = globSync('usr/share/ca-certificates/mozilla/*.crt', { cwd: folder })
  if (paths.length === 0) throw new Error('the package ca-certificates has no certificates')
  return paths
    .toSorted((one, other) => (basename(one) < basename(other) ? -1 : 1))
    .map(path => readFileSync(join(folder, path), 'utf8').trimEnd())
    .concat('')
    .join('\n')
}
