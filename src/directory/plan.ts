/** What a branch would change once it is merged, and whether that could be in force: for a merge request, and for CI. */

import type { WholeDirectory } from './assemble.ts'
import type { Clone } from './clone.ts'
import { CommitReader } from './commit-reader.ts'
import { compare, type Difference, EMPTY } from './compare.ts'
import { GitError } from './git.ts'
import { EditError, fetchHead, inPassingClone, type RepositoryOptions, TIMEOUT_MS } from './passing-clone.ts'
import { DirectoryError, type Problem } from './problem.ts'
import { isBranch, type Remote } from './remote.ts'

export interface Plan {
  /** What the branch of the configuration has; `null` when it has no commit. */
  readonly base: string | null
  readonly head: string
  /** Of the merge: with any, it cannot be in force. */
  readonly problems: readonly Problem[]
  /** Of what is there now: nothing can be compared with it. */
  readonly baseProblems: readonly Problem[]
  readonly differences: readonly Difference[]
}

const HEAD = 'refs/ptt/plan'

export async function plan(options: RepositoryOptions, branch: string): Promise<Plan> {
  if (!isBranch(branch)) throw new EditError(`"${branch}" is not the name of a branch`)
  return inPassingClone(options, async (clone, remote) => {
    const base = await fetchHead(clone)
    const head = await fetchBranch(clone, remote, branch)
    const reader = new CommitReader(clone, options.domain)
    const now = base === null ? EMPTY : await attempt(reader, base)
    const merged = base === null ? head : await merge(clone, base, head)
    const then = Array.isArray(merged) ? merged : await attempt(reader, merged)
    const [problems, baseProblems] = [Array.isArray(then) ? then : [], Array.isArray(now) ? now : []]
    const differences = Array.isArray(then) || Array.isArray(now) ? [] : compare(now, then)
    return { base, head, problems, baseProblems, differences }
  })
}

async function fetchBranch(clone: Clone, remote: Remote, branch: string): Promise<string> {
  const refspec = `+refs/heads/${branch}:${HEAD}`
  const args = ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--', remote.url, refspec]
  await clone.run(args, { remote, timeoutMs: TIMEOUT_MS }).catch((error: unknown) => {
    if (!(error instanceof GitError)) throw error
    const missing = /couldn't find remote ref/.test(error.said)
    throw new EditError(missing ? `the repository has no branch ${branch}` : error.message, { cause: error })
  })
  return (await clone.run(['rev-parse', '--verify', `${HEAD}^{commit}`])).toString().trim()
}

/** The tree of the merge: a branch that is behind takes nothing away. Or where both changed the same. */
async function merge(clone: Clone, base: string, head: string): Promise<string | Problem[]> {
  if (await clone.references.descends(head, base)) return head
  try {
    return (await clone.run(['merge-tree', '--write-tree', '--no-messages', base, head])).toString().trim()
  } catch (error) {
    // Status 1: the tree, and the names of the files with conflicts.
    if (!(error instanceof GitError) || error.output === '') throw error
    const lines = error.output.trim().split('\n').slice(1)
    const files = new Set(lines.map(line => line.replace(/^\d+ [0-9a-f]+ \d\t/, '')))
    const rule = 'changed on both branches: merge the other one into yours first'
    return [...files].map(file => ({ file, line: 1, rule }))
  }
}

async function attempt(reader: CommitReader, commit: string): Promise<WholeDirectory | Problem[]> {
  try {
    return await reader.read(commit)
  } catch (error) {
    if (error instanceof DirectoryError) return [...error.problems]
    throw error
  }
}
