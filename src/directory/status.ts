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
  /** The service's. */
  readonly clone: string
}

export type InForce =
  | ({ readonly kind: 'in force'; readonly sinceSeconds: number | null } & CommitInfo & Counts)
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
  readonly inForce: InForce
  readonly head: Head
}

export async function status(options: StatusOptions): Promise<Status> {
  const { repository, branch } = options
  const remote = parseRemote(repository)
  const service = await Clone.look(resolve(options.clone), { remote, branch })
  const inForce = await inForceOf(service, options)
  const head = await inPassingClone(options, async clone => {
    const fetched = await clone.fetch(TIMEOUT_MS)
    if (fetched.kind !== 'fetched')
      return { kind: 'unreachable' as const, reason: fetched.reason, advice: fetched.advice }
    return headOf(clone, fetched.commit, service, inForce, options)
  })
  return { repository, branch, inForce, head }
}

async function inForceOf(clone: Clone | null, { clone: folder, domain }: StatusOptions): Promise<InForce> {
  if (clone === null)
    return { kind: 'nothing', reason: `${folder} is not there: the service was not started yet` }
  const commit = await clone.good()
  if (commit === null)
    return { kind: 'nothing', reason: `${folder} has no commit of this repository and branch` }
  const directory = await new CommitReader(clone, domain).read(commit)
  const info = await commitInfo(clone, commit)
  const sinceSeconds = await clone.references.keptSeconds()
  return { kind: 'in force', sinceSeconds, ...info, ...countsOf(directory) }
}

async function headOf(
  clone: Clone,
  commit: string,
  service: Clone | null,
  inForce: InForce,
  options: StatusOptions,
): Promise<Head> {
  const info = await commitInfo(clone, commit)
  const good = inForce.kind === 'in force' ? inForce.commit : null
  if (commit === good) return { kind: 'in force', ...info }
  if (service !== null) await clone.borrow(service)
  const allowed = await judge(clone, commit, good, options)
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
