/**
 * The references of a clone. `seen` is what the remote has; `good` the last commit that was in force, with a reflog of
 * when; `accepted` a rewritten history that the operator agrees to. They carry a digest of the remote and the branch, so
 * that a clone never answers for another repository after a change of ptt.toml.
 */

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { GitError } from './git.ts'
import type { Run } from './objects.ts'
import type { Remote } from './remote.ts'

type Name = 'seen' | 'good' | 'accepted'

export interface Resolved {
  readonly commit: string
  /** The committer's date, in seconds since 1970. */
  readonly committedSeconds: number
}

/** What the reflog says where a commit came to be in force. */
const IN_FORCE = 'in force'
/** Who writes in the reflog. */
const KEEPER = { GIT_COMMITTER_NAME: 'ptt', GIT_COMMITTER_EMAIL: 'ptt' }

export class References {
  readonly #prefix: string
  readonly #folder: string
  readonly #run: Run

  constructor(folder: string, remote: Remote, branch: string, run: Run) {
    const source = createHash('sha256').update(`${remote.url}\0${branch}`).digest('hex')
    this.#prefix = `refs/ptt/${source.slice(0, 16)}`
    this.#folder = folder
    this.#run = run
  }

  full(name: Name): string {
    return `${this.#prefix}/${name}`
  }

  async resolve(name: Name): Promise<Resolved | null> {
    const format = '--format=%(objectname) %(objecttype) %(committerdate:unix)'
    const found = (await this.#run(['for-each-ref', format, this.full(name)])).toString()
    const [, commit, seconds] = /^([0-9a-f]{40}|[0-9a-f]{64}) commit (\d+)$/m.exec(found) ?? []
    return commit === undefined ? null : { commit, committedSeconds: Number(seconds) }
  }

  /** What a reference names, also where git cannot read the clone any more. */
  async nameOf(name: Name): Promise<string | null> {
    const read = (file: string) => readFile(join(this.#folder, file), 'utf8').catch(() => '')
    const loose = (await read(this.full(name))).trim()
    const packed = (await read('packed-refs')).split('\n').find(line => line.endsWith(` ${this.full(name)}`))
    return /^[0-9a-f]{40,64}/.exec(loose || (packed ?? ''))?.[0] ?? null
  }

  /** From here on `commit` is what a start without the remote uses; git does not collect it either. */
  async keep(commit: string, words = IN_FORCE): Promise<void> {
    const args = ['update-ref', '--create-reflog', '-m', words, this.full('good'), `${commit}^{commit}`]
    await this.#run(args, { env: KEEPER })
  }

  /** When `good` became what it is, in seconds since 1970; `followed`: after another that was in force until then. */
  async kept(): Promise<{ readonly seconds: number; readonly followed: boolean } | null> {
    const log = await readFile(join(this.#folder, 'logs', this.full('good')), 'utf8').catch(() => '')
    // <before> SP <after> SP <name> SP <<email>> SP <seconds> SP <zone> TAB <words> LF
    const [, before = '', seconds, words] =
      /^([0-9a-f]+) [^\n]*> (\d+) [+-]\d{4}\t([^\n]*)\n?$/m.exec(
        log.slice(log.lastIndexOf('\n', log.length - 2) + 1),
      ) ?? []
    if (seconds === undefined) return null
    return { seconds: Number(seconds), followed: words === IN_FORCE && !/^0+$/.test(before) }
  }

  /** `null`: what was accepted has been made use of, and is not to be again. */
  async accept(commit: string | null): Promise<void> {
    const ref = this.full('accepted')
    await this.#run(commit === null ? ['update-ref', '-d', ref] : ['update-ref', ref, `${commit}^{commit}`])
  }

  /** Whether `ancestor` is `commit` or in its history; one that is not in the clone is not. */
  async descends(commit: string, ancestor: string): Promise<boolean> {
    try {
      await this.#run(['merge-base', '--is-ancestor', ancestor, commit])
      return true
    } catch (error) {
      // Status 1 without a word is git's no.
      if (error instanceof GitError && error.code === 'FAILED' && /^$|Not a valid commit/.test(error.said))
        return false
      throw error
    }
  }
}
