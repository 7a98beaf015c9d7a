/**
 * Publishes the public key: one TXT record at the primary server, RFC 6376 §3.6.2, by RFC 2136 and RFC 8945.
 * The record in the zone is changed only from what was seen there (prerequisites), so that a record which
 * somebody else wrote, before or at the same moment, is never overwritten. The signer signs once this says
 * `published` or `already`: both mean that the record resolves.
 */

import type { DnsAnswer, Interpretation } from '../dns/answer.ts'
import type { ResourceRecord } from '../dns/message.ts'
import { isInZone, sameName } from '../dns/name.ts'
import { txtStrings, txtText } from '../dns/rdata.ts'
import type { TsigKey } from '../dns/tsig.ts'
import type { Update } from '../dns/update.ts'
import { type Endpoint, formatEndpoint } from '../net/endpoint.ts'
import { askPrimary, type RefusalCode, sendUpdate, type UpdateOptions } from '../net/nsupdate.ts'
import type { Resolver } from '../net/resolver.ts'

export interface PublishOptions extends Pick<UpdateOptions, 'timeoutMs' | 'now' | 'signal'> {
  readonly primary: Endpoint
  readonly zone: string
  readonly tsigKey: TsigKey
  /** `<selector>._domainkey.<domain>`. */
  readonly name: string
  /** `v=DKIM1; k=rsa; p=…`. */
  readonly record: string
  readonly ttlSeconds: number
  /** Values we published earlier: they may be replaced. */
  readonly replaces?: readonly string[]
  /** Where else the record must be seen. */
  readonly resolver?: Resolver
}

export type PublishOutcome =
  | { readonly kind: 'published' }
  | { readonly kind: 'already' }
  /** Somebody else's record is there. */
  | { readonly kind: 'conflict'; readonly found: readonly string[]; readonly explanation: string }
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly explanation: string }
  /** Not known, or not yet to be seen: try again later. */
  | { readonly kind: 'failure'; readonly code: string; readonly reason: string }

/** What the primary has, and what is to be done about it. */
type Plan =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'update'; readonly update: Update }
  | Exclude<PublishOutcome, { kind: 'published' | 'already' }>

export async function publishKey(options: PublishOptions): Promise<PublishOutcome> {
  const { primary, name, zone, tsigKey } = options
  if (!isInZone(name, zone)) {
    const explanation = `${name} is not in zone ${zone}: check the zone's name.`
    return { kind: 'refused', code: 'NOTZONE', explanation }
  }
  // Twice: when somebody changes the record between our look and our update, a second look tells what it is
  // now.
  for (let attempt = 1; ; attempt++) {
    const plan = makePlan(options, await askPrimary(primary, name, 'TXT', options))
    if (plan.kind === 'nothing') return (await checkResolver(options)) ?? { kind: 'already' }
    if (plan.kind !== 'update') return plan

    const outcome = await sendUpdate(primary, plan.update, tsigKey, options)
    // The record is public from here on. A crash before we know costs nothing: at the next start it is
    // `already` right.
    if (outcome.kind === 'done') {
      return (await checkPrimary(options)) ?? (await checkResolver(options)) ?? { kind: 'published' }
    }
    const raced = outcome.kind === 'refused' && (outcome.code === 'YXRRSET' || outcome.code === 'NXRRSET')
    if (raced && attempt === 1) continue
    return outcome
  }
}

function makePlan(options: PublishOptions, found: Interpretation<readonly Uint8Array[]>): Plan {
  const { name, zone, record, ttlSeconds, replaces = [] } = options
  const added: ResourceRecord = { name, type: 'TXT', class: 'IN', ttlSeconds, data: txtStrings(record) }
  switch (found.kind) {
    case 'failure':
      return found
    case 'alias':
      return conflict(options, [`CNAME ${found.name}`])
    case 'nodata':
    case 'nxdomain': {
      const prerequisites = [{ kind: 'rrset does not exist', name, type: 'TXT' } as const]
      const update: Update = { zone, prerequisites, changes: [{ kind: 'add', record: added }] }
      return { kind: 'update', update }
    }
    case 'answer': {
      if (!sameName(found.name, name)) return conflict(options, [`CNAME ${found.name}`])
      const values = found.records.map(txtText)
      const isRight = (value: string): boolean => sameKeyRecord(value, record)
      if (values.length === 1 && values.every(isRight)) return { kind: 'nothing' }
      const isOurs = (value: string): boolean =>
        isRight(value) || replaces.some(ours => sameKeyRecord(value, ours))
      if (!values.every(isOurs)) return conflict(options, values)
      const present = found.records.map(strings => ({ ...added, data: strings }))
      const update: Update = {
        zone,
        prerequisites: [{ kind: 'rrset is', records: present }],
        changes: [
          { kind: 'delete rrset', name, type: 'TXT' },
          { kind: 'add', record: added },
        ],
      }
      return { kind: 'update', update }
    }
  }
}

/** `null`: the primary serves it. */
async function checkPrimary(options: PublishOptions): Promise<PublishOutcome | null> {
  const found = await askPrimary(options.primary, options.name, 'TXT', options)
  if (found.kind === 'failure') return found
  const values = found.kind === 'answer' ? found.records.map(txtText) : []
  return unresolved(options, formatEndpoint(options.primary), { ...found, values })
}

/** `null`: the resolver sees it, or there is none to ask. */
async function checkResolver(options: PublishOptions): Promise<PublishOutcome | null> {
  if (options.resolver === undefined) return null
  const found = await options.resolver.txt(options.name, { fresh: true })
  if (found.kind === 'failure') return found
  return unresolved(options, 'the resolver', {
    ...found,
    values: found.kind === 'answer' ? found.records : [],
  })
}

function unresolved(
  options: PublishOptions,
  who: string,
  found: {
    kind: Exclude<DnsAnswer<string>['kind'], 'failure'> | 'alias'
    ttlSeconds: number
    values: string[]
  },
): PublishOutcome | null {
  const [value, ...others] = found.values
  if (value !== undefined && others.length === 0 && sameKeyRecord(value, options.record)) return null
  const seen =
    found.values.length > 0 ? 'another record' : found.kind === 'nxdomain' ? 'no such name' : 'no TXT record'
  const remembers = `and may remember that for ${found.ttlSeconds} s`
  const reason = `${who} still has ${seen} for ${options.name}, ${remembers}`
  return { kind: 'failure', code: 'UNRESOLVED', reason }
}

function conflict(options: PublishOptions, found: readonly string[]): PublishOutcome & { kind: 'conflict' } {
  const { name, zone, primary } = options
  const quoted = found.map(value => `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`).join(' and ')
  const what = found.every(value => value.startsWith('CNAME ')) ? 'CNAME' : 'TXT'
  const nsupdate = `server ${primary.host} ${primary.port}; zone ${zone}; update delete ${name} ${what}`
  const explanation =
    `${name} has ${quoted}, which this signer did not publish and does not overwrite. ` +
    `Choose another selector, or remove it, for example with nsupdate: ${nsupdate}`
  return { kind: 'conflict', found, explanation }
}

/**
 * Equal as tag lists (RFC 6376 §3.2): neither spaces nor the order of the tags nor a last semicolon matter.
 */
export function sameKeyRecord(a: string, b: string): boolean {
  const tags = (text: string): string =>
    text
      .replace(/\s+/g, '')
      .split(';')
      .filter(tag => tag !== '')
      .sort()
      .join(';')
  return tags(a) === tags(b)
}
