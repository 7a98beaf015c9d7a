/** The AUTH exchange of a server, RFC 4954 §4: SASL in base64, on lines of its own. */

import { SmtpError } from './error.ts'
import { LINE_TOO_LONG, type Line } from './line.ts'
import { isPositive, type Reply, reply } from './reply.ts'
import {
  type ChannelBinding,
  type Credentials,
  decodeBase64,
  encodeBase64,
  type ScramVerifier,
  SERVER_MECHANISMS,
  type ServerMechanism,
  type ServerStep,
} from './sasl.ts'
import type { ServerOptions } from './server-event.ts'

export type AuthStep =
  /** 334: the client has the next word. `octets` is one line, however long (RFC 4954 §4). */
  | { readonly type: 'challenge'; readonly reply: Reply; readonly octets: Uint8Array }
  /** The exchange is over. */
  | { readonly type: 'outcome'; readonly reply: Reply }
  | { readonly type: 'verifier'; readonly mechanism: string; readonly username: string }
  | { readonly type: 'credentials'; readonly credentials: Credentials }

/** AUTH in one session: what is offered, the exchange under way, what came of those before. */
export class Authentication {
  readonly #options: Pick<ServerOptions, 'sasl' | 'limits'>
  #offered: readonly string[]
  #channelBinding: ChannelBinding | null = null
  /** The channel binding was used. */
  #bound = false
  #exchange: Exchange | null = null
  #authenticated = false
  #failures = 0

  constructor(options: Pick<ServerOptions, 'auth' | 'sasl' | 'limits'>) {
    this.#options = options
    this.#offered = options.auth
  }

  /** TLS is up: of the mechanisms those that can be used over it, and what it gives to them. */
  channel(mechanisms: readonly string[], channelBinding: ChannelBinding | null): void {
    this.#offered = mechanisms
    this.#channelBinding = channelBinding
  }

  get offered(): readonly string[] {
    return this.#offered
  }

  get underWay(): boolean {
    return this.#exchange !== null
  }

  get authenticated(): boolean {
    return this.#authenticated
  }

  /** RFC 4954 §9: enough of guessing. */
  get exhausted(): boolean {
    return this.#failures >= this.#options.limits.authFailures
  }

  /** @throws SmtpError 504 5.5.4 for a mechanism that is not offered; 421 where its channel binding is used up. */
  begin(mechanism: string): void {
    const begin = this.#offered.includes(mechanism) ? SERVER_MECHANISMS.get(mechanism) : undefined
    if (begin === undefined) throw new SmtpError(504, '5.5.4', `Mechanism ${mechanism} is not offered`)
    if (mechanism.endsWith('-PLUS')) {
      // RFC 9266 §4.1: not "for more than one authentication mechanism instance on a given TLS connection".
      if (this.#bound) throw BOUND_ALREADY
      this.#bound = true
    }
    const { sasl } = this.#options
    const context = { ...sasl, offered: this.#offered, channelBinding: this.#channelBinding }
    this.#exchange = { name: mechanism, mechanism: begin(context), verdict: null }
  }

  /** @throws SmtpError: the exchange is over. */
  start(initialResponse: Uint8Array | null): AuthStep {
    return this.#step(({ name, mechanism }) => stepOf(name, mechanism.start(initialResponse)))
  }

  /** @throws SmtpError: the exchange is over. */
  respond(line: Line): AuthStep {
    return this.#step(({ name, mechanism, verdict }) => {
      const response = responseOf(line)
      if (verdict === null) return stepOf(name, mechanism.respond(response))
      // RFC 4422 §3: additional data with success, which SMTP has no field for, is answered by an empty response. What a
      // client says to the reasons of a refusal means nothing (RFC 7628 §3.2.3).
      if (isPositive(verdict) && response.length > 0) {
        throw new SmtpError(501, '5.5.2', 'An empty response was due')
      }
      return { type: 'outcome', reply: verdict }
    })
  }

  /** Answers a `verifier` step. */
  verifier(verifier: ScramVerifier): AuthStep {
    return this.#step(({ name, mechanism }) => {
      const challenge = mechanism.verifier?.(verifier)
      if (challenge === undefined) throw new Error(`${name} has not asked for a verifier`)
      return stepOf(name, { type: 'challenge', challenge })
    })
  }

  /** Answers a `credentials` step; and, where there are no credentials to be had, a `verifier` step. */
  conclude(verdict: Reply): AuthStep {
    return this.#step(exchange => {
      // Neither a cancelled exchange nor a directory that is down is a guess at a password. Counted now: the client may
      // cancel rather than hear it.
      if (verdict.code === 535) this.#failures++
      const challenge = exchange.mechanism.conclude?.(verdict) ?? null
      if (challenge === null) return { type: 'outcome', reply: verdict }
      exchange.verdict = verdict
      return stepOf(exchange.name, { type: 'challenge', challenge })
    })
  }

  #step(make: (exchange: Exchange) => AuthStep): AuthStep {
    const exchange = this.#exchange
    if (exchange === null) throw new Error('no AUTH is under way')
    try {
      const step = make(exchange)
      if (step.type === 'outcome') {
        this.#exchange = null
        this.#authenticated = isPositive(step.reply)
      }
      return step
    } catch (error) {
      this.#exchange = null
      if (error instanceof SmtpError && error.code === 535) this.#failures++
      throw error
    }
  }
}

interface Exchange {
  /** In upper case. */
  readonly name: string
  readonly mechanism: ServerMechanism
  /** The service's, while the mechanism has something to say before it. */
  verdict: Reply | null
}

function responseOf(line: Line): Uint8Array {
  if (line.text === null) throw line.fault === LINE_TOO_LONG ? RESPONSE_TOO_LONG : line.fault
  // cancel-response = "*"
  if (line.text === '*') throw new SmtpError(501, '5.7.0', 'Authentication cancelled')
  const response = decodeBase64(line.text)
  if (response === null) throw new SmtpError(501, '5.5.2', 'Response is not base64')
  return response
}

// continue-req = "334" SP [base64] CRLF: also without data there is a space behind the code.
function stepOf(mechanism: string, made: ServerStep): AuthStep {
  if (made.type === 'verifier') return { ...made, mechanism }
  if (made.type !== 'challenge') return made
  const text = encodeBase64(made.challenge)
  return {
    type: 'challenge',
    reply: reply(334, null, text),
    octets: Buffer.from(`334 ${text}\r\n`, 'latin1'),
  }
}

// RFC 4954 §6
const RESPONSE_TOO_LONG = new SmtpError(500, '5.5.6', 'Authentication exchange line is too long')
const BOUND_ALREADY = new SmtpError(
  421,
  '4.7.0',
  'Channel binding is for one exchange a connection: connect again',
)
