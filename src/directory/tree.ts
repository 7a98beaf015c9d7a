/** What differs between two trees of Git: only subtrees that differ are read. */

import { GitError } from './git.ts'

/** A file, `null` where it is not on that side. */
export interface TreeChange {
  readonly path: string
  readonly mode: string
  /** `null`: the file is gone. */
  readonly oid: string | null
}

/** The octets of trees, in the order asked for. */
export type ReadTrees = (oids: readonly string[]) => Promise<readonly Buffer[]>

const TREE = '40000'
const NOTHING = Buffer.alloc(0)
const SLASH = Buffer.from('/')

/** `from` and `to` are the octets of the two roots; `hashOctets` is 20 or 32. @throws GitError for a malformed tree */
export async function diffTrees(
  from: Buffer,
  to: Buffer,
  hashOctets: number,
  read: ReadTrees,
  folder = '',
): Promise<TreeChange[]> {
  const changes: TreeChange[] = []
  for (const { before, after } of differences(from, to, hashOctets)) {
    const path = folder + String((after ?? before)?.name)
    const [subtreeBefore, subtreeAfter] = [before?.mode === TREE, after?.mode === TREE]
    if (before && !subtreeBefore && (!after || subtreeAfter))
      changes.push({ path, mode: before.mode, oid: null })
    if (after && !subtreeAfter) changes.push({ path, mode: after.mode, oid: after.oid })
    if (!subtreeBefore && !subtreeAfter) continue
    const wanted = [subtreeBefore ? before?.oid : undefined, subtreeAfter ? after?.oid : undefined]
    const octets = await read(wanted.filter(oid => oid !== undefined))
    const old = subtreeBefore ? (octets[0] ?? NOTHING) : NOTHING
    const now = subtreeAfter ? (octets.at(-1) ?? NOTHING) : NOTHING
    changes.push(...(await diffTrees(old, now, hashOctets, read, `${path}/`)))
  }
  return changes
}

interface TreeEntry {
  readonly mode: string
  readonly name: Buffer
  readonly oid: string
}

interface Difference {
  readonly before?: TreeEntry
  readonly after?: TreeEntry
}

// A tree: entries <mode> SP <name> NUL <hash>, by name, where the name of a subtree counts as if it ended with "/".
export function* differences(from: Buffer, to: Buffer, hashOctets: number): Generator<Difference> {
  let at = 0
  let other = 0
  while (at < from.length || other < to.length) {
    const end = endOf(from, at, hashOctets)
    const otherEnd = endOf(to, other, hashOctets)
    // By far the most: nothing is decoded.
    if (end - at === otherEnd - other && from.compare(to, other, otherEnd, at, end) === 0) {
      at = end
      other = otherEnd
      continue
    }
    const before = at < from.length ? entryOf(from, at, end, hashOctets) : undefined
    const after = other < to.length ? entryOf(to, other, otherEnd, hashOctets) : undefined
    const order = before && after ? Buffer.compare(sortKey(before), sortKey(after)) : before ? -1 : 1
    if (order <= 0) at = end
    if (order >= 0) other = otherEnd
    yield { ...(before && order <= 0 ? { before } : {}), ...(after && order >= 0 ? { after } : {}) }
  }
}

/** @throws GitError for what is no entry: who may push may push such a tree, and a server that does not look takes it. */
function endOf(tree: Buffer, at: number, hashOctets: number): number {
  if (at >= tree.length) return at
  const nul = tree.indexOf(0, at)
  const space = tree.indexOf(0x20, at)
  const end = nul + 1 + hashOctets
  if (nul < 0 || space < 0 || space > nul || end > tree.length)
    throw new GitError('FAILED', 'a tree of the repository is malformed: see git fsck')
  return end
}

function entryOf(tree: Buffer, at: number, end: number, hashOctets: number): TreeEntry {
  const nul = end - hashOctets - 1
  const space = tree.indexOf(0x20, at)
  return {
    mode: tree.toString('latin1', at, space),
    name: tree.subarray(space + 1, nul),
    oid: tree.toString('hex', nul + 1, end),
  }
}

function sortKey({ mode, name }: TreeEntry): Buffer {
  return mode === TREE ? Buffer.concat([name, SLASH]) : name
}
