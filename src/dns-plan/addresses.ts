/**
 * The addresses mail leaves from: their names (PTR), whether these lead back (RFC 8601 §3, "iprev"), and whether
 * the name in EHLO does (RFC 5321 §4.1.4). Who gave the addresses sets their names: there is nothing to be written.
 */

import { parseAddress, reverseName, sameAddress } from '../dns/address.ts'
import { sameName } from '../dns/name.ts'
import type { Resolver } from '../net/resolver.ts'
import type { Finding, Verdict } from './finding.ts'

/** A name server may give any number of names: more are not looked at. */
const MAX_NAMES = 10

export async function judgePtr(hostname: string, address: string, resolver: Resolver): Promise<Finding> {
  const parsed = parseAddress(address)
  const name = parsed === null ? address : reverseName(parsed)
  const finding = (verdict: Verdict, reason: string, found: readonly string[] = []): Finding => ({
    ...{ domain: hostname, subject: `PTR ${address}`, name, type: 'PTR', verdict, reason, found },
    ...{ wanted: hostname, change: null, replacement: null },
  })
  const answer = await resolver.query(name, 'PTR')
  if (answer.kind === 'failure') return finding('cannot know', answer.reason)
  if (answer.kind !== 'answer') {
    const whom = `have whoever gave you ${address} name it ${hostname}`
    return finding('missing', `${address} has no name, and many receivers refuse its mail: ${whom}`)
  }
  const names = answer.records.map(found => found.toLowerCase())
  const back = await Promise.all(
    names.slice(0, MAX_NAMES).map(async host => ({ host, ...(await leadsTo(host, address, resolver)) })),
  )
  const confirmed = back.filter(({ leads }) => leads).map(({ host }) => host)
  if (confirmed.some(host => sameName(host, hostname)))
    return finding('ok', `${hostname}, and that leads back to ${address}`, names)
  const unknown = back.find(({ failure }) => failure !== undefined)?.failure
  if (unknown !== undefined) return finding('cannot know', unknown, names)
  if (confirmed.length === 0) {
    const reason = `${names.join(', ')} does not lead back to ${address}: many receivers refuse its mail`
    return finding('differs', reason, names)
  }
  const better = `not the name in EHLO, ${hostname}: some receivers want the same`
  return finding('differs', `${confirmed.join(', ')}, which leads back, but is ${better}`, names)
}

export async function judgeEhlo(hostname: string, address: string, resolver: Resolver): Promise<Finding> {
  const type = address.includes(':') ? 'AAAA' : 'A'
  const answer = await resolver.query(hostname, type)
  const found = answer.kind === 'answer' ? answer.records : []
  const finding = (verdict: Verdict, reason: string): Finding => ({
    ...{ domain: hostname, subject: `EHLO ${address}`, name: hostname, type, verdict, reason, found },
    ...{ wanted: address, change: null, replacement: null },
  })
  if (answer.kind === 'failure') return finding('cannot know', answer.reason)
  if (found.some(other => sameAddress(other, address)))
    return finding('ok', `${address} is among the addresses of ${hostname}`)
  const record = `add ${hostname} ${type} ${address}`
  if (found.length === 0)
    return finding(
      'missing',
      `${hostname} has no ${type} record, and the relay sends from ${address}: ${record}`,
    )
  const reason = `${hostname} is ${found.join(', ')}, and the relay sends from ${address}: ${record}`
  return finding('differs', reason)
}

async function leadsTo(
  host: string,
  address: string,
  resolver: Resolver,
): Promise<{ leads: boolean; failure?: string }> {
  const answer = await resolver.query(host, address.includes(':') ? 'AAAA' : 'A')
  if (answer.kind === 'failure') return { leads: false, failure: answer.reason }
  return { leads: answer.kind === 'answer' && answer.records.some(found => sameAddress(found, address)) }
}
