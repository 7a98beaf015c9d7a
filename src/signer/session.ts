/** One neighbour of the signer: submission with users' mail, or the relay with notices of its own. */

import type { SigningKey } from '../dkim/sign.ts'
import { mintId } from '../message/id.ts'
import { admit } from '../net/hop.ts'
import type { Client, SessionHandler } from '../net/listener.ts'
import { type Budget, MessageBuffer } from '../net/message-buffer.ts'
import type { Peer } from '../net/peer.ts'
import type { Role } from '../net/tls.ts'
import type { Log } from '../observe/event.ts'
import { later } from '../smtp/deliver-by.ts'
import type { Envelope, EnvelopeRecipient, Xptt } from '../smtp/envelope.ts'
import { SmtpError } from '../smtp/error.ts'
import { releaseMs } from '../smtp/future-release.ts'
import type { MailParameters, RcptParameters } from '../smtp/parameter.ts'
import { formatMailbox, type Mailbox, type ReversePath } from '../smtp/path.ts'
import { formatReply, type Reply, reply } from '../smtp/reply.ts'
import type { KeyState } from './life-cycle.ts'
import type { SecondOpinion, SigningBudget } from './second-opinion.ts'
import { authorsFor, signMessage } from './sign-message.ts'

export interface Surroundings {
  readonly key: SigningKey
  readonly keyState: () => KeyState
  /** After how long a signature expires (x=); not at all when undefined. */
  readonly expirationMs: number | undefined
  readonly relay: Pick<Peer, 'deliver'>
  /** The one reverse-path, beside the null one, that the relay may use. */
  readonly postmaster: string
  readonly budget: Budget
  readonly opinion: Pick<SecondOpinion, 'judge'>
  /** What may be signed in an hour. */
  readonly signingBudget: Pick<SigningBudget, 'spend'>
  readonly now: () => number
  readonly random: (octets: number) => Uint8Array
  readonly log: Log
}

export class SignerSession implements SessionHandler {
  readonly #around: Surroundings
  readonly #content: MessageBuffer
  #role: Role | null = null
  #reversePath: ReversePath = null
  #parameters: MailParameters | null = null
  /** When MAIL came. */
  #mailMs = 0
  #recipients: EnvelopeRecipient[] = []

  constructor(around: Surroundings) {
    this.#around = around
    this.#content = new MessageBuffer(around.budget)
  }

  secured(client: Client): Reply | null {
    const role = admit(client, ['submission', 'relay'])
    if (typeof role !== 'string') return role
    this.#role = role
    return null
  }

  mail(reversePath: ReversePath, parameters: MailParameters): Reply {
    if (this.#role === 'relay' && !this.#isNotice(reversePath)) {
      return reply(550, '5.7.1', 'The relay may send only notices: from <> or from the postmaster')
    }
    const key = this.#around.keyState()
    if (key.state !== 'active') return reply(451, '4.7.5', `Not signed, so not sent: ${key.reason}`)
    this.#reversePath = reversePath
    this.#parameters = parameters
    this.#mailMs = this.#around.now()
    return reply(250, '2.1.0', 'Sender accepted')
  }

  rcpt(recipient: EnvelopeRecipient, _parameters: RcptParameters): Reply {
    this.#recipients.push(recipient)
    return reply(250, '2.1.5', 'Recipient accepted')
  }

  content(octets: Uint8Array): void {
    this.#content.add(octets)
  }

  async message(): Promise<Reply> {
    const parameters = this.#parameters
    if (parameters === null) return reply(503, '5.5.1', 'No transaction')
    const { now, random } = this.#around
    const xptt = parameters.xptt ?? { id: mintId(now(), random(10)) }
    return this.#pass(xptt, parameters).finally(() => this.reset())
  }

  reset(): void {
    this.#parameters = null
    this.#recipients = []
    this.#content.clear()
  }

  async #pass(xptt: Xptt, parameters: MailParameters): Promise<Reply> {
    const { key, relay, log, now, expirationMs } = this.#around
    if (this.#content.overflowed) return reply(452, '4.3.1', 'Too many messages in flight, try again later')
    const facts = { id: xptt.id, domain: key.signingDomain, selector: key.selector }
    const startedMs = now()
    const content = this.#content.pieces
    let signature: Uint8Array
    try {
      const refusal = await this.#refuse(xptt, parameters, authorsFor(key, content))
      if (refusal !== null) return refusal
      const timestampSeconds = Math.floor(now() / 1000)
      signature = await signMessage(key, content, {
        timestampSeconds,
        ...(expirationMs === undefined
          ? {}
          : { expirationSeconds: Math.ceil((releasedMs(parameters, startedMs) + expirationMs) / 1000) }),
      })
    } catch (error) {
      const answer =
        error instanceof SmtpError
          ? error.reply
          : reply(451, '4.7.5', 'The message could not be signed, try again later')
      log.event('refused', { ...facts, reply: formatReply(answer), error: String(error) }, 'warn')
      return answer
    }
    log.event('signed', { ...facts, ms: now() - startedMs })
    // All that was asked for goes on to the relay, but for SIZE: the signature has made the message longer.
    const { sizeOctets: _, ...wishes } = later(parameters, now() - this.#mailMs)
    const envelope: Envelope = {
      ...wishes,
      reversePath: this.#reversePath,
      recipients: this.#recipients,
      xptt,
    }
    return relay.deliver(envelope, [signature, ...content])
  }

  /** The second opinion. Submission has let it pass: whatever is refused here should not have come this far. */
  async #refuse(
    { id, commit }: Xptt,
    { authenticatedAs }: MailParameters,
    authors: readonly Mailbox[],
  ): Promise<Reply | null> {
    const { opinion, signingBudget, key, log } = this.#around
    const role = this.#role
    if (role === null) return reply(503, '5.5.1', 'Nobody has shown a certificate')
    const claim = { role, identity: authenticatedAs, commit, reversePath: this.#reversePath, authors }
    const facts = { id, user: authenticatedAs, commit, from: authors.map(author => formatMailbox(author)) }
    const refusal = await opinion.judge(claim)
    // Notices are few, and must get out when users have used up the budget.
    const beyond = refusal === null && role !== 'relay' ? signingBudget.spend(key.signingDomain) : null
    const answer = refusal ?? beyond
    if (answer === null) return null
    const about = beyond === null ? 'second opinion' : 'signing budget'
    log.event('alarm', { about, ...facts, reply: formatReply(answer) }, 'error')
    return answer
  }

  #isNotice(reversePath: ReversePath): boolean {
    return (
      reversePath === null ||
      formatMailbox(reversePath).toLowerCase() === this.#around.postmaster.toLowerCase()
    )
  }
}

/** A signature's time begins when the message may first be sent: it can be held for longer than `expirationMs` (RFC 4865). */
function releasedMs({ hold }: MailParameters, nowMs: number): number {
  return hold === undefined ? nowMs : Math.max(nowMs, releaseMs(hold, nowMs))
}
