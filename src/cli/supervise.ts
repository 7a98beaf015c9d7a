/**
 * Child processes that are kept alive. One that ends is started again, at once the first time and then with growing
 * pauses; they start in the order given and stop in the reverse one, each when the one before is done, so that none
 * loses a neighbour it still needs.
 *
 * A child says that it is ready over its IPC channel. The channel's end tells it that its supervisor is gone, also when
 * that was killed.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import type { Log } from '../observe/event.ts'

export interface Program {
  readonly name: string
  /** The arguments of `process.execPath`: a script and its own, or only these where it is ptt itself. */
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** An open file for its standard output; ours when not given. */
  readonly output?: number
}

export interface SuperviseOptions {
  readonly programs: readonly Program[]
  readonly log: Log
  /** What a child that does not stop is left before SIGKILL. */
  readonly graceMs?: number
  readonly backoff?: Backoff
}

export interface Backoff {
  readonly firstMs: number
  readonly longestMs: number
  /** A child that was up for this long starts afresh: its next end is its first. */
  readonly steadyMs: number
}

const BACKOFF: Backoff = { firstMs: 100, longestMs: 10_000, steadyMs: 30_000 }
/** More than what a service leaves its connections. */
const GRACE_MS = 20_000

/** The pause before the next start of a child that was up for `upMs`; `previousMs` is the pause before this one. */
export function nextPause(previousMs: number, upMs: number, backoff: Backoff = BACKOFF): number {
  if (previousMs === 0 || upMs >= backoff.steadyMs) return backoff.firstMs
  return Math.min(previousMs * 2, backoff.longestMs)
}

export class Supervisor {
  readonly #children: Child[]
  #closed: Promise<void> | undefined

  constructor(options: SuperviseOptions) {
    this.#children = options.programs.map(program => new Child(program, options))
  }

  /**
   * Resolves when all are ready. Rejects when one says by its exit status, at its first start, that it cannot start:
   * the others are stopped then.
   */
  async start(): Promise<void> {
    try {
      for (const child of this.#children) await child.start()
    } catch (error) {
      await this.close()
      throw error
    }
  }

  /** The process id of each child that runs. */
  pids(): Map<string, number> {
    return new Map(
      this.#children.flatMap(({ name, pid }) => (pid === undefined ? [] : [[name, pid] as const])),
    )
  }

  /** Kills a child, which is then started again: for tests of what that means. */
  kill(name: string, signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#children.find(child => child.name === name)?.signal(signal)
  }

  reload(): void {
    for (const child of this.#children) child.signal('SIGHUP')
  }

  /** Resolves when all have ended. */
  close(): Promise<void> {
    this.#closed ??= this.#stopAll()
    return this.#closed
  }

  async #stopAll(): Promise<void> {
    for (const child of this.#children.toReversed()) await child.stop()
  }
}

class Child {
  readonly name: string
  readonly #program: Program
  readonly #log: Log
  readonly #graceMs: number
  readonly #backoff: Backoff
  #process: ChildProcess | undefined
  #pauseMs = 0
  #stopping = false
  #wasReady = false
  #restart: NodeJS.Timeout | undefined
  readonly #ready = Promise.withResolvers<void>()
  #ended: Promise<void> = Promise.resolve()

  constructor(program: Program, { log, graceMs = GRACE_MS, backoff = BACKOFF }: SuperviseOptions) {
    this.name = program.name
    this.#program = program
    this.#log = log.with({ child: program.name })
    this.#graceMs = graceMs
    this.#backoff = backoff
    // Whoever does not wait for `start` is told by the log.
    this.#ready.promise.catch(() => {})
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  start(): Promise<void> {
    if (!this.#stopping) this.#spawn()
    else this.#ready.reject(new Error(`${this.name} was stopped before it had started`))
    return this.#ready.promise
  }

  signal(signal: NodeJS.Signals): void {
    this.#process?.kill(signal)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restart)
    const child = this.#process
    if (child === undefined) return
    child.kill('SIGTERM')
    const killer = setTimeout(() => {
      this.#log.event('alarm', {
        reason: `it did not stop within ${this.#graceMs} ms and is killed`,
        pid: child.pid,
      })
      child.kill('SIGKILL')
    }, this.#graceMs)
    await this.#ended
    clearTimeout(killer)
  }

  #spawn(): void {
    const { args, env, output = 'inherit' } = this.#program
    // A process group of its own: Ctrl-C reaches the supervisor only, which stops the children in order.
    const child = spawn(process.execPath, [...args], {
      detached: true,
      stdio: ['ignore', output, 'inherit', 'ipc'],
      env: { ...process.env, ...env },
    })
    const startedMs = performance.now()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#process = child
    this.#ended = promise
    if (child.pid !== undefined) this.#log.event('started', { pid: child.pid })
    child.on('message', () => {
      this.#wasReady = true
      this.#ready.resolve()
    })
    child.on('error', error => {
      // Without a pid there will be no `exit`.
      if (child.pid === undefined) exited(null, null, error.message)
    })
    child.on('exit', (code, signal) => exited(code, signal))

    const exited = (code: number | null, signal: NodeJS.Signals | null, reason?: string) => {
      this.#process = undefined
      const how = { pid: child.pid, ...(reason ? { reason } : signal ? { signal } : { code }) }
      if (this.#stopping) {
        this.#log.event('stopped', how)
        this.#ready.reject(new Error(`${this.name} was stopped before it was ready`))
      } else if (code !== null && code !== 0 && this.#pauseMs === 0 && !this.#wasReady) {
        // It has said itself why, on standard error.
        this.#log.event('stopped', how, 'error')
        this.#ready.reject(new Error(`${this.name} does not start`))
      } else {
        this.#pauseMs = nextPause(this.#pauseMs, performance.now() - startedMs, this.#backoff)
        this.#log.event('stopped', { ...how, restart_ms: this.#pauseMs }, 'warn')
        this.#restart = setTimeout(() => this.#spawn(), this.#pauseMs)
      }
      resolve()
    }
  }
}
