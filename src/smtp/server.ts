/**
 * A server session: octets in, events out, replies back. No socket, no clock, no policy: who may send what is decided by
 * whoever pulls the events. RFC 5321 §3, §4.1.4 and §4.3, with the extensions of `extension.ts`.
 *
 * The receiving half is a reader in one of four modes: command lines, AUTH responses, DATA content, BDAT content. Octets of
 * content are never read as commands, whatever was refused: DATA is followed to its CRLF.CRLF, BDAT to its last octet.
 */

import type { Envelope } from './envelope.ts'
import { LineReader } from './line.ts'
import { encodeReply, isPositive, type Reply, reply } from './reply.ts'
import type { ChannelBinding, ScramVerifier } from './sasl.ts'
import { lineLimitOctets, takeLine } from './server-command.ts'
import { readContent } from './server-content.ts'
import { isQuestion, type Question, type ServerEvent, type ServerOptions } from './server-event.ts'
import { SessionState } from './session-state.ts'
import type { State } from './state.ts'

export type { Offers } from './offer.ts'
export type { ServerEvent, ServerOptions } from './server-event.ts'

export class ServerSession {
  readonly #session: SessionState
  readonly #lines = new LineReader()
  #question: Question | null = null
  #octets: Buffer = NO_OCTETS
  #at = 0
  #discardedOctets = 0

  constructor(options: ServerOptions) {
    this.#session = new SessionState(options)
  }

  get state(): State {
    return this.#session.state
  }

  get secure(): boolean {
    return this.#session.secure
  }

  /** What EHLO or HELO said. */
  get helo(): string | null {
    return this.#session.helo
  }

  /** Of the transaction so far: accepted MAIL and RCPTs. */
  get envelope(): Envelope | null {
    return this.#session.envelope
  }

  /** Plaintext that came behind STARTTLS and was thrown away: somebody may have put it there (RFC 3207 §4.2). */
  get discardedOctets(): number {
    return this.#discardedOctets
  }

  /** For the Received field: RFC 3848, RFC 6531 §4.3. */
  get protocol(): string {
    return this.#session.protocol
  }

  // Greeting = "220 " Domain [ SP textstring ] CRLF, RFC 5321 §4.2.
  greeting(): Uint8Array {
    return encodeReply(reply(220, null, `${this.#hostname} ESMTP ptt`))
  }

  /** Answer each event that wants it with `reply()` before pulling the next; stop pulling for backpressure. */
  *receive(chunk: Uint8Array): Generator<ServerEvent> {
    const pulled = this.#at === this.#octets.length || this.state === 'closed'
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
    if (this.state === 'closed') return encodeReply(reply)
    if (event.type === 'auth' || event.type === 'verifier') {
      const step = this.#session.auth.conclude(reply)
      if (step.type === 'challenge') return step.octets
    }
    this.#answered(event, isPositive(reply))
    if (reply.code === 421) this.#session.close()
    return encodeReply(reply)
  }

  /**
   * The `message` last pulled is answered later, by who keeps replies in their order. Its transaction is over, whatever comes of
   * it, and the next may begin.
   */
  postpone(): void {
    invariant(this.#question?.type === 'message', 'postpone() without a message')
    this.#question = null
    this.#session.finish(true)
  }

  /** Answers a `verifier` event. */
  verifier(verifier: ScramVerifier): Uint8Array {
    invariant(this.#question?.type === 'verifier', 'verifier() without being asked for one')
    this.#question = null
    const step = this.#session.auth.verifier(verifier)
    return step.type === 'challenge' ? step.octets : NO_OCTETS
  }

  /** TLS is up: which SASL mechanisms can be used over it, and the channel binding it gives. */
  channel(auth: readonly string[], channelBinding: ChannelBinding | null): void {
    this.#session.auth.channel(auth, channelBinding)
  }

  /** TLS is up. RFC 3207 §4.2: what was learnt in clear is forgotten, what came behind STARTTLS is dropped. */
  secured(): void {
    this.#session.secured()
    this.#discard()
  }

  /** For a client that stalled (RFC 5321 §4.5.3.2.7); then close. */
  idle(): Uint8Array {
    return this.#goodbye(reply(421, '4.4.2', `${this.#hostname} Idle for too long, closing`))
  }

  /** For a server that goes (RFC 5321 §3.8); then close. */
  shutdown(): Uint8Array {
    return this.#goodbye(reply(421, '4.3.2', `${this.#hostname} Service shutting down, try again later`))
  }

  /** For a client that may not go on (RFC 5321 §4.3.2: 421 may answer any command), in place of an answer; then close. */
  dismiss(reply: Reply): Uint8Array {
    this.#question = null
    return this.#goodbye(reply)
  }

  get #hostname(): string {
    return this.#session.options.hostname
  }

  #goodbye(reply: Reply): Uint8Array {
    this.#session.advance('SHUTDOWN')
    return encodeReply(reply)
  }

  #next(): ServerEvent | null {
    const session = this.#session
    while (session.silent) {
      if (session.state === 'handshake') this.#discard()
      if (session.state === 'closed') this.#at = this.#octets.length
      if (this.#at === this.#octets.length) return null
      if (session.content.reading) this.#at = readContent(session, this.#octets, this.#at)
      else this.#readLine()
    }
    const event = session.take()
    if (event !== null && isQuestion(event)) this.#question = event
    return event
  }

  #discard(): void {
    this.#discardedOctets += this.#octets.length - this.#at
    this.#at = this.#octets.length
  }

  #readLine(): void {
    const limitOctets = lineLimitOctets(this.#session)
    const line = this.#lines.read(this.#octets, this.#at, limitOctets)
    this.#at = line === null ? this.#octets.length : line.end
    if (line !== null) takeLine(this.#session, line, limitOctets)
  }

  #answered(event: Question, positive: boolean): void {
    const session = this.#session
    switch (event.type) {
      case 'starttls':
        if (positive) session.advance('STARTTLS')
        break
      case 'verifier':
        invariant(!positive, 'a verifier was asked for')
        session.advance('AUTHENTICATED')
        break
      case 'auth':
        session.advance('AUTHENTICATED')
        break
      case 'mail':
        if (positive) session.begin({ reversePath: event.reversePath, ...event.parameters })
        break
      case 'rcpt':
        if (positive) session.accept(event.recipient)
        else session.refuseRecipient()
        break
      case 'message':
        session.finish(positive)
        break
      default:
        event satisfies never
    }
  }
}

const NO_OCTETS = Buffer.alloc(0)

const asBuffer = (octets: Uint8Array): Buffer =>
  Buffer.isBuffer(octets) ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)

/** Ours to keep, whatever a peer sends: its failure is a bug here or in the caller. */
function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`SMTP server session: ${what}`)
}
