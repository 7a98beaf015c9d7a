/** Why a command cannot be done in this session at this time, whatever its arguments: RFC 5321 §4.1.4 and what was added. */

import type { Verb } from './command.ts'
import { tooLarge } from './data.ts'
import { SmtpError } from './error.ts'
import { releaseMs } from './future-release.ts'
import type { Offers } from './offer.ts'
import type { MailParameters } from './parameter.ts'
import type { ServerOptions } from './server-event.ts'
import { type State, transition } from './state.ts'

/** What a server session is like when a command comes. */
export interface Condition {
  readonly state: State
  readonly secure: boolean
  readonly authenticated: boolean
  /** After EHLO rather than HELO. */
  readonly extended: boolean
  /** A RCPT of this transaction was refused. */
  readonly recipientRefused: boolean
}

// RFC 3207 §4: 530 "to every command other than NOOP, EHLO, STARTTLS, or QUIT".
const WITHOUT_TLS = new Set<Verb>(['NOOP', 'EHLO', 'HELO', 'STARTTLS', 'QUIT'])
// RFC 4954 §6: 530 to "any command other than AUTH, EHLO, HELO, NOOP, RSET, or QUIT".
const WITHOUT_AUTH = new Set<Verb>(['AUTH', 'EHLO', 'HELO', 'NOOP', 'RSET', 'QUIT', 'STARTTLS', 'HELP'])
/** Commands of extensions: RFC 5321 §2.2.1, they are there for those who said EHLO. */
const EXTENSION_VERBS = new Set<Verb>(['AUTH', 'BDAT', 'STARTTLS'])

export function objection(verb: Verb, condition: Condition, policy: ServerOptions): SmtpError | null {
  const { state, secure, authenticated, extended } = condition
  if (policy.tlsRequired && !secure && !WITHOUT_TLS.has(verb)) return STARTTLS_FIRST
  // RFC 5321 §4.2.4
  if (verb === 'EXPN' || (verb === 'STARTTLS' && policy.tls !== 'starttls')) return NOT_IMPLEMENTED
  if (verb === 'AUTH' && policy.auth.length === 0) return NOT_IMPLEMENTED
  // RFC 3207 §4.2
  if (verb === 'STARTTLS' && secure) return new SmtpError(503, '5.5.1', 'TLS is up already')
  // RFC 4954 §4: no plaintext password without TLS; §6 has the 538 for it as historical.
  if (verb === 'AUTH' && !secure) return STARTTLS_FIRST
  if (verb === 'AUTH' && authenticated) return new SmtpError(503, '5.5.1', 'Already authenticated')
  if (policy.authRequired && !authenticated && !WITHOUT_AUTH.has(verb)) return AUTH_FIRST
  if (!extended && EXTENSION_VERBS.has(verb)) return new SmtpError(503, '5.5.1', 'Send EHLO first')
  if ((verb === 'DATA' || verb === 'BDAT') && condition.recipientRefused) {
    // RFC 2920 §3.2: 354 only when a RCPT was accepted.
    if (state === 'mail') return new SmtpError(554, '5.5.1', 'No valid recipients')
    // On a hop a message is for all its recipients or for none.
    if (policy.hop) return new SmtpError(554, '5.5.1', 'A recipient was refused, and the message with it')
  }
  if (transition(state, verb) !== null) return null
  return new SmtpError(503, '5.5.1', `Bad sequence of commands${EXPECTED[state] ?? ''}`)
}

/** Why what the parameters of MAIL ask for cannot be had here, by whomever. */
export function mailObjection(parameters: MailParameters, policy: ServerOptions): SmtpError | null {
  const { sizeOctets = 0, deliverBy } = parameters
  // RFC 1870 §6.1
  if (sizeOctets > policy.limits.messageOctets) return tooLarge(policy.limits)
  const { leastSeconds = 0 } = policy.offers?.deliverBy ?? {}
  // RFC 2852 §3 and §4
  if (deliverBy?.mode === 'R' && deliverBy.seconds < leastSeconds) {
    return new SmtpError(555, '5.5.4', `BY with R is for ${leastSeconds} seconds or more here`)
  }
  return holdObjection(parameters, policy.offers?.futureRelease)
}

// RFC 4865 §4.2 (7, 8, 10, 11) and §5.2.2. A hop takes what submission took: it offers no FUTURERELEASE.
function holdObjection(
  { hold, deliverBy }: MailParameters,
  offer: Offers['futureRelease'],
): SmtpError | null {
  if (hold === undefined || offer === undefined) return null
  const { longestSeconds, now } = offer
  const nowMs = now()
  const untilMs = releaseMs(hold, nowMs)
  // What was announced with EHLO was reckoned from then: it is within what is reckoned from now.
  const tooLong =
    'forSeconds' in hold ? hold.forSeconds > longestSeconds : untilMs > nowMs + longestSeconds * 1000
  if (tooLong) return new SmtpError(501, '5.5.4', `Messages are held for ${longestSeconds} seconds at most`)
  if (untilMs < nowMs) return new SmtpError(501, '5.5.4', 'HOLDUNTIL is in the past')
  if (deliverBy !== undefined && untilMs > nowMs + deliverBy.seconds * 1000) {
    return new SmtpError(
      501,
      '5.5.4',
      'The message would be released after the time it is to be delivered by',
    )
  }
  return null
}

const EXPECTED: Partial<Record<State, string>> = {
  connected: ': send EHLO first',
  greeted: ': MAIL comes first',
  mail: ': RCPT comes next',
  recipients: ': RCPT, DATA or BDAT comes next',
  chunking: ': BDAT or RSET comes next',
}

const STARTTLS_FIRST = new SmtpError(530, '5.7.0', 'Must issue a STARTTLS command first')
const AUTH_FIRST = new SmtpError(530, '5.7.0', 'Authentication required')
const NOT_IMPLEMENTED = new SmtpError(502, '5.5.1', 'Command not implemented')
