/** Which hosts take mail for a domain, and in which order: RFC 5321 §5.1, RFC 7505. */

import type { DnsAnswer } from './answer.ts'
import { isHostName } from './name.ts'
import type { Mx } from './rdata.ts'

export interface MxHost {
  /** Lower is tried first. */
  readonly preference: number
  readonly exchange: string
}

/** Where mail for a domain goes, or why it cannot. `no domain`, `null mx` and `unusable` are permanent. */
export type MailHosts =
  | {
      readonly kind: 'hosts'
      readonly hosts: MxHost[]
      /** There is no MX record: the domain's own addresses are meant. */
      readonly implicit: boolean
      /** The AD bit on the MX answer. */
      readonly authenticated: boolean
    }
  /** NXDOMAIN: 5.1.2, bad destination system address (RFC 3463). */
  | { readonly kind: 'no domain'; readonly reason: string }
  /** RFC 7505 §4.1: 556 5.1.10. */
  | { readonly kind: 'null mx'; readonly reason: string }
  /** RFC 5321 §5.1: "MX records are present, but none of them are usable": an error, 5.4.4. */
  | { readonly kind: 'unusable'; readonly reason: string }
  /** Nothing is known: try again later, 4.4.3. */
  | { readonly kind: 'failure'; readonly reason: string }

/**
 * Lowest preference first; equal ones in random order, which RFC 5321 §5.1 demands. Exchanges that no host
 * can be called, and repetitions, are left out.
 *
 * @param random 0 ≤ x < 1
 */
export function mxHosts(records: readonly Mx[], random: () => number): MxHost[] {
  const seen = new Set<string>()
  return shuffle(records, random)
    .sort((a, b) => a.preference - b.preference)
    .filter(({ exchange }) => {
      const name = exchange.toLowerCase()
      if (!isHostName(name) || seen.has(name)) return false
      seen.add(name)
      return true
    })
    .map(({ preference, exchange }) => ({ preference, exchange }))
}

/**
 * RFC 7505 §3: the only exchange is the root. Where others stand beside it, which it forbids, they are
 * believed.
 */
export function isNullMx(records: readonly Mx[]): boolean {
  return records.length > 0 && records.every(record => record.exchange === '.' || record.exchange === '')
}

/** From the answer to the MX question to the hosts, with the implicit MX of RFC 5321 §5.1. */
export function mailHosts(domain: string, answer: DnsAnswer<Mx>, random: () => number): MailHosts {
  switch (answer.kind) {
    case 'failure':
      return { kind: 'failure', reason: answer.reason }
    case 'nxdomain':
      return { kind: 'no domain', reason: `the domain ${domain} does not exist` }
    case 'nodata': {
      const hosts = [{ preference: 0, exchange: domain }]
      return { kind: 'hosts', hosts, implicit: true, authenticated: answer.authenticated }
    }
    case 'answer': {
      if (isNullMx(answer.records))
        return { kind: 'null mx', reason: `the domain ${domain} accepts no mail (null MX)` }
      const hosts = mxHosts(answer.records, random)
      if (hosts.length > 0)
        return { kind: 'hosts', hosts, implicit: false, authenticated: answer.authenticated }
      const names = answer.records.map(record => `'${record.exchange}'`).join(', ')
      return { kind: 'unusable', reason: `the MX records of ${domain} name no host: ${names}` }
    }
  }
}

/**
 * Where one of the hosts is ourselves, it and all that are not better are left out, or mail would loop
 * (RFC 5321 §5.1). None left: the mail must be returned.
 */
export function betterThanOwn(hosts: readonly MxHost[], isOwn: (exchange: string) => boolean): MxHost[] {
  const own = hosts.filter(host => isOwn(host.exchange)).map(host => host.preference)
  return hosts.filter(host => own.every(preference => host.preference < preference))
}

/** Each item draws a number, and they line up by it. */
function shuffle<T>(items: readonly T[], random: () => number): T[] {
  const keyed = items.map(item => ({ item, key: random() }))
  return keyed.sort((a, b) => a.key - b.key).map(({ item }) => item)
}
