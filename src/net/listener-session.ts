/**
 * One connection to a listener, from the greeting to the end: octets from the wire into `ServerSession`, its events to
 * `Answers`, the answers back. What the protocol wants is in `smtp/`; here are only the order of things and time-outs.
 */

import type { Socket } from 'node:net'
import type { Log } from '../observe/event.ts'
import { encodeReply, reply } from '../smtp/reply.ts'
import { ServerSession } from '../smtp/server.ts'
import type { ListenOptions } from './listener.ts'
import { Answers, type LateAnswer } from './listener-answers.ts'
import { Replies } from './replies.ts'
import { Wire, WireError } from './wire.ts'

export class ListenerSession {
  readonly #wire: Wire
  readonly #session: ServerSession
  readonly #answers: Answers
  readonly #options: ListenOptions
  readonly #log: Log
  /** Not written yet: those to one read go out in one write (RFC 2920 §3.2). */
  readonly #replies: Replies
  readonly #messagesUnderWay: number
  /** Close once no transaction is open: the service shuts down. */
  #leaving = false
  /** Not just waiting for a next command. */
  #busy = true
  /** Waiting for the client's next octets. */
  #reading = false

  constructor(socket: Socket, options: ListenOptions) {
    this.#wire = new Wire(socket)
    this.#session = new ServerSession(options.session)
    this.#options = options
    this.#log = options.log.with({ client: `${this.#wire.remoteAddress}:${this.#wire.remotePort}` })
    const handler = options.handler()
    this.#messagesUnderWay = handler.messagesUnderWay ?? 1
    this.#answers = new Answers(this.#session, this.#wire, handler, this.#log)
    this.#replies = new Replies(
      octets => this.#say(octets),
      () => this.#answeredLate(),
    )
  }

  async run(): Promise<void> {
    try {
      if (this.#options.session.tls === 'implicit') await this.#secure()
      this.#log.event('connected', { tls: this.#wire.tls?.version }, 'debug')
      this.#replies.push(this.#answers.greeting())
      await this.#converse()
      this.#log.event('disconnected', {}, 'debug')
    } catch (error) {
      await this.#explain(error)
    } finally {
      this.#answers.end()
      this.#wire.end()
    }
  }

  /** Told to go at the next command; at once where nothing is under way. */
  shutdown(): void {
    this.#leaving = true
    if (!this.#busy) this.#leave()
  }

  destroy(): void {
    this.#wire.destroy()
  }

  async #leaveAnswered(): Promise<void> {
    await this.#replies.settled(0)
    this.#replies.flush()
    this.#leave()
  }

  /** With 421, unless that was said already: to write behind the end would throw away what a slow client has not taken. */
  #leave(): void {
    const isTold = this.#replies.ended || this.#session.state === 'closed'
    if (!isTold) this.#wire.write(this.#session.shutdown(), 1000).catch(() => {})
    this.#wire.end()
  }

  async #converse(): Promise<void> {
    while (true) {
      if (!this.#replies.flush()) await this.#wire.drained(this.#options.idleMs)
      if (this.#answers.closing) return this.#replies.settled(0)
      await this.#replies.room()
      this.#busy = this.#session.envelope !== null || this.#replies.open > 0
      if (this.#leaving && this.#session.envelope === null) return this.#leaveAnswered()
      const octets = await this.#read()
      if (octets === null) return
      this.#busy = true
      for (const event of this.#session.receive(octets)) {
        if (this.#replies.ended) return
        // A client that never pauses is never idle.
        if (this.#leaving && event.type === 'mail') return this.#leaveAnswered()
        const answer = this.#answers.to(event)
        if (answer !== null && 'late' in answer) await this.#answerLate(answer)
        else {
          const pending = answer instanceof Promise ? await answer : answer
          if (pending !== null) this.#replies.push(pending)
          if (event.type === 'starttls') await this.#upgrade()
        }
      }
    }
  }

  /** Resolves when one more message may come. */
  #answerLate({ late }: LateAnswer): Promise<void> {
    this.#replies.pushLate(late.catch(error => ({ octets: this.#fault(error), isLast: true })))
    return this.#replies.settled(this.#messagesUnderWay - 1)
  }

  /** The client's next octets; however long it is silent while it waits for an answer. */
  async #read(): Promise<Buffer | null> {
    this.#reading = true
    while (true) {
      try {
        const octets = await this.#wire.read(this.#options.idleMs)
        this.#reading = false
        return octets
      } catch (error) {
        if (!isTimeout(error) || this.#replies.open === 0) throw error
      }
    }
  }

  /** Whether the client takes more. */
  #say(replies: readonly Uint8Array[]): boolean {
    this.#log.flush()
    return this.#wire.put(replies)
  }

  /** Replies that were late went out, while the client was listened to. */
  #answeredLate(): void {
    if (this.#replies.ended) this.#wire.end()
    else if (this.#replies.open === 0 && this.#reading) {
      this.#busy = this.#session.envelope !== null
      if (this.#leaving && !this.#busy) this.#leave()
    }
  }

  async #upgrade(): Promise<void> {
    if (!this.#replies.flush()) await this.#wire.drained(this.#options.idleMs)
    await this.#secure()
    this.#session.secured()
  }

  async #secure(): Promise<void> {
    if (this.#options.acceptor === null) throw new Error('TLS asked for where none is configured')
    await this.#wire.acceptTls(this.#options.acceptor)
    this.#answers.secured(this.#options.session.auth)
  }

  /** Why the session ended, to the log; and to the client where it can hear it. */
  async #explain(error: unknown): Promise<void> {
    if (!(error instanceof WireError)) {
      await this.#lastWord(this.#fault(error))
    } else if (error.code === 'timeout' && this.#reading) {
      // RFC 5321 §4.5.3.2.7: a server waits five minutes for the next command.
      this.#log.event('refused', { reason: 'idle: 421 sent' })
      await this.#lastWord(this.#session.idle())
    } else if (error.code === 'tls') {
      this.#log.event('refused', { reason: `TLS handshake: ${error.message}` }, 'warn')
    } else {
      this.#log.event('disconnected', { reason: error.message }, 'debug')
    }
  }

  /** Behind whatever is owed: else it would be read for the answer to that. */
  async #lastWord(octets: Uint8Array): Promise<void> {
    this.#replies.push(octets)
    await this.#replies.settled(0)
    try {
      this.#replies.flush()
    } catch {
      // Nobody is there to hear it.
    }
  }

  /** Our fault: the client sees a temporary error without internals and is left, the log sees the cause. */
  #fault(error: unknown): Uint8Array {
    this.#log.event('failed', { error: String(error), stack: stackOf(error) }, 'error')
    return encodeReply(INTERNAL_ERROR)
  }
}

const isTimeout = (error: unknown): boolean => error instanceof WireError && error.code === 'timeout'
const INTERNAL_ERROR = reply(421, '4.3.0', 'Internal error')
const stackOf = (error: unknown): string | undefined => (error instanceof Error ? error.stack : undefined)
