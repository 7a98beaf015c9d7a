/** Records that say how our domains want to be treated: DMARC (RFC 9989), TLSRPT (RFC 8460), MTA-STS (RFC 8461). */

import type { Rr } from './finding.ts'
import { type Assessment, text, type Wish } from './judge.ts'

export type DmarcPolicy = 'none' | 'quarantine' | 'reject'

const STRICTNESS: readonly DmarcPolicy[] = ['none', 'quarantine', 'reject']

interface Base {
  readonly domain: string
  readonly ttlSeconds: number
}

export function dmarcWish({ domain, ttlSeconds }: Base, policy: DmarcPolicy, rua: readonly string[]): Wish {
  const reports = rua.length === 0 ? '' : `; rua=${rua.join(',')}`
  return {
    ...{ domain, ttlSeconds, subject: 'DMARC', name: `_dmarc.${domain}`, type: 'TXT' },
    wanted: text(`v=DMARC1; p=${policy}${reports}`),
    isOfKind: isDmarc,
    assess: async rr => assessDmarc(rr.text, policy, rua),
    ifMissing: 'no DMARC record: large receivers want one of who sends much',
    ifSeveral: 'receivers discard them all (RFC 9989 §4.10)',
  }
}

/** RFC 9989 §4.7: v= is first, and its value is in capitals. */
function isDmarc({ text }: Rr): boolean {
  return /^v\s*=\s*DMARC1\s*(?:;|$)/.test(text)
}

function assessDmarc(record: string, policy: DmarcPolicy, rua: readonly string[]): Assessment {
  const tags = parseTags(record)
  // §4.7: without p= it is as if it were none; so it is with what is none of the three.
  const written = STRICTNESS.find(known => known === tags.get('p')?.toLowerCase()) ?? 'none'
  if (STRICTNESS.indexOf(written) < STRICTNESS.indexOf(policy))
    return { good: false, reason: `p=${written} is less than [dns] dmarc, ${policy}` }
  const missing = withoutReports(tags.get('rua'), rua)
  if (missing !== undefined) return { good: false, reason: `it does not have reports sent to ${missing}` }
  const test = tags.get('t')?.toLowerCase() === 'y' && written !== 'none'
  if (test && policy !== 'none') return { good: false, reason: 't=y: it is a test only (RFC 9989 §4.7)' }
  return { good: true, remark: 'not by ptt' }
}

/**
 * RFC 9990: a domain that gets reports about another one says that it wants them. Written where it is ours.
 *
 * @param receiver the domain of the mailbox
 */
export function reportWish({ domain, ttlSeconds }: Base, receiver: string): Wish {
  const name = reportName(domain, receiver)
  return {
    ...{ domain, ttlSeconds, name, subject: 'DMARC reports', type: 'TXT' },
    wanted: text('v=DMARC1;'),
    isOfKind: isDmarc,
    assess: async () => ({ good: true, remark: 'not by ptt' }),
    ifMissing: `${receiver} does not say that it wants reports about ${domain}: receivers send none there`,
    ifSeveral: 'receivers may discard them all',
  }
}

export function reportName(domain: string, receiver: string): string {
  return `${domain}._report._dmarc.${receiver}`
}

/** The domains, other than `domain` and those above and below it, that get its reports by mail. */
export function reportReceivers(domain: string, rua: readonly string[]): string[] {
  const receivers = rua.flatMap(uri => /^mailto:[^@]+@([^!?]+)/i.exec(uri)?.[1]?.toLowerCase() ?? [])
  const isNear = (other: string): boolean =>
    other === domain || other.endsWith(`.${domain}`) || domain.endsWith(`.${other}`)
  return [...new Set(receivers)].filter(receiver => !isNear(receiver))
}

export function tlsrptWish({ domain, ttlSeconds }: Base, rua: readonly string[]): Wish {
  return {
    ...{ domain, ttlSeconds, subject: 'TLSRPT', name: `_smtp._tls.${domain}`, type: 'TXT' },
    wanted: rua.length === 0 ? null : text(`v=TLSRPTv1; rua=${rua.join(',')}`),
    isOfKind: ({ text }) => /^v=TLSRPTv1\s*;/.test(text),
    assess: async rr => {
      const missing = withoutReports(parseTags(rr.text).get('rua'), rua)
      return missing === undefined
        ? { good: true, remark: 'not by ptt' }
        : { good: false, reason: `it does not have reports sent to ${missing}` }
    },
    ifMissing: 'nobody tells you of senders that cannot use TLS',
    ifSeveral: 'senders take that for none (RFC 8460 §3)',
  }
}

/** @param id of the policy in force, `null` where none is configured; it changes whenever the policy does. */
export function mtaStsWish({ domain, ttlSeconds }: Base, id: string | null): Wish {
  return {
    ...{ domain, ttlSeconds, subject: 'MTA-STS', name: `_mta-sts.${domain}`, type: 'TXT' },
    wanted: id === null ? null : text(`v=STSv1; id=${id};`),
    isOfKind: ({ text }) => /^v=STSv1\s*;/.test(text),
    assess: async rr => ({
      good: false,
      reason: `its id ${parseTags(rr.text).get('id') ?? ''} is not that of the policy in [dns] mta_sts`,
    }),
    ifMissing: 'senders do not look for the policy in [dns] mta_sts',
    ifSeveral: 'senders take that for none (RFC 8461 §3.1)',
  }
}

/** `a=b; c=d`; of two with one name the first. */
function parseTags(record: string): ReadonlyMap<string, string> {
  const tags = new Map<string, string>()
  for (const part of record.split(';')) {
    const at = part.indexOf('=')
    const name = part.slice(0, Math.max(at, 0)).trim().toLowerCase()
    if (name !== '' && !tags.has(name)) tags.set(name, part.slice(at + 1).trim())
  }
  return tags
}

/** The first place that is wanted and is not in the list. */
function withoutReports(written: string | undefined, wanted: readonly string[]): string | undefined {
  // The size that older records put behind a URI is passed over (RFC 9989 §4.8).
  const places = (written ?? '').split(',').map(uri =>
    uri
      .trim()
      .replace(/!\d+[kmgt]?$/i, '')
      .toLowerCase(),
  )
  return wanted.find(uri => !places.includes(uri.toLowerCase()))
}
