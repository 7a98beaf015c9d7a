/**
 * Follows the repository of users: the authority for who may submit (design decision 7).
 *
 * What is in force is always one whole commit, the last that was read without a problem. A broken commit or a remote
 * that cannot be reached changes nothing but the log, at a restart as well: the commit is kept in the clone. Whatever
 * happens is an event `directory` with a `state`:
 *
 *   in force     a commit was read and is what counts from now on
 *   weak hashes  it has users with the original ptt's hash
 *   broken       a commit was refused: one event a problem, with commit, file, line and rule
 *   unreachable  the remote does not answer, or has no such branch; said once, until that changes
 *   reachable    it answers again
 */

import { resolve } from 'node:path'
import type { Log } from '../observe/event.ts'
import { Clone, type Fetched } from './clone.ts'
import type { Directory, Follower } from './directory.ts'
import { GitError } from './git.ts'
import { Reader, type WholeDirectory } from './read.ts'
import { isBranch, parseRemote } from './remote.ts'
import { DirectoryError } from './schema.ts'

export interface FollowOptions {
  /** A path, or a file, https or ssh URL. */
  readonly repository: string
  readonly branch: string
  /** The folder of our own bare clone; made when it is not there. Belongs to this follower alone. */
  readonly clone: string
  readonly intervalMs: number
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
/** A commit that breaks a thousand files is told by its first problems. */
const MAX_PROBLEMS = 10

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
  await follower.start()
  return follower
}

class RepositoryFollower implements Follower {
  readonly #clone: Clone
  readonly #stop: AbortController
  readonly #options: FollowOptions
  readonly #reader: Reader
  readonly #log: Log
  #current: WholeDirectory | null = null
  /** The commit that was found broken: told once. */
  #broken: string | null = null
  /** Why the remote cannot be reached: told once. */
  #trouble: string | null = null
  #working: Promise<void> | null = null
  #next: Promise<void> | null = null
  #timer: NodeJS.Timeout | undefined

  constructor(clone: Clone, stop: AbortController, options: FollowOptions) {
    this.#clone = clone
    this.#stop = stop
    this.#options = options
    this.#reader = new Reader(options.domain)
    this.#log = options.log.with({ repository: options.repository, branch: options.branch })
  }

  current(): Directory {
    if (this.#current === null) throw new Error('the follower was not started')
    return this.#current
  }

  /** Reads what the clone has, then what the remote has. */
  async start(): Promise<void> {
    const { timeoutMs = FETCH_TIMEOUT_MS } = this.#options
    const kept = await this.#readKept()
    if (kept) this.#enforce(kept)
    const fetched = await this.#clone.fetch(kept ? Math.min(timeoutMs, START_TIMEOUT_MS) : timeoutMs)
    const problem = await this.#take(fetched)
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
    try {
      await this.#take(await this.#clone.fetch(this.#options.timeoutMs ?? FETCH_TIMEOUT_MS))
    } catch (error) {
      this.#unreachable(String(error), 'this is a fault of ptt, or of the disk the clone is on')
    }
  }

  /** The commit in the clone that was good before this start; a damaged one is as good as none. */
  async #readKept(): Promise<WholeDirectory | null> {
    try {
      const commit = await this.#clone.good()
      return commit === null ? null : await this.#read(commit)
    } catch (error) {
      // Read by a version that asked less of it.
      if (error instanceof DirectoryError) return null
      if (!(error instanceof GitError) || error.code !== 'FAILED') throw error
      await this.#clone.renew(this.#options.timeoutMs ?? FETCH_TIMEOUT_MS)
      return null
    }
  }

  async #read(commit: string): Promise<WholeDirectory> {
    const blobs = await this.#clone.list(commit)
    return this.#reader.read(commit, blobs, oids => this.#clone.contents(oids))
  }

  /** Puts what was fetched in force when it is new and whole; what else it is, is told and returned. */
  async #take(fetched: Fetched): Promise<Error | null> {
    if (fetched.kind !== 'fetched') return this.#unreachable(fetched.reason, fetched.advice)
    const { commit } = fetched
    try {
      if (commit !== this.#current?.commit && commit !== this.#broken)
        this.#enforce(await this.#readOrRenew(commit))
      if (this.#trouble !== null) this.#log.event('directory', { state: 'reachable', commit })
      this.#trouble = null
      if (commit !== this.#current?.commit) return null
      this.#broken = null
      await this.#clone.keep(commit)
      return null
    } catch (error) {
      if (error instanceof DirectoryError) return this.#refuse(commit, error)
      if (error instanceof GitError) return this.#unreachable(error.message, 'look at the clone and its disk')
      throw error
    }
  }

  /** A fetch takes what a damaged clone says it has for there: cloning anew is what helps. */
  async #readOrRenew(commit: string): Promise<WholeDirectory> {
    try {
      return await this.#read(commit)
    } catch (error) {
      if (!(error instanceof GitError) || error.code !== 'FAILED') throw error
      await this.#clone.renew(this.#options.timeoutMs ?? FETCH_TIMEOUT_MS)
      return this.#read(commit)
    }
  }

  #enforce(directory: WholeDirectory): void {
    const { commit, users, aliases, domains } = directory
    const previous = this.#current?.commit
    this.#current = directory
    if (previous !== undefined) this.#options.onChange?.(directory)
    this.#log.event('directory', {
      state: 'in force',
      commit,
      previous,
      users: users.size,
      aliases,
      domains: domains.size,
    })
    const weak = [...users.values()]
      .filter(user => user.verifier.scheme === 'BLAKE2B-512')
      .map(user => user.name)
    if (weak.length === 0) return
    const told = { count: weak.length, names: weak.slice(0, MAX_PROBLEMS) }
    const rule = 'BLAKE2B-512 without salt: PLAIN and LOGIN only; ptt user passwd NAME writes another'
    this.#log.event('directory', { state: 'weak hashes', commit, ...told, rule }, 'warn')
  }

  #refuse(commit: string, error: DirectoryError): DirectoryError {
    this.#broken = commit
    const { problems } = error
    const inForce = this.#current?.commit ?? null
    for (const { file, line, rule } of problems.slice(0, MAX_PROBLEMS)) {
      const fields = { state: 'broken', commit, file, line, rule, problems: problems.length, inForce }
      this.#log.event('directory', fields, 'error')
    }
    return error
  }

  #unreachable(reason: string, advice: string): Error {
    const told = this.#trouble === reason || this.#stop.signal.aborted
    const inForce = this.#current?.commit ?? null
    const fields = { state: 'unreachable', reason, advice: advice || undefined, inForce }
    if (!told) this.#log.event('directory', fields, 'error')
    this.#trouble = reason
    return new Error([reason, advice].filter(words => words !== '').join('; '))
  }

  #nothing(fetched: Fetched, problem: Error | null): Error {
    const { repository, branch } = this.#options
    const where = `${repository} (${branch})`
    const words =
      problem instanceof DirectoryError && fetched.kind === 'fetched'
        ? `commit ${fetched.commit} of ${where} is broken, and there is no earlier one to use:\n${problem.message}`
        : `no users can be read from ${where}, and ${this.#clone.folder} has no earlier copy: ${problem?.message}`
    return new Error(words, { cause: problem })
  }
}
