/** What a clone holds of a commit: its files, what differs between two, their contents.  */

import { GitError, type GitOptions } from './git.ts'
import type { ObjectReader } from './object-reader.ts'
import { diffTrees } from './tree.ts'

/** A file of a commit. */
export interface Blob {
  /** `100644`, `100755`, `120000` a symbolic link, `160000` another repository. */
  readonly mode: string
  readonly oid: string
  readonly path: string
  readonly sizeOctets: number
}

/** Runs git in the clone. */
export type Run = (args: readonly string[], options?: Partial<GitOptions>) => Promise<Buffer>

/** Another repository in this one: it has an object name, and no object here. */
const GITLINK = '160000'

/** Every file of a commit, without its content. */
export async function filesOf(run: Run, commit: string): Promise<Map<string, Blob>> {
  return parseListing(await run(['ls-tree', '-r', '-z', '-l', '--full-tree', commit]))
}

const LISTED = /^(\d{6}) [a-z]+ ([0-9a-f]{40,64}) +(\d+|-)$/

/** What `git ls-tree -z -l` prints: `<mode> SP <type> SP <oid> SP+ <size> TAB <path> NUL` for each. */
export function parseListing(listing: Buffer): Map<string, Blob> {
  const blobs = new Map<string, Blob>()
  for (let start = 0; start < listing.length; ) {
    const tab = listing.indexOf(9, start)
    const end = tab < 0 ? -1 : listing.indexOf(0, tab)
    const [, mode, oid, size] = LISTED.exec(listing.toString('latin1', start, Math.max(start, tab))) ?? []
    if (end < 0 || mode === undefined || oid === undefined)
      throw new GitError('FAILED', 'git ls-tree does not list files: another git than this ptt knows?')
    const path = listing.toString('utf8', tab + 1, end)
    blobs.set(path, { mode, oid, path, sizeOctets: Number(size) || 0 })
    start = end + 1
  }
  return blobs
}

/** A commit after another one. */
export interface Later {
  readonly files: Map<string, Blob>
  /** By object name: what differs, where that is little. */
  readonly contents: ReadonlyMap<string, Buffer>
}

/** So much is read at once, without asking first how large it is. */
const LITTLE = 1000

/** The files of `to`, from those of `from`: only trees and blobs that differ are read. */
export async function filesAfter(
  reader: ObjectReader,
  run: Run,
  from: string,
  files: ReadonlyMap<string, Blob>,
  to: string,
): Promise<Later> {
  const [before, after] = await reader.read([`${from}^{tree}`, `${to}^{tree}`])
  if (!before || !after) throw missing(before ? to : from)
  const trees = async (oids: readonly string[]) => {
    const found = await reader.read(oids)
    return found.map((tree, index) => tree?.octets ?? lacks(oids[index]))
  }
  const changes = await diffTrees(before.octets, after.octets, after.oid.length / 2, trees)
  const blobs = changes.filter(({ oid, mode }) => oid !== null && mode !== GITLINK)
  const oids = [...new Set(blobs.map(({ oid }) => oid ?? ''))]
  const contents = await littleOf(reader, oids)
  const sizes = contents === null ? await sizesOf(run, oids) : null
  const now = new Map(files)
  for (const { path, mode, oid } of changes) {
    if (oid === null) now.delete(path)
    else {
      const sizeOctets = sizes?.get(oid) ?? contents?.get(oid)?.length ?? 0
      now.set(path, { mode, oid, path, sizeOctets })
    }
  }
  // As git lists them: files that are new are behind the others until then.
  const isNew = changes.some(({ path, oid }) => oid !== null && !files.has(path))
  const ordered = isNew ? new Map([...now].toSorted(byPath)) : now
  return { files: ordered, contents: contents ?? new Map() }
}

function byPath([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1
}

/** `null`: it is not little. */
async function littleOf(reader: ObjectReader, oids: readonly string[]): Promise<Map<string, Buffer> | null> {
  if (oids.length > LITTLE) return null
  try {
    const contents = new Map<string, Buffer>()
    for (const [index, blob] of (await reader.read(oids)).entries()) {
      if (blob?.type !== 'blob') throw missing(oids[index] ?? '')
      contents.set(blob.oid, blob.octets)
    }
    return contents
  } catch (error) {
    if (error instanceof GitError && error.code === 'TOO_MUCH') return null
    throw error
  }
}

function lacks(oid = ''): never {
  throw missing(oid)
}

/** The contents of blobs, in the order asked for; where that is little, by the git that runs already. */
export async function contentsAt(reader: ObjectReader, run: Run, oids: readonly string[]): Promise<Buffer[]> {
  const little = await littleOf(reader, oids)
  return little === null ? contentsOf(run, oids) : oids.map(oid => little.get(oid) ?? lacks(oid))
}

/** The contents of blobs, in the order asked for. */
export async function contentsOf(run: Run, oids: readonly string[]): Promise<Buffer[]> {
  if (oids.length === 0) return []
  const output = await run(['cat-file', '--batch'], { input: `${oids.join('\n')}\n` })
  const contents: Buffer[] = []
  let at = 0
  for (const oid of oids) {
    // <oid> SP blob SP <size> LF <contents> LF
    const end = output.indexOf(10, at)
    const [name, type, size] = output.toString('latin1', at, end).split(' ')
    if (end < 0 || name !== oid || type !== 'blob') throw missing(oid)
    contents.push(output.subarray(end + 1, end + 1 + Number(size)))
    at = end + 1 + Number(size) + 1
  }
  return contents
}

async function sizesOf(run: Run, oids: readonly string[]): Promise<Map<string, number>> {
  if (oids.length === 0) return new Map()
  const output = await run(['cat-file', '--batch-check'], { input: `${oids.join('\n')}\n` })
  return new Map(
    output
      .toString('latin1')
      .trimEnd()
      .split('\n')
      .map(line => {
        const [oid = '', type, size] = line.split(' ')
        if (type !== 'blob') throw missing(oid)
        return [oid, Number(size)]
      }),
  )
}

function missing(oid: string): GitError {
  return new GitError('FAILED', `object ${oid} is not in the clone`, `missing blob ${oid}`)
}
