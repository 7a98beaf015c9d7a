/** Asking the remote for the branch: what came of it, or what is in the way and what an operator can do about it. */

import { GitError } from './git.ts'
import type { Run } from './objects.ts'
import type { Resolved } from './references.ts'
import { advice, type Remote } from './remote.ts'

export type Fetched =
  /** Its `parents` as far as they are known. */
  | ({ readonly kind: 'fetched'; readonly parents: readonly string[] } & Resolved)
  /** The remote answers, and has no such branch. */
  | NoBranch
  | { readonly kind: 'failure'; readonly reason: string; readonly advice: string }

export interface NoBranch {
  readonly kind: 'no-branch'
  readonly empty: boolean
  readonly reason: string
  readonly advice: string
}

export interface Source {
  readonly remote: Remote
  readonly branch: string
}

/** Packing what came, now and then a matter of seconds, is not for somebody to wait for: see Clone.maintain(). */
export const FETCH = ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance']

const CORRUPT =
  /corrupt|bad object|bad tree|missing (blob|tree|commit)|unable to read|inflate|not a git repository: /i

/** `null`: the branch is in the clone now, under the reference `into`. Rejects with a GitError. */
export async function fetchBranch(
  run: Run,
  { remote, branch }: Source,
  into: string,
  timeoutMs: number,
): Promise<NoBranch | null> {
  try {
    await run([...FETCH, '--', remote.url, `+refs/heads/${branch}:${into}`], { remote, timeoutMs })
    return null
  } catch (error) {
    // git finds the branch gone, or not there yet; the remote is well.
    if (!(error instanceof GitError) || !/couldn't find remote ref/.test(error.said)) throw error
  }
  const heads = await run(['ls-remote', '--heads', '--', remote.url], { remote, timeoutMs })
  const others = [...heads.toString().matchAll(/\trefs\/heads\/(.+)$/gm)].map(match => match[1])
  const empty = others.length === 0
  return {
    kind: 'no-branch',
    empty,
    reason: empty ? 'the repository is empty' : `the repository has no branch ${branch}`,
    advice: empty
      ? 'make its first commit with: ptt user add NAME'
      : `push it, or set directory.branch to one of: ${others.slice(0, 10).join(', ')}`,
  }
}

export function failed(error: GitError, remote: Remote): Fetched {
  return { kind: 'failure', reason: error.message, advice: advice(error.said, remote) }
}

/** The names of the remote's objects when they are of another kind than the clone's: a clone has one kind only. */
export function otherFormat({ said }: GitError): string | undefined {
  return /mismatched algorithms.*server (sha1|sha256)/.exec(said)?.[1]
}

/** Whether it can be the clone that is damaged: git tells of a damaged remote in the same words. */
export function tellsOfDamage({ said }: GitError): boolean {
  return CORRUPT.test(said)
}

/** What the text of a commit object says of it; NaN for a committer's date that cannot be read. */
export function readCommit(octets: Buffer): { committedSeconds: number; parents: string[] } {
  const [header = ''] = octets.toString('latin1').split('\n\n', 1)
  const parents = [...header.matchAll(/^parent ([0-9a-f]+)$/gm)].map(([, oid = '']) => oid)
  const seconds = /^committer .* (\d+) [+-]\d{4}$/m.exec(header)?.[1]
  return { committedSeconds: Number(seconds), parents }
}
