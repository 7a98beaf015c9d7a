/**
 * The connections to one hop: opened when they are needed, kept, and lent to messages. A small message shares one with others
 * that are under way at the same time: of two busy services each then reads and writes for several at once. A large one has
 * one to itself, for it would hold up those behind it.
 */

import type { Log } from '../observe/event.ts'
import { TIMEOUTS, type Timeouts } from '../smtp/limits.ts'
import { Connection, ConnectionError } from './connection.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { SHARED_BY } from './hop.ts'
import { hopClientTls, type KeyPair, type Role } from './tls.ts'

export interface PoolOptions {
  readonly endpoint: Endpoint
  /** Who must be at the other end: its certificate says so. */
  readonly role: Role
  readonly pair: KeyPair
  readonly ca: string
  /** Our name for EHLO. */
  readonly hostname: string
  /** How long a connection may take to be made. */
  readonly waitMs: number
  /** How long the peer may take over one message once it has it. */
  readonly replyMs: number
  readonly maxConnections: number
  /** The longest that a connection is kept; some minutes when not given. */
  readonly connectionAgeMs?: number
  readonly log: Log
}

/**
 * A worker of the peer that has come later gets its part of the connections when they are made anew. Each has an age of its own
 * from half of this on, so that they are not all made anew at once.
 */
const CONNECTION_AGE_MS = 5 * 60_000

/** A connection that is there or being made. */
interface Line {
  readonly connection: Promise<Connection>
  /** `null` while it is being made. */
  made: Connection | null
  /** Messages under way over it; `SHARED_BY` for one that has it to itself. */
  load: number
  /** When it has been there long enough. */
  spentMs: number
}

interface Waiting {
  readonly load: number
  readonly wake: (line: Line | null) => void
}

export class Pool {
  readonly #options: PoolOptions
  readonly #lines: Line[] = []
  readonly #lent = new WeakMap<Connection, Line>()
  readonly #waiting: Waiting[] = []
  #closed = false
  #reachable = true

  constructor(options: PoolOptions) {
    this.#options = options
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * A connection for one message alone: an idle one, a new one while there may be more, or the next that is given back; `null`
   * past the deadline.
   * @throws ConnectionError
   */
  take(deadline: number): Promise<Connection | null> {
    return this.#lend(SHARED_BY, deadline)
  }

  /** A connection for a message beside others. @throws ConnectionError */
  share(deadline: number): Promise<Connection | null> {
    return this.#lend(1, deadline)
  }

  /** Gives back what `take` gave. */
  give(connection: Connection): void {
    this.#unload(connection, SHARED_BY)
  }

  /** Gives back what `share` gave. */
  leave(connection: Connection): void {
    this.#unload(connection, 1)
  }

  close(): void {
    this.#closed = true
    for (const line of [...this.#lines]) if (line.load === 0) this.#end(line)
    for (const { wake } of this.#waiting.splice(0)) wake(null)
  }

  /** Said once when the peer goes away, not once a message. */
  lost(reason: string): void {
    if (this.#reachable) this.#tell('unreachable', reason)
    this.#reachable = false
  }

  async #lend(load: number, deadline: number): Promise<Connection | null> {
    // Nobody goes before those who wait: who wants a connection to himself would else wait for ever.
    const line = (this.#waiting.length === 0 ? this.#find(load) : null) ?? (await this.#wait(load, deadline))
    return line?.connection ?? null
  }

  /**
   * As few as are needed, so that the most goes together, and of these the one with the fewest messages: they may lead to several
   * workers.
   */
  #find(load: number): Line | null {
    const fit = this.#fit()
    const underWay = fit.reduce((sum, line) => sum + line.load, load)
    const hasRoom = (line: Line) => line.load + load <= SHARED_BY
    const needed = fit.slice(0, Math.ceil(underWay / SHARED_BY)).filter(hasRoom)
    const mayOpen = this.#lines.length < this.#options.maxConnections
    const found =
      needed.toSorted((one, other) => one.load - other.load)[0] ??
      fit.find(hasRoom) ??
      (mayOpen ? this.#open() : null)
    if (found !== null) found.load += load
    return found
  }

  /** Without those that the peer has closed while they were idle, or whose time is over. */
  #fit(): Line[] {
    const nowMs = performance.now()
    return [...this.#lines].filter(line => {
      const isFit = line.made === null || (line.made.usable && nowMs < line.spentMs)
      if (!isFit && line.load === 0) this.#end(line)
      return isFit
    })
  }

  #wait(load: number, deadline: number): Promise<Line | null> {
    return new Promise(resolve => {
      const waiting: Waiting = {
        load,
        wake: line => {
          clearTimeout(timer)
          resolve(line)
        },
      }
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
        resolve(null)
        this.#serve()
      }
      const timer = setTimeout(giveUp, Math.max(0, deadline - Date.now()))
      this.#waiting.push(waiting)
    })
  }

  #unload(connection: Connection, load: number): void {
    const line = this.#lent.get(connection)
    if (line === undefined) return
    line.load -= load
    const fit = connection.usable && performance.now() < line.spentMs && !this.#closed
    if (!fit && line.load === 0) this.#end(line)
    this.#serve()
  }

  /** Those who wait, the longest first. */
  #serve(): void {
    for (let [first] = this.#waiting; first !== undefined; [first] = this.#waiting) {
      const line = this.#find(first.load)
      if (line === null) return
      this.#waiting.shift()
      first.wake(line)
    }
  }

  #open(): Line {
    const line: Line = { connection: this.#connect(), made: null, load: 0, spentMs: Number.POSITIVE_INFINITY }
    this.#lines.push(line)
    line.connection.then(
      connection => {
        const { connectionAgeMs = CONNECTION_AGE_MS } = this.#options
        line.spentMs = performance.now() + (connectionAgeMs * (1 + Math.random())) / 2
        line.made = connection
        this.#lent.set(connection, line)
      },
      () => {
        this.#end(line)
        // Who waits must not hang on a connection that is gone: it gets one of its own.
        this.#serve()
      },
    )
    return line
  }

  #end(line: Line): void {
    const at = this.#lines.indexOf(line)
    if (at >= 0) this.#lines.splice(at, 1)
    line.made?.quit()
  }

  async #connect(): Promise<Connection> {
    const { endpoint, role, pair, ca, hostname, waitMs, replyMs } = this.#options
    const connection = await Connection.open({
      ...endpoint,
      hostname,
      tls: { mode: 'required', options: hopClientTls(pair, ca, role) },
      connectMs: waitMs,
      timeouts: hopTimeouts(waitMs, replyMs),
    })
    if (!connection.extensions.has('XPTT')) {
      connection.quit()
      throw new ConnectionError('protocol', 'EHLO', 'not a ptt service: it does not offer XPTT')
    }
    if (!this.#reachable) this.#tell('reachable')
    this.#reachable = true
    return connection
  }

  #tell(state: string, reason?: string): void {
    const { role, endpoint, log } = this.#options
    const level = state === 'reachable' ? 'info' : 'warn'
    log.event('peer', { peer: role, endpoint: formatEndpoint(endpoint), state, reason }, level)
  }
}

/** A hop is a machine of ours, near: what takes minutes on the Internet is an outage here. */
function hopTimeouts(waitMs: number, replyMs: number): Timeouts {
  return {
    ...TIMEOUTS,
    greetingMs: waitMs,
    ehloMs: waitMs,
    starttlsMs: waitMs,
    mailMs: waitMs,
    rcptMs: waitMs,
    dataBlockMs: replyMs,
    dataTerminationMs: replyMs,
  }
}
