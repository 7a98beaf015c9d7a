/** What a response of a recursive server means: RFC 1034 §4.3.1, RFC 2181 §10.1, RFC 2308 §2. */

import type { Message, Question, ResourceRecord } from './message.ts'
import { sameName } from './name.ts'
import { type KnownData, type RecordType, typeNumber } from './rdata.ts'

/**
 * Why there is no answer. All of these are temporary for whoever sends mail: nothing is known about the name.
 * The first six are RCODEs.
 */
export type FailureCode =
  | 'SERVFAIL'
  | 'REFUSED'
  | 'FORMERR'
  | 'NOTIMP'
  | 'NOTAUTH'
  | 'RCODE'
  /** No server answered in time. */
  | 'TIMEOUT'
  /** No server could be reached. */
  | 'NETWORK'
  /** This machine has no way to addresses of that kind: no IPv6. */
  | 'NOROUTE'
  /** The server does not recurse, and sent us on to another. */
  | 'REFERRAL'
  /** More than 8 CNAMEs, or a loop of them. */
  | 'CNAME'
  /** The name cannot be asked for. */
  | 'NAME'
  /** The resolver was closed meanwhile. */
  | 'CLOSED'

export interface DnsFailure {
  readonly kind: 'failure'
  readonly code: FailureCode
  readonly reason: string
}

/**
 * NXDOMAIN and NODATA are answers: the name, or the type at the name, is not there. `authenticated` is the AD
 * bit of the configured resolver (RFC 4035 §3.2.3), meaningful as far as the path to it is trusted.
 */
export type DnsAnswer<T> =
  | {
      readonly kind: 'answer'
      readonly records: T[]
      readonly ttlSeconds: number
      readonly authenticated: boolean
      /** The owner of the records: where the CNAMEs led. */
      readonly name: string
    }
  | { readonly kind: 'nodata'; readonly ttlSeconds: number; readonly authenticated: boolean }
  | { readonly kind: 'nxdomain'; readonly ttlSeconds: number; readonly authenticated: boolean }
  | DnsFailure

/** RFC 1034 §5.2.2 asks for a limit. */
export const MAX_CNAMES = 8

export type Interpretation<T> =
  | DnsAnswer<T>
  /** The last CNAME leads out of the response: `name` is to be asked for. */
  | {
      readonly kind: 'alias'
      readonly name: string
      readonly followed: number
      readonly ttlSeconds: number
      readonly authenticated: boolean
    }

/**
 * @param followed CNAMEs that led to this question
 */
export function interpret<T extends RecordType>(
  question: Question & { readonly type: T },
  message: Message,
  followed = 0,
): Interpretation<KnownData[T]> {
  const { rcode } = message
  if (rcode !== 'NOERROR' && rcode !== 'NXDOMAIN') return rcodeFailure(question, message)

  let { name } = question
  let ttlSeconds = Number.MAX_SAFE_INTEGER
  let cnames = followed
  while (question.type !== 'CNAME') {
    const cname = message.answers.find(record => record.type === 'CNAME' && sameName(record.name, name))
    if (cname?.type !== 'CNAME' || cname.data === null) break
    if (++cnames > MAX_CNAMES) {
      return {
        kind: 'failure',
        code: 'CNAME',
        reason: `${question.name}: more than ${MAX_CNAMES} CNAMEs, or a loop`,
      }
    }
    name = cname.data
    ttlSeconds = Math.min(ttlSeconds, cname.ttlSeconds)
  }

  const authenticated = message.authenticData
  const rrset = message.answers.filter(
    record => sameName(record.name, name) && typeNumber(record.type) === typeNumber(question.type),
  )
  if (rrset.length > 0) {
    const records: KnownData[T][] = []
    for (const record of rrset) {
      if (record.type !== question.type || record.data === null) {
        return { kind: 'failure', code: 'FORMERR', reason: `${name}: malformed ${question.type} record` }
      }
      records.push(record.data as KnownData[T])
      // RFC 2181 §5.2: where the TTLs of an RRset differ, the lowest counts.
      ttlSeconds = Math.min(ttlSeconds, record.ttlSeconds)
    }
    return { kind: 'answer', records, ttlSeconds, authenticated, name }
  }

  const soa = message.authorities.find(record => record.type === 'SOA' && record.data !== null)
  if (rcode === 'NXDOMAIN')
    return { kind: 'nxdomain', ttlSeconds: negativeTtl(soa, ttlSeconds), authenticated }
  if (soa === undefined) {
    if (name !== question.name) return { kind: 'alias', name, followed: cnames, ttlSeconds, authenticated }
    // RFC 2308 §2.2: no SOA but NS records is a referral, not NODATA.
    if (message.authorities.some(record => record.type === 'NS')) {
      return {
        kind: 'failure',
        code: 'REFERRAL',
        reason: `${name}: the server refers to others and does not recurse`,
      }
    }
  }
  return { kind: 'nodata', ttlSeconds: negativeTtl(soa, ttlSeconds), authenticated }
}

/** RFC 2308 §5: the lesser of the SOA's TTL and its minimum; without an SOA the answer is not kept. */
function negativeTtl(soa: ResourceRecord | undefined, ttlSeconds: number): number {
  if (soa?.type !== 'SOA' || soa.data === null) return 0
  return Math.min(ttlSeconds, soa.ttlSeconds, soa.data.minimum)
}

function rcodeFailure(question: Question, message: Message): DnsFailure {
  const { rcode } = message
  const code =
    rcode === 'SERVFAIL' ||
    rcode === 'REFUSED' ||
    rcode === 'FORMERR' ||
    rcode === 'NOTIMP' ||
    rcode === 'NOTAUTH'
      ? rcode
      : 'RCODE'
  return { kind: 'failure', code, reason: `${question.name} ${question.type}: the server answers ${rcode}` }
}

/** RFC 5452 §9.1: a response counts only for the very question that was asked. */
export function answersQuestion(message: Message, id: number, question: Question): boolean {
  const [asked] = message.questions
  if (message.id !== id || !message.response) return false
  // A server that could not read the question may leave it out.
  if (asked === undefined) return message.rcode === 'FORMERR' || message.rcode === 'NOTIMP'
  return (
    message.questions.length === 1 &&
    sameName(asked.name, question.name) &&
    asked.type === question.type &&
    asked.class === question.class
  )
}
