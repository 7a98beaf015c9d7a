/**
 * A server session: octets in, events out, replies back. No socket, no clock, no policy: who may send what is decided by
 * whoever pulls the events. RFC 5321 §3, §4.1.4 and §4.3, with the extensions of `extension.ts`.
 *
 * The receiving half is a reader in one of four modes: command lines, AUTH responses, DATA content, BDAT content. Octets of
 * content are never read as commands, whatever was refused: DATA is followed to its CRLF.CRLF, BDAT to its last octet.
 */

import { Authentication, type AuthStep } from './auth.ts'
import { type Command, parseArgument, splitLine, type Verb } from './command.ts'
import { ContentReader } from './content.ts'
import type { Envelope, EnvelopeRecipient } from './envelope.ts'
import { SmtpError } from './error.ts'
import {
  EXTENSION_LINE_OCTETS,
  Extensions,
  formatOffer,
  type ParameterTable,
  parameterTable,
} from './extension.ts'
import { LINE_TOO_LONG, LineReader } from './line.ts'
import { mailObjection, objection } from './objection.ts'
import { encodeReply, isPositive, type Reply, reply } from './reply.ts'
import type { ChannelBinding, ScramVerifier } from './sasl.ts'
import { isQuestion, type Question, type ServerEvent, type ServerOptions } from './server-event.ts'
import { type Input, type State, transition } from './state.ts'
import { Tally } from './tally.ts'

export type { Offers } from './offer.ts'
export type { ServerEvent, ServerOptions } from './server-event.ts'

/** MAIL was accepted. */
interface Transaction {
  readonly envelope: Envelope
  /** Those of the envelope. */
  readonly recipients: EnvelopeRecipient[]
  /** A RCPT was answered 4yz or 5yz. */
  refused: boolean
}

export class ServerSession {
  readonly #options: ServerOptions
  readonly #lines = new LineReader()
  readonly #content: ContentReader
  #state: State = 'connected'
  #secure: boolean
  #helo: string | null = null
  /** After EHLO rather than HELO. */
  #extended = false
  #table: ParameterTable = NO_PARAMETERS
  readonly #auth: Authentication
  #transaction: Transaction | null = null
  readonly #tally: Tally
  #errors = 0
  #discardedOctets = 0
  /** Events not pulled yet. */
  readonly #queue: ServerEvent[] = []
  #question: Question | null = null
  #octets: Buffer = NO_OCTETS
  #at = 0

  constructor(options: ServerOptions) {
    this.#options = options
    this.#auth = new Authentication(options)
    this.#content = new ContentReader(options.limits)
    this.#tally = new Tally(options.limits)
    this.#secure = options.tls === 'implicit'
  }

  get state(): State {
    return this.#state
  }

  get secure(): boolean {
    return this.#secure
  }

  /** What EHLO or HELO said. */
  get helo(): string | null {
    return this.#helo
  }

  /** Of the transaction so far: accepted MAIL and RCPTs. */
  get envelope(): Envelope | null {
    return this.#transaction?.envelope ?? null
  }

  /** Plaintext that came behind STARTTLS and was thrown away: somebody may have put it there (RFC 3207 §4.2). */
  get discardedOctets(): number {
    return this.#discardedOctets
  }

  /** For the Received field: RFC 3848, RFC 6531 §4.3. */
  get protocol(): string {
    if (!this.#extended) return 'SMTP'
    const base = this.#transaction?.envelope.smtputf8 === true ? 'UTF8SMTP' : 'ESMTP'
    return `${base}${this.#secure ? 'S' : ''}${this.#auth.authenticated ? 'A' : ''}`
  }

  // Greeting = "220 " Domain [ SP textstring ] CRLF, RFC 5321 §4.2.
  greeting(): Uint8Array {
    return encodeReply(reply(220, null, `${this.#options.hostname} ESMTP ptt`))
  }

  /** Answer each event that wants it with `reply()` before pulling the next; stop pulling for backpressure. */
  *receive(chunk: Uint8Array): Generator<ServerEvent> {
    const pulled = this.#at === this.#octets.length || this.#state === 'closed'
    invariant(pulled, 'the events of the last chunk were not all pulled')
    this.#octets = asBuffer(chunk)
    this.#at = 0
    for (;;) {
      const event = this.#next()
      if (event === null) return
      yield event
      invariant(this.#question === null, 'an event was not answered')
    }
  }

  /** Answers the event last pulled; the state advances on a positive reply, and on 421 to the end. */
  reply(reply: Reply): Uint8Array {
    const event = this.#question
    invariant(event !== null, 'reply() without an event to answer')
    this.#question = null
    if (this.#state === 'closed') return encodeReply(reply)
    if (event.type === 'auth' || event.type === 'verifier') {
      const step = this.#auth.conclude(reply)
      if (step.type === 'challenge') return step.octets
    }
    this.#answered(event, isPositive(reply))
    if (reply.code === 421) this.#close()
    return encodeReply(reply)
  }

  /** Answers a `verifier` event. */
  verifier(verifier: ScramVerifier): Uint8Array {
    invariant(this.#question?.type === 'verifier', 'verifier() without being asked for one')
    this.#question = null
    const step = this.#auth.verifier(verifier)
    return step.type === 'challenge' ? step.octets : NO_OCTETS
  }

  /** TLS is up: which SASL mechanisms can be used over it, and the channel binding it gives. */
  channel(auth: readonly string[], channelBinding: ChannelBinding | null): void {
    this.#auth.channel(auth, channelBinding)
  }

  /** TLS is up. RFC 3207 §4.2: what was learnt in clear is forgotten, what came behind STARTTLS is dropped. */
  secured(): void {
    this.#advance('SECURED')
    this.#secure = true
    this.#helo = null
    this.#extended = false
    this.#table = NO_PARAMETERS
    this.#discard()
  }

  /** For a client that stalled (RFC 5321 §4.5.3.2.7); then close. */
  idle(): Uint8Array {
    return this.#goodbye(reply(421, '4.4.2', `${this.#options.hostname} Idle for too long, closing`))
  }

  /** For a server that goes (RFC 5321 §3.8); then close. */
  shutdown(): Uint8Array {
    return this.#goodbye(
      reply(421, '4.3.2', `${this.#options.hostname} Service shutting down, try again later`),
    )
  }

  /** For a client that may not go on (RFC 5321 §4.3.2: 421 may answer any command), in place of an answer; then close. */
  dismiss(reply: Reply): Uint8Array {
    this.#question = null
    return this.#goodbye(reply)
  }

  #goodbye(reply: Reply): Uint8Array {
    this.#advance('SHUTDOWN')
    return encodeReply(reply)
  }

  #next(): ServerEvent | null {
    while (this.#queue.length === 0) {
      if (this.#state === 'handshake') this.#discard()
      if (this.#state === 'closed') this.#at = this.#octets.length
      if (this.#at === this.#octets.length) return null
      if (this.#content.reading) this.#readContent()
      else this.#readLine()
    }
    const event = this.#queue.shift() ?? null
    if (event !== null && isQuestion(event)) this.#question = event
    return event
  }

  #discard(): void {
    this.#discardedOctets += this.#octets.length - this.#at
    this.#at = this.#octets.length
  }

  #readLine(): void {
    const { commandLineOctets, authLineOctets } = this.#options.limits
    const { underWay } = this.#auth
    const commandOctets = commandLineOctets + EXTENSION_LINE_OCTETS
    const limitOctets = underWay
      ? authLineOctets
      : Math.max(commandOctets, this.#mayAuthenticate ? authLineOctets : 0)
    const line = this.#lines.read(this.#octets, this.#at, limitOctets)
    this.#at = line === null ? this.#octets.length : line.end
    if (line === null) return
    if (underWay) this.#authenticate(() => this.#auth.respond(line))
    else if (line.text === null) this.#refuse('', line.fault)
    else if (limitOctets > commandOctets && isTooLong(line.text, commandOctets))
      this.#refuse('', LINE_TOO_LONG)
    else this.#command(line.text)
  }

  /** RFC 4954 §4 keeps AUTH as short as other commands; many programs show a token with it that is longer. */
  get #mayAuthenticate(): boolean {
    const { offered, authenticated } = this.#auth
    return offered.length > 0 && !authenticated && this.#objection('AUTH') === null
  }

  #command(line: string): void {
    const { verb, argument } = splitLine(line)
    try {
      if (verb !== 'QUIT' && this.#auth.exhausted) throw TOO_MANY_AUTH_FAILURES
      if (verb === null) throw UNRECOGNIZED
      this.#tally.count(verb)
      const reason = this.#objection(verb)
      if (verb === 'BDAT') this.#bdat(argument, reason)
      else if (reason !== null) throw reason
      else this.#perform(this.#parse(verb, argument))
    } catch (error) {
      if (!(error instanceof SmtpError)) throw error
      if (verb === 'RCPT' && this.#transaction !== null) this.#transaction.refused = true
      this.#refuse(verb ?? '', error)
    }
  }

  #parse(verb: Verb, argument: string): Command {
    return parseArgument(verb, argument, {
      table: this.#table,
      utf8: this.#transaction?.envelope.smtputf8 === true,
    })
  }

  #objection(verb: Verb): SmtpError | null {
    return objection(
      verb,
      {
        state: this.#state,
        secure: this.#secure,
        authenticated: this.#auth.authenticated,
        extended: this.#extended,
        recipientRefused: this.#transaction?.refused === true,
      },
      this.#options,
    )
  }

  #perform(command: Command): void {
    const { verb } = command
    switch (verb) {
      case 'EHLO':
      case 'HELO':
        this.#hello(verb, command.domain)
        break
      case 'MAIL': {
        const reason = mailObjection(command.parameters, this.#options)
        if (reason !== null) throw reason
        this.#queue.push({ type: 'mail', reversePath: command.reversePath, parameters: command.parameters })
        break
      }
      case 'RCPT': {
        const { forwardPath, parameters } = command
        this.#tally.admit(forwardPath)
        this.#queue.push({ type: 'rcpt', recipient: { forwardPath, ...parameters }, parameters })
        break
      }
      case 'DATA':
        this.#advance('DATA')
        this.#content.data()
        this.#say('DATA', START_MAIL_INPUT)
        break
      case 'RSET':
        this.#drop()
        this.#advance('RSET')
        this.#say('RSET', OK)
        break
      case 'QUIT':
        this.#end(
          'QUIT',
          reply(221, '2.0.0', `${this.#options.hostname} Service closing transmission channel`),
        )
        break
      case 'STARTTLS':
        this.#queue.push({ type: 'starttls' })
        break
      case 'AUTH':
        this.#auth.begin(command.mechanism)
        this.#advance('AUTH')
        this.#authenticate(() => this.#auth.start(command.initialResponse))
        break
      case 'NOOP':
        this.#say('NOOP', OK)
        break
      case 'HELP':
        this.#say('HELP', HELP)
        break
      case 'VRFY':
        this.#say('VRFY', CANNOT_VERIFY)
        break
      case 'EXPN':
      case 'BDAT':
        invariant(false, `${verb} is not performed`)
        break
      default:
        command satisfies never
    }
  }

  // RFC 5321 §4.1.1.1 and §4.1.4: it ends a transaction as RSET does.
  #hello(verb: 'EHLO' | 'HELO', domain: string): void {
    this.#drop()
    this.#advance(verb)
    this.#helo = domain
    this.#extended = verb === 'EHLO'
    const { hostname } = this.#options
    const state = { ...this.#options, auth: this.#auth.offered, secure: this.#secure }
    const offer = this.#extended ? formatOffer(state) : []
    this.#table = parameterTable(new Extensions(offer))
    this.#say(verb, reply(250, null, `${hostname} greets ${domain}`, ...offer))
  }

  // RFC 3030 §2: whatever is answered, the octets behind the line are content.
  #bdat(argument: string, reason: SmtpError | null): void {
    const { sizeOctets, last } = this.#chunkSize(argument) ?? {}
    if (sizeOctets === undefined || last === undefined) return
    if (reason === null) this.#advance('BDAT')
    this.#content.chunk(sizeOctets, last, reason)
    if (sizeOctets === 0) this.#readContent()
  }

  /** `null`: it cannot be read. How many octets of content follow is not known then, and there is no going on. */
  #chunkSize(argument: string): { sizeOctets: number; last: boolean } | null {
    try {
      const command = this.#parse('BDAT', argument)
      return command.verb === 'BDAT' ? command : null
    } catch (error) {
      if (!(error instanceof SmtpError)) throw error
      this.#end('BDAT', error.reply)
      return null
    }
  }

  #readContent(): void {
    const { end, content, fault, ended } = this.#content.read(this.#octets, this.#at)
    this.#at = end
    if (content !== null) this.#queue.push({ type: 'content', octets: content })
    // The message will be refused at its end: nobody needs to keep what came of it.
    if (fault !== null) this.#drop()
    if (ended === null) return
    const { verb, last, sizeOctets } = ended
    if (fault !== null) this.#refuseContent(verb, fault)
    else if (last) this.#queue.push({ type: 'message', sizeOctets })
    else this.#say(verb, reply(250, '2.0.0', `${sizeOctets} octets received`))
  }

  /** At the true end of the content: the client hears it now, and the next octet is a command. */
  #refuseContent(verb: Verb, fault: SmtpError): void {
    this.#drop()
    // A BDAT outside a transaction leaves the state as it is.
    if (transition(this.#state, 'MESSAGE') !== null) this.#advance('MESSAGE')
    this.#refuse(verb, fault)
  }

  #authenticate(step: () => AuthStep): void {
    try {
      const made = step()
      const { type } = made
      if (type === 'challenge') this.#queue.push({ ...made, type: 'reply', verb: 'AUTH' })
      else if (type === 'verifier') this.#queue.push(made)
      else if (type === 'credentials') this.#queue.push({ type: 'auth', credentials: made.credentials })
      else {
        this.#advance('AUTHENTICATED')
        const octets = encodeReply(made.reply)
        this.#queue.push({ type: 'reply', verb: 'AUTH', reply: made.reply, octets, verdict: true })
      }
    } catch (error) {
      if (!(error instanceof SmtpError)) throw error
      this.#advance('AUTHENTICATED')
      this.#refuse('AUTH', error)
    }
  }

  #answered(event: Question, positive: boolean): void {
    switch (event.type) {
      case 'starttls':
        if (positive) this.#advance('STARTTLS')
        break
      case 'verifier':
        invariant(!positive, 'a verifier was asked for')
        this.#advance('AUTHENTICATED')
        break
      case 'auth':
        this.#advance('AUTHENTICATED')
        break
      case 'mail': {
        if (!positive) break
        const recipients: EnvelopeRecipient[] = []
        const envelope = { reversePath: event.reversePath, ...event.parameters, recipients }
        this.#transaction = { envelope, recipients, refused: false }
        this.#tally.begin()
        this.#advance('MAIL')
        break
      }
      case 'rcpt':
        if (this.#transaction === null) break
        if (positive) {
          this.#transaction.recipients.push(event.recipient)
          this.#advance('RCPT')
        } else this.#transaction.refused = true
        break
      case 'message':
        // The caller has it or has dropped it: no `reset`.
        this.#transaction = null
        if (positive) this.#errors = 0
        this.#advance('MESSAGE')
        break
      default:
        event satisfies never
    }
  }

  /** The transaction is over without a message. */
  #drop(): void {
    if (this.#transaction === null) return
    this.#transaction = null
    this.#content.forget()
    this.#queue.push({ type: 'reset' })
  }

  #refuse(verb: string, error: SmtpError): void {
    // x0z is about syntax, x3z about sequence; x5z is the mail system's answer to a well-formed command (RFC 5321 §4.2.1).
    if (error.code % 100 < 50) this.#errors++
    if (this.#errors > this.#options.limits.errors) this.#end(verb, TOO_MANY_ERRORS.reply)
    else if (error.code === 421) this.#end(verb, error.reply)
    else this.#say(verb, error.reply)
  }

  #say(verb: string, reply: Reply): void {
    this.#queue.push({ type: 'reply', verb, reply, octets: encodeReply(reply) })
  }

  /** A reply after which the connection goes. */
  #end(verb: string, reply: Reply): void {
    this.#drop()
    this.#say(verb, reply)
    this.#close()
  }

  #close(): void {
    this.#drop()
    this.#advance('SHUTDOWN')
    this.#queue.push({ type: 'close' })
  }

  /** The only place that sets the state; the table says what to. */
  #advance(input: Input): void {
    const next = transition(this.#state, input)
    invariant(next !== null, `${input} in state ${this.#state}`)
    this.#state = next
  }
}

const NO_OCTETS = Buffer.alloc(0)
const NO_PARAMETERS = parameterTable(Extensions.none)
const OK = reply(250, '2.0.0', 'OK')
const START_MAIL_INPUT = reply(354, null, 'Start mail input; end with <CRLF>.<CRLF>')
// RFC 5321 §3.5.3: where we do not tell.
const CANNOT_VERIFY = reply(252, '2.0.0', 'Cannot VRFY user, but will accept message and attempt delivery')
const HELP = reply(214, '2.0.0', 'EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT')
const UNRECOGNIZED = new SmtpError(500, '5.5.2', 'Command not recognized')
const TOO_MANY_ERRORS = new SmtpError(421, '4.7.0', 'Too many errors')
// RFC 4954 §9
const TOO_MANY_AUTH_FAILURES = new SmtpError(421, '4.7.0', 'Too many failed authentication attempts')

const isTooLong = (line: string, limitOctets: number): boolean =>
  Buffer.byteLength(line) + '\r\n'.length > limitOctets && splitLine(line).verb !== 'AUTH'

const asBuffer = (octets: Uint8Array): Buffer =>
  Buffer.isBuffer(octets) ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)

/** Ours to keep, whatever a peer sends: its failure is a bug here or in the caller. */
function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`SMTP server session: ${what}`)
}
