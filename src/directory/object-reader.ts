/**
 * Objects of a clone, read by one `git cat-file --batch` that stays: starting a process costs a service with a large heap
 * 10 ms and more (measured, bench/directory.ts), reading an object 0.1 ms. It ends when we do, for its input does.
 */

import type { ChildProcessWithoutNullStreams as Process } from 'node:child_process'
import { GitError, startGit } from './git.ts'

export interface GitObject {
  readonly oid: string
  readonly type: string
  readonly octets: Buffer
}

/** What one answer may have: a file of a user is some hundred octets, a tree of 10,000 of them 400 KB. */
const MAX_OCTETS = 64 * 1024 * 1024
const TIMEOUT_MS = 30_000

export class ObjectReader {
  readonly #folder: string
  #process: Process | null = null
  /** Requests are answered in their order. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(folder: string) {
    this.#folder = folder
  }

  /** By name or by expression (gitrevisions(7)), in the order asked for; `null` where there is none. */
  read(names: readonly string[]): Promise<(GitObject | null)[]> {
    const answer = this.#last.then(() => this.#read(names))
    this.#last = answer.catch(() => {})
    return answer
  }

  close(): void {
    this.#process?.stdin.end()
    this.#process?.kill()
    this.#process = null
  }

  async #read(names: readonly string[]): Promise<(GitObject | null)[]> {
    if (names.length === 0) return []
    const child = this.#process ?? this.#start()
    keepAlive(child, true)
    try {
      return await answers(child, names)
    } catch (error) {
      this.close()
      throw error
    } finally {
      keepAlive(child, false)
    }
  }

  #start(): Process {
    const child = startGit(['cat-file', '--batch'], this.#folder)
    child.on('exit', () => {
      if (this.#process === child) this.#process = null
    })
    this.#process = child
    return child
  }
}

/** A command that has done its work does not wait for it. */
function keepAlive(child: Process, alive: boolean): void {
  const how = alive ? 'ref' : 'unref'
  child[how]()
  // Sockets, although their type does not say so.
  const { stdin, stdout, stderr } = child
  for (const stream of [stdin, stdout, stderr] as { ref?(): void; unref?(): void }[]) stream[how]?.()
}

function answers(child: Process, names: readonly string[]): Promise<(GitObject | null)[]> {
  return new Promise((resolve, reject) => {
    const parser = new AnswerParser(names.length)
    const timer = setTimeout(() => end(new GitError('TIMEOUT', 'git cat-file does not answer')), TIMEOUT_MS)
    const hear = (chunk: Buffer) => {
      try {
        if (parser.push(chunk)) end(null)
      } catch (error) {
        end(error as Error)
      }
    }
    const gone = () => end(new GitError('FAILED', 'git cat-file has ended'))
    const end = (error: Error | null) => {
      clearTimeout(timer)
      child.stdout.off('data', hear)
      child.off('exit', gone).off('error', gone)
      child.stdin.off('error', gone)
      if (error === null) resolve(parser.found)
      else reject(error)
    }
    child.stdout.on('data', hear)
    child.on('exit', gone).on('error', gone)
    child.stdin.on('error', gone)
    child.stdin.write(`${names.join('\n')}\n`)
  })
}

/** git-cat-file(1), BATCH OUTPUT: no object of that name, several, or one of another repository. */
const NONE = / (?:missing|ambiguous|submodule)$/

const tooMuch = (): GitError => new GitError('TOO_MUCH', 'git cat-file gives too much output')

/** `<oid> SP <type> SP <size> LF <contents> LF`, or `<name> SP missing LF` and its like. */
export class AnswerParser {
  readonly found: (GitObject | null)[] = []
  readonly #expected: number
  #chunks: Buffer[] = []
  #octets = 0
  /** Below so many there is nothing new to find. */
  #needed = 1

  constructor(expected: number) {
    this.#expected = expected
  }

  /** Whether that was all. */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    this.#octets += chunk.length
    if (this.#octets > MAX_OCTETS) throw tooMuch()
    if (this.#octets < this.#needed) return false
    let rest = Buffer.concat(this.#chunks, this.#octets)
    while (this.found.length < this.#expected) {
      const end = rest.indexOf(10)
      if (end < 0) break
      const line = rest.toString('utf8', 0, end)
      const [, oid, type, size] = /^([0-9a-f]{40,64}) (commit|tree|blob|tag) (\d+)$/.exec(line) ?? []
      if (oid === undefined || type === undefined) {
        // Whatever else it says is not "there is none": we would take what is there for gone.
        if (!NONE.test(line))
          throw new GitError('FAILED', `git cat-file says ${JSON.stringify(line.slice(0, 80))}`)
        this.found.push(null)
        rest = rest.subarray(end + 1)
        continue
      }
      const after = end + 1 + Number(size) + 1
      this.#needed = after
      if (after > MAX_OCTETS) throw tooMuch()
      if (rest.length < after) break
      if (rest[after - 1] !== 10) throw new GitError('FAILED', 'git cat-file gives more than it said')
      this.found.push({ oid, type, octets: rest.subarray(end + 1, after - 1) })
      rest = rest.subarray(after)
      this.#needed = 1
    }
    this.#chunks = [rest]
    this.#octets = rest.length
    return this.found.length === this.#expected
  }
}
