/** The AUTH exchange of a server, RFC 4954 §4: SASL in base64, on lines of its own. */

import { SmtpError } from './error.ts'
import { LINE_TOO_LONG, type Line } from './line.ts'
import { type Reply, reply } from './reply.ts'
import {
  decodeBase64,
  encodeBase64,
  type PlainCredentials,
  SERVER_MECHANISMS,
  type ServerMechanism,
  type ServerStep,
} from './sasl.ts'

export type AuthStep =
  | { readonly type: 'continue'; readonly reply: Reply }
  | { readonly type: 'credentials'; readonly credentials: PlainCredentials }

export class AuthExchange {
  readonly #mechanism: ServerMechanism

  /** @throws SmtpError 504 5.5.4 for a mechanism that is not among `offered`. */
  constructor(name: string, offered: readonly string[]) {
    const mechanism = offered.includes(name) ? SERVER_MECHANISMS.get(name) : undefined
    if (mechanism === undefined) throw new SmtpError(504, '5.5.4', `Mechanism ${name} is not offered`)
    this.#mechanism = mechanism()
  }

  /** @throws SmtpError: the exchange is over. */
  start(initialResponse: Uint8Array | null): AuthStep {
    return this.#step(this.#mechanism.start(initialResponse))
  }

  /** @throws SmtpError: the exchange is over. */
  respond(line: Line): AuthStep {
    if (line.text === null) throw line.fault === LINE_TOO_LONG ? RESPONSE_TOO_LONG : line.fault
    // cancel-response = "*"
    if (line.text === '*') throw new SmtpError(501, '5.7.0', 'Authentication cancelled')
    const response = decodeBase64(line.text)
    if (response === null) throw new SmtpError(501, '5.5.2', 'Response is not base64')
    return this.#step(this.#mechanism.respond(response))
  }

  // continue-req = "334" SP [base64] CRLF: also without data there is a space behind the code.
  #step(step: ServerStep): AuthStep {
    if (step.type === 'credentials') return step
    return { type: 'continue', reply: reply(334, null, encodeBase64(step.challenge)) }
  }
}

// RFC 4954 §6
const RESPONSE_TOO_LONG = new SmtpError(500, '5.5.6', 'Authentication exchange line is too long')
