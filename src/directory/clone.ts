/**
 * Our own bare clone of the repository: a cache on disk, written by one process, and what a service starts from when
 * the remote cannot be reached.
 */

import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { GitError, type GitOptions, git } from './git.ts'
import { ObjectReader } from './object-reader.ts'
import { type Blob, contentsOf, filesAfter, filesOf, type Later } from './objects.ts'
import { References, type Resolved } from './references.ts'
import { advice, type Remote } from './remote.ts'

export type Fetched =
  /** Its `parents` as far as they are known. */
  | ({ readonly kind: 'fetched'; readonly parents: readonly string[] } & Resolved)
  /** The remote answers, and has no such branch. */
  | { readonly kind: 'no-branch'; readonly empty: boolean; readonly reason: string; readonly advice: string }
  | { readonly kind: 'failure'; readonly reason: string; readonly advice: string }

export interface CloneOptions {
  readonly remote: Remote
  readonly branch: string
  readonly signal?: AbortSignal
}

/** What says that a folder is ours to clean up and to replace. */
const MARK = 'ptt-clone'
/** Reading our own disk is quick; a fetch may wait for a network. */
const LOCAL_TIMEOUT_MS = 30_000
const MAINTENANCE_TIMEOUT_MS = 300_000
/** Packing what came, now and then a matter of seconds, is not for somebody to wait for: see maintain(). */
const FETCH = ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance']
const LEFT_OVER = /\.lock$|^tmp_|^gnupg-/
const CORRUPT =
  /corrupt|bad object|bad tree|missing (blob|tree|commit)|unable to read|inflate|not a git repository: /i

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
    const names = await readdir(folder).catch((error: NodeJS.ErrnoException): string[] => {
      if (error.code === 'ENOENT') return []
      throw error
    })
    const clone = new Clone(folder, options)
    if (names.length === 0) {
      await mkdir(dirname(folder), { recursive: true })
      await rename(await clone.#make(), folder)
    } else if (!names.includes(MARK)) {
      throw new Error(`${folder} holds something else than a clone made by ptt: name another folder`)
    } else {
      await clone.#sweep()
    }
    return clone
  }

  /** The clone at `folder` as it is: nothing is made or mended, for a service may be at work in it. */
  static async look(folder: string, options: CloneOptions): Promise<Clone | null> {
    const names = await readdir(folder).catch((): string[] => [])
    return names.includes(MARK) ? new Clone(folder, options) : null
  }

  /** Asks the remote for the branch. Never rejects: what goes wrong is an answer. */
  async fetch(timeoutMs: number): Promise<Fetched> {
    try {
      return await this.#fetch(this.folder, timeoutMs)
    } catch (error) {
      if (!(error instanceof GitError)) throw error
      await this.#sweep()
      // A clone has one kind of object names: the remote's.
      const format = /mismatched algorithms.*server (sha1|sha256)/.exec(error.said)?.[1]
      if (format || (CORRUPT.test(error.said) && (await this.#isDamaged())))
        return this.renew(timeoutMs, format)
      return this.#failure(error)
    }
  }

  /**
   * Clones anew beside a clone that turned out to be damaged, and takes its place when that succeeded. The last commit
   * that was in force comes along: a damage, or a remote that can feign one, is no way around `require`.
   */
  async renew(timeoutMs: number, format?: string): Promise<Fetched> {
    const fresh = await this.#make(format)
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
        await rename(fresh, this.folder)
        this.#kept = null
        await rm(old, { recursive: true, force: true })
      }
      return fetched
    } catch (error) {
      if (error instanceof GitError) return this.#failure(error)
      throw error
    } finally {
      await rm(fresh, { recursive: true, force: true })
    }
  }

  /** The last commit that was in force. */
  async good(): Promise<string | null> {
    this.#kept = (await this.references.resolve('good'))?.commit ?? null
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
    return contentsOf(this.#run, oids)
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
    const { remote, branch } = this.#options
    const refspec = `+refs/heads/${branch}:${this.references.full('seen')}`
    const args = [...FETCH, '--', remote.url, refspec]
    try {
      await this.run(args, { folder, remote, timeoutMs })
    } catch (error) {
      // git finds the branch gone, or not there yet; the remote is well.
      if (error instanceof GitError && /couldn't find remote ref/.test(error.said))
        return this.#noBranch(timeoutMs)
      throw error
    }
    const seen = await this.#seen(folder)
    if (seen === null) throw new GitError('FAILED', `${branch} does not name a commit`)
    return { kind: 'fetched', ...seen }
  }

  async #seen(folder: string): Promise<(Resolved & { parents: readonly string[] }) | null> {
    if (folder !== this.folder) {
      const seen = await this.#referencesOf(folder).resolve('seen')
      return seen && { ...seen, parents: [] }
    }
    const [commit] = await this.#objects.read([`${this.references.full('seen')}^{commit}`])
    if (!commit) return null
    const [header = ''] = commit.octets.toString('latin1').split('\n\n', 1)
    const parents = [...header.matchAll(/^parent ([0-9a-f]+)$/gm)].map(([, oid = '']) => oid)
    const seconds = /^committer .* (\d+) [+-]\d{4}$/m.exec(header)?.[1]
    return { commit: commit.oid, committedSeconds: Number(seconds), parents }
  }

  async #noBranch(timeoutMs: number): Promise<Fetched> {
    const { remote, branch } = this.#options
    const heads = await this.run(['ls-remote', '--heads', '--', remote.url], { remote, timeoutMs })
    const others = [...heads.toString().matchAll(/\trefs\/heads\/(.+)$/gm)].map(match => match[1])
    const empty = others.length === 0
    const reason = empty ? 'the repository is empty' : `the repository has no branch ${branch}`
    const told = empty
      ? 'make its first commit with: ptt user add NAME'
      : `push it, or set directory.branch to one of: ${others.slice(0, 10).join(', ')}`
    return { kind: 'no-branch', empty, reason, advice: told }
  }

  #failure(error: GitError): Fetched {
    return { kind: 'failure', reason: error.message, advice: advice(error.said, this.#options.remote) }
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

  /** Whether it is our clone that is corrupt: git tells of a corrupt remote in the same words. */
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

  /** An empty clone beside the place of ours, so that a crash never leaves half of one there. */
  async #make(format = 'sha1'): Promise<string> {
    const folder = await mkdtemp(join(dirname(this.folder), `.${basename(this.folder)}-`))
    await this.run(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`, '--', folder], {
      folder,
    })
    await writeFile(
      join(folder, MARK),
      'A clone of the repository of users, made by ptt. It can be deleted.\n',
    )
    return folder
  }

  /**
   * What a git that was killed, or whose remote or disk gave up, leaves behind: locks, on which every later fetch would
   * fail, and halves of packs, which fill the disk. Nobody else is at work in the clone.
   */
  async #sweep(): Promise<void> {
    for (const [folder, recursive] of [
      ['.', false],
      ['refs', true],
      ['objects/pack', false],
    ] as const) {
      const at = join(this.folder, folder)
      for (const entry of await readdir(at, { recursive }).catch((): string[] => []))
        if (LEFT_OVER.test(basename(entry))) await rm(join(at, entry), { recursive: true, force: true })
    }
  }
}
