/** One neighbour of the signer: submission with users' mail, or the relay with notices of its own. */

import type { SigningKey } from '../dkim/sign.ts'
import { mintId } from '../message/id.ts'
import { type HopMessage, HopSession } from '../net/hop-session.ts'
import type { Budget } from '../net/message-buffer.ts'
import type { Peer } from '../net/peer.ts'
import type { Role } from '../net/tls.ts'
import type { Log } from '../observe/event.ts'
import { later } from '../smtp/deliver-by.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { SmtpError } from '../smtp/error.ts'
import { releaseMs } from '../smtp/future-release.ts'
import type { MailParameters } from '../smtp/parameter.ts'
import { formatMailbox, type Mailbox, type ReversePath } from '../smtp/path.ts'
import { formatReply, type Reply, reply } from '../smtp/reply.ts'
import type { KeyState } from './life-cycle.ts'
import type { SecondOpinion } from './second-opinion.ts'
import { authorsFor, signMessage } from './sign-message.ts'
import type { SigningBudget } from './signing-budget.ts'

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

export class SignerSession extends HopSession {
  readonly #around: Surroundings

  constructor(around: Surroundings) {
    const { budget, now, random } = around
    super({ roles: ['submission', 'relay'], budget, now, mint: () => mintId(now(), random(10)) })
    this.#around = around
  }

  protected override objection(reversePath: ReversePath, role: Role | null): Reply | null {
    if (role === 'relay' && !this.#isNotice(reversePath)) {
      return reply(550, '5.7.1', 'The relay may send only notices: from <> or from the postmaster')
    }
    const key = this.#around.keyState()
    return key.state === 'active' ? null : reply(451, '4.7.5', `Not signed, so not sent: ${key.reason}`)
  }

  protected override async decide(message: HopMessage): Promise<Reply> {
    const { key, relay, log, now, expirationMs } = this.#around
    const { xptt, parameters, reversePath, recipients, content, mailMs } = message
    const facts = { id: xptt.id, domain: key.signingDomain, selector: key.selector }
    const startedMs = now()
    let signature: Uint8Array
    try {
      const { authors } = authorsFor([key.signingDomain], content)
      const refusal = await this.#refuse(message, authors)
      if (refusal !== null) return refusal
      const timestampSeconds = Math.floor(now() / 1000)
      signature = await signMessage([key], content, {
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
    const { sizeOctets: _, ...wishes } = later(parameters, now() - mailMs)
    const envelope: Envelope = { ...wishes, reversePath, recipients, xptt }
    return relay.deliver(envelope, [signature, ...content])
  }

  /** The second opinion. Submission has let it pass: whatever is refused here should not have come this far. */
  async #refuse(message: HopMessage, authors: readonly Mailbox[]): Promise<Reply | null> {
    const { opinion, signingBudget, key, log } = this.#around
    const { role, reversePath } = message
    const { id, commit } = message.xptt
    const { authenticatedAs } = message.parameters
    if (role === null) return reply(503, '5.5.1', 'Nobody has shown a certificate')
    const claim = { role, identity: authenticatedAs, commit, reversePath, authors }
    const facts = { id, user: authenticatedAs, commit, from: authors.map(author => formatMailbox(author)) }
    const refusal = await opinion.judge(claim)
    // Notices are few, and must get out when users have used up the budget.
    const beyond =
      refusal === null && role !== 'relay' ? signingBudget.spend(key.signingDomain, authors) : null
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
