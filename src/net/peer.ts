/**
 * The next hop: one ptt service, reached over a few long-lived connections under mutual TLS (`pool.ts`). A message is one
 * write and one round trip, or, when it is too large to be held, pieces as they come.
 *
 * A message may be sent twice: where a connection broke before its reply came, nobody knows what became of it. That is
 * safe because the id travels with it (XPTT=) and the relay answers an id it has seen with 250 and queues nothing.
 */

import type { Envelope } from '../smtp/envelope.ts'
import { formatReply, type Reply, reply } from '../smtp/reply.ts'
import { PiecewiseDelivery } from './chunks.ts'
import { Connection, ConnectionError } from './connection.ts'
import { sizeOf } from './content.ts'
import { Pool, type PoolOptions } from './pool.ts'
import { deliverAtOnce, deliverBeside, type TransactionReplies } from './transaction.ts'

/** `waitMs`: how long a message waits for a peer that cannot be reached, before it is answered 451. */
export type PeerOptions = PoolOptions

type Content = readonly Uint8Array[]

/** A message that is larger, or to more recipients, has a connection to itself: others would wait for it. */
const SHARED_OCTETS = 64 * 1024
const SHARED_RECIPIENTS = 100

/** Messages may share a connection so often: one that a peer stumbles over would take those beside it with it each time. */
const SHARED_ATTEMPTS = 2

/** Between two attempts to reach the peer: doubling from here to there. */
const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

/** Whoever sends again does so as a new message, with an id of its own: it may come twice, and is not lost. */
const MAYBE_KEPT = 'the message may have been kept: try again later, it may arrive twice'

export class Peer {
  readonly #options: PeerOptions
  readonly #pool: Pool

  constructor(options: PeerOptions) {
    this.#options = options
    this.#pool = new Pool(options)
  }

  /**
   * Hands one message on. The reply is the peer's: 2xx says that it is responsible now. A peer that cannot be reached
   * in `waitMs` is answered for with 451: 4.4.1 where it never had the message, 4.4.2 where it may have it, for only the
   * reply was lost. Never throws for what a network does.
   */
  async deliver(envelope: Envelope, content: Content): Promise<Reply> {
    let isSent = false
    const isSmall = sizeOf(content) <= SHARED_OCTETS && envelope.recipients.length <= SHARED_RECIPIENTS
    const answer = await this.#withConnection(isSmall, (connection, isShared) =>
      conclude(() => {
        isSent = true
        return (isShared ? deliverBeside : deliverAtOnce)(connection, envelope, content)
      }).finally(() => (isShared ? this.#pool.leave(connection) : this.#pool.give(connection))),
    )
    return answer ?? (isSent ? this.#unanswered() : this.#unreachable())
  }

  /** The same for a message too large to be held: its content goes on as it comes, and cannot be sent again. */
  async begin(envelope: Envelope): Promise<Outgoing | Reply> {
    const outgoing = await this.#withConnection(false, async connection => {
      try {
        return new Outgoing(this.#pool, connection, await PiecewiseDelivery.begin(connection, envelope))
      } catch (error) {
        this.#pool.give(connection)
        return failureOf(error)
      }
    })
    return outgoing ?? this.#unreachable()
  }

  close(): void {
    this.#pool.close()
  }

  /** Work that is tried again while a connection fails it; `null` when the time is up. */
  async #withConnection<T>(
    mayShare: boolean,
    work: (connection: Connection, isShared: boolean) => Promise<T | ConnectionError>,
  ): Promise<T | null> {
    const { waitMs } = this.#options
    let deadline = Date.now() + waitMs
    let attempts = 0
    let wasBehind = false
    for (let pauseMs = 0; ; pauseMs = nextPause(pauseMs)) {
      const isShared = mayShare && attempts < SHARED_ATTEMPTS
      const lent = isShared ? this.#pool.share(deadline) : this.#pool.take(deadline)
      const connection = await lent.catch(failureOf)
      const isLent = connection instanceof Connection
      if (isLent) attempts++
      const outcome = isLent ? await work(connection, isShared) : (connection ?? ALL_BUSY)
      if (!(outcome instanceof ConnectionError)) return outcome
      this.#pool.lost(outcome.message)
      if (outcome.code === 'behind' && !wasBehind) {
        // It has waited for the answer to another, and may wait as long as any for its own.
        wasBehind = true
        deadline = Date.now() + waitMs
      }
      if (this.#pool.closed || Date.now() + pauseMs >= deadline) return null
      await new Promise(resolve => setTimeout(resolve, pauseMs))
    }
  }

  #unanswered(): Reply {
    return reply(451, '4.4.2', `The ${this.#options.role} did not answer, ${MAYBE_KEPT}`)
  }

  #unreachable(): Reply {
    return reply(
      451,
      '4.4.1',
      `The ${this.#options.role} cannot be reached, nothing was kept: try again later`,
    )
  }
}

/** A message that is being handed on in pieces. After `finish` or `abandon` it is over. */
export class Outgoing {
  readonly #pool: Pool
  readonly #connection: Connection
  readonly #delivery: PiecewiseDelivery
  #broken = false
  /** The peer may have all of it. */
  #isSent = false

  constructor(pool: Pool, connection: Connection, delivery: PiecewiseDelivery) {
    this.#pool = pool
    this.#connection = connection
    this.#delivery = delivery
  }

  /** Resolves when there is room for more. After a failure the rest goes nowhere, and `finish` says so. */
  async send(content: Content): Promise<void> {
    if (this.#broken) return
    try {
      await this.#delivery.send(content)
    } catch (error) {
      this.#pool.lost(failureOf(error).message)
      this.#broken = true
    }
  }

  async finish(content: Content): Promise<Reply> {
    const outcome = await conclude(async () => {
      if (this.#broken) throw new ConnectionError('closed', 'BDAT', 'the connection was lost')
      this.#isSent = true
      return this.#delivery.finish(content)
    }).finally(() => this.#pool.give(this.#connection))
    if (!(outcome instanceof ConnectionError)) return outcome
    const kept = this.#isSent ? MAYBE_KEPT : 'nothing was kept: try again later'
    return reply(451, '4.4.2', `The connection to the next hop was lost, ${kept}`)
  }

  /** The connection ends between two chunks, and the transaction with it: the peer drops what it has. */
  abandon(): void {
    this.#connection.destroy()
    this.#pool.give(this.#connection)
  }
}

/**
 * The peer's reply to a transaction, or why there is none. Whatever it is, the next may begin: at a hop the last of the content
 * ends the transaction (`smtp/server-content.ts`).
 */
async function conclude(work: () => Promise<TransactionReplies>): Promise<Reply | ConnectionError> {
  try {
    const verdict = verdictOf(await work())
    if (verdict.code !== 421) return verdict
    return new ConnectionError('refused', 'message', formatReply(verdict), verdict)
  } catch (error) {
    return failureOf(error)
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

function nextPause(pauseMs: number): number {
  return pauseMs === 0 ? FIRST_PAUSE_MS : Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
}

/** What a network did; anything else is a fault of ours. */
function failureOf(error: unknown): ConnectionError {
  if (error instanceof ConnectionError) return error
  throw error
}

const ALL_BUSY = new ConnectionError('timeout', 'connect', 'all connections are busy')
