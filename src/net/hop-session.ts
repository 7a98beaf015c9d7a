/**
 * One neighbour on a hop: its certificate admitted, then message by message what MAIL, RCPT and the content said, until
 * the service decides about the whole of it.
 */

import type { EnvelopeRecipient, Xptt } from '../smtp/envelope.ts'
import type { MailParameters, RcptParameters } from '../smtp/parameter.ts'
import type { ReversePath } from '../smtp/path.ts'
import { fixedReply, type Reply, reply } from '../smtp/reply.ts'
import { admit, SHARED_BY } from './hop.ts'
import type { Client, SessionHandler } from './listener.ts'
import { type Budget, MessageBuffer } from './message-buffer.ts'
import { Slabs } from './slabs.ts'
import type { Role } from './tls.ts'

export interface HopSessionOptions {
  /** Who may speak here. */
  readonly roles: readonly Role[]
  readonly budget: Budget
  readonly now: () => number
  /** The id of a message that came without one: any SMTP client with the right certificate may speak here. */
  readonly mint: () => string
}

/** A message that is whole. */
export interface HopMessage {
  readonly xptt: Xptt
  /** Who brought it. */
  readonly role: Role | null
  readonly reversePath: ReversePath
  readonly parameters: MailParameters
  readonly recipients: readonly EnvelopeRecipient[]
  readonly content: readonly Uint8Array[]
  readonly sizeOctets: number
  /** When MAIL came: from then on a hold and a deliver-by-time count (RFC 4865 §4.2, RFC 2852 §4). */
  readonly mailMs: number
}

export abstract class HopSession implements SessionHandler {
  readonly #options: HopSessionOptions
  #content: MessageBuffer
  #role: Role | null = null
  #mail: Pick<HopMessage, 'reversePath' | 'parameters' | 'mailMs'> | null = null
  #recipients: EnvelopeRecipient[] = []

  readonly messagesUnderWay = SHARED_BY

  constructor(options: HopSessionOptions) {
    this.#options = options
    this.#content = new MessageBuffer(options.budget, SLABS)
  }

  /** Why MAIL is refused already; `null` when it is not. */
  protected abstract objection(reversePath: ReversePath, role: Role | null): Reply | null

  /** Only a 2xx says that it will not be lost from here on. */
  protected abstract decide(message: HopMessage): Promise<Reply>

  secured(client: Client): Reply | null {
    const role = admit(client, this.#options.roles)
    if (typeof role !== 'string') return role
    this.#role = role
    return null
  }

  mail(reversePath: ReversePath, parameters: MailParameters): Reply {
    const refusal = this.objection(reversePath, this.#role)
    if (refusal !== null) return refusal
    this.#mail = { reversePath, parameters, mailMs: this.#options.now() }
    return SENDER_ACCEPTED
  }

  rcpt(recipient: EnvelopeRecipient, _parameters: RcptParameters): Reply {
    this.#recipients.push(recipient)
    return RECIPIENT_ACCEPTED
  }

  content(octets: Uint8Array): void {
    this.#content.add(octets)
  }

  async message(): Promise<Reply> {
    const content = this.#content
    const mail = this.#mail
    const recipients = this.#recipients
    // The next may come before this one is decided.
    this.#begin()
    try {
      if (mail === null) return reply(503, '5.5.1', 'No transaction')
      if (content.overflowed) return reply(452, '4.3.1', 'Too many messages in flight, try again later')
      return await this.decide({
        ...mail,
        xptt: mail.parameters.xptt ?? { id: this.#options.mint() },
        role: this.#role,
        recipients,
        content: content.pieces,
        sizeOctets: content.sizeOctets,
      })
    } finally {
      content.clear()
    }
  }

  reset(): void {
    this.#content.clear()
    this.#begin()
  }

  #begin(): void {
    this.#mail = null
    this.#recipients = []
    this.#content = new MessageBuffer(this.#options.budget, SLABS)
  }
}

/** Of all sessions of the process. */
const SLABS = new Slabs()

const SENDER_ACCEPTED = fixedReply(250, '2.1.0', 'Sender accepted')
const RECIPIENT_ACCEPTED = fixedReply(250, '2.1.5', 'Recipient accepted')
