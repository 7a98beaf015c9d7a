/** The report itself: the JSON of RFC 8460 §4.4, its name (§5.1), and how it is packed (§5.2). Pure, but for the zipping. */

import { DAY_MS, startOf } from './schedule.ts'
import type { FailureCount, PolicyCount } from './tally.ts'

/** Who sends the report. */
export interface Submitter {
  /** `organization-name`. */
  readonly organization: string
  /** `contact-info`: an addr-spec, its domain in A-labels. */
  readonly contact: string
  /** The host that has counted. */
  readonly hostname: string
}

export interface Subject {
  /** A UTC day, `2026-11-21`. */
  readonly day: string
  /** The domain that the report goes to. */
  readonly domain: string
}

/** As it is written, in this order. */
export interface Report {
  readonly 'organization-name': string
  readonly 'date-range': { readonly 'start-datetime': string; readonly 'end-datetime': string }
  readonly 'contact-info': string
  readonly 'report-id': string
  readonly policies: readonly ReportedPolicy[]
}

interface ReportedPolicy {
  readonly policy: {
    readonly 'policy-type': string
    readonly 'policy-string'?: readonly string[]
    readonly 'policy-domain': string
    readonly 'mx-host'?: readonly string[]
  }
  readonly summary: {
    readonly 'total-successful-session-count': number
    readonly 'total-failure-session-count': number
  }
  readonly 'failure-details'?: readonly ReportedFailure[]
}

interface ReportedFailure {
  readonly 'result-type': string
  readonly 'sending-mta-ip'?: string
  readonly 'receiving-mx-hostname'?: string
  readonly 'receiving-mx-helo'?: string
  readonly 'receiving-ip'?: string
  readonly 'failed-session-count': number
  readonly 'failure-reason-code'?: string
}

export function buildReport(
  counts: readonly PolicyCount[],
  { day }: Pick<Subject, 'day'>,
  { organization, contact }: Pick<Submitter, 'organization' | 'contact'>,
  reportId: string,
): Report {
  return {
    'organization-name': organization,
    'date-range': { 'start-datetime': `${day}T00:00:00Z`, 'end-datetime': `${day}T23:59:59Z` },
    'contact-info': contact,
    'report-id': reportId,
    policies: counts.map(reportedPolicy),
  }
}

function reportedPolicy({ policy, succeeded, failures }: PolicyCount): ReportedPolicy {
  return {
    policy: {
      'policy-type': policy.type,
      ...(policy.strings.length === 0 ? {} : { 'policy-string': policy.strings }),
      'policy-domain': policy.domain,
      // §4.4, "mx-host-pattern": "In the case where "policy-type" is "sts"", and "a JSON array of strings".
      ...(policy.type !== 'sts' || policy.mxHosts.length === 0 ? {} : { 'mx-host': policy.mxHosts }),
    },
    summary: {
      'total-successful-session-count': succeeded,
      'total-failure-session-count': failures.reduce((sum, { sessions }) => sum + sessions, 0),
    },
    ...(failures.length === 0 ? {} : { 'failure-details': failures.map(reportedFailure) }),
  }
}

function reportedFailure({ failure, sessions }: FailureCount): ReportedFailure {
  const { type, reason, sendingIp, receivingIp, receivingMx, receivingHelo } = failure
  return {
    'result-type': type,
    ...(sendingIp === undefined ? {} : { 'sending-mta-ip': sendingIp }),
    ...(receivingMx === undefined ? {} : { 'receiving-mx-hostname': receivingMx }),
    ...(receivingHelo === undefined ? {} : { 'receiving-mx-helo': receivingHelo }),
    ...(receivingIp === undefined ? {} : { 'receiving-ip': receivingIp }),
    'failed-session-count': sessions,
    ...(reason === undefined ? {} : { 'failure-reason-code': reason }),
  }
}

/**
 * `id-left "@" id-right` (§5.3): the same however often the report is made, for receivers tell repetitions by it, and
 * another for each host of ours that has counted.
 */
export function reportIdOf({ day, domain }: Subject, { hostname }: Pick<Submitter, 'hostname'>): string {
  return `${day}.${domain}@${hostname}`
}

/** The domain of the contact, which stands in file names and header fields too (§5.1, §5.3). */
export function submitterDomain({ contact }: Pick<Submitter, 'contact'>): string {
  return contact.slice(contact.lastIndexOf('@') + 1)
}

// filename = sender "!" policy-domain "!" begin-timestamp "!" end-timestamp [ "!" unique-id ] "." extension (§5.1)
export function filenameOf({ day, domain }: Subject, submitter: Submitter, uniqueId: string): string {
  const beginMs = startOf(day) ?? 0
  const seconds = [beginMs, beginMs + DAY_MS - 1000].map(ms => ms / 1000)
  return `${[submitterDomain(submitter), domain, ...seconds, uniqueId].join('!')}.json.gz`
}

/** §5.2. */
export async function gzip(report: Report): Promise<Uint8Array> {
  const whole = new Blob([JSON.stringify(report)]).stream().pipeThrough(new CompressionStream('gzip'))
  return new Uint8Array(await new Response(whole).arrayBuffer())
}
