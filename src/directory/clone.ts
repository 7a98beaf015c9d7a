/**
 * Our own bare clone of the repository: a cache on disk, written by one process, and what a service starts from when
 * the remote cannot be reached.
 *
 * Two references: `seen` is what the remote has, `good` the last commit that was read without a problem. Both carry a
 * digest of the remote and the branch, so that a clone never answers for another repository after a change of ptt.toml.
 */

import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { GitError, type GitOptions, git } from './git.ts'
import type { Blob } from './read.ts'
import { advice, type Remote } from './remote.ts'

export type Fetched =
  | { readonly kind: 'fetched'; readonly commit: string }
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
const CORRUPT =
  /corrupt|bad object|bad tree|missing (blob|tree|commit)|unable to read|inflate|not a git repository: /i

export class Clone {
  readonly folder: string
  readonly #options: CloneOptions
  readonly #refs: string
  #kept: string | null = null

  private constructor(folder: string, options: CloneOptions) {
    this.folder = folder
    this.#options = options
    const source = createHash('sha256').update(`${options.remote.url}\0${options.branch}`).digest('hex')
    this.#refs = `refs/ptt/${source.slice(0, 16)}`
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
      await clone.#unlock(names)
    }
    return clone
  }

  /** Asks the remote for the branch. Never rejects: what goes wrong is an answer. */
  async fetch(timeoutMs: number): Promise<Fetched> {
    try {
      return await this.#fetch(this.folder, timeoutMs)
    } catch (error) {
      if (!(error instanceof GitError)) throw error
      // A clone has one kind of object names: the remote's.
      const format = /mismatched algorithms.*server (sha1|sha256)/.exec(error.said)?.[1]
      if (format || CORRUPT.test(error.said)) return this.renew(timeoutMs, format)
      return this.#failure(error)
    }
  }

  /** Clones anew beside a clone that turned out to be damaged, and takes its place when that succeeded. */
  async renew(timeoutMs: number, format?: string): Promise<Fetched> {
    const fresh = await this.#make(format)
    try {
      const fetched = await this.#fetch(fresh, timeoutMs)
      if (fetched.kind === 'fetched') {
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

  /** The last commit that was kept. */
  async good(): Promise<string | null> {
    return this.#resolve(this.folder, 'good')
  }

  /** From here on `commit` is what a start without the remote uses; git does not collect it either. */
  async keep(commit: string): Promise<void> {
    if (this.#kept === commit) return
    await this.#git(['update-ref', `${this.#refs}/good`, commit])
    this.#kept = commit
  }

  /** Every file of a commit, without its content. */
  async list(commit: string): Promise<Blob[]> {
    const listing = await this.#git(['ls-tree', '-r', '-z', '-l', '--full-tree', commit])
    const blobs: Blob[] = []
    for (let start = 0; start < listing.length; ) {
      const tab = listing.indexOf(9, start)
      const end = listing.indexOf(0, tab)
      const [mode = '', , oid = '', size = ''] = listing.toString('latin1', start, tab).split(/ +/)
      blobs.push({ mode, oid, path: listing.toString('utf8', tab + 1, end), sizeOctets: Number(size) || 0 })
      start = end + 1
    }
    return blobs
  }

  /** The contents of blobs, in the order asked for, by one process. */
  async contents(oids: readonly string[]): Promise<Buffer[]> {
    if (oids.length === 0) return []
    const output = await this.#git(['cat-file', '--batch'], { input: `${oids.join('\n')}\n` })
    const contents: Buffer[] = []
    let at = 0
    for (const oid of oids) {
      // <oid> SP blob SP <size> LF <contents> LF
      const end = output.indexOf(10, at)
      const [name, type, size] = output.toString('latin1', at, end).split(' ')
      if (end < 0 || name !== oid || type !== 'blob')
        throw new GitError('FAILED', `object ${oid} is not in the clone`, `missing blob ${oid}`)
      contents.push(output.subarray(end + 1, end + 1 + Number(size)))
      at = end + 1 + Number(size) + 1
    }
    return contents
  }

  async #fetch(folder: string, timeoutMs: number): Promise<Fetched> {
    const { remote, branch } = this.#options
    const refspec = `+refs/heads/${branch}:${this.#refs}/seen`
    const args = ['fetch', '--quiet', '--no-tags', '--no-write-fetch-head', '--', remote.url, refspec]
    try {
      await this.#git(args, { folder, remote, timeoutMs })
    } catch (error) {
      // git finds the branch gone, or not there yet; the remote is well.
      if (error instanceof GitError && /couldn't find remote ref/.test(error.said))
        return this.#noBranch(timeoutMs)
      throw error
    }
    const commit = await this.#resolve(folder, 'seen')
    if (commit === null) throw new GitError('FAILED', `${branch} does not name a commit`)
    return { kind: 'fetched', commit }
  }

  async #noBranch(timeoutMs: number): Promise<Fetched> {
    const { remote, branch } = this.#options
    const heads = await this.#git(['ls-remote', '--heads', '--', remote.url], { remote, timeoutMs })
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

  async #resolve(folder: string, name: 'seen' | 'good'): Promise<string | null> {
    const args = ['for-each-ref', '--format=%(objectname) %(objecttype)', `${this.#refs}/${name}`]
    const found = (await this.#git(args, { folder })).toString()
    return /^([0-9a-f]{40}|[0-9a-f]{64}) commit$/m.exec(found)?.[1] ?? null
  }

  /** An empty clone beside the place of ours, so that a crash never leaves half of one there. */
  async #make(format = 'sha1'): Promise<string> {
    const folder = await mkdtemp(join(dirname(this.folder), `.${basename(this.folder)}-`))
    await this.#git(['init', '--quiet', '--bare', '--template=', `--object-format=${format}`, '--', folder], {
      folder,
    })
    await writeFile(
      join(folder, MARK),
      'A clone of the repository of users, made by ptt. It can be deleted.\n',
    )
    return folder
  }

  // A git that was killed leaves its lock files, and every later fetch would fail on them. The clone is ours alone.
  async #unlock(names: readonly string[]): Promise<void> {
    const locks = names.filter(name => name.endsWith('.lock')).map(name => join(this.folder, name))
    const refs = join(this.folder, 'refs')
    for (const entry of await readdir(refs, { recursive: true }).catch((): string[] => []))
      if (entry.endsWith('.lock')) locks.push(join(refs, entry))
    for (const lock of locks) await rm(lock, { force: true })
  }

  #git(args: readonly string[], options: Partial<GitOptions> = {}): Promise<Buffer> {
    const { folder, signal } = { folder: this.folder, signal: this.#options.signal, ...options }
    return git(args, { timeoutMs: LOCAL_TIMEOUT_MS, ...options, folder, signal })
  }
}
