/**
 * Reads along: a process whose neighbour follows the repository reads the commits that are in force there from the same
 * clone. It never fetches, and writes nothing; what a commit must be to be in force was judged by who follows.
 */

import { resolve } from 'node:path'
import type { Log } from '../observe/event.ts'
import type { WholeDirectory } from './assemble.ts'
import { Clone } from './clone.ts'
import { CommitReader } from './commit-reader.ts'
import type { Directory, Follower } from './directory.ts'
import { parseRemote } from './remote.ts'

export interface AlongOptions {
  readonly repository: string
  readonly branch: string
  /** The folder of the clone, which the neighbour writes. */
  readonly clone: string
  readonly domain: string
  readonly log: Log
  /** Has the neighbour look at the repository; resolves with the commit in force there afterwards. */
  readonly refresh: () => Promise<string>
}

const RETRY_MS = 1000

/** @throws GitError, DirectoryError where `commit`, which is in force at the neighbour's, cannot be read */
export async function readAlong(options: AlongOptions, commit: string): Promise<Along> {
  const along = new Along(options)
  try {
    await along.read(commit)
    return along
  } catch (error) {
    await along.close()
    throw error
  }
}

export class Along implements Follower {
  readonly #options: AlongOptions
  #open: { readonly clone: Clone; readonly reader: CommitReader } | null = null
  #current: WholeDirectory | null = null
  #wanted: string | null = null
  /** One commit after the other. */
  #working: Promise<void> = Promise.resolve()
  #retry: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: AlongOptions) {
    this.#options = options
  }

  current(): Directory {
    if (this.#current === null) throw new Error('nothing was read yet')
    return this.#current
  }

  async refresh(): Promise<void> {
    await this.take(await this.#options.refresh())
  }

  /** `commit` is in force now. Resolves when it is here too, or when that has failed: then it is tried again. */
  take(commit: string): Promise<void> {
    this.#wanted = commit
    clearTimeout(this.#retry)
    this.#working = this.#working.then(async () => {
      // Another came meanwhile, and will be read.
      if (this.#closed || this.#wanted !== commit || this.#current?.commit === commit) return
      try {
        await this.read(commit)
        this.#options.log.event('directory', { state: 'in force', commit, read: 'along' }, 'debug')
      } catch (error) {
        if (this.#closed || this.#wanted !== commit) return
        const facts = { about: 'directory', commit, in_force: this.#current?.commit }
        this.#options.log.event('alarm', { ...facts, error: String(error), retry_ms: RETRY_MS }, 'error')
        this.#retry = setTimeout(() => void this.take(commit), RETRY_MS)
      }
    })
    return this.#working
  }

  /** @throws GitError, DirectoryError: then what was in force stays */
  async read(commit: string): Promise<void> {
    try {
      this.#current = await (await this.#reader()).read(commit)
    } catch {
      // The clone may have been made anew, in another folder of the same name.
      this.#forget()
      this.#current = await (await this.#reader()).read(commit)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    await this.#working
    this.#forget()
  }

  async #reader(): Promise<CommitReader> {
    if (this.#open !== null) return this.#open.reader
    const { repository, branch, domain } = this.#options
    const folder = resolve(this.#options.clone)
    const clone = await Clone.look(folder, { remote: parseRemote(repository), branch })
    if (clone === null) throw new Error(`${folder} is no clone made by ptt`)
    this.#open = { clone, reader: new CommitReader(clone, domain) }
    return this.#open.reader
  }

  #forget(): void {
    this.#open?.clone.close()
    this.#open = null
  }
}
