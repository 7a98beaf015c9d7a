/** How mail programs find the server (RFC 6186, RFC 8314 §5.1), where replies go, and the keys of DKIM (RFC 6376). */

import type { Resolver } from '../net/resolver.ts'
import { type Finding, type Rr, show, srvRr, type Verdict } from './finding.ts'
import { rightAt, type Wish } from './judge.ts'
import type { View } from './view.ts'

export interface SubmissionDoors {
  readonly hostname: string
  /** TLS from the first octet. */
  readonly port: number
  /** With STARTTLS; `null`: there is none. */
  readonly starttlsPort: number | null
}

/** `.` says that there is no such service (RFC 2782), so that no mail program tries and falls back to it. */
export function srvWishes(domain: string, doors: SubmissionDoors, ttlSeconds: number): Wish[] {
  const { hostname, port, starttlsPort } = doors
  const none = srvRr({ priority: 0, weight: 0, port: 0, target: '.' })
  const at = (door: number): Rr => srvRr({ priority: 0, weight: 1, port: door, target: hostname })
  const wish = (service: string, wanted: Rr, ifMissing: string): Wish => ({
    ...{ domain, ttlSeconds, wanted, ifMissing, type: 'SRV' },
    ...{ subject: `SRV ${service}`, name: `_${service}._tcp.${domain}` },
    isOfKind: () => true,
    assess: async rr => assessSrv(rr, wanted),
    ifSeveral: 'mail programs may take another server than yours',
  })
  return [
    wish('submissions', at(port), 'mail programs cannot find the server by themselves'),
    starttlsPort === null
      ? wish('submission', none, 'mail programs may try port 587, which is closed')
      : wish('submission', at(starttlsPort), 'mail programs that need STARTTLS cannot find the server'),
  ]
}

/** The order among one's own is everybody's own affair. */
function assessSrv(rr: Rr, wanted: Rr) {
  const place = ({ text }: Rr): string => text.split(' ').slice(2).join(' ')
  if (place(rr) === place(wanted)) return { good: true, remark: 'not by ptt' } as const
  return { good: false, reason: `this submission is ${wanted.text}` } as const
}

/** A key of the signer, which publishes it by itself: it is only looked at. */
export interface DkimKey {
  readonly domain: string
  readonly selector: string
  readonly record: string
}

/** @param same whether two records say the same */
export async function judgeDkim(
  { domain, selector, record }: DkimKey,
  view: View,
  same: (one: string, other: string) => boolean,
): Promise<Finding> {
  const name = `${selector}._domainkey.${domain}`
  const finding = (verdict: Verdict, reason: string, found: readonly Rr[] = []): Finding => ({
    ...{ domain, subject: `DKIM ${selector}`, name, type: 'TXT', verdict, reason, wanted: `"${record}"` },
    ...{ found: found.map(show), change: null, replacement: null },
  })
  const seen = await view.look(name, 'TXT')
  if (seen.kind === 'unseen') return finding('cannot know', seen.reason)
  const records = seen.alias?.records ?? seen.records
  const [only, ...others] = records
  if (only === undefined)
    return finding('missing', 'the signer publishes it when it runs: its log tells what is in the way')
  if (others.length > 0)
    return finding('differs', `${records.length} records: no verifier knows which counts`, records)
  if (!same(only.text, record)) {
    const reason = `another key is there than the signer has: ${show(only).slice(0, 60)}…`
    return finding('foreign', reason, records)
  }
  if (seen.lagging.length > 0) {
    const reason = `${rightAt(seen)}, not everywhere: ${seen.lagging.join('; ')}`
    return finding('differs', reason, records)
  }
  if (seen.silent.length > 0)
    return finding('cannot know', `${rightAt(seen)}, but ${seen.silent.join('; ')}`, records)
  return finding('ok', 'the key of the signer, at every server of the zone', records)
}

/**
 * Nothing is signed for a domain without a key.
 *
 * @param trouble why the keys could not be read, `null` where they were
 */
export function noDkim(domain: string, trouble: string | null): Finding {
  const none = 'the signer has no key for this domain: its mail is not signed'
  return {
    ...{ domain, subject: 'DKIM', name: `_domainkey.${domain}`, type: 'TXT' },
    ...{ verdict: trouble === null ? 'missing' : 'cannot know', reason: trouble ?? none },
    ...{ found: [], wanted: null, change: null, replacement: null },
  }
}

/** ptt only sends; whoever answers, and every notice of failure, goes where this leads (RFC 5321 §5.1). */
export async function judgeMx(domain: string, resolver: Resolver): Promise<Finding> {
  const finding = (verdict: Verdict, reason: string, found: readonly string[] = []): Finding => ({
    ...{ domain, subject: 'MX', name: domain, type: 'MX', verdict, reason, found },
    ...{ wanted: null, change: null, replacement: null },
  })
  const answer = await resolver.mx(domain)
  if (answer.kind === 'failure') return finding('cannot know', answer.reason)
  const lost = 'many receivers refuse mail that cannot be answered'
  if (answer.kind !== 'answer') return finding('missing', `${domain} takes no mail: ${lost}`)
  const found = answer.records
    .toSorted((one, other) => one.preference - other.preference)
    .map(({ preference, exchange }) => `${preference} ${exchange || '.'}`)
  // RFC 7505 §3.
  const isNull = answer.records.every(({ exchange }) => exchange === '.' || exchange === '')
  return isNull
    ? finding('differs', `${domain} says that it takes no mail (RFC 7505): ${lost}`, found)
    : finding('ok', found.join(', '), found)
}
