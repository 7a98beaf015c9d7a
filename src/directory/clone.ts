/**
 * Our own bare clone of the repository: a cache on disk, written by one process, and what a service starts from when
 * the remote cannot be reached.
 */

import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { contentOf, makeBeside, moveTo, sweep } from './clone-folder.ts'
import { FETCH, type Fetched, failed, fetchBranch, otherFormat, readCommit, tellsOfDamage } from './fetch.ts'
import { GitError, type GitOptions, git } from './git.ts'
import { ObjectReader } from './object-reader.ts'
import { type Blob, contentsAt, filesAfter, filesOf, type Later } from './objects.ts'
import { References, type Resolved } from './references.ts'
import type { Remote } from './remote.ts'

export interface CloneOptions {
  readonly remote: Remote
  readonly branch: string
  readonly signal?: AbortSignal
}

/** Reading our own disk is quick; a fetch may wait for a network. */
const LOCAL_TIMEOUT_MS = 30_000
const MAINTENANCE_TIMEOUT_MS = 300_000

export class Clone {
  readonly folder: string
  readonly references: References
  readonly #options: CloneOptions
  readonly #run = this.run.bind(this)
  readonly #objects: ObjectReader
  #kept: string | null = null

  private constructor(folder: string, options: CloneOptions) {
    this.folder = folder
    this.#options = options
    this.references = this.#referencesOf(folder)
    this.#objects = new ObjectReader(folder)
  }

  /** Opens the clone at `folder`, or makes an empty one there. Never touches a folder that is not a clone of ours. */
  static async open(folder: string, options: CloneOptions): Promise<Clone> {
    const content = await contentOf(folder)
    const clone = new Clone(folder, options)
    switch (content) {
      case 'free':
        await mkdir(dirname(folder), { recursive: true })
        await moveTo(await makeBeside(folder, clone.#run), folder)
        break
      case 'ours':
        await sweep(folder)
        break
      case 'foreign':
        throw new Error(`${folder} holds something else than a clone made by ptt: name another folder`)
    }
    return clone
  }

  /** The clone at `folder` as it is: nothing is made or mended, for a service may be at work in it. */
  static async look(folder: string, options: CloneOptions): Promise<Clone | null> {
    const content = await contentOf(folder).catch(() => null)
    return content === 'ours' ? new Clone(folder, options) : null
  }

  /** Asks the remote for the branch. Never rejects: what goes wrong is an answer. */
  async fetch(timeoutMs: number): Promise<Fetched> {
    try {
      return await this.#fetch(this.folder, timeoutMs)
    } catch (error) {
      if (!(error instanceof GitError)) throw error
      await sweep(this.folder)
      const format = otherFormat(error)
      if (format !== undefined || (tellsOfDamage(error) && (await this.#isDamaged())))
        return this.renew(timeoutMs, format)
      return failed(error, this.#options.remote)
    }
  }

  /**
   * Clones anew beside a clone that turned out to be damaged, and takes its place when that succeeded. The last commit
   * that was in force comes along: a damage, or a remote that can feign one, is no way around `require`.
   */
  async renew(timeoutMs: number, format?: string): Promise<Fetched> {
    const fresh = await makeBeside(this.folder, this.#run, format)
    try {
      const fetched = await this.#fetch(fresh, timeoutMs)
      if (fetched.kind === 'fetched') {
        const good = await this.references.nameOf('good')
        if (good !== null && !(await this.#bring(good, fresh)))
          return {
            kind: 'failure',
            reason: `the clone is damaged, and the repository does not have ${good}, which was in force last`,
            advice: `if its history was rewritten on purpose, delete ${this.folder}`,
          }
        this.#objects.close()
        const old = `${fresh}.old`
        await rename(this.folder, old)
        await moveTo(fresh, this.folder)
        this.#kept = null
        await rm(old, { recursive: true, force: true })
      }
      return fetched
    } catch (error) {
      if (error instanceof GitError) return failed(error, this.#options.remote)
      throw error
    } finally {
      await rm(fresh, { recursive: true, force: true })
    }
  }

  /** The last commit that was in force. */
  async good(): Promise<string | null> {
    // Of a clone that was made a moment ago git need not be asked.
    const named = (await this.references.nameOf('good')) !== null
    this.#kept = named ? ((await this.references.resolve('good'))?.commit ?? null) : null
    return this.#kept
  }

  /** `commit` is in force. Done already, it is nothing to do. */
  async keep(commit: string): Promise<void> {
    if (this.#kept !== commit) await this.references.keep(commit)
    this.#kept = commit
  }

  /** What git does now and then so that a repository stays small and quick. */
  async maintain(): Promise<void> {
    await this.run(['maintenance', 'run', '--auto', '--quiet'], { timeoutMs: MAINTENANCE_TIMEOUT_MS })
  }

  /** Every file of a commit. */
  files(commit: string): Promise<Map<string, Blob>> {
    return filesOf(this.#run, commit)
  }

  /** The files of `to`, made of those of `from`. */
  filesAfter(from: string, files: ReadonlyMap<string, Blob>, to: string): Promise<Later> {
    return filesAfter(this.#objects, this.#run, from, files, to)
  }

  /** The contents of blobs, in the order asked for. */
  contents(oids: readonly string[]): Promise<Buffer[]> {
    return contentsAt(this.#objects, this.#run, oids)
  }

  /** No process stays. */
  close(): void {
    this.#objects.close()
  }

  /** Any other command in the clone. */
  run(args: readonly string[], options: Partial<GitOptions> = {}): Promise<Buffer> {
    const { folder, signal } = { folder: this.folder, signal: this.#options.signal, ...options }
    return git(args, { timeoutMs: LOCAL_TIMEOUT_MS, ...options, folder, signal })
  }

  async #fetch(folder: string, timeoutMs: number): Promise<Fetched> {
    const into = this.references.full('seen')
    const run: typeof this.run = (args, options) => this.run(args, { folder, ...options })
    const none = await fetchBranch(run, this.#options, into, timeoutMs)
    if (none !== null) return none
    const seen = await this.#seen(folder)
    if (seen === null) throw new GitError('FAILED', `${this.#options.branch} does not name a commit`)
    return { kind: 'fetched', ...seen }
  }

  async #seen(folder: string): Promise<(Resolved & { parents: readonly string[] }) | null> {
    if (folder !== this.folder) {
      const seen = await this.#referencesOf(folder).resolve('seen')
      return seen && { ...seen, parents: [] }
    }
    const [commit] = await this.#objects.read([`${this.references.full('seen')}^{commit}`])
    return commit ? { commit: commit.oid, ...readCommit(commit.octets) } : null
  }

  /** Keeps `good` in a fresh clone too: from the old one as far as that is readable, else as the remote has it. */
  async #bring(good: string, fresh: string): Promise<boolean> {
    await this.#copy(this.folder, fresh, 'good')
    return this.#referencesOf(fresh)
      .keep(good, 'cloned anew')
      .then(
        () => true,
        () => false,
      )
  }

  /** What another clone of the same repository and branch has in force, and what was agreed to there. */
  async borrow(other: Clone): Promise<void> {
    for (const name of ['good', 'accepted'] as const) await this.#copy(other.folder, this.folder, name)
  }

  /** Nothing where there is nothing, or nothing readable. */
  async #copy(from: string, to: string, name: 'good' | 'accepted'): Promise<void> {
    const ref = this.references.full(name)
    const args = [...FETCH, '--', from, `+${ref}:${ref}`]
    await this.run(args, { folder: to }).catch(() => {})
  }

  /** Whether it is our clone that is damaged, and not the remote. */
  async #isDamaged(): Promise<boolean> {
    return this.run(['fsck', '--no-dangling', '--no-progress']).then(
      () => false,
      (error: unknown) => error instanceof GitError && error.code === 'FAILED',
    )
  }

  #referencesOf(folder: string): References {
    const { remote, branch } = this.#options
    return new References(folder, remote, branch, (args, more) => this.run(args, { folder, ...more }))
  }
}
