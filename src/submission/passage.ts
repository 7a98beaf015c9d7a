/**
 * One message on its way through submission: held until it is whole when it is small, passed on as it comes when it is
 * large, so that memory does not grow with the size of messages. Nothing is acknowledged before the relay has it whole.
 */

import type { Client } from '../net/listener.ts'
import { type Budget, MessageBuffer } from '../net/message-buffer.ts'
import type { Outgoing, Peer } from '../net/peer.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { refusalOf } from '../smtp/error.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import { complete } from './complete.ts'

/**
 * A message up to here goes in one write, and again should the connection break. It must hold a header section
 * (`MAX_HEADER_OCTETS`), for what we add depends on it.
 */
const HELD_OCTETS = 512 * 1024

export interface PassageOptions {
  readonly id: string
  readonly envelope: Envelope
  /** Our own name, for Received. */
  readonly hostname: string
  /** For Message-ID. */
  readonly domain: string
  readonly dateMs: number
  readonly signer: Peer
  readonly budget: Budget
}

export class Passage {
  readonly #options: PassageOptions
  readonly #held: MessageBuffer
  #outgoing: Outgoing | null = null
  #refusal: Reply | null = null
  #sizeOctets = 0

  constructor(options: PassageOptions) {
    this.#options = options
    this.#held = new MessageBuffer(options.budget)
  }

  get id(): string {
    return this.#options.id
  }

  get sizeOctets(): number {
    return this.#sizeOctets
  }

  add(octets: Uint8Array, client: () => Client): void | Promise<void> {
    this.#sizeOctets += octets.length
    if (this.#refusal !== null) return
    if (this.#outgoing !== null) return this.#outgoing.send([octets])
    this.#held.add(octets)
    if (this.#held.overflowed)
      this.#refusal = reply(452, '4.3.1', 'Too many messages in flight, try again later')
    else if (this.#held.sizeOctets > HELD_OCTETS) return this.#begin(client())
  }

  /** The message is whole: the relay's reply, or why it did not get there. */
  async finish(client: Client): Promise<Reply> {
    try {
      if (this.#refusal !== null) return this.#refusal
      if (this.#outgoing !== null) return await this.#outgoing.finish([])
      const { signer, envelope } = this.#options
      return await signer.deliver(envelope, this.#completed(client))
    } catch (error) {
      return refusalOf(error)
    } finally {
      this.#outgoing = null
      this.#held.clear()
    }
  }

  /** It will not be finished. */
  abandon(): void {
    this.#outgoing?.abandon()
    this.#outgoing = null
    this.#held.clear()
  }

  async #begin(client: Client): Promise<void> {
    const { signer, envelope } = this.#options
    try {
      const content = this.#completed(client)
      const outgoing = await signer.begin(envelope)
      if ('code' in outgoing) this.#refusal = outgoing
      else {
        this.#outgoing = outgoing
        await outgoing.send(content)
      }
    } catch (error) {
      this.#refusal = refusalOf(error)
    }
    this.#held.clear()
  }

  #completed(client: Client): Uint8Array[] {
    const { id, envelope, hostname, domain, dateMs } = this.#options
    const [only, ...others] = envelope.recipients
    return complete(
      this.#held.pieces,
      {
        from: client.helo,
        address: client.address,
        by: hostname,
        protocol: client.protocol,
        id,
        dateMs,
        ...(client.tls === null ? {} : { tls: client.tls }),
        ...(only !== undefined && others.length === 0 ? { for: only.forwardPath } : {}),
      },
      domain,
    )
  }
}
