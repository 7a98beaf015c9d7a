/** The AUTH exchange of a server, RFC 4954 §4: SASL in base64, on lines of its own. */

import { SmtpError } from './error.ts'
import { LINE_TOO_LONG, type Line } from './line.ts'
import { isPositive, type Reply, reply } from './reply.ts'
import {
  decodeBase64,
  encodeBase64,
  type ScramVerifier,
  SERVER_MECHANISMS,
  type ServerContext,
  type ServerMechanism,
  type ServerStep,
} from './sasl.ts'

export type AuthStep =
  /** 334: the client has the next word. `octets` is one line, however long (RFC 4954 §4). */
  | { readonly type: 'challenge'; readonly reply: Reply; readonly octets: Uint8Array }
  /** The exchange is over. */
  | { readonly type: 'outcome'; readonly reply: Reply }
  | Exclude<ServerStep, { readonly type: 'challenge' }>

export class AuthExchange {
  /** In upper case. */
  readonly mechanism: string
  readonly #mechanism: ServerMechanism
  /** The service's, while the mechanism has something to say before it. */
  #verdict: Reply | null = null

  /** @throws SmtpError 504 5.5.4 for a mechanism that is not offered. */
  constructor(name: string, context: ServerContext) {
    const begin = context.offered.includes(name) ? SERVER_MECHANISMS.get(name) : undefined
    if (begin === undefined) throw new SmtpError(504, '5.5.4', `Mechanism ${name} is not offered`)
    this.mechanism = name
    this.#mechanism = begin(context)
  }

  /** @throws SmtpError: the exchange is over. */
  start(initialResponse: Uint8Array | null): AuthStep {
    return step(this.#mechanism.start(initialResponse))
  }

  /** @throws SmtpError: the exchange is over. */
  respond(line: Line): AuthStep {
    if (line.text === null) throw line.fault === LINE_TOO_LONG ? RESPONSE_TOO_LONG : line.fault
    // cancel-response = "*"
    if (line.text === '*') throw new SmtpError(501, '5.7.0', 'Authentication cancelled')
    const response = decodeBase64(line.text)
    if (response === null) throw new SmtpError(501, '5.5.2', 'Response is not base64')
    if (this.#verdict === null) return step(this.#mechanism.respond(response))
    // RFC 4422 §3: additional data with success, which SMTP has no field for, is answered by an empty response. What a
    // client says to the reasons of a refusal means nothing (RFC 7628 §3.2.3).
    if (isPositive(this.#verdict) && response.length > 0) {
      throw new SmtpError(501, '5.5.2', 'An empty response was due')
    }
    return { type: 'outcome', reply: this.#verdict }
  }

  /** Answers a `verifier` step. */
  verifier(verifier: ScramVerifier): AuthStep {
    const challenge = this.#mechanism.verifier?.(verifier)
    if (challenge === undefined) throw new Error(`${this.mechanism} has not asked for a verifier`)
    return step({ type: 'challenge', challenge })
  }

  /** Answers a `credentials` step. */
  conclude(verdict: Reply): AuthStep {
    const challenge = this.#mechanism.conclude?.(verdict) ?? null
    if (challenge === null) return { type: 'outcome', reply: verdict }
    this.#verdict = verdict
    return step({ type: 'challenge', challenge })
  }
}

// continue-req = "334" SP [base64] CRLF: also without data there is a space behind the code.
function step(made: ServerStep): AuthStep {
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
