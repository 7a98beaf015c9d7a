/** What is answered to each event of a session: by the service's handler, or in its place; and what the log hears of it. */

import type { Log } from '../observe/event.ts'
import { refusalOf } from '../smtp/error.ts'
import { encodeReply, fixedReply, formatReply, type Reply } from '../smtp/reply.ts'
import type { ScramVerifier } from '../smtp/sasl.ts'
import type { ServerEvent, ServerSession } from '../smtp/server.ts'
import type { Client, SessionHandler } from './listener.ts'
import type { LateReply } from './replies.ts'
import type { Wire } from './wire.ts'

/** It comes later; what the client says next need not wait for it. */
export interface LateAnswer {
  readonly late: Promise<LateReply>
}

export class Answers {
  readonly #session: ServerSession
  readonly #wire: Wire
  readonly #handler: SessionHandler
  readonly #log: Log
  /** The answer to whatever comes: TLS is up with somebody who may not go on. */
  #refusal: Reply | null = null
  #closing = false

  constructor(session: ServerSession, wire: Wire, handler: SessionHandler, log: Log) {
    this.#session = session
    this.#wire = wire
    this.#handler = handler
    this.#log = log
  }

  /** Close once what was answered is out. */
  get closing(): boolean {
    return this.#closing
  }

  greeting(): Uint8Array {
    if (this.#refusal === null) return this.#session.greeting()
    this.#closing = true
    return encodeReply(this.#refusal)
  }

  /** TLS is up. `mechanisms`: those of the session's options. */
  secured(mechanisms: readonly string[]): void {
    const usable = this.#handler.mechanisms?.(this.#client()) ?? mechanisms
    this.#session.channel(usable, this.#wire.channelBinding)
    this.#refusal = this.#handler.secured?.(this.#client()) ?? null
    if (this.#refusal !== null) this.#refused('TLS', this.#refusal)
  }

  /** The session is over, whatever was under way. */
  end(): void {
    this.#handler.reset()
  }

  /** The octets that answer `event`, or `null` where none are due. */
  to(event: ServerEvent): Uint8Array | null | Promise<Uint8Array | null> | LateAnswer {
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
        return this.#session.reply(READY_FOR_TLS)
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
        return this.#message()
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

  #message(): Uint8Array | Promise<Uint8Array> | LateAnswer {
    if (this.#handler.messagesUnderWay === undefined)
      return this.#decide('message', () => this.#handler.message(this.#client()))
    const answer = this.#handler.message(this.#client())
    this.#session.postpone()
    return { late: answer.catch(refusalOf).then(encodeLate) }
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

const encodeLate = (answer: Reply): LateReply => ({
  octets: encodeReply(answer),
  isLast: answer.code === 421,
})

/** What comes of a command, or of a line of AUTH. */
function isCommand(event: ServerEvent): boolean {
  const { type } = event
  if (type === 'reply') return event.verb !== 'QUIT'
  return type !== 'content' && type !== 'message' && type !== 'reset' && type !== 'close'
}

const NO_AUTH = fixedReply(502, '5.5.1', 'AUTH is not offered here')
const READY_FOR_TLS = fixedReply(220, '2.0.0', 'Ready to start TLS')
