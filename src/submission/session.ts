/** One client of the submission server: AUTH, MAIL, RCPT and the message, each decided by the directory in force. */

import type { Directory, User } from '../directory/directory.ts'
import { mintId } from '../message/id.ts'
import type { Client, SessionHandler } from '../net/listener.ts'
import type { Budget } from '../net/message-buffer.ts'
import type { Peer } from '../net/peer.ts'
import type { Log } from '../observe/event.ts'
import { later } from '../smtp/deliver-by.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import type { Limits } from '../smtp/limits.ts'
import type { MailParameters, RcptParameters } from '../smtp/parameter.ts'
import { formatPath, type ReversePath } from '../smtp/path.ts'
import { fixedReply, formatReply, type Reply, reply } from '../smtp/reply.ts'
import type { Credentials, ScramVerifier } from '../smtp/sasl.ts'
import type { Allowance } from './allowance.ts'
import type { Authentication, Authenticator } from './authenticate.ts'
import type { KnownSuppressed } from './known-suppressed.ts'
import { Passage } from './passage.ts'
import { admitRecipient, refuseRecipient, refuseReversePath, refuseSize } from './policy.ts'
import type { Throttle } from './throttle.ts'
import { grant } from './wishes.ts'

export interface Surroundings {
  readonly hostname: string
  /** The deployment's own: for `<Postmaster>` and for Message-IDs. */
  readonly domain: string
  /** The commit in force. */
  readonly directory: () => Directory
  readonly authenticator: Pick<Authenticator, 'mechanisms' | 'verifier' | 'nameOf' | 'authenticate'>
  readonly throttle: Pick<Throttle, 'admit'>
  readonly allowance: Pick<Allowance, 'refuse' | 'reserve'>
  readonly signer: Pick<Peer, 'deliver' | 'begin'>
  readonly suppressed: Pick<KnownSuppressed, 'refuse' | 'learn'>
  readonly budget: Budget
  readonly limits: Pick<Limits, 'hops' | 'ownHops'>
  /** The highest MT-PRIORITY a user may ask for (RFC 6710 §4.1). */
  readonly maxPriority: number
  readonly now: () => number
  readonly random: (octets: number) => Uint8Array
  readonly log: Log
}

/** What MAIL settled: the user and the commit that allowed this transaction, whatever is pushed meanwhile. */
interface Transaction {
  readonly user: User
  readonly commit: string
  readonly reversePath: ReversePath
  readonly parameters: MailParameters
  /** When MAIL came. */
  readonly mailMs: number
  readonly recipients: EnvelopeRecipient[]
}

export class SubmissionSession implements SessionHandler {
  readonly #around: Surroundings
  #userName: string | null = null
  /** With which of his passwords he signed in, where it was not his own. */
  #appPassword: string | undefined
  /** The last one that was asked, and has the user. */
  #asked: Directory | null = null
  #transaction: Transaction | null = null
  #passage: Passage | null = null

  constructor(around: Surroundings) {
    this.#around = around
  }

  /**
   * Who was removed or suspended since he signed in is cut off at his next command. 421 is the one reply that may answer any
   * command and says that the connection goes (RFC 5321 §3.8, §4.3.2). It is temporary, which does no harm: a client that
   * comes back hears at AUTH, with 535, that it is for good (RFC 4954 §6).
   */
  dismissal(): Reply | null {
    const directory = this.#around.directory()
    if (this.#userName === null || directory === this.#asked) return null
    const user = directory.user(this.#userName)
    if (user === undefined) return reply(421, '4.7.0', 'This user may not send mail any more')
    if (user.suspended !== undefined) return reply(421, '4.7.0', user.suspended)
    if (this.#appPassword !== undefined && !user.appPasswords?.some(({ name }) => name === this.#appPassword))
      return reply(421, '4.7.0', 'This app password is not valid any more')
    this.#asked = directory
    return null
  }

  mechanisms(client: Client): readonly string[] {
    return this.#around.authenticator.mechanisms(client)
  }

  verifier(mechanism: string, username: string): ScramVerifier {
    return this.#around.authenticator.verifier(mechanism, username)
  }

  async auth(credentials: Credentials, client: Client): Promise<Reply> {
    const { log } = this.#around
    const result = await this.#authenticate(credentials, client)
    const facts = { client: client.address, mechanism: credentials.mechanism }
    if (result.user === null) {
      log.event(
        'refused',
        { verb: 'AUTH', ...facts, reason: result.reason, reply: formatReply(result.reply) },
        'warn',
      )
    } else {
      this.#userName = result.user.name
      this.#appPassword = result.appPassword
      log.event('authenticated', { ...facts, user: result.user.name, app_password: result.appPassword })
    }
    return result.reply
  }

  async #authenticate(credentials: Credentials, client: Client): Promise<Authentication> {
    const { authenticator, throttle } = this.#around
    const name = authenticator.nameOf(credentials)
    // Nobody guesses at a token or a certificate.
    if (name === null) return authenticator.authenticate(credentials, client)
    const attempt = await throttle.admit(client.address, name)
    if ('heldMs' in attempt) {
      const seconds = Math.ceil(attempt.heldMs / 1000)
      const text = `Too many failed attempts, try again in ${seconds} s`
      return { user: null, reply: reply(454, '4.7.0', text), reason: 'too many failed attempts before' }
    }
    let outcome: 'right' | 'wrong' | 'unknown' = 'unknown'
    try {
      const result = await authenticator.authenticate(credentials, client)
      if (result.user !== null) outcome = 'right'
      else if (result.guessed) outcome = 'wrong'
      return result
    } finally {
      attempt.end(outcome)
    }
  }

  mail(reversePath: ReversePath, parameters: MailParameters): Reply | Promise<Reply> {
    const directory = this.#around.directory()
    // Looked up again: what he may do is what counts now.
    const user = directory.user(this.#userName ?? '')
    if (user === undefined) {
      return reply(550, '5.7.1', 'This user may not send mail any more')
    }
    const refusal = refuseReversePath(user, reversePath) ?? refuseSize(user, parameters.sizeOctets)
    if (refusal !== null) return refusal
    const begin = () => this.#begin(user, directory.commit, reversePath, parameters)
    return this.#around.allowance.refuse(user)?.then(spent => spent ?? begin()) ?? begin()
  }

  #begin(user: User, commit: string, reversePath: ReversePath, parameters: MailParameters): Reply {
    const mailMs = this.#around.now()
    const granted = grant(parameters, this.#around.maxPriority, mailMs)
    this.#transaction = {
      user,
      commit,
      reversePath,
      parameters: granted.parameters,
      mailMs,
      recipients: [],
    }
    return granted.reply
  }

  rcpt(recipient: EnvelopeRecipient, _parameters: RcptParameters): Reply {
    const admitted = admitRecipient(recipient.forwardPath, this.#around.domain)
    if ('code' in admitted) return admitted
    if (this.#transaction === null) return RECIPIENT_ACCEPTED
    const { user, reversePath, recipients } = this.#transaction
    const refusal =
      this.#around.suppressed.refuse(reversePath, admitted.forwardPath) ??
      refuseRecipient(user, recipients.length)
    if (refusal !== null) return refusal
    recipients.push({ ...recipient, ...admitted })
    return RECIPIENT_ACCEPTED
  }

  content(octets: Uint8Array, client: () => Client): void | Promise<void> {
    return this.#onItsWay()?.add(octets, client)
  }

  /** 250 only when the relay has said so: nothing rests here (design decision 1). */
  async message(client: Client): Promise<Reply> {
    const { now, log, suppressed } = this.#around
    const transaction = this.#transaction
    const passage = this.#onItsWay()
    if (transaction === null || passage === null) return reply(503, '5.5.1', 'No transaction')
    const startedMs = now()
    const told = await passage.finish(client).finally(() => this.#forget())
    const answer = suppressed.learn(transaction.reversePath, told)
    const facts = {
      id: passage.id,
      user: transaction.user.name,
      commit: transaction.commit,
      reverse_path: formatPath(transaction.reversePath),
      recipients: transaction.recipients.length,
      size: passage.sizeOctets,
      // RFC 6710 §4.1 (3)
      priority: transaction.parameters.priority,
      ...passage.changes,
      ms: now() - startedMs,
    }
    if (answer.code < 300) log.event('accepted', facts)
    else log.event('refused', { ...facts, reply: formatReply(answer) }, answer.code < 500 ? 'warn' : 'info')
    return answer
  }

  reset(): void {
    this.#passage?.abandon()
    this.#forget()
  }

  #forget(): void {
    this.#transaction = null
    this.#passage = null
  }

  /** From the first octet of content on. */
  #onItsWay(): Passage | null {
    const { now, random, hostname, domain, signer, budget, limits, allowance } = this.#around
    if (this.#transaction === null || this.#passage !== null) return this.#passage
    const { user, commit, reversePath, parameters, mailMs, recipients } = this.#transaction
    const dateMs = now()
    const id = mintId(dateMs, random(10))
    // SIZE was said of the message as it came; who AUTH= is, we know better.
    const { sizeOctets: _, ...wishes } = later(parameters, dateMs - mailMs)
    const envelope = { ...wishes, reversePath, recipients, authenticatedAs: user.name, xptt: { id, commit } }
    const way = { limits, hostname, domain, signer, budget, allowance }
    this.#passage = new Passage({ ...way, id, envelope, user, dateMs })
    return this.#passage
  }
}

const RECIPIENT_ACCEPTED = fixedReply(250, '2.1.5', 'Recipient accepted')
