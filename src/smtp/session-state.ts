/**
 * What a server session knows, and the events it has to tell: the state tables and buffers of RFC 5321 §3.1 and §4.1.1.
 * What leads to them is in `server-command.ts` and `server-content.ts`; who pulls them, in `server.ts`.
 */

import { Authentication } from './auth.ts'
import type { Verb } from './command.ts'
import { ContentReader } from './content.ts'
import type { Envelope, EnvelopeRecipient } from './envelope.ts'
import { SmtpError } from './error.ts'
import { Extensions, formatOffer, type ParameterTable, parameterTable } from './extension.ts'
import { objection } from './objection.ts'
import { encodeReply, type Reply, reply } from './reply.ts'
import type { ServerEvent, ServerOptions } from './server-event.ts'
import { type Input, type State, StateMachine, transition } from './state.ts'
import { Tally } from './tally.ts'

/** MAIL was accepted. */
interface Transaction {
  readonly envelope: Envelope
  /** Those of the envelope. */
  readonly recipients: EnvelopeRecipient[]
  /** A RCPT was answered 4yz or 5yz. */
  refused: boolean
}

export class SessionState {
  readonly options: ServerOptions
  readonly auth: Authentication
  /** Content under way. */
  readonly content: ContentReader
  readonly tally: Tally
  readonly #machine = new StateMachine()
  #secure: boolean
  #helo: string | null = null
  /** After EHLO rather than HELO. */
  #extended = false
  #table: ParameterTable = NO_PARAMETERS
  #transaction: Transaction | null = null
  #errors = 0
  /** Events not pulled yet. */
  readonly #events: ServerEvent[] = []

  constructor(options: ServerOptions) {
    this.options = options
    this.auth = new Authentication(options)
    this.content = new ContentReader(options.limits)
    this.tally = new Tally(options.limits)
    this.#secure = options.tls === 'implicit'
  }

  get state(): State {
    return this.#machine.state
  }

  get secure(): boolean {
    return this.#secure
  }

  /** What EHLO or HELO said. */
  get helo(): string | null {
    return this.#helo
  }

  /** The parameters that MAIL and RCPT may have. */
  get table(): ParameterTable {
    return this.#table
  }

  get envelope(): Envelope | null {
    return this.#transaction?.envelope ?? null
  }

  /** For the Received field: RFC 3848, RFC 6531 §4.3. */
  get protocol(): string {
    if (!this.#extended) return 'SMTP'
    const base = this.envelope?.smtputf8 === true ? 'UTF8SMTP' : 'ESMTP'
    return `${base}${this.#secure ? 'S' : ''}${this.auth.authenticated ? 'A' : ''}`
  }

  /** Nothing is to be told. */
  get silent(): boolean {
    return this.#events.length === 0
  }

  /** The next event. */
  take(): ServerEvent | null {
    return this.#events.shift() ?? null
  }

  tell(event: ServerEvent): void {
    this.#events.push(event)
  }

  advance(input: Input): void {
    this.#machine.advance(input)
  }

  /** The input has a place here. */
  allows(input: Input): boolean {
    return transition(this.state, input) !== null
  }

  /** Why the command cannot be done now, whatever its arguments. */
  objection(verb: Verb): SmtpError | null {
    return objection(
      verb,
      {
        state: this.state,
        secure: this.#secure,
        authenticated: this.auth.authenticated,
        extended: this.#extended,
        recipientRefused: this.#transaction?.refused === true,
      },
      this.options,
    )
  }

  /** EHLO or HELO, RFC 5321 §4.1.1.1 and §4.1.4: it ends a transaction as RSET does. */
  hello(verb: 'EHLO' | 'HELO', domain: string): void {
    this.drop()
    this.advance(verb)
    this.#helo = domain
    this.#extended = verb === 'EHLO'
    const { hostname } = this.options
    const state = { ...this.options, auth: this.auth.offered, secure: this.#secure }
    const offer = this.#extended ? formatOffer(state) : []
    this.#table = parameterTable(new Extensions(offer))
    this.say(verb, reply(250, null, `${hostname} greets ${domain}`, ...offer))
  }

  /** TLS is up. RFC 3207 §4.2: what was learnt in clear is forgotten. */
  secured(): void {
    this.advance('SECURED')
    this.#secure = true
    this.#helo = null
    this.#extended = false
    this.#table = NO_PARAMETERS
  }

  /** MAIL was answered 250. */
  begin(sender: Omit<Envelope, 'recipients'>): void {
    const recipients: EnvelopeRecipient[] = []
    this.#transaction = { envelope: { ...sender, recipients }, recipients, refused: false }
    this.tally.begin()
    this.advance('MAIL')
  }

  /** RCPT was answered 250. */
  accept(recipient: EnvelopeRecipient): void {
    if (this.#transaction === null) return
    this.#transaction.recipients.push(recipient)
    this.advance('RCPT')
  }

  /** RCPT was answered otherwise, by whomever. */
  refuseRecipient(): void {
    if (this.#transaction !== null) this.#transaction.refused = true
  }

  /** The message was answered: the caller has it or has dropped it, and is not told of a `reset`. */
  finish(taken: boolean): void {
    this.#transaction = null
    if (taken) this.#errors = 0
    this.advance('MESSAGE')
  }

  /** The transaction is over without a message. */
  drop(): void {
    if (this.#transaction === null) return
    this.#transaction = null
    this.content.forget()
    this.tell({ type: 'reset' })
  }

  say(verb: string, reply: Reply): void {
    this.tell({ type: 'reply', verb, reply, octets: encodeReply(reply) })
  }

  refuse(verb: string, error: SmtpError): void {
    // x0z is about syntax, x3z about sequence; x5z is the mail system's answer to a well-formed command (RFC 5321 §4.2.1).
    if (error.code % 100 < 50) this.#errors++
    if (this.#errors > this.options.limits.errors) this.end(verb, TOO_MANY_ERRORS.reply)
    else if (error.code === 421) this.end(verb, error.reply)
    else this.say(verb, error.reply)
  }

  /** A reply after which the connection goes. */
  end(verb: string, reply: Reply): void {
    this.drop()
    this.say(verb, reply)
    this.close()
  }

  close(): void {
    this.drop()
    this.advance('SHUTDOWN')
    this.tell({ type: 'close' })
  }
}

const NO_PARAMETERS = parameterTable(Extensions.none)
const TOO_MANY_ERRORS = new SmtpError(421, '4.7.0', 'Too many errors')
