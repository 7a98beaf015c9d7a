/**
 * How a connection to an MX is protected, and why: the one place that decides. A policy is data, and so is what it objects
 * to; what they say is in the log of each delivery and in notices.
 */

import { verifyChain } from '../dns/tlsa.ts'
import type { ConnectionError, TlsWish } from '../net/connection.ts'
import { encryptedTls, verifiedTls } from '../net/mx-tls.ts'
import { opportunisticTls } from '../net/tls.ts'
import { type TlsFacts, WireError } from '../net/wire.ts'
import type { Message } from '../queue/queue.ts'
import type { Extensions } from '../smtp/extension.ts'
import type { Dane } from './dane.ts'
import type { MailHost } from './destination.ts'
import { mxMatches } from './mta-sts/policy.ts'
import type { FailureType } from './tls-report/outcome.ts'

export interface TlsPolicy {
  /**
   * `opportunistic`: TLS where it is offered, whoever is there. `encrypted`: TLS, whoever is there. `named`: TLS with a
   * certificate that verifies for the host's name. `dane`: TLS with a certificate as TLSA records say; `pinned`: as
   * the operator says. `sts`: as `named`, for a host that the destination's MTA-STS policy names. `verified`: the same for an MX that was found securely, and that offers
   * REQUIRETLS.
   */
  readonly level: 'opportunistic' | 'encrypted' | 'named' | 'dane' | 'pinned' | 'sts' | 'verified'
  /** In words, for the log. */
  readonly reason: string
  /** Whether clear text is allowed when TLS cannot be had. */
  readonly clearText: boolean
  /** A failure is told to the sender at once (RFC 8689 §4.2.1); else the message waits for it to be put right (RFC 7672 §2.2). */
  readonly final: boolean
  /** Of `sts`: patterns of the hosts that the destination names (RFC 8461 §4.1). */
  readonly mx?: readonly string[]
  /** What the certificate must match, instead of the CAs that everybody knows. */
  readonly dane?: Dane
  /** The operator wants TLSA records of every host: RFC 7672 §6. */
  readonly daneOnly?: true
  /** The host's TLSA records, none of which can be used: for its domain's report (RFC 8460 §4.3.2.1). */
  readonly invalidTlsa?: Dane
}

/** No policy of the destination is known: TLS where it is offered, whoever is there (RFC 7435). */
export const OPPORTUNISTIC: TlsPolicy = {
  level: 'opportunistic',
  reason: 'no policy of the destination is known',
  clearText: true,
  final: false,
}

/** RFC 8689 §4.2.1. */
export const REQUIRETLS: TlsPolicy = {
  level: 'verified',
  reason: 'the sender asked for REQUIRETLS',
  clearText: false,
  final: true,
}

/**
 * A notice about a message with REQUIRETLS. It has no body (RFC 8689 §5), and "SHOULD NOT" be discarded where a host does
 * not offer REQUIRETLS: its path may be another than the message's.
 */
export const REQUIRETLS_NOTICE: TlsPolicy = {
  level: 'encrypted',
  reason: 'a notice about a message with REQUIRETLS',
  clearText: false,
  final: true,
}

/** What mail goes through has our password: it must be who the operator has named, as the CAs say, or DANE. */
export const SMART_HOST: TlsPolicy = {
  level: 'named',
  reason: 'it is a smart host',
  clearText: false,
  final: false,
}

/**
 * Whether a message does without what its destination asks for, by MTA-STS or DANE (RFC 8689 §3). What the operator wants is
 * not the sender's to waive, and REQUIRETLS goes before (§4.1).
 * @param usual of the destination
 * @param notRequired whether the message has the field TLS-Required: No; asked once at most
 */
export function waiverOf(
  { envelope }: Pick<Message, 'envelope'>,
  usual: TlsPolicy,
  notRequired: () => boolean,
): () => boolean {
  const announced = usual.level === 'opportunistic' || usual.level === 'sts'
  if (!announced || envelope.requireTls === true) return () => false
  let answer: boolean | undefined
  return () => {
    answer ??= notRequired()
    return answer
  }
}

/**
 * @param usual of the destination, where the message asks for nothing of its own
 * @param waives of `waiverOf`
 */
export function policyFor(
  { envelope, reversePath }: Pick<Message, 'envelope' | 'reversePath'>,
  usual: TlsPolicy,
  waives: () => boolean,
): TlsPolicy {
  if (envelope.requireTls !== true) return usual.level === 'sts' && waives() ? OPPORTUNISTIC : usual
  if (reversePath !== null) {
    // What the operator wants (a fingerprint, DANE) is wanted then as else; so are the hosts that the destination names.
    const { mx, dane, daneOnly } = usual
    return {
      ...REQUIRETLS,
      ...(mx === undefined ? {} : { mx }),
      ...(dane === undefined ? {} : { dane }),
      ...(daneOnly === undefined ? {} : { daneOnly }),
    }
  }
  // What the operator or the destination wants is no less wanted here.
  return usual.level === 'opportunistic' ? REQUIRETLS_NOTICE : usual
}

/** Why a host, or a connection to it, will not do. */
export interface Objection {
  readonly about: 'MX lookup' | 'host name' | 'TLSA' | 'TLS' | 'REQUIRETLS'
  /** RFC 8689 §4.2.1: 5.7.30 where REQUIRETLS is not supported, 5.7.10 for the rest. 4.x.x: it may be better later. */
  readonly status: string
  readonly diagnostic: string
  /** What it is called in the domain's report, where that is not told by what came of the session. */
  readonly failure?: FailureType
}

/** Before connecting: whether the host is the one that the destination means. */
export function objectionToHost(policy: TlsPolicy, { name, found }: MailHost): Objection | null {
  if (policy.level !== 'verified') return null
  // RFC 8689 §4.2.1: that the destination means the host can be known by DNSSEC, or by its MTA-STS policy.
  if (found === 'unauthenticated' && policy.mx !== undefined && mxMatches(policy.mx, name)) return null
  switch (found) {
    // Without an MX the host is the destination itself, and the certificate must say so.
    case 'authenticated':
    case 'domain':
    case 'configured':
      return null
    case 'unauthenticated':
      return {
        about: 'MX lookup',
        status: '5.7.10',
        diagnostic: `REQUIRETLS: that ${name} is the mail host is protected neither by DNSSEC nor by MTA-STS`,
      }
    case 'literal':
      return {
        about: 'host name',
        status: '5.7.10',
        diagnostic: `REQUIRETLS: ${name} has no name that a certificate could be verified for`,
      }
    default:
      return found satisfies never
  }
}

/** RFC 8461 §4.1: a host that the policy does not name must not be given the message. */
export function objectionToMx({ level, mx, reason }: TlsPolicy, { name }: MailHost): Objection | null {
  if (level !== 'sts' || mxMatches(mx ?? [], name)) return null
  const diagnostic = `${reason}, and that names ${(mx ?? []).join(', ')}, not ${name}`
  return { about: 'MX lookup', status: '4.7.10', diagnostic }
}

export function wishFor({ level, dane }: TlsPolicy, { name, route }: MailHost): TlsWish {
  const mode = route?.tls === 'implicit' ? 'implicit' : 'required'
  // RFC 7672 §8.1: SNI is the TLSA base domain; whether the certificate is the right one is seen afterwards.
  if (dane !== undefined)
    return { mode, options: encryptedTls(dane.base ?? (name.startsWith('[') ? '' : name)) }
  // An address has no name to put into SNI (RFC 6066 §3).
  const servername = /^\[|^[\d.]+$|:/.test(name) ? '' : name
  const ca = route?.ca === undefined ? {} : { ca: route.ca }
  switch (level) {
    case 'opportunistic':
      return { mode: 'opportunistic', options: opportunisticTls(servername) }
    case 'encrypted':
      return { mode, options: encryptedTls(servername) }
    case 'named':
    case 'dane':
    case 'pinned':
    case 'sts':
    case 'verified':
      return {
        mode,
        options: { ...verifiedTls(servername), ...ca, ...(servername === '' ? { host: name } : {}) },
      }
    default:
      return level satisfies never
  }
}

/** TLS failed; `null` where the policy leaves it at that. A failure that may pass (4xx, no answer) is temporary. */
export function objectionToFailure(policy: TlsPolicy, error: ConnectionError): Objection | null {
  if (policy.clearText || error.code !== 'tls') return null
  const passing = (error.reply?.code ?? 500) < 500 || isInterrupted(error.cause)
  const diagnostic = `TLS is required (${policy.reason}): ${error.message}`
  return { about: 'TLS', status: passing || !policy.final ? '4.7.10' : '5.7.10', diagnostic }
}

/** The network's doing, and not that of what was said over it. */
export function isInterrupted(cause: unknown): boolean {
  if (!(cause instanceof WireError)) return false
  const { code, message, cause: reason } = cause
  if (code === 'timeout' || message === 'closed by the peer') return true
  return (
    reason instanceof Error && 'code' in reason && /^(ECONNRESET|EPIPE|ETIMEDOUT)$/.test(String(reason.code))
  )
}

/** What a connection shows after EHLO. */
export interface Shown {
  readonly tls: Pick<TlsFacts, 'authorized' | 'authorizationError' | 'chain'> | null
  readonly extensions: Pick<Extensions, 'has'>
}

/**
 * After EHLO: whether the peer is one the message may be given to.
 * @param names for DANE-TA: `namesOf` the host
 */
export function objectionToPeer(
  policy: TlsPolicy,
  { tls, extensions }: Shown,
  names: readonly string[],
  nowMs: number,
): Objection | null {
  if (!policy.clearText && tls === null)
    return { about: 'TLS', status: refusal(policy), diagnostic: `TLS is required (${policy.reason})` }
  const { level, reason, dane } = policy
  if (level === 'opportunistic' || level === 'encrypted') return null
  const why = tls === null ? 'no TLS' : unverified(tls, dane, names, nowMs)
  if (why !== null)
    return {
      about: 'TLS',
      status: refusal(policy),
      diagnostic: `TLS is required (${reason}), and not verified: ${why}`,
    }
  if (level !== 'verified') return null
  if (extensions.has('REQUIRETLS')) return null
  return {
    about: 'REQUIRETLS',
    status: '5.7.30',
    diagnostic: 'REQUIRETLS support required: the peer does not offer it',
  }
}

export function refusal({ final }: TlsPolicy): string {
  return final ? '5.7.10' : '4.7.10'
}

/** Why the certificate is not one that may be believed. */
function unverified(
  tls: NonNullable<Shown['tls']>,
  dane: Dane | undefined,
  names: readonly string[],
  nowMs: number,
): string | null {
  if (dane === undefined) return tls.authorized ? null : (tls.authorizationError ?? 'nobody knows why')
  const verdict = verifyChain(
    dane.records,
    tls.chain(),
    dane.base === null ? names : [dane.base, ...names],
    nowMs,
  )
  return verdict.kind === 'match' ? null : verdict.reason
}

/**
 * RFC 8689 §2: REQUIRETLS is said only "in the context of an SMTP session meeting the security requirements", which a
 * notice may do without.
 */
export function saysRequireTls(policy: TlsPolicy, host: MailHost, peer: Shown): boolean {
  const asked = policy.mx === undefined ? REQUIRETLS : { ...REQUIRETLS, mx: policy.mx }
  if (policy.level === 'opportunistic' || objectionToHost(asked, host) !== null) return false
  // What DANE wants has been seen already.
  const verified = policy.dane !== undefined || peer.tls?.authorized === true
  return peer.tls !== null && verified && peer.extensions.has('REQUIRETLS')
}
