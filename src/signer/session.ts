/** One neighbour of the signer: submission with users' mail, or the relay with notices of its own. */

import type { SignerOptions } from '../dkim/sign.ts'
import { mintId } from '../message/id.ts'
import { type HopMessage, HopSession } from '../net/hop-session.ts'
import type { Budget } from '../net/message-buffer.ts'
import type { Peer } from '../net/peer.ts'
import type { Role } from '../net/tls.ts'
import type { Fields, Log } from '../observe/event.ts'
import { later } from '../smtp/deliver-by.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { SmtpError } from '../smtp/error.ts'
import { releaseMs } from '../smtp/future-release.ts'
import type { MailParameters } from '../smtp/parameter.ts'
import { formatMailbox, type Mailbox, type ReversePath } from '../smtp/path.ts'
import { formatReply, type Reply, reply } from '../smtp/reply.ts'
import type { Keyring } from './keyring.ts'
import type { SecondOpinion } from './second-opinion.ts'
import { type Authors, authorsFor, identityOf, signMessage } from './sign-message.ts'
import type { SigningBudget } from './signing-budget.ts'

export interface Surroundings {
  /** The deployment's domain. */
  readonly domain: string
  readonly keys: Keys
  readonly signatures: SignatureOptions
  /** Learn of this commit, by which submission has decided. Resolves with whether it is the one in force. */
  readonly catchUp: (commit: string | undefined) => Promise<boolean>
  readonly relay: Pick<Peer, 'deliver'>
  /** The one reverse-path, beside the null one, that the relay may use. */
  readonly postmaster: string
  readonly budget: Budget
  readonly opinion: Pick<SecondOpinion, 'judge'>
  /** What may be signed in an hour. */
  readonly signingBudget: Budgets
  readonly now: () => number
  readonly random: (octets: number) => Uint8Array
  readonly log: Log
}

/** Where another process looks after the keys, it is told what was signed, and counts it. */
export interface Keys extends Pick<Keyring, 'isReady' | 'reason' | 'signingDomains' | 'decide'> {
  /** To be waited for. */
  signed(...what: Parameters<Keyring['signed']>): unknown
}

export interface Budgets {
  spend(...what: Parameters<SigningBudget['spend']>): Reply | null | Promise<Reply | null>
}

export interface SignatureOptions extends Pick<SignerOptions, 'fields' | 'canonicalization'> {
  /** After how long a signature expires (x=); not at all when undefined. */
  readonly expirationMs?: number
  /** x= of every signature, instead. */
  readonly expirationSeconds?: number
  /** t= of every signature, instead of the time it is made. */
  readonly timestampSeconds?: number
  /** How long the relay may try to deliver. */
  readonly queueAgeMs: number
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
    // Whose key is wanted is known when From is; this is for the time when there is none at all.
    const { keys, domain } = this.#around
    return keys.isReady ? null : deferred(keys.reason(domain))
  }

  protected override async decide(message: HopMessage): Promise<Reply> {
    const { keys, relay, log, now } = this.#around
    const { xptt, parameters, reversePath, recipients, content, mailMs } = message
    const startedMs = now()
    let facts: Fields = { id: xptt.id }
    let signed: Uint8Array[] = []
    try {
      const authors = await this.#authors(message)
      const refusal = await this.#refuse(message, authors.authors)
      if (refusal !== null) return refusal
      const { signingDomains } = authors
      facts = { ...facts, domain: signingDomains.join(' ') }
      const decision = keys.decide(signingDomains)
      if (decision.kind === 'defer') throw new SmtpError(451, '4.7.5', notSigned(decision.reason))
      if (decision.kind === 'sign') {
        facts = { ...facts, selector: decision.keys.map(key => key.selector).join(' ') }
        const { options, neededUntilMs } = this.#signatureOptions(parameters, startedMs)
        // Before there is a signature: its key stays in DNS for as long as somebody may look for it.
        await keys.signed(decision.keys, neededUntilMs)
        const identity = identityOf(parameters.authenticatedAs, authors)
        const { header } = authors
        const whole = { ...options, header, ...(identity !== undefined && { identity }) }
        signed = [await signMessage(decision.keys, content, whole)]
      }
    } catch (error) {
      const answer =
        error instanceof SmtpError
          ? error.reply
          : reply(451, '4.7.5', 'The message could not be signed, try again later')
      log.event('refused', { ...facts, reply: formatReply(answer), error: String(error) }, 'warn')
      return answer
    }
    // Without a selector: its domain says sign = "never".
    log.event('signed', { ...facts, ms: now() - startedMs })
    // All that was asked for goes on to the relay, but for SIZE: the signature has made the message longer.
    const { sizeOctets: _, ...wishes } = later(parameters, now() - mailMs)
    const envelope: Envelope = { ...wishes, reversePath, recipients, xptt }
    return relay.deliver(envelope, [...signed, ...content])
  }

  /** A domain that we do not know may be of a commit that we do not know yet. */
  async #authors({ content, xptt }: HopMessage): Promise<Authors> {
    const { keys, catchUp } = this.#around
    try {
      return authorsFor(keys.signingDomains(), content)
    } catch (error) {
      if (!(error instanceof SmtpError) || error.reply.status !== '5.7.1') throw error
      const isKnown = await catchUp(xptt.commit)
      const domains = keys.signingDomains()
      if (isKnown) return authorsFor(domains, content)
      try {
        return authorsFor(domains, content)
      } catch {
        const commit = xptt.commit?.slice(0, 12)
        const text = `The signer does not know commit ${commit}, which may have this domain, try again later`
        throw new SmtpError(451, '4.7.1', text)
      }
    }
  }

  /** @throws SmtpError 451 when the signature would expire while the message may still be queued */
  #signatureOptions(
    parameters: MailParameters,
    nowMs: number,
  ): { options: SignerOptions; neededUntilMs: number } {
    const { fields, canonicalization, expirationMs, expirationSeconds, queueAgeMs, ...fixed } =
      this.#around.signatures
    const queuedUntilMs = releasedMs(parameters, nowMs) + queueAgeMs
    const timestampSeconds = fixed.timestampSeconds ?? Math.floor(nowMs / 1000)
    const options: SignerOptions = {
      timestampSeconds,
      ...(fields === undefined ? {} : { fields }),
      ...(canonicalization === undefined ? {} : { canonicalization }),
    }
    if (expirationSeconds !== undefined) {
      const expiresMs = expirationSeconds * 1000
      if (expiresMs < queuedUntilMs) {
        const [expires, queued] = [expiresMs, queuedUntilMs].map(ms => new Date(ms).toISOString())
        throw new SmtpError(
          451,
          '4.7.5',
          notSigned(`signatures expire at ${expires}, and the message may be queued until ${queued}`),
        )
      }
      return { options: { ...options, expirationSeconds }, neededUntilMs: Math.max(queuedUntilMs, expiresMs) }
    }
    if (expirationMs === undefined) return { options, neededUntilMs: queuedUntilMs }
    const expires = Math.ceil((releasedMs(parameters, nowMs) + expirationMs) / 1000)
    // Somebody who has it on the last day may look at it for as long again.
    return {
      options: { ...options, expirationSeconds: expires },
      neededUntilMs: queuedUntilMs + expirationMs,
    }
  }

  /** The second opinion. Submission has let it pass: whatever is refused here should not have come this far. */
  async #refuse(message: HopMessage, authors: readonly Mailbox[]): Promise<Reply | null> {
    const { opinion, signingBudget, domain, log } = this.#around
    const { role, reversePath } = message
    const { id, commit } = message.xptt
    const { authenticatedAs } = message.parameters
    if (role === null) return reply(503, '5.5.1', 'Nobody has shown a certificate')
    const claim = { role, identity: authenticatedAs, commit, reversePath, authors }
    const facts = { id, user: authenticatedAs, commit, from: authors.map(author => formatMailbox(author)) }
    const refusal = await opinion.judge(claim)
    // Notices are few, and must get out when users have used up the budget.
    const beyond = refusal === null && role !== 'relay' ? await signingBudget.spend(domain, authors) : null
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

function deferred(reason: string): Reply {
  return reply(451, '4.7.5', notSigned(reason))
}

function notSigned(reason: string): string {
  return `Not signed, so not sent: ${reason}`
}
