/** What came of a TLS session with another mail server, as RFC 8460 counts it. */

/** RFC 8460 §4.3, and §6.6: the registry. */
export const FAILURE_TYPES = [
  'starttls-not-supported',
  'certificate-host-mismatch',
  'certificate-expired',
  'certificate-not-trusted',
  'validation-failure',
  'tlsa-invalid',
  'dnssec-invalid',
  'dane-required',
  'sts-policy-fetch-error',
  'sts-policy-invalid',
  'sts-webpki-invalid',
] as const
export type FailureType = (typeof FAILURE_TYPES)[number]

export const POLICY_TYPES = ['tlsa', 'sts', 'no-policy-found'] as const

export interface Policy {
  readonly type: (typeof POLICY_TYPES)[number]
  /**
   * Of `tlsa` the TLSA base domain (RFC 8460 §1.1, "Policy Domain"), A-labels. Not given: the domain that the report
   * goes to.
   */
  readonly domain?: string
  /** RFC 8460 §4.5: of `tlsa` a record each, `3 1 1 0A1B…`; of `sts` a line of the policy each, `mode: enforce`. */
  readonly strings: readonly string[]
  /** Of `sts`: the patterns of its `mx` lines. */
  readonly mxHosts: readonly string[]
}

export interface Failure {
  readonly type: FailureType
  /** `failure-reason-code`: an error code, or a few words. */
  readonly reason?: string
  readonly sendingIp?: string
  readonly receivingIp?: string
  readonly receivingMx?: string
  /** What it called itself in its greeting. */
  readonly receivingHelo?: string
}

/** One session: it kept to the policy, or failed at it (also where mail went on all the same, as in `mode: testing`). */
export interface Outcome {
  /**
   * Where the report goes: the domain of the recipients, or of the smart host that mail goes through (RFC 8460 §1.1);
   * A-labels, lower case.
   */
  readonly policyDomain: string
  readonly policy: Policy
  readonly result: 'success' | Failure
}

const MAX_REASON = 200
const MAX_STRING = 1000
/** RFC 8461 §3.2 sets no limit to the `mx` lines of a policy. */
const MAX_STRINGS = 100

/** As it is counted: complete, in one order, and no longer than it is worth, for most of it was said by somebody else. */
export function countedPolicy(domain: string, policy: Policy): Required<Policy> {
  return {
    type: policy.type,
    domain: policy.domain ?? domain,
    strings: policy.strings.slice(0, MAX_STRINGS).map(string => clip(string, MAX_STRING)),
    mxHosts: policy.mxHosts.slice(0, MAX_STRINGS).map(host => clip(host, MAX_STRING)),
  }
}

export function countedFailure(failure: Failure): Failure {
  const { type, reason, sendingIp, receivingIp, receivingMx, receivingHelo } = failure
  return {
    type,
    ...(reason === undefined ? {} : { reason: clip(reason, MAX_REASON) }),
    ...(sendingIp === undefined ? {} : { sendingIp }),
    ...(receivingIp === undefined ? {} : { receivingIp }),
    ...(receivingMx === undefined ? {} : { receivingMx: clip(receivingMx, MAX_REASON) }),
    ...(receivingHelo === undefined ? {} : { receivingHelo: clip(receivingHelo, MAX_REASON) }),
  }
}

/** RFC 7493 §2.1: no lone surrogates; and nothing that plays tricks with who reads it. */
function clip(text: string, length: number): string {
  return text
    .replace(/[\p{Cc}\p{Cs}]+/gu, ' ')
    .trim()
    .slice(0, length)
    .toWellFormed()
}
