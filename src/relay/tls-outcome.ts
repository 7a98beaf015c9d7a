/** What a session with a mail host says to the reports of RFC 8460: by which policies it is counted, and how. Pure. */

import type { ConnectionError } from '../net/connection.ts'
import type { TlsFacts } from '../net/wire.ts'
import type { MailHost } from './destination.ts'
import type { StsAnswer } from './mta-sts/mta-sts.ts'
import { mxMatches } from './mta-sts/policy.ts'
import type { TlsPolicy } from './tls-policy.ts'
import type { Failure, FailureType, Outcome, Policy } from './tls-report/outcome.ts'

/** What came of it: TLS as it is, or none that could be had. */
export type TlsResult =
  | { readonly kind: 'session'; readonly tls: Pick<TlsFacts, 'authorized' | 'authorizationError'> | null }
  | { readonly kind: 'failure'; readonly type: FailureType; readonly reason: string }

export interface Session {
  /** The next-hop domain. */
  readonly domain: string
  readonly host: MailHost
  readonly address?: string
  /** That held for the host. */
  readonly policy: TlsPolicy
  readonly sts: StsAnswer | null
  readonly result: TlsResult
}

/** One for each policy that the domain has announced; where there is none, one that says so (RFC 8460 §4.2). */
export function outcomesOf(session: Session): Outcome[] {
  const { domain, policy, sts, host } = session
  const outcomes: Outcome[] = []
  const note = (announced: Policy, failure: Pick<Failure, 'type' | 'reason'> | null) => {
    const result = failure === null ? 'success' : { ...failure, ...whereOf(session) }
    outcomes.push({ policyDomain: domain, policy: announced, result })
  }
  if (policy.level === 'dane' || (policy.level === 'verified' && policy.dane !== undefined))
    note(tlsaPolicy(policy.dane), failureOf(session.result, true))
  // RFC 7672 §2.2: such records mean TLS without authentication, so the session may be as good as it can be. The domain is told
  // of the records all the same (RFC 8460 §4.3.2.1): it believes itself protected.
  else if (policy.invalidTlsa !== undefined)
    note(tlsaPolicy(policy.invalidTlsa), failureOf(session.result, true) ?? INVALID)
  if (sts?.kind === 'policy' && sts.mode !== 'none') {
    const named = mxMatches(sts.mx, host.name)
    const unnamed = { type: 'validation-failure', reason: `${host.name} is not named by the policy` } as const
    note(stsPolicy(sts), named ? failureOf(session.result, false) : unnamed)
  }
  if (sts?.kind === 'none' && sts.failure !== undefined)
    note(
      { type: 'sts', strings: [], mxHosts: [] },
      { type: sts.failure.resultType, reason: sts.failure.reason },
    )
  if (outcomes.length === 0) {
    const { result } = session
    const none = result.kind === 'failure' || result.tls === null
    note({ type: 'no-policy-found', strings: [], mxHosts: [] }, none ? failureOf(result, true) : null)
  }
  return outcomes
}

/** @param asSeen TLS that came about was verified already, or need not be */
function failureOf(result: TlsResult, asSeen: boolean): Pick<Failure, 'type' | 'reason'> | null {
  if (result.kind === 'failure') return { type: result.type, reason: result.reason }
  if (result.tls === null) return { type: 'starttls-not-supported' }
  if (asSeen || result.tls.authorized) return null
  const reason = result.tls.authorizationError ?? 'not verified'
  return { type: typeOfCode(reason), reason }
}

/** RFC 8460 §4.3 for what OpenSSL and Node call it. */
export function typeOfCode(code: string): FailureType {
  if (/EXPIRED|NOT_YET_VALID/.test(code)) return 'certificate-expired'
  if (/ALTNAME|names no host|certificate is for/i.test(code)) return 'certificate-host-mismatch'
  if (/SELF_SIGNED|UNABLE_TO|UNTRUSTED|ISSUER|CERT_/.test(code)) return 'certificate-not-trusted'
  return 'validation-failure'
}

/** A connection that ended in TLS; null: it ended for another reason. */
export function tlsFailureOf(error: ConnectionError): Extract<TlsResult, { kind: 'failure' }> | null {
  if (error.code !== 'tls') return null
  if (error.phase === 'STARTTLS')
    return { kind: 'failure', type: 'starttls-not-supported', reason: error.message }
  const { cause } = error
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  // That the name is another is said by our own check, in words (net/mx-tls.ts).
  const code = inner instanceof Error && 'code' in inner ? String(inner.code) : error.message
  return { kind: 'failure', type: typeOfCode(code), reason: error.message }
}

const INVALID = { type: 'tlsa-invalid', reason: 'none of the TLSA records can be used' } as const

function tlsaPolicy(dane: TlsPolicy['dane']): Policy {
  const strings = (dane?.records ?? []).map(({ usage, selector, matchingType, certificate }) =>
    [usage, selector, matchingType, Buffer.from(certificate).toString('hex').toUpperCase()].join(' '),
  )
  return { type: 'tlsa', strings, mxHosts: [], ...(dane?.base == null ? {} : { domain: dane.base }) }
}

function stsPolicy({ mode, mx, maxAgeSeconds }: Extract<StsAnswer, { kind: 'policy' }>): Policy {
  const lines = [
    'version: STSv1',
    `mode: ${mode}`,
    ...mx.map(host => `mx: ${host}`),
    `max_age: ${maxAgeSeconds}`,
  ]
  return { type: 'sts', strings: lines, mxHosts: mx }
}

function whereOf({ host, address }: Session): Pick<Failure, 'receivingMx' | 'receivingIp'> {
  return { receivingMx: host.name, ...(address === undefined ? {} : { receivingIp: address }) }
}
