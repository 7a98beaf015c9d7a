/**
 * The next hop: a few long-lived connections to one ptt service under mutual TLS, a message being one write and one
 * round trip on one of them.
 *
 * A message may be sent twice: where a connection broke before its reply came, nobody knows what became of it. That is
 * safe because the id travels with it (XPTT=) and the relay answers an id it has seen with 250 and queues nothing.
 */

import type { Log } from '../observe/event.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { TIMEOUTS, type Timeouts } from '../smtp/limits.ts'
import { formatReply, type Reply, reply } from '../smtp/reply.ts'
import { Connection, ConnectionError, type TransactionReplies } from './connection.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { hopClientTls, type KeyPair, type Role } from './tls.ts'

export interface PeerOptions {
  readonly endpoint: Endpoint
  /** Who must be at the other end: its certificate says so. */
  readonly role: Role
  readonly pair: KeyPair
  readonly ca: string
  /** Our name for EHLO. */
  readonly hostname: string
  /** How long a message waits for a peer that cannot be reached, before it is answered 451. */
  readonly waitMs: number
  /** How long the peer may take over one message once it has it. */
  readonly replyMs: number
  readonly maxConnections: number
  readonly log: Log
}

/** Between two attempts to reach the peer: doubling from here to there. */
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

export class Peer {
  readonly #options: PeerOptions
  readonly #idle: Connection[] = []
  readonly #waiting: ((connection: Connection | null) => void)[] = []
  /** Idle, busy and being opened. */
  #open = 0
  #closed = false
  #reachable = true

  constructor(options: PeerOptions) {
    this.#options = options
  }

  /**
   * Hands one message on. The reply is the peer's: 2xx says that it is responsible now. A peer that cannot be reached
   * in `waitMs` is answered for with 451 4.4.1. Never throws for what a network does.
   */
  async deliver(envelope: Envelope, content: readonly Uint8Array[]): Promise<Reply> {
    const deadline = Date.now() + this.#options.waitMs
    let pauseMs = 0
    while (true) {
      const outcome = await this.#attempt(envelope, content, deadline)
      if (typeof outcome !== 'string') return outcome
      this.#lost(outcome)
      if (this.#closed || Date.now() + pauseMs >= deadline) {
        return reply(
          451,
          '4.4.1',
          `The ${this.#options.role} cannot be reached, nothing was kept: try again later`,
        )
      }
      await new Promise(resolve => setTimeout(resolve, pauseMs))
      pauseMs = pauseMs === 0 ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
  }

  close(): void {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.quit()
    for (const wake of this.#waiting.splice(0)) wake(null)
  }

  /** The peer's reply, or why there is none. */
  async #attempt(
    envelope: Envelope,
    content: readonly Uint8Array[],
    deadline: number,
  ): Promise<Reply | string> {
    let connection: Connection | null = null
    try {
      connection = await this.#acquire(deadline)
      if (connection === null) return 'all connections are busy'
      const replies = await connection.deliver(envelope, content, { oneWrite: true })
      const verdict = verdictOf(replies)
      if (verdict.code >= 300 && connection.usable) await connection.reset()
      return verdict.code === 421 ? formatReply(verdict) : verdict
    } catch (error) {
      if (error instanceof ConnectionError) return error.message
      throw error
    } finally {
      if (connection !== null) this.#release(connection)
    }
  }

  /** An idle connection, a new one while there may be more, or the next that is given back; `null` past the deadline. */
  async #acquire(deadline: number): Promise<Connection | null> {
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    if (this.#open < this.#options.maxConnections) return this.#connect()
    return new Promise(resolve => {
      const wake = (connection: Connection | null) => {
        clearTimeout(timer)
        resolve(connection)
      }
      const timer = setTimeout(
        () => {
          this.#waiting.splice(this.#waiting.indexOf(wake), 1)
          resolve(null)
        },
        Math.max(0, deadline - Date.now()),
      )
      this.#waiting.push(wake)
    })
  }

  async #connect(): Promise<Connection> {
    const { endpoint, role, pair, ca, hostname, waitMs, replyMs, log } = this.#options
    this.#open++
    try {
      const connection = await Connection.open({
        host: endpoint.host,
        port: endpoint.port,
        hostname,
        tls: { mode: 'required', options: hopClientTls(pair, ca, role) },
        connectMs: waitMs,
        timeouts: hopTimeouts(waitMs, replyMs),
      })
      if (!connection.extensions.has('XPTT')) {
        connection.quit()
        throw new ConnectionError('protocol', 'EHLO', 'not a ptt service: it does not offer XPTT')
      }
      if (!this.#reachable)
        log.event('peer', { peer: role, endpoint: formatEndpoint(endpoint), state: 'reachable' })
      this.#reachable = true
      return connection
    } catch (error) {
      this.#open--
      throw error
    }
  }

  #release(connection: Connection): void {
    if (!connection.usable || this.#closed) {
      connection.quit()
      this.#open--
      // A waiter must not hang on a connection that will not come back: it opens its own.
      const wake = this.#waiting.shift()
      if (wake !== undefined) this.#connect().then(wake, () => wake(null))
      return
    }
    const wake = this.#waiting.shift()
    if (wake !== undefined) wake(connection)
    else this.#idle.push(connection)
  }

  /** Said once when the peer goes away, not once a message. */
  #lost(reason: string): void {
    const { role, endpoint, log } = this.#options
    if (this.#reachable) {
      log.event(
        'peer',
        { peer: role, endpoint: formatEndpoint(endpoint), state: 'unreachable', reason },
        'warn',
      )
    }
    this.#reachable = false
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

/**
 * One reply for the whole transaction. On a hop a message is accepted for all its recipients or for none, so the first
 * refusal is the answer.
 */
function verdictOf(replies: TransactionReplies): Reply {
  if (replies.mail.code >= 300) return replies.mail
  const refused = replies.recipients.find(answer => answer.code >= 300)
  if (refused !== undefined) return refused
  return replies.message ?? reply(451, '4.3.0', 'No reply to the message')
}
