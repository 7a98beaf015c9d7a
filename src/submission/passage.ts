/**
 * One message on its way through submission: held until it is whole when it is small, passed on as it comes when it is
 * large, so that memory does not grow with the size of messages. Nothing is acknowledged before the relay has it whole.
 */

import type { User } from '../directory/directory.ts'
import { MAX_HEADER_OCTETS } from '../message/header.ts'
import type { Client } from '../net/listener.ts'
import { type Budget, MessageBuffer } from '../net/message-buffer.ts'
import type { Outgoing, Peer } from '../net/peer.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { refusalOf } from '../smtp/error.ts'
import type { Limits } from '../smtp/limits.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import type { Allowance, Reservation } from './allowance.ts'
import { type Completed, complete } from './complete.ts'
import { refuseSize } from './policy.ts'

/**
 * A message up to here goes in one write, and again should the connection break. What we add depends on the header section:
 * a larger message is passed on once that must be there.
 */
const HELD_OCTETS = MAX_HEADER_OCTETS

export interface PassageOptions {
  readonly id: string
  readonly envelope: Envelope
  /** As whom he may send is the header's business too. */
  readonly user: User
  readonly limits: Pick<Limits, 'hops' | 'ownHops'>
  /** Our own name, for Received. */
  readonly hostname: string
  /** For Message-ID. */
  readonly domain: string
  readonly dateMs: number
  readonly signer: Pick<Peer, 'deliver' | 'begin'>
  readonly budget: Budget
  readonly allowance: Pick<Allowance, 'reserve'>
}

export class Passage {
  readonly #options: PassageOptions
  readonly #held: MessageBuffer
  #outgoing: Outgoing | null = null
  #refusal: Reply | null = null
  #sizeOctets = 0
  #completed: Completed | null = null
  /** Among what the user may send in a day. */
  #reservation: Reservation | null = null

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

  /** The names of fields; none before the header section was seen, or when it was refused. */
  get changes(): Pick<Completed, 'added' | 'removed'> {
    // Not the whole of it: this goes into the log, and content never does.
    const { added = [], removed = [] } = this.#completed ?? {}
    return { added, removed }
  }

  add(octets: Uint8Array, client: () => Client): void | Promise<void> {
    this.#sizeOctets += octets.length
    if (this.#refusal !== null) return
    this.#refusal = refuseSize(this.#options.user, this.#sizeOctets)
    if (this.#refusal !== null) return this.abandon()
    if (this.#outgoing !== null) return this.#outgoing.send([octets])
    this.#held.add(octets)
    if (this.#held.overflowed)
      this.#refusal = reply(452, '4.3.1', 'Too many messages in flight, try again later')
    else if (this.#held.sizeOctets > HELD_OCTETS) return this.#begin(client())
  }

  /** The message is whole: the relay's reply, or why it did not get there. */
  async finish(client: Client): Promise<Reply> {
    const answer = await this.#finish(client).catch(refusalOf)
    this.#outgoing = null
    this.#held.clear()
    // What was not accepted does not count. (Where only the hop's answer was lost, the client sends it again: it counts then.)
    if (answer.code >= 300) await this.#giveBack()
    return answer
  }

  async #finish(client: Client): Promise<Reply> {
    if (this.#refusal !== null) return this.#refusal
    if (this.#outgoing !== null) return this.#outgoing.finish([])
    const { content, envelope } = this.#complete(client, true)
    const refusal = await this.#reserve()
    return refusal ?? this.#options.signer.deliver(envelope, content)
  }

  /** It will not be finished. */
  abandon(): void {
    this.#outgoing?.abandon()
    this.#outgoing = null
    this.#held.clear()
    void this.#giveBack()
  }

  async #reserve(): Promise<Reply | null> {
    const { allowance, user, id, envelope } = this.#options
    const paths = envelope.recipients.map(({ forwardPath }) => forwardPath)
    const place = await allowance.reserve(user, id, paths)
    if (place === null || 'code' in place) return place
    this.#reservation = place
    return null
  }

  async #giveBack(): Promise<void> {
    const reservation = this.#reservation
    this.#reservation = null
    await reservation?.giveBack()
  }

  async #begin(client: Client): Promise<void> {
    try {
      const { content, envelope } = this.#complete(client, false)
      const outgoing = (await this.#reserve()) ?? (await this.#options.signer.begin(envelope))
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

  #complete(client: Client, whole: boolean): { content: Uint8Array[]; envelope: Envelope } {
    const { id, envelope, user, limits, hostname, domain, dateMs } = this.#options
    const [only, ...others] = envelope.recipients
    const stamp = {
      from: client.helo,
      address: client.address,
      by: hostname,
      protocol: client.protocol,
      id,
      ...(envelope.xptt?.commit === undefined ? {} : { commit: envelope.xptt.commit }),
      dateMs,
      ...(client.tls === null ? {} : { tls: client.tls }),
      ...(envelope.priority === undefined ? {} : { priority: envelope.priority }),
      ...(only !== undefined && others.length === 0 ? { for: only.forwardPath } : {}),
    }
    const completed = complete(this.#held.pieces, { stamp, user, envelope, domain, limits, whole })
    this.#completed = completed
    return { content: completed.content, envelope: { ...envelope, smtputf8: completed.smtputf8 } }
  }
}
