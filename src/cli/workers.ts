/**
 * The workers of a service, seen from their foreman: started, started again when they end, told, stopped.
 *
 * `node:cluster` shares the ports: the foreman accepts, and gives each connection to the next worker in turn. For the signer
 * and the relay that is what counts: they have few connections, and for hours. Where the kernel chooses (SO_REUSEPORT)
 * they are spread by a hash, and of four connections at least three are at one of two workers in five cases of eight.
 */

import cluster, { type Worker } from 'node:cluster'
import type { Log } from '../observe/event.ts'
import { type Calls, Channel } from '../workers/channel.ts'
import { ownScript } from './itself.ts'
import { type Backoff, nextPause } from './supervise.ts'

/** What foreman and worker say to each other beside what the service has to say. */
export type FromWorker = { readonly ready: number } | { readonly say: readonly unknown[] }
export type FromForeman = { readonly order: 'reload' | 'close' } | { readonly say: readonly unknown[] }

/** In the environment of a worker: which one it is. */
export const WORKER = 'PTT_WORKER'

export interface WorkersOptions {
  readonly count: number
  /** The words of the command that a worker runs. */
  readonly words: readonly string[]
  readonly log: Log
  /** A worker is there: answer what it asks. */
  attend(channel: Channel<Calls, Calls>): void
  /** What a worker that does not stop is left before SIGKILL. */
  readonly graceMs?: number
  readonly backoff?: Backoff
}

/** More than what a service leaves its connections, less than what `ptt up` leaves a service. */
const GRACE_MS = 15_000

export class Workers {
  readonly #log: Log
  readonly #places: readonly Place[]

  constructor(options: WorkersOptions) {
    this.#log = options.log
    const [exec = '', ...args] = [...ownScript(), ...options.words]
    cluster.schedulingPolicy = cluster.SCHED_RR
    cluster.setupPrimary({ exec, args, serialization: 'advanced' })
    this.#places = Array.from({ length: options.count }, (_, index) => new Place(index + 1, options))
  }

  /** Resolves with the port when all are ready. Rejects when one says by its exit status that it cannot start: the others are to be closed then. */
  async start(): Promise<number> {
    const [first, ...others] = this.#places
    // What keeps one from starting keeps all: it is said once.
    const port = (await first?.start()) ?? 0
    await Promise.all(others.map(place => place.start()))
    return port
  }

  reload(): void {
    for (const place of this.#places) place.order('reload')
  }

  /** All finish what is under way. Resolves when they have ended. */
  async close(): Promise<void> {
    await Promise.all(this.#places.map(place => place.stop()))
    this.#log.event('stopped', { workers: this.#places.length })
  }
}

/** One worker, and the one after it. */
class Place {
  readonly #number: number
  readonly #options: WorkersOptions
  readonly #log: Log
  readonly #ready = Promise.withResolvers<number>()
  #worker: Worker | undefined
  #ended: Promise<void> = Promise.resolve()
  #wasReady = false
  #stopping = false
  #pauseMs = 0
  #restart: NodeJS.Timeout | undefined

  constructor(number: number, options: WorkersOptions) {
    this.#number = number
    this.#options = options
    this.#log = options.log.with({ worker: number })
    // Whoever does not wait for `start` is told by the log.
    this.#ready.promise.catch(() => {})
  }

  start(): Promise<number> {
    if (!this.#stopping) this.#fork()
    return this.#ready.promise
  }

  order(order: 'reload' | 'close'): void {
    if (this.#worker?.isConnected()) this.#worker.send({ order } satisfies FromForeman)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restart)
    const { graceMs = GRACE_MS } = this.#options
    this.order('close')
    const killer = setTimeout(() => {
      const pid = this.#worker?.process.pid
      this.#log.event('alarm', { about: 'worker', pid, reason: `it did not stop within ${graceMs} ms` })
      this.#worker?.process.kill('SIGKILL')
    }, graceMs)
    await this.#ended
    clearTimeout(killer)
  }

  #fork(): void {
    const { attend, backoff } = this.#options
    const worker = cluster.fork({ [WORKER]: this.#number })
    const startedMs = performance.now()
    const ended = Promise.withResolvers<void>()
    this.#worker = worker
    this.#ended = ended.promise
    this.#log.event('started', { pid: worker.process.pid })
    const channel = new Channel<Calls, Calls>(say => {
      // One that is ending does not read any more.
      if (worker.isConnected()) worker.send({ say } satisfies FromForeman, () => {})
    })
    const given = connectionsGiven(worker.process)
    attend(channel)
    worker.on('message', (message: FromWorker) => {
      if ('say' in message) return channel.receive(message.say)
      if (!('ready' in message)) return
      this.#wasReady = true
      this.#ready.resolve(message.ready)
    })
    worker.on('error', error => this.#log.event('alarm', { about: 'worker', reason: error.message }, 'error'))
    worker.once('exit', (code: number | null, signal: string | null) => {
      channel.end()
      for (const connection of given()) connection.close()
      this.#worker = undefined
      const how = { pid: worker.process.pid, ...(signal ? { signal } : { code }) }
      if (this.#stopping) {
        this.#ready.reject(new Error(`worker ${this.#number} was stopped before it was ready`))
      } else if (code && !this.#wasReady && this.#pauseMs === 0) {
        // It has said itself why, on standard error.
        this.#ready.reject(new Error(`worker ${this.#number} does not start`))
      } else {
        this.#pauseMs = nextPause(this.#pauseMs, performance.now() - startedMs, backoff)
        const facts = { about: 'worker', ...how, restart_ms: this.#pauseMs }
        // Who asks one to end with SIGTERM knows of it.
        if (code === 0) this.#log.event('stopped', facts)
        else this.#log.event('alarm', { ...facts, reason: 'a worker has ended' }, 'error')
        this.#restart = setTimeout(() => this.#fork(), this.#pauseMs)
      }
      ended.resolve()
    })
  }
}

interface Handle {
  close(): void
}

/**
 * What was given to a worker and not taken by it. `node:cluster` forgets these when the worker ends, and leaves them open: who has
 * just connected would wait in vain, and it is many who do just then, for their connections to it have broken. So what it says
 * to the worker is looked at: a connection goes with a number (`seq`), which comes back when it is taken (`ack`).
 */
function connectionsGiven(child: Worker['process']): () => Iterable<Handle> {
  const given = new Map<unknown, Handle>()
  const send = child.send.bind(child) as (...what: unknown[]) => boolean
  child.send = (message: unknown, handle?: unknown, ...rest: unknown[]): boolean => {
    const isConnection = typeof handle === 'object' && handle !== null && 'close' in handle
    const { seq } = message as { seq?: unknown }
    if (isConnection && seq !== undefined) given.set(seq, handle as Handle)
    return send(message, handle, ...rest)
  }
  const internal: NodeJS.EventEmitter = child
  internal.on('internalMessage', ({ ack }: { ack?: unknown }) => given.delete(ack))
  return () => given.values()
}
