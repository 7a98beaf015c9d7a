/**
 * SMTP sessions on a port: octets from the wire into `ServerSession`, its events to a handler, the handler's replies
 * back. What a service decides is in its handler; what the protocol wants is in `smtp/`; here are only sockets,
 * time-outs and the order of things.
 */

import { createServer, type Server, type Socket } from 'node:net'
import type { Log } from '../observe/event.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import { refusalOf } from '../smtp/error.ts'
import type { MailParameters, RcptParameters } from '../smtp/parameter.ts'
import type { ReversePath } from '../smtp/path.ts'
import { encodeReply, formatReply, type Reply, reply } from '../smtp/reply.ts'
import type { Credentials, ScramVerifier } from '../smtp/sasl.ts'
import { type ServerEvent, type ServerOptions, ServerSession } from '../smtp/server.ts'
import type { Endpoint } from './endpoint.ts'
import type { TlsAcceptor } from './tls.ts'
import { type TlsFacts, Wire, WireError } from './wire.ts'

/** Who is at the other end. */
export interface Client {
  readonly address: string
  readonly port: number
  /** Of ours, the address it has reached. */
  readonly localAddress: string
  /** `null` in clear text. */
  readonly tls: TlsFacts | null
  /** TLS gives a channel binding (RFC 9266). */
  readonly bindable: boolean
  /** What EHLO said. */
  readonly helo: string
  /** RFC 3848: what the Received field says after `with`. */
  readonly protocol: string
}

/** One session's decisions. Each may take its time: the next command waits, and with it the client. */
export interface SessionHandler {
  /** TLS is up. A reply refuses the session: it is the answer to whatever comes, and then the connection closes. */
  secured?(client: Client): Reply | null
  /**
   * Before each command, but QUIT: a 421 ends the session instead of an answer to it. A message whose content is under way
   * is not a command: it is answered first.
   */
  dismissal?(): Reply | null
  /** TLS is up: which SASL mechanisms can be used over it. Not given: all of the session's options. */
  mechanisms?(client: Client): readonly string[]
  /** What is kept of a user's password, for a SCRAM mechanism; for a user who is unknown, something that looks like it. */
  verifier?(mechanism: string, username: string): ScramVerifier
  auth?(credentials: Credentials, client: Client): Promise<Reply>
  mail(reversePath: ReversePath, parameters: MailParameters, client: Client): Reply | Promise<Reply>
  rcpt(recipient: EnvelopeRecipient, parameters: RcptParameters): Reply | Promise<Reply>
  /** Content as it comes. The octets may be kept: they are not written over. While a promise is open nothing more is read. */
  content(octets: Uint8Array, client: () => Client): void | Promise<void>
  /** The message is whole. A 2xx reply says that it will not be lost from here on. */
  message(client: Client): Promise<Reply>
  /** The transaction is over without a message: RSET, EHLO, a refused message, a lost connection. */
  reset(): void
}

export interface ListenOptions {
  readonly address: Endpoint
  readonly session: ServerOptions
  readonly acceptor: TlsAcceptor | null
  readonly idleMs: number
  /** Connections above this are told 421 4.3.2 and closed. */
  readonly maxConnections: number
  readonly log: Log
  readonly handler: () => SessionHandler
}

export interface Listener {
  readonly port: number
  /** Stops accepting, tells idle sessions 421, lets those in a message finish for at most `graceMs`. */
  close(graceMs: number): Promise<void>
}

export async function listen(options: ListenOptions): Promise<Listener> {
  const sessions = new Set<ListenerSession>()
  const server = createServer({ noDelay: true }, socket => {
    if (sessions.size >= options.maxConnections) return turnAway(socket, options)
    const session = new ListenerSession(socket, options)
    sessions.add(session)
    session.run().finally(() => sessions.delete(session))
  })
  await listening(server, options.address)
  // ENFILE and the like: the connection is lost, those that are open are not.
  server.on('error', error =>
    options.log.event('alarm', { about: 'listener', error: error.message }, 'error'),
  )
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.address.port,
    async close(graceMs) {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      for (const session of sessions) session.shutdown()
      const timer = setTimeout(() => {
        for (const session of sessions) session.destroy()
      }, graceMs)
      await closed
      clearTimeout(timer)
    },
  }
}

/** One connection, from the greeting to the end. */
class ListenerSession {
  readonly #wire: Wire
  readonly #session: ServerSession
  readonly #handler: SessionHandler
  readonly #options: ListenOptions
  #log: Log
  /** Replies not written yet: those to one read go out in one write (RFC 2920 §3.2). */
  #replies: Uint8Array[] = []
  /** Close once the replies are out. */
  #closing = false
  /** Close once no transaction is open: the service shuts down. */
  #leaving = false
  /** Not just waiting for a next command. */
  #busy = true
  /** Waiting for the client's next octets. */
  #reading = false
  #refusal: Reply | null = null

  constructor(socket: Socket, options: ListenOptions) {
    this.#wire = new Wire(socket)
    this.#session = new ServerSession(options.session)
    this.#handler = options.handler()
    this.#options = options
    this.#log = options.log.with({ client: `${this.#wire.remoteAddress}:${this.#wire.remotePort}` })
  }

  async run(): Promise<void> {
    try {
      if (this.#options.session.tls === 'implicit') await this.#secure()
      this.#log.event('connected', { tls: this.#wire.tls?.version }, 'debug')
      this.#replies.push(this.#refusal === null ? this.#session.greeting() : encodeReply(this.#refusal))
      if (this.#refusal !== null) this.#closing = true
      await this.#converse()
      this.#log.event('disconnected', {}, 'debug')
    } catch (error) {
      if (!(error instanceof WireError)) {
        // Our fault: the client sees a temporary error without internals, the log sees the cause.
        this.#log.event('failed', { error: String(error), stack: stackOf(error) }, 'error')
        await this.#wire.write(encodeReply(reply(421, '4.3.0', 'Internal error')), 1000).catch(() => {})
      } else if (error.code === 'timeout' && this.#reading) {
        // RFC 5321 §4.5.3.2.7: a server waits five minutes for the next command.
        this.#log.event('refused', { reason: 'idle: 421 sent' })
        await this.#wire.write(this.#session.idle(), 1000).catch(() => {})
      } else if (error.code === 'tls') {
        this.#log.event('refused', { reason: `TLS handshake: ${error.message}` }, 'warn')
      } else {
        this.#log.event('disconnected', { reason: error.message }, 'debug')
      }
    } finally {
      this.#handler.reset()
      this.#wire.end()
    }
  }

  /** Told to go at the next command; at once where nothing is under way. */
  shutdown(): void {
    this.#leaving = true
    if (!this.#busy) this.#leave()
  }

  #leave(): void {
    this.#wire.write(this.#session.shutdown(), 1000).catch(() => {})
    this.#wire.end()
  }

  destroy(): void {
    this.#wire.destroy()
  }

  async #converse(): Promise<void> {
    while (true) {
      if (!this.#put()) await this.#wire.drained(this.#options.idleMs)
      if (this.#closing) return
      this.#busy = this.#session.envelope !== null
      if (this.#leaving && !this.#busy) return this.#leave()
      this.#reading = true
      const chunk = await this.#wire.read(this.#options.idleMs)
      this.#reading = false
      if (chunk === null) return
      this.#busy = true
      for (const event of this.#session.receive(chunk)) {
        const octets = this.#answer(event)
        const pending = octets instanceof Promise ? await octets : octets
        if (pending !== null) this.#replies.push(pending)
        if (event.type === 'starttls') await this.#upgrade()
      }
    }
  }

  /** The octets that answer `event`, or `null` where none are due. */
  #answer(event: ServerEvent): Uint8Array | null | Promise<Uint8Array | null> {
    const { type } = event
    if (type === 'content') {
      const taken = this.#handler.content(event.octets, () => this.#client())
      return taken instanceof Promise ? taken.then(() => null) : null
    }
    if (this.#refusal !== null && (type === 'reply' || type === 'mail' || type === 'auth')) {
      this.#closing = true
      return this.#session.dismiss(this.#refusal)
    }
    const dismissal = isCommand(event) ? (this.#handler.dismissal?.() ?? null) : null
    if (dismissal !== null) return this.#dismiss(event, dismissal)
    switch (type) {
      case 'reply':
        // A verdict was logged by whoever spoke it.
        if (event.reply.code >= 400 && event.verdict === undefined) this.#refused(event.verb, event.reply)
        return event.octets
      case 'starttls':
        return this.#session.reply(reply(220, '2.0.0', 'Ready to start TLS'))
      case 'verifier':
        return this.#verifier(event.mechanism, event.username)
      case 'auth':
        return this.#decide('AUTH', () => this.#handler.auth?.(event.credentials, this.#client()) ?? NO_AUTH)
      case 'mail':
        return this.#decide('MAIL', () =>
          this.#handler.mail(event.reversePath, event.parameters, this.#client()),
        )
      case 'rcpt':
        return this.#decide('RCPT', () => this.#handler.rcpt(event.recipient, event.parameters))
      case 'message':
        return this.#decide('message', () => this.#handler.message(this.#client()))
      case 'reset':
        this.#handler.reset()
        return null
      case 'close':
        this.#closing = true
        return null
      default:
        return event satisfies never
    }
  }

  /** A handler's reply, or what it threw at the peer's fault: caught here and nowhere else. */
  #decide(verb: string, decision: () => Reply | Promise<Reply>): Uint8Array | Promise<Uint8Array> {
    let answer: Reply | Promise<Reply>
    try {
      answer = decision()
    } catch (error) {
      answer = refusalOf(error)
    }
    if (answer instanceof Promise) return answer.catch(refusalOf).then(late => this.#encode(verb, late))
    return this.#encode(verb, answer)
  }

  #dismiss(event: ServerEvent, answer: Reply): Uint8Array {
    this.#refused(event.type === 'reply' ? event.verb : event.type.toUpperCase(), answer)
    this.#closing = true
    return this.#session.dismiss(answer)
  }

  #verifier(mechanism: string, username: string): Uint8Array {
    let verifier: ScramVerifier | undefined
    try {
      verifier = this.#handler.verifier?.(mechanism, username)
    } catch (error) {
      return this.#encode('verifier', refusalOf(error))
    }
    return verifier === undefined ? this.#session.reply(NO_AUTH) : this.#session.verifier(verifier)
  }

  #encode(verb: string, answer: Reply): Uint8Array {
    // Who refuses a message logs it itself, with its id; and AUTH with the user's name.
    if (answer.code >= 400 && verb !== 'message' && verb !== 'AUTH') this.#refused(verb, answer)
    return this.#session.reply(answer)
  }

  #refused(verb: string, answer: Reply): void {
    this.#log.event('refused', { verb, reply: formatReply(answer) }, answer.code === 421 ? 'warn' : 'info')
  }

  async #upgrade(): Promise<void> {
    if (!this.#put()) await this.#wire.drained(this.#options.idleMs)
    await this.#secure()
    this.#session.secured()
  }

  async #secure(): Promise<void> {
    if (this.#options.acceptor === null) throw new Error('TLS asked for where none is configured')
    await this.#wire.acceptTls(this.#options.acceptor)
    const mechanisms = this.#handler.mechanisms?.(this.#client()) ?? this.#options.session.auth
    this.#session.channel(mechanisms, this.#wire.channelBinding)
    this.#refusal = this.#handler.secured?.(this.#client()) ?? null
    if (this.#refusal !== null) this.#refused('TLS', this.#refusal)
  }

  /** Writes the replies there are; false when the client is slow to take them. */
  #put(): boolean {
    const replies = this.#replies
    if (replies.length === 0) return true
    this.#replies = []
    return this.#wire.put(replies)
  }

  #client(): Client {
    return {
      address: this.#wire.remoteAddress,
      port: this.#wire.remotePort,
      localAddress: this.#wire.localAddress,
      tls: this.#wire.tls,
      bindable: this.#wire.channelBinding !== null,
      helo: this.#session.helo ?? '',
      protocol: this.#session.protocol,
    }
  }
}

/** What comes of a command, or of a line of AUTH. */
function isCommand(event: ServerEvent): boolean {
  const { type } = event
  if (type === 'reply') return event.verb !== 'QUIT'
  return type !== 'content' && type !== 'message' && type !== 'reset' && type !== 'close'
}

const NO_AUTH = reply(502, '5.5.1', 'AUTH is not offered here')

function turnAway(socket: Socket, options: ListenOptions): void {
  options.log.event('refused', { reason: 'too many connections', limit: options.maxConnections }, 'warn')
  socket.on('error', () => {})
  if (options.session.tls === 'implicit') socket.destroy()
  else socket.end(encodeReply(reply(421, '4.3.2', 'Too many connections, try again later')))
}

function listening(server: Server, address: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: address.host, port: address.port }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

const stackOf = (error: unknown): string | undefined => (error instanceof Error ? error.stack : undefined)
