/** A mail transaction over a hop whose content goes on as it comes, in chunks (RFC 3030). The peer must offer PIPELINING and CHUNKING. */

import type { Envelope } from '../smtp/envelope.ts'
import type { Reply } from '../smtp/reply.ts'
import type { Connection } from './connection.ts'
import { sizeOf } from './content.ts'
import { inStep, opening, openingReplies, type TransactionReplies } from './transaction.ts'

type Content = readonly Uint8Array[]

/** Chunks on their way whose reply was not read. A reply that waits takes 0.8 KiB (measured), and a message has thousands. */
const WINDOW = 32

/**
 * A chunk has this much where there is as much: each has a command, a reply and a write of its own, and what is written at once
 * is copied at once, by TLS and for TLS.
 */
const CHUNK_OCTETS = 64 * 1024

/** `begin`, `send` the pieces, `finish`. Waits for room on the wire and in the window. */
export class PiecewiseDelivery {
  readonly #connection: Connection
  readonly #envelope: Envelope
  /** Goes next, once it is a chunk: TLS gives pieces of 16 KiB. */
  #next: Uint8Array[] = []
  /** Sent, and not answered yet. */
  #chunks = 0
  #opening: Pick<TransactionReplies, 'mail' | 'recipients'> | null = null
  /** The first chunk that was refused; until then the last reply. */
  #message: Reply | null = null

  private constructor(connection: Connection, envelope: Envelope) {
    this.#connection = connection
    this.#envelope = envelope
  }

  /** @throws ConnectionError */
  static async begin(connection: Connection, envelope: Envelope): Promise<PiecewiseDelivery> {
    await inStep(connection, () => connection.write('MAIL', opening(connection, envelope)))
    return new PiecewiseDelivery(connection, envelope)
  }

  /** @throws ConnectionError */
  send(content: Content): Promise<void> {
    return inStep(this.#connection, async () => {
      for (const piece of content) {
        this.#next.push(piece)
        if (sizeOf(this.#next) < CHUNK_OCTETS) continue
        await this.#chunk('BDAT', false)
        if (this.#chunks > WINDOW) await this.#answered('BDAT', this.#connection.timeouts.dataBlockMs)
      }
    })
  }

  /** The last piece, and all the replies. @throws ConnectionError */
  finish(content: Content): Promise<TransactionReplies> {
    return inStep(this.#connection, async () => {
      this.#next.push(...content)
      await this.#chunk('message', true)
      let opening = this.#opening
      while (this.#chunks > 0) {
        opening = await this.#answered('message', this.#connection.timeouts.dataTerminationMs)
      }
      if (opening === null) throw new Error('no chunk was sent')
      return { ...opening, message: this.#message }
    })
  }

  #chunk(phase: string, last: boolean): Promise<void> {
    const content = this.#next
    this.#next = []
    this.#chunks++
    const connection = this.#connection
    return connection.write(phase, [connection.session.bdat(sizeOf(content), last), ...content])
  }

  /** Reads the reply to a chunk, and before the first of them those to MAIL and RCPT. */
  async #answered(
    phase: string,
    timeoutMs: number,
  ): Promise<Pick<TransactionReplies, 'mail' | 'recipients'>> {
    const connection = this.#connection
    this.#opening ??= await openingReplies(connection, this.#envelope)
    const answer = await connection.reply(phase, timeoutMs)
    if (this.#message === null || this.#message.code < 300) this.#message = answer
    this.#chunks--
    return this.#opening
  }
}
