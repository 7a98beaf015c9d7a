/**
 * An SMTP connection as a client: opened as far as EHLO, over TLS where that is wanted, then commands and their replies.
 * What a transaction makes of them is in `transaction.ts`.
 */

import type { ConnectionOptions } from 'node:tls'
import { type ClientOptions, ClientSession } from '../smtp/client.ts'
import { SmtpError } from '../smtp/error.ts'
import type { Timeouts } from '../smtp/limits.ts'
import { formatReply, type Reply } from '../smtp/reply.ts'
import type { ClientCredentials, ScramClientCrypto } from '../smtp/sasl.ts'
import { type TlsFacts, type TlsSessions, Wire, WireError } from './wire.ts'

export type ConnectionErrorCode =
  /** No TCP connection, or it broke, or nothing came in time. */
  | 'connect'
  | 'timeout'
  | 'closed'
  /** It broke before the turn of what was said here came: the fault may be of what was said before. */
  | 'behind'
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

export interface GreetOptions extends ClientOptions {
  readonly tls: TlsWish
  /** To resume a TLS session, and to keep the next; none: each is new. */
  readonly sessions?: TlsSessions
  readonly timeouts: Timeouts
}

export interface ConnectOptions extends GreetOptions {
  /** An IP address: names are resolved by the relay, never here. */
  readonly host: string
  readonly port: number
  readonly localAddress?: string
  /** RFC 5321 sets no time for TCP; each address gets this long. */
  readonly connectMs: number
  readonly signal?: AbortSignal
}

export class Connection {
  readonly #wire: Wire
  /** What says the commands; `write` sends them and `reply` reads what is said to each, in their order. */
  readonly session: ClientSession
  readonly timeouts: Timeouts
  #replies: Reply[] = []
  /** What came behind them and is no reply to us: thrown when they have been read. */
  #fault: unknown = null
  /** The 421 that the peer has said. */
  #farewell: Reply | null = null
  #broken = false
  /** Over when whoever has said something before has read what was answered. */
  #turn: Promise<unknown> = Promise.resolve()

  private constructor(wire: Wire, session: ClientSession, timeouts: Timeouts) {
    this.#wire = wire
    this.session = session
    this.timeouts = timeouts
  }

  /** Connects and greets. @throws ConnectionError */
  static async open(options: ConnectOptions): Promise<Connection> {
    const { host, port, localAddress, signal } = options
    const wire = await Wire.connect({
      host,
      port,
      timeoutMs: options.connectMs,
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(signal === undefined ? {} : { signal }),
    }).catch(error => {
      throw explain(error, 'connect')
    })
    return Connection.over(wire, options)
  }

  /** Greets over a wire that is connected. @throws ConnectionError */
  static async over(wire: Wire, options: GreetOptions): Promise<Connection> {
    const { tls, sessions, timeouts } = options
    const connection = new Connection(wire, new ClientSession(options), timeouts)
    try {
      await connection.#greet(tls, sessions)
      return connection
    } catch (error) {
      connection.destroy()
      throw error
    }
  }

  get extensions(): ClientSession['extensions'] {
    return this.session.extensions
  }

  get tls(): TlsFacts | null {
    return this.#wire.tls
  }

  get remoteAddress(): string {
    return this.#wire.remoteAddress
  }

  /** False once anything went wrong: then it is not to be used for another transaction. */
  get usable(): boolean {
    return !this.#broken && this.#fault === null && this.#wire.open
  }

  /** Clears a transaction that did not end with a message, so that the connection can be used again. */
  async reset(): Promise<void> {
    await this.#command('RSET', this.session.rset(), this.timeouts.rsetMs)
  }

  /** With the best mechanism both sides have. */
  async auth(credentials: ClientCredentials, scram: ScramClientCrypto): Promise<Reply> {
    const { channelBinding } = this.#wire
    const mechanism = choose(this.extensions.auth, channelBinding !== null)
    const octets = this.session.auth(mechanism, credentials, { scram, channelBinding })
    return this.exchange('AUTH', octets, this.timeouts.authMs)
  }

  /** QUIT; its reply is not waited for: nothing hangs on it. */
  quit(): void {
    if (this.#broken) this.#wire.destroy()
    else this.#wire.write(this.session.quit(), this.timeouts.quitMs).catch(() => {})
    this.#broken = true
    this.#wire.end()
  }

  destroy(): void {
    this.#broken = true
    this.#wire.destroy()
  }

  /** Commands and replies are no longer in step: nothing more may be said here. */
  spoil(): void {
    this.#broken = true
  }

  async #greet(tls: TlsWish, sessions: TlsSessions | undefined): Promise<void> {
    if (tls.mode === 'implicit') await this.#secure(tls.options, sessions)
    await this.#expect('greeting', this.timeouts.greetingMs)
    await this.#ehlo()
    if (tls.mode === 'none' || tls.mode === 'implicit') return
    if (!this.extensions.has('STARTTLS')) {
      if (tls.mode === 'opportunistic') return
      throw new ConnectionError('tls', 'STARTTLS', 'not offered')
    }
    const answer = await this.exchange('STARTTLS', this.session.starttls(), this.timeouts.starttlsMs)
    // RFC 3207 §4: whether to go on without TLS then is for the client to decide.
    if (answer.code >= 300) throw new ConnectionError('tls', 'STARTTLS', formatReply(answer), answer)
    await this.#secure(tls.options, sessions)
    await this.#ehlo()
  }

  /** EHLO, and HELO where EHLO is not known (RFC 5321 §3.2). */
  async #ehlo(): Promise<void> {
    const answer = await this.exchange('EHLO', this.session.ehlo(), this.timeouts.ehloMs)
    if (answer.code < 300) return
    if (answer.code < 500 || answer.code === 521) throw refused('EHLO', answer)
    await this.#command('HELO', this.session.helo(), this.timeouts.ehloMs)
  }

  async #secure(options: ConnectionOptions, sessions: TlsSessions | undefined): Promise<void> {
    try {
      await this.#wire.startTls(options, this.timeouts.starttlsMs, sessions)
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
    this.session.secured()
  }

  /** A command that must be answered 2xx. */
  async #command(phase: string, octets: Uint8Array, timeoutMs: number): Promise<void> {
    await this.write(phase, [octets])
    await this.#expect(phase, timeoutMs)
  }

  async #expect(phase: string, timeoutMs: number): Promise<void> {
    const answer = await this.reply(phase, timeoutMs)
    if (answer.code >= 300) throw refused(phase, answer)
  }

  async exchange(phase: string, octets: Uint8Array, timeoutMs: number): Promise<Reply> {
    await this.write(phase, [octets])
    return this.reply(phase, timeoutMs)
  }

  /**
   * For transactions that share a connection, each of which says all it has to say at once: replies come in the order of commands
   * (RFC 2920 §3.1), so `read` begins when those who have written before have read. Call it right after the `write`.
   */
  inTurn<T>(phase: string, read: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => {
      // They are out of step, or there are no more.
      if (this.#broken) throw new ConnectionError('behind', phase, 'the connection was lost')
      return read()
    })
    this.#turn = turn.catch(() => {})
    return turn
  }

  /** What is written until the event loop comes round goes in one write. */
  gather(): void {
    this.#wire.gather()
  }

  async write(phase: string, octets: readonly Uint8Array[]): Promise<void> {
    try {
      await this.#wire.write(octets, this.timeouts.dataBlockMs)
    } catch (error) {
      this.#broken = true
      throw explain(error, phase)
    }
  }

  /** The same in one go, however much it is: nobody who writes meanwhile comes in between. */
  async writeWhole(phase: string, octets: readonly Uint8Array[]): Promise<void> {
    try {
      await this.#wire.writeWhole(octets, this.timeouts.dataBlockMs)
    } catch (error) {
      this.#broken = true
      throw explain(error, phase)
    }
  }

  async #take(chunk: Uint8Array): Promise<void> {
    for (const event of this.session.receive(chunk)) {
      if ('send' in event) await this.#wire.write(event.send, this.timeouts.authMs)
      else this.#replies.push(event.reply)
    }
  }

  /** The next reply, in the order of the commands. */
  async reply(phase: string, timeoutMs: number): Promise<Reply> {
    try {
      while (true) {
        const next = this.#replies.shift()
        if (next !== undefined) {
          // RFC 5321 §3.8: after a 421 the server closes; nothing more can be said here.
          if (next.code === 421) {
            this.#farewell = next
            this.#broken = true
          }
          return next
        }
        if (this.#fault !== null) throw this.#fault
        const chunk = await this.#wire.read(timeoutMs)
        if (chunk === null) throw new WireError('closed', 'closed by the peer')
        await this.#take(chunk).catch(error => {
          this.#fault = error
        })
      }
    } catch (error) {
      this.#broken = true
      // Commands that were sent together with the one it answered: why it closed tells more than that it did.
      if (this.#farewell !== null) throw refused(phase, this.#farewell)
      throw explain(error, phase)
    }
  }
}

/** Also where the server says nothing of AUTH: it may know better than it says, and else its refusal is the reason told. */
function choose(offered: readonly string[], bindable: boolean): string {
  const usable = PREFERENCE.filter(mechanism => bindable || !mechanism.endsWith('-PLUS'))
  return usable.find(mechanism => offered.includes(mechanism)) ?? 'PLAIN'
}

/** RFC 5802 §6: -PLUS where it is offered; then what keeps the password from the server; LOGIN where nothing else is. */
const PREFERENCE = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256', 'PLAIN', 'LOGIN']

const refused = (phase: string, answer: Reply): ConnectionError =>
  new ConnectionError('refused', phase, formatReply(answer), answer)

/** @throws what is no fault of a peer or a network */
export function explain(error: unknown, phase: string): ConnectionError {
  if (error instanceof ConnectionError) return error
  if (error instanceof WireError) return new ConnectionError(error.code, phase, error.message, null, error)
  if (error instanceof SmtpError) return new ConnectionError('protocol', phase, error.message, null, error)
  throw error
}
