/** The connections to one hop: opened when they are needed, kept, and lent to one message at a time. */

import type { Log } from '../observe/event.ts'
import { TIMEOUTS, type Timeouts } from '../smtp/limits.ts'
import { Connection, ConnectionError } from './connection.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
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

export class Pool {
  readonly #options: PoolOptions
  readonly #idle: Connection[] = []
  readonly #waiting: ((connection: Connection | null) => void)[] = []
  /** When each has been there long enough. */
  readonly #spentMs = new WeakMap<Connection, number>()
  /** Idle, lent and being opened. */
  #open = 0
  #closed = false
  #reachable = true

  constructor(options: PoolOptions) {
    this.#options = options
  }

  get closed(): boolean {
    return this.#closed
  }

  /**
   * An idle connection, a new one while there may be more, or the next that is given back; `null` past the deadline.
   * @throws ConnectionError
   */
  async take(deadline: number): Promise<Connection | null> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (idle.usable) return idle
      // The peer closed it while it was idle.
      idle.quit()
      this.#open--
    }
    if (this.#open < this.#options.maxConnections) return this.#connect()
    return new Promise(resolve => {
      const wake = (connection: Connection | null) => {
        clearTimeout(timer)
        resolve(connection)
      }
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(wake), 1)
        resolve(null)
      }
      const timer = setTimeout(giveUp, Math.max(0, deadline - Date.now()))
      this.#waiting.push(wake)
    })
  }

  /** Gives back what `take` gave: to who waits for it, or to the idle ones. */
  give(connection: Connection): void {
    const wake = this.#waiting.shift()
    const isSpent = performance.now() >= (this.#spentMs.get(connection) ?? 0)
    if (!connection.usable || isSpent || this.#closed) {
      connection.quit()
      this.#open--
      // Who waits must not hang on a connection that is gone: it gets one of its own.
      if (wake !== undefined) this.#connect().then(wake, () => wake(null))
    } else if (wake !== undefined) wake(connection)
    else this.#idle.push(connection)
  }

  close(): void {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.quit()
    for (const wake of this.#waiting.splice(0)) wake(null)
  }

  /** Said once when the peer goes away, not once a message. */
  lost(reason: string): void {
    if (this.#reachable) this.#tell('unreachable', reason)
    this.#reachable = false
  }

  async #connect(): Promise<Connection> {
    const { endpoint, role, pair, ca, hostname, waitMs, replyMs } = this.#options
    this.#open++
    try {
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
      const { connectionAgeMs = CONNECTION_AGE_MS } = this.#options
      this.#spentMs.set(connection, performance.now() + (connectionAgeMs * (1 + Math.random())) / 2)
      return connection
    } catch (error) {
      this.#open--
      throw error
    }
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
