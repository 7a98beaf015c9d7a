/** What SPF (RFC 7208) should say of our domains and of the name in EHLO, and whether what others wrote does as well. */

import { parseAddress } from '../dns/address.ts'
import type { DnsAnswer } from '../dns/answer.ts'
import { isSpf } from '../dns/spf.ts'
import { checkHost, MAX_SPF_LOOKUPS, type SpfFinding, type SpfLookups } from '../dns/spf-check.ts'
import type { Resolver } from '../net/resolver.ts'
import type { Finding } from './finding.ts'
import { type Assessment, judge, text, type Wish } from './judge.ts'
import type { View } from './view.ts'

export interface SpfSettings {
  /** Public addresses the relay sends from. */
  readonly egress: readonly string[]
  /** Mechanisms for who else sends. */
  readonly spf: readonly string[]
  readonly all: '~all' | '-all' | '?all'
}

export interface SpfSubject {
  /** Where the record is: one of our domains, or a name the relay says in EHLO. */
  readonly domain: string
  readonly hostname: string
  readonly ttlSeconds: number
}

export function spfText({ egress, spf, all }: SpfSettings): string {
  const addresses = egress.map(address => `ip${address.includes(':') ? 6 : 4}:${address}`)
  return ['v=spf1', ...addresses, ...spf, all].join(' ')
}

export async function judgeSpf(subject: SpfSubject, settings: SpfSettings, view: View): Promise<Finding> {
  const { domain, hostname, ttlSeconds } = subject
  const question = { domain, hostname, egress: settings.egress }
  const wanted = text(spfText(settings))
  const wish: Wish = {
    ...{ domain, name: domain, ttlSeconds, wanted, subject: 'SPF', type: 'TXT' },
    isOfKind: rr => isSpf(rr.text),
    assess: rr => assess(rr.text, question, view.resolver),
    ifMissing: 'no SPF record: receivers cannot tell our relay from others',
    ifSeveral: 'receivers take that for an error, and for no SPF at all (RFC 7208 §4.5)',
  }
  const seen = await view.look(domain, 'TXT')
  if (settings.egress.length === 0) {
    const found = seen.kind === 'seen' ? seen.records.filter(wish.isOfKind).map(rr => `"${rr.text}"`) : []
    const reason = '[dns] egress is not set: nobody knows the addresses that it must allow'
    return {
      ...{ domain, name: domain, found, reason, subject: 'SPF', type: 'TXT', verdict: 'cannot know' },
      ...{ wanted: null, change: null, replacement: null },
    }
  }
  const finding = (await judge(wish, seen)) as Finding
  if (settings.spf.length === 0 || finding.verdict === 'foreign') return finding
  // What the configuration adds may make a record that is worse than none: that is not written.
  const cost = await dearest(wanted.text, question, view.resolver)
  const trouble = costObjection(cost)
  if (trouble === null) return finding
  const reason = `what [dns] spf wants does not work: ${trouble}`
  const verdict = cost.result === 'temperror' ? 'cannot know' : 'differs'
  return { ...finding, verdict, reason, change: null, replacement: null }
}

interface Question {
  readonly domain: string
  readonly hostname: string
  readonly egress: readonly string[]
}

/** A record of somebody else's is good if every address of the relay passes by it. */
async function assess(record: string, question: Question, resolver: Resolver): Promise<Assessment> {
  for (const address of question.egress) {
    const { result, reason } = await check(record, question, address, resolver, false)
    if (result !== 'pass') {
      const add = `ip${address.includes(':') ? 6 : 4}:${address}`
      return {
        good: false,
        reason: `it does not allow ${address} (${result}: ${reason}); add ${add} to it, or what else it allows to [dns] spf before it is replaced`,
      }
    }
  }
  const cost = await dearest(record, question, resolver)
  const trouble = costObjection(cost)
  if (trouble !== null) return { good: false, reason: trouble }
  return { good: true, remark: `not by ptt, allows the relay, ${cost.lookups} lookups` }
}

/** A check that nothing ends early. */
function dearest(record: string, question: Question, resolver: Resolver): Promise<SpfFinding> {
  return check(record, question, question.egress[0] ?? '', resolver, true)
}

function costObjection({ result, reason, lookups }: SpfFinding): string | null {
  if (lookups > MAX_SPF_LOOKUPS)
    return `it needs ${lookups} lookups, and receivers stop at ${MAX_SPF_LOOKUPS} (RFC 7208 §4.6.4)`
  return result === 'permerror' || result === 'temperror' ? reason : null
}

async function check(
  record: string,
  { domain, hostname }: Question,
  text: string,
  resolver: Resolver,
  exhaustive: boolean,
): Promise<SpfFinding> {
  const address = parseAddress(text)
  if (address === null) return { result: 'permerror', reason: `${text} is no address`, lookups: 0 }
  return checkHost({ address, domain, helo: hostname, exhaustive }, lookupsWith(domain, record, resolver))
}

/** The record is the one that was seen or is to be, the rest as the world has it. */
function lookupsWith(name: string, record: string, resolver: Resolver): SpfLookups {
  return {
    async txt(asked): Promise<DnsAnswer<string>> {
      if (asked !== name) return resolver.txt(asked)
      return { kind: 'answer', records: [record], ttlSeconds: 0, authenticated: false, name }
    },
    addresses: (asked, family) => resolver.query(asked, family === 4 ? 'A' : 'AAAA'),
    async mx(asked): Promise<DnsAnswer<string>> {
      const found = await resolver.mx(asked)
      return found.kind === 'answer'
        ? { ...found, records: found.records.map(({ exchange }) => exchange) }
        : found
    },
  }
}
