/** What a service's clone has in force, what the repository has, and why the one is not the other. */

import { resolve } from 'node:path'
import type { WholeDirectory } from './assemble.ts'
import { Clone } from './clone.ts'
import { type CommitInfo, commitInfo } from './commit-info.ts'
import { CommitReader } from './commit-reader.ts'
import { inPassingClone, type RepositoryOptions, TIMEOUT_MS } from './passing-clone.ts'
import { DirectoryError, type Problem } from './problem.ts'
import { parseRemote } from './remote.ts'
import { judge, RefusedError, type Requirement } from './requirement.ts'

export interface StatusOptions extends RepositoryOptions, Requirement {
  /** By service, the folder of its own. */
  readonly clones: Readonly<Record<string, string>>
}

export type InForce =
  | ({
      readonly kind: 'in force'
      readonly sinceSeconds: number | null
      /** From when it was made until it was in force; `null` for the one that a service began with: nobody waited. */
      readonly lagSeconds: number | null
    } & CommitInfo &
      Counts)
  /** The service has not read anything yet. */
  | { readonly kind: 'nothing'; readonly reason: string }

export interface Counts {
  readonly users: number
  readonly suspended: number
  readonly groups: number
  readonly aliases: number
  readonly domains: number
}

export type Head =
  /** What the repository has is in force. */
  | ({ readonly kind: 'in force' } & CommitInfo)
  /** It will be, when the service next looks. */
  | ({ readonly kind: 'waiting' } & CommitInfo & Counts)
  | ({
      readonly kind: 'refused'
      readonly rule: string
      readonly reason: string
      readonly advice: string
    } & CommitInfo)
  | ({ readonly kind: 'broken'; readonly problems: readonly Problem[] } & CommitInfo)
  | { readonly kind: 'unreachable'; readonly reason: string; readonly advice: string }

export interface Status {
  readonly repository: string
  readonly branch: string
  /** By service. */
  readonly inForce: Readonly<Record<string, InForce>>
  readonly head: Head
}

export async function status(options: StatusOptions): Promise<Status> {
  const { repository, branch } = options
  const remote = parseRemote(repository)
  const inForce: Record<string, InForce> = {}
  const started: { clone: Clone; commit: string }[] = []
  for (const [service, folder] of Object.entries(options.clones)) {
    const clone = await Clone.look(resolve(folder), { remote, branch })
    const found = await inForceOf(clone, folder, options.domain)
    inForce[service] = found
    if (clone === null || found.kind !== 'in force') continue
    started.push({ clone, commit: found.commit })
  }
  const head = await inPassingClone(options, async clone => {
    const fetched = await clone.fetch(TIMEOUT_MS)
    if (fetched.kind !== 'fetched')
      return { kind: 'unreachable' as const, reason: fetched.reason, advice: fetched.advice }
    // It is held against what a service has that does not have it yet.
    const behind = started.find(({ commit }) => commit !== fetched.commit) ?? null
    return headOf(clone, fetched.commit, behind, started.length > 0 && behind === null, options)
  })
  return { repository, branch, inForce, head }
}

async function inForceOf(clone: Clone | null, folder: string, domain: string): Promise<InForce> {
  if (clone === null)
    return { kind: 'nothing', reason: `${folder} is not there: the service was not started yet` }
  try {
    const commit = await clone.good()
    if (commit === null)
      return { kind: 'nothing', reason: `${folder} has no commit of this repository and branch` }
    const directory = await new CommitReader(clone, domain).read(commit)
    const info = await commitInfo(clone, commit)
    const kept = await clone.references.kept()
    const sinceSeconds = kept?.seconds ?? null
    // From the committer's clock to ours, which need not agree.
    const lagSeconds = kept?.followed ? kept.seconds - info.committedSeconds : null
    return { kind: 'in force', sinceSeconds, lagSeconds, ...info, ...countsOf(directory) }
  } finally {
    clone.close()
  }
}

async function headOf(
  clone: Clone,
  commit: string,
  behind: { readonly clone: Clone; readonly commit: string } | null,
  everywhere: boolean,
  options: StatusOptions,
): Promise<Head> {
  const info = await commitInfo(clone, commit)
  if (everywhere) return { kind: 'in force', ...info }
  if (behind !== null) await clone.borrow(behind.clone)
  const allowed = await judge(clone, commit, behind?.commit ?? null, options)
  if (allowed instanceof RefusedError) {
    const { rule, reason, advice } = allowed
    return { kind: 'refused', rule, reason, advice, ...info }
  }
  try {
    const directory = await new CommitReader(clone, options.domain).read(commit)
    return { kind: 'waiting', ...info, ...countsOf(directory) }
  } catch (error) {
    if (error instanceof DirectoryError) return { kind: 'broken', problems: error.problems, ...info }
    throw error
  }
}

function countsOf({ users, groups, aliases, domains }: WholeDirectory): Counts {
  const suspended = [...users.values()].filter(user => user.suspended !== undefined).length
  return {
    users: users.size,
    suspended,
    groups: groups.size,
    aliases: aliases.size,
    domains: domains.size,
  }
}
