/**
 * An SMTP connection as a client: opened as far as EHLO (over TLS where that is wanted), then one transaction after
 * another. Used by the hops (`peer.ts`), by the relay towards the Internet and by `ptt send`.
 */

import type { ConnectionOptions } from 'node:tls'
import { ClientSession } from '../smtp/client.ts'
import { dotStuff } from '../smtp/data.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { SmtpError } from '../smtp/error.ts'
import type { Timeouts } from '../smtp/limits.ts'
import { formatReply, type Reply } from '../smtp/reply.ts'
import { type TlsFacts, Wire, WireError } from './wire.ts'

export type ConnectionErrorCode =
  /** No TCP connection, or it broke, or nothing came in time. */
  | 'connect'
  | 'timeout'
  | 'closed'
  /** The TLS handshake failed, or STARTTLS was wanted and not offered. */
  | 'tls'
  /** The peer answered with 4xx or 5xx where the connection cannot go on without a 2xx: `reply` holds it. */
  | 'refused'
  /** The peer does not speak SMTP. */
  | 'protocol'

/** The connection is of no use any more. What was sent before the final dot was not accepted by anybody. */
export class ConnectionError extends Error {
  readonly code: ConnectionErrorCode
  /** What was being done: `connect`, `greeting`, `EHLO`, `STARTTLS`, `MAIL`, `message` … */
  readonly phase: string
  readonly reply: Reply | null
  constructor(
    code: ConnectionErrorCode,
    phase: string,
    message: string,
    reply: Reply | null = null,
    cause?: unknown,
  ) {
    super(`${phase}: ${message}`, { cause })
    this.code = code
    this.phase = phase
    this.reply = reply
  }
}

export type TlsWish =
  | { readonly mode: 'none' }
  | { readonly mode: 'implicit' | 'required' | 'opportunistic'; readonly options: ConnectionOptions }

export interface ConnectOptions {
  /** An IP address: names are resolved by the relay, never here. */
  readonly host: string
  readonly port: number
  readonly localAddress?: string
  /** Our name for EHLO. */
  readonly hostname: string
  readonly tls: TlsWish
  /** RFC 5321 sets no time for TCP; each address gets this long. */
  readonly connectMs: number
  readonly timeouts: Timeouts
  readonly signal?: AbortSignal
}

/** What the peer answered to one transaction. */
export interface TransactionReplies {
  /** The reply to MAIL. */
  readonly mail: Reply
  /** One per recipient, in order; empty when MAIL was refused. */
  readonly recipients: readonly Reply[]
  /** The reply to the message itself; `null` when no recipient was accepted and nothing was sent. */
  readonly message: Reply | null
}

export class Connection {
  readonly #wire: Wire
  readonly #session: ClientSession
  readonly #timeouts: Timeouts
  #replies: Reply[] = []
  #broken = false

  private constructor(wire: Wire, session: ClientSession, timeouts: Timeouts) {
    this.#wire = wire
    this.#session = session
    this.#timeouts = timeouts
  }

  /** Connects and greets. @throws ConnectionError */
  static async open(options: ConnectOptions): Promise<Connection> {
    const { host, port, hostname, tls, timeouts, localAddress, signal } = options
    const wire = await Wire.connect({
      host,
      port,
      timeoutMs: options.connectMs,
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(signal === undefined ? {} : { signal }),
    }).catch(error => {
      throw explain(error, 'connect')
    })
    const connection = new Connection(wire, new ClientSession({ hostname }), timeouts)
    try {
      await connection.#greet(tls)
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  get extensions(): ClientSession['extensions'] {
    return this.#session.extensions
  }

  get tls(): TlsFacts | null {
    return this.#wire.tls
  }

  get remoteAddress(): string {
    return this.#wire.remoteAddress
  }

  /** False once anything went wrong: then it is not to be used for another transaction. */
  get usable(): boolean {
    return !this.#broken
  }

  /**
   * One transaction. `oneWrite`: MAIL, RCPT and the whole content leave in one write, not waiting for a reply in
   * between; for the hops, where a message is accepted for all recipients or for none.
   * @throws ConnectionError when the connection broke; `phase` is `message` when the content was already sent whole.
   * @throws SmtpError when an address cannot be said to this peer (RFC 6531 §3.2); nothing was sent.
   */
  async deliver(
    envelope: Envelope,
    content: readonly Uint8Array[],
    options: { oneWrite?: boolean } = {},
  ): Promise<TransactionReplies> {
    const pipelining = this.extensions.has('PIPELINING')
    const chunking = this.extensions.has('CHUNKING')
    try {
      if (options.oneWrite === true && pipelining && chunking)
        return await this.#deliverAtOnce(envelope, content)
      return await (pipelining
        ? this.#deliverPipelined(envelope, content)
        : this.#deliverInSteps(envelope, content))
    } catch (error) {
      // Also when our own client would not say it (SmtpError): commands and replies are no longer in step.
      this.#broken = true
      throw error
    }
  }

  /** Clears a transaction that did not end with a message, so that the connection can be used again. */
  async reset(): Promise<void> {
    await this.#command('RSET', this.#session.rset(), this.#timeouts.rsetMs)
  }

  async auth(
    mechanism: 'PLAIN' | 'LOGIN',
    credentials: { username: string; password: string },
  ): Promise<Reply> {
    return this.#exchange('AUTH', this.#session.auth(mechanism, credentials), this.#timeouts.authMs)
  }

  /** QUIT; its reply is not waited for: nothing hangs on it. */
  quit(): void {
    if (this.#broken) this.#wire.destroy()
    else this.#wire.write(this.#session.quit(), 1000).catch(() => {})
    this.#broken = true
    this.#wire.end()
  }

  destroy(): void {
    this.#broken = true
    this.#wire.destroy()
  }

  async #greet(tls: TlsWish): Promise<void> {
    if (tls.mode === 'implicit') await this.#secure(tls.options)
    await this.#expect('greeting', this.#timeouts.greetingMs)
    await this.#ehlo()
    if (tls.mode === 'none' || tls.mode === 'implicit') return
    if (!this.extensions.has('STARTTLS')) {
      if (tls.mode === 'opportunistic') return
      throw new ConnectionError('tls', 'STARTTLS', 'not offered')
    }
    await this.#command('STARTTLS', this.#session.starttls(), this.#timeouts.starttlsMs)
    await this.#secure(tls.options)
    await this.#ehlo()
  }

  /** EHLO, and HELO where EHLO is not known (RFC 5321 §3.2). */
  async #ehlo(): Promise<void> {
    const answer = await this.#exchange('EHLO', this.#session.ehlo(), this.#timeouts.ehloMs)
    if (answer.code < 300) return
    if (answer.code < 500 || answer.code === 521) throw refused('EHLO', answer)
    await this.#command('HELO', this.#session.helo(), this.#timeouts.ehloMs)
  }

  async #secure(options: ConnectionOptions): Promise<void> {
    try {
      await this.#wire.startTls(options, this.#timeouts.starttlsMs)
    } catch (error) {
      this.#broken = true
      throw new ConnectionError(
        'tls',
        'TLS',
        error instanceof Error ? error.message : String(error),
        null,
        error,
      )
    }
    this.#session.secured()
  }

  async #deliverAtOnce(envelope: Envelope, content: readonly Uint8Array[]): Promise<TransactionReplies> {
    const octets = [
      this.#mail(envelope),
      ...this.#rcpts(envelope),
      this.#session.bdat(sizeOf(content), true),
      ...content,
    ]
    await this.#write('message', octets)
    const mail = await this.#reply('message', this.#timeouts.mailMs + this.#timeouts.dataTerminationMs)
    const recipients: Reply[] = []
    for (const _ of envelope.recipients) recipients.push(await this.#reply('message', this.#timeouts.rcptMs))
    const message = await this.#reply('message', this.#timeouts.dataTerminationMs)
    return { mail, recipients, message }
  }

  /** MAIL and RCPT in one group, and DATA with them where the content goes by DATA (RFC 2920 §3.1). */
  async #deliverPipelined(envelope: Envelope, content: readonly Uint8Array[]): Promise<TransactionReplies> {
    const chunking = this.extensions.has('CHUNKING')
    const group = [this.#mail(envelope), ...this.#rcpts(envelope)]
    if (!chunking) group.push(this.#session.data())
    await this.#write('MAIL', group)
    const mail = await this.#reply('MAIL', this.#timeouts.mailMs)
    const recipients: Reply[] = []
    for (const _ of envelope.recipients) recipients.push(await this.#reply('RCPT', this.#timeouts.rcptMs))
    const wanted = mail.code < 300 && recipients.some(reply => reply.code < 300)
    if (chunking) return { mail, recipients, message: wanted ? await this.#sendChunk(content) : null }
    const go = await this.#reply('DATA', this.#timeouts.dataMs)
    if (go.code !== 354) return { mail, recipients, message: wanted ? go : null }
    // A peer that says 354 with no recipient accepted gets an empty message, which it must refuse (RFC 2920 §3.1).
    const message = await this.#sendData(wanted ? content : [])
    return { mail, recipients, message: wanted ? message : null }
  }

  async #deliverInSteps(envelope: Envelope, content: readonly Uint8Array[]): Promise<TransactionReplies> {
    const mail = await this.#exchange('MAIL', this.#mail(envelope), this.#timeouts.mailMs)
    if (mail.code >= 300) return { mail, recipients: [], message: null }
    const recipients: Reply[] = []
    for (const octets of this.#rcpts(envelope)) {
      recipients.push(await this.#exchange('RCPT', octets, this.#timeouts.rcptMs))
    }
    if (!recipients.some(reply => reply.code < 300)) return { mail, recipients, message: null }
    if (this.extensions.has('CHUNKING')) return { mail, recipients, message: await this.#sendChunk(content) }
    const go = await this.#exchange('DATA', this.#session.data(), this.#timeouts.dataMs)
    return { mail, recipients, message: go.code === 354 ? await this.#sendData(content) : go }
  }

  async #sendChunk(content: readonly Uint8Array[]): Promise<Reply> {
    await this.#write('BDAT', [this.#session.bdat(sizeOf(content), true), ...content])
    return this.#reply('message', this.#timeouts.dataTerminationMs)
  }

  async #sendData(content: readonly Uint8Array[]): Promise<Reply> {
    await this.#write('DATA block', dotStuff(content))
    this.#session.endOfData()
    return this.#reply('message', this.#timeouts.dataTerminationMs)
  }

  #mail(envelope: Envelope): Uint8Array {
    return this.#session.mail(envelope.reversePath, envelope)
  }

  #rcpts(envelope: Envelope): Uint8Array[] {
    return envelope.recipients.map(recipient => this.#session.rcpt(recipient))
  }

  /** A command that must be answered 2xx. */
  async #command(phase: string, octets: Uint8Array, timeoutMs: number): Promise<void> {
    await this.#write(phase, [octets])
    await this.#expect(phase, timeoutMs)
  }

  async #expect(phase: string, timeoutMs: number): Promise<void> {
    const answer = await this.#reply(phase, timeoutMs)
    if (answer.code >= 300) throw refused(phase, answer)
  }

  async #exchange(phase: string, octets: Uint8Array, timeoutMs: number): Promise<Reply> {
    await this.#write(phase, [octets])
    return this.#reply(phase, timeoutMs)
  }

  async #write(phase: string, octets: readonly Uint8Array[]): Promise<void> {
    try {
      await this.#wire.write(octets, this.#timeouts.dataBlockMs)
    } catch (error) {
      this.#broken = true
      throw explain(error, phase)
    }
  }

  /** The next reply, in the order of the commands. */
  async #reply(phase: string, timeoutMs: number): Promise<Reply> {
    try {
      while (true) {
        const next = this.#replies.shift()
        if (next !== undefined) {
          // RFC 5321 §3.8: after a 421 the server closes; nothing more can be said here.
          if (next.code === 421) this.#broken = true
          return next
        }
        const chunk = await this.#wire.read(timeoutMs)
        if (chunk === null) throw new WireError('closed', 'closed by the peer')
        for (const event of this.#session.receive(chunk)) {
          if ('send' in event) await this.#wire.write(event.send, this.#timeouts.authMs)
          else this.#replies.push(event.reply)
        }
      }
    } catch (error) {
      this.#broken = true
      throw explain(error, phase)
    }
  }
}

const sizeOf = (content: readonly Uint8Array[]): number =>
  content.reduce((sum, piece) => sum + piece.length, 0)

const refused = (phase: string, answer: Reply): ConnectionError =>
  new ConnectionError('refused', phase, formatReply(answer), answer)

function explain(error: unknown, phase: string): ConnectionError {
  if (error instanceof ConnectionError) return error
  if (error instanceof WireError) return new ConnectionError(error.code, phase, error.message, null, error)
  if (error instanceof SmtpError) return new ConnectionError('protocol', phase, error.message, null, error)
  throw error
}
