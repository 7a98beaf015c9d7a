/**
 * Follows the repository of users: the authority for who may submit (design decision 7).
 *
 * What is in force is always one whole commit, the last that was read without a problem. A broken commit, one that
 * `require` refuses or a remote that cannot be reached changes nothing but the log, at a restart as well: the commit is
 * kept in the clone. Whatever happens is an event `directory` with a `state`:
 *
 *   in force     a commit was read and is what counts from now on; `lag_seconds` since it was made
 *   weak hashes  it has users with the original ptt's hash
 *   broken       a commit was refused: one event a problem, with commit, file, line and rule
 *   refused      a commit was not read: its history was rewritten, or it is not signed as it must be
 *   unreachable  the remote does not answer, or has no such branch; said once, until that changes
 *   reachable    it answers again
 *
 * and an event `alarm` when it does not for `alarmAfterMs`, over restarts.
 */

import { resolve } from 'node:path'
import type { Log } from '../observe/event.ts'
import type { WholeDirectory } from './assemble.ts'
import { Clone } from './clone.ts'
import { CommitReader } from './commit-reader.ts'
import type { Directory, Follower } from './directory.ts'
import type { Fetched } from './fetch.ts'
import { GitError } from './git.ts'
import { Outage } from './outage.ts'
import { DirectoryError } from './problem.ts'
import { isBranch, parseRemote } from './remote.ts'
import { Report } from './report.ts'
import { type Allowed, judge, RefusedError, type Requirement } from './requirement.ts'

export interface FollowOptions extends Requirement {
  /** A path, or a file, https or ssh URL. */
  readonly repository: string
  readonly branch: string
  /** The folder of our own bare clone; made when it is not there. Belongs to this follower alone. */
  readonly clone: string
  readonly intervalMs: number
  readonly alarmAfterMs: number
  /** The deployment's domain: the one of the original layout, and of login names without one. */
  readonly domain: string
  readonly log: Log
  /** After the swap, for each commit but the first that was in force. */
  readonly onChange?: (directory: Directory) => void
  /** How long one fetch may take. */
  readonly timeoutMs?: number
}

const FETCH_TIMEOUT_MS = 60_000
/** With a commit to start from, a start does not wait for a silent remote longer than this. */
const START_TIMEOUT_MS = 10_000
/** What was in force before was allowed then. */
const KEPT: Allowed = { kind: 'allowed', signer: null, rewritten: false }

/** Rejects when there is no commit to start from, neither in the repository nor in the clone, saying what to do. */
export async function follow(options: FollowOptions): Promise<Follower> {
  const remote = parseRemote(options.repository)
  if (!isBranch(options.branch)) throw new Error(`"${options.branch}" is not the name of a branch`)
  const stop = new AbortController()
  const clone = await Clone.open(resolve(options.clone), {
    remote,
    branch: options.branch,
    signal: stop.signal,
  })
  const follower = new RepositoryFollower(clone, stop, options)
  try {
    await follower.start()
    return follower
  } catch (error) {
    await follower.close()
    throw error
  }
}

type Found = Extract<Fetched, { kind: 'fetched' }>

class RepositoryFollower implements Follower {
  readonly #clone: Clone
  readonly #stop: AbortController
  readonly #options: FollowOptions
  readonly #reader: CommitReader
  readonly #report: Report
  #current: WholeDirectory | null = null
  /** The commit that was found broken: not read again. */
  #broken: { readonly commit: string; readonly error: DirectoryError } | null = null
  /** What is in force has another history, and the operator agreed to it: once. */
  #agreed = false
  #working: Promise<void> | null = null
  #next: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined

  constructor(clone: Clone, stop: AbortController, options: FollowOptions) {
    this.#clone = clone
    this.#stop = stop
    this.#options = options
    this.#reader = new CommitReader(clone, options.domain)
    const log = options.log.with({ repository: options.repository, branch: options.branch })
    const outage = new Outage(clone.folder, clone.references.full('seen'), options.alarmAfterMs)
    this.#report = new Report(log, options.alarmAfterMs, outage)
  }

  current(): Directory {
    if (this.#current === null) throw new Error('the follower was not started')
    return this.#current
  }

  /** Reads what the clone has, then what the remote has. */
  async start(): Promise<void> {
    const { timeoutMs = FETCH_TIMEOUT_MS } = this.#options
    const kept = await this.#readKept()
    if (kept) this.#enforce(kept, KEPT, null)
    const fetched = await this.#clone.fetch(kept ? Math.min(timeoutMs, START_TIMEOUT_MS) : timeoutMs)
    const problem = await this.#take(fetched, true)
    if (this.#current === null) throw this.#nothing(fetched, problem)
    this.#schedule()
  }

  refresh(): Promise<void> {
    // A fetch that runs already may have asked before the commit was there: only a later one answers.
    if (this.#working) {
      this.#next ??= this.#working.then(() => {
        this.#next = null
        return this.refresh()
      })
      return this.#next
    }
    clearTimeout(this.#timer)
    this.#working = this.#work().finally(() => {
      this.#working = null
      this.#schedule()
    })
    return this.#working
  }

  async close(): Promise<void> {
    this.#stop.abort()
    clearTimeout(this.#timer)
    await (this.#next ?? this.#working)
    this.#clone.close()
  }

  #schedule(): void {
    if (this.#stop.signal.aborted) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.refresh(), this.#options.intervalMs)
    this.#timer.unref()
  }

  /** Never rejects: the service goes on with what it has. */
  async #work(): Promise<void> {
    if (this.#stop.signal.aborted) return
    const before = this.#current
    try {
      await this.#take(await this.#clone.fetch(this.#options.timeoutMs ?? FETCH_TIMEOUT_MS))
      // What is wrong with the disk, the next fetch tells.
      if (this.#current !== before) await this.#clone.maintain().catch(() => {})
    } catch (error) {
      this.#unreachable(String(error), 'this is a fault of ptt, or of the disk the clone is on')
    }
  }

  /** The commit in the clone that was good before this start; a damaged one is as good as none. */
  async #readKept(): Promise<WholeDirectory | null> {
    try {
      const commit = await this.#clone.good()
      return commit === null ? null : await this.#reader.read(commit)
    } catch (error) {
      // Read by a version that asked less of it.
      if (error instanceof DirectoryError) return null
      if (!(error instanceof GitError) || error.code !== 'FAILED') throw error
      await this.#clone.renew(this.#options.timeoutMs ?? FETCH_TIMEOUT_MS)
      return null
    }
  }

  /**
   * Puts what was fetched in force when it is new, allowed and whole; what else it is, is told and returned. What is in
   * force is judged again `atStart`: somebody may have asked for signatures meanwhile, and is told that it has none.
   */
  async #take(fetched: Fetched, atStart = false): Promise<Error | null> {
    if (fetched.kind !== 'fetched') return this.#unreachable(fetched.reason, fetched.advice)
    const { commit } = fetched
    try {
      const problem = commit === this.#current?.commit && !atStart ? null : await this.#admit(fetched)
      if (problem !== null) return problem
      await this.#clone.keep(commit)
      if (this.#agreed) await this.#clone.references.accept(null)
      this.#agreed = false
      this.#broken = null
      this.#report.upToDate(commit)
      return null
    } catch (error) {
      if (error instanceof GitError) return this.#unreachable(error.message, 'look at the clone and its disk')
      throw error
    }
  }

  async #admit({ commit, committedSeconds, parents }: Found): Promise<Error | null> {
    const inForce = this.#current?.commit ?? null
    const good = inForce ?? (await this.#clone.good())
    const allowed = await judge(this.#clone, commit, good, this.#options, parents)
    if (allowed instanceof RefusedError) {
      this.#report.refused(commit, allowed, inForce)
      return allowed
    }
    if (commit === inForce) return null
    try {
      if (commit === this.#broken?.commit) throw this.#broken.error
      this.#enforce(await this.#readOrRenew(commit), allowed, committedSeconds)
      this.#agreed = allowed.rewritten
      return null
    } catch (error) {
      if (!(error instanceof DirectoryError)) throw error
      this.#broken = { commit, error }
      this.#report.broken(commit, error, inForce)
      return error
    }
  }

  /** A fetch takes what a damaged clone says it has for there: cloning anew is what helps. */
  async #readOrRenew(commit: string): Promise<WholeDirectory> {
    try {
      return await this.#reader.read(commit)
    } catch (error) {
      if (!(error instanceof GitError) || error.code !== 'FAILED') throw error
      await this.#clone.renew(this.#options.timeoutMs ?? FETCH_TIMEOUT_MS)
      return this.#reader.read(commit)
    }
  }

  #enforce(directory: WholeDirectory, allowed: Allowed, committedSeconds: number | null): void {
    const previous = this.#current?.commit
    this.#current = directory
    if (previous !== undefined) this.#options.onChange?.(directory)
    // At a start it is as old as it is: nobody waited for it.
    this.#report.inForce(directory, previous, allowed, previous === undefined ? null : committedSeconds)
  }

  #unreachable(reason: string, advice: string): Error {
    if (!this.#stop.signal.aborted) this.#report.unreachable(reason, advice, this.#current?.commit ?? null)
    return new Error([reason, advice].filter(words => words !== '').join('; '))
  }

  #nothing(fetched: Fetched, problem: Error | null): Error {
    const { repository, branch } = this.#options
    const where = `${repository} (${branch})`
    const earlier = 'and there is no earlier one to use'
    const words =
      problem instanceof RefusedError && fetched.kind === 'fetched'
        ? `commit ${fetched.commit} of ${where} is refused, ${earlier}: ${problem.message}`
        : problem instanceof DirectoryError && fetched.kind === 'fetched'
          ? `commit ${fetched.commit} of ${where} is broken, ${earlier}:\n${problem.message}`
          : `no users can be read from ${where}, and ${this.#clone.folder} has no earlier copy: ${problem?.message}`
    return new Error(words, { cause: problem })
  }
}
