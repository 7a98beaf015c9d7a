/** Everything that is looked at, domain by domain; and the same again with what can be written, written. */

import { judgeEhlo, judgePtr } from './addresses.ts'
import { type Applied, type ApplyOptions, apply, changeOf } from './apply.ts'
import type { Finding } from './finding.ts'
import { judge, type Wish } from './judge.ts'
import {
  type DmarcPolicy,
  dmarcWish,
  mtaStsWish,
  reportName,
  reportReceivers,
  reportWish,
  tlsrptWish,
} from './policies.ts'
import { type DkimKey, judgeDkim, judgeMx, noDkim, type SubmissionDoors, srvWishes } from './services.ts'
import { judgeSpf, type SpfSettings } from './spf.ts'
import type { View } from './view.ts'

/** An address the relay sends from, and what it says in EHLO from there. */
export interface Egress {
  readonly address: string
  readonly hostname: string
}

export interface Settings extends Omit<SpfSettings, 'egress'> {
  readonly egress: readonly Egress[]
  readonly domains: readonly string[]
  /** What the relay says in EHLO where no source says otherwise. */
  readonly hostname: string
  readonly dmarc: DmarcPolicy
  readonly dmarcRua: readonly string[]
  readonly tlsrptRua: readonly string[]
  /** `null`: there is no policy. */
  readonly mtaStsId: string | null
  readonly submission: SubmissionDoors
  readonly keys: readonly DkimKey[]
  /** Domains that say that they are not signed. */
  readonly unsigned: ReadonlySet<string>
  /** Why the keys could not be read; `null`: these are all. */
  readonly keysTrouble: string | null
  readonly sameKey: (one: string, other: string) => boolean
  readonly ttlSeconds: number
}

/** One thing to be looked at, any number of times; `null`: there is nothing to be said of it. */
export type Item = () => Promise<Finding | null>

/** In the order they are told in: the relay, then each domain. */
export function items(settings: Settings, view: View): Item[] {
  const { hostname, egress, domains, ttlSeconds } = settings
  const { resolver } = view
  const spf = (domain: string, how: SpfSettings, ehlo = hostname): Item => {
    return () => judgeSpf({ domain, hostname: ehlo, ttlSeconds }, how, view)
  }
  const names = Map.groupBy(egress, each => each.hostname)
  if (!names.has(hostname) && egress.length === 0) names.set(hostname, [])
  const relay = [...names].flatMap(([name, addresses]): Item[] => {
    const own = addresses.map(({ address }) => address)
    const each = own.flatMap((address): Item[] => [
      () => judgePtr(name, address, resolver),
      () => judgeEhlo(name, address, resolver),
    ])
    // RFC 7208 §2.3: checked where the reverse-path is empty. Nobody else has this name, so all others fail.
    const helo = domains.includes(name) ? [] : [spf(name, { egress: own, spf: [], all: '-all' }, name)]
    return [...each, ...helo]
  })
  return [...relay, ...domains.flatMap(domain => domainItems(domain, settings, view, spf))]
}

function domainItems(
  domain: string,
  settings: Settings,
  view: View,
  spf: (domain: string, how: SpfSettings) => Item,
): Item[] {
  const { dmarc, dmarcRua, tlsrptRua, mtaStsId, submission, keys, keysTrouble, sameKey, ttlSeconds } =
    settings
  const wished = (wish: Wish): Item => {
    return async () => judge(wish, await view.look(wish.name, wish.type))
  }
  const own = keys.filter(key => key.domain === domain)
  const base = { domain, ttlSeconds }
  return [
    ...(own.length === 0 && !settings.unsigned.has(domain) ? [async () => noDkim(domain, keysTrouble)] : []),
    ...own.map(
      (key): Item =>
        () =>
          judgeDkim(key, view, sameKey),
    ),
    spf(domain, { ...settings, egress: settings.egress.map(({ address }) => address) }),
    wished(dmarcWish(base, dmarc, dmarcRua)),
    ...reportReceivers(domain, dmarcRua).map(receiver =>
      isOurs(receiver, settings.domains)
        ? wished(reportWish(base, receiver))
        : (): Promise<Finding> => judgeForeignReports(domain, receiver, view),
    ),
    wished(tlsrptWish(base, tlsrptRua)),
    wished(mtaStsWish(base, mtaStsId)),
    ...srvWishes(domain, submission, ttlSeconds).map(wished),
    () => judgeMx(domain, view.resolver),
  ]
}

function isOurs(name: string, domains: readonly string[]): boolean {
  return domains.some(domain => name === domain || name.endsWith(`.${domain}`))
}

/** Somebody else gets our reports: whether he has said that he wants them. */
async function judgeForeignReports(domain: string, receiver: string, view: View): Promise<Finding> {
  const name = reportName(domain, receiver)
  const found = await view.resolver.txt(name)
  const texts = found.kind === 'answer' ? found.records : []
  const says = texts.some(text => /^v\s*=\s*DMARC1\s*(?:;|$)/.test(text))
  const rest = { found: texts, wanted: '"v=DMARC1;"', change: null, replacement: null }
  const head = { domain, subject: 'DMARC reports', name, type: 'TXT', ...rest } as const
  if (found.kind === 'failure') return { ...head, verdict: 'cannot know', reason: found.reason }
  if (says) return { ...head, verdict: 'ok', reason: `${receiver} wants reports about ${domain}` }
  const reason = `${receiver} does not say that it wants reports about ${domain}: receivers send none there`
  return { ...head, verdict: 'missing', reason }
}

export interface AppliedFinding {
  /** As it was before. */
  readonly finding: Finding
  /** `null`: there was nothing to do, or it was not to be done. */
  readonly applied: Applied | null
}

/**
 * Judges, and makes what can be made; where somebody else changes the records meanwhile, judges once more.
 *
 * @param replaces whether a foreign record at this name is to be replaced
 */
export async function applyItem(
  item: Item,
  replaces: (name: string) => boolean,
  options: ApplyOptions,
): Promise<AppliedFinding | null> {
  for (let attempt = 1; ; attempt++) {
    const finding = await item()
    if (finding === null) return null
    const change = changeOf(finding, replaces)
    if (change === null) return { finding, applied: null }
    const applied = await apply(change, options)
    if (applied.kind !== 'raced' || attempt === 2) return { finding, applied }
  }
}
