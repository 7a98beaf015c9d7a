/**
 * What is to be at a key's name is put there: one TXT record at the primary server, RFC 6376 §3.6.2, by RFC 2136 and RFC
 * 8945; the record of a key, the record of a revoked key, or nothing. The zone is changed only from what was seen there
 * (prerequisites), so that a record which somebody else wrote, before or at the same moment, is never overwritten: two
 * signers of one domain do not fight, each keeps to its own selectors, and who is second at one is told so.
 */

import { formatRevokedRecord, parseKeyRecord } from '../dkim/key-record.ts'
import type { Interpretation } from '../dns/answer.ts'
import type { ResourceRecord } from '../dns/message.ts'
import { isInZone, sameName } from '../dns/name.ts'
import { txtStrings, txtText } from '../dns/rdata.ts'
import type { TsigKey } from '../dns/tsig.ts'
import type { Update } from '../dns/update.ts'
import { type Endpoint, formatEndpoint } from '../net/endpoint.ts'
import { askPrimary, type RefusalCode, sendUpdate, type UpdateOptions } from '../net/nsupdate.ts'
import type { Target } from './life-cycle.ts'

export interface PublishOptions extends Pick<UpdateOptions, 'timeoutMs' | 'now' | 'signal'> {
  readonly primary: Endpoint
  readonly zone: string
  readonly tsigKey: TsigKey
  /** `<selector>._domainkey.<domain>`. */
  readonly name: string
  /** `v=DKIM1; k=rsa; p=…`, of the key. */
  readonly record: string
  /** What is to be there; the key when not given. */
  readonly target?: Target
  readonly ttlSeconds: number
  /** Values we published earlier: they may be replaced. */
  readonly replaces?: readonly string[]
  /**
   * Called before something is changed, with how long others may remember what is there now. What it throws ends it: a
   * change that could not be remembered is not made.
   */
  readonly onStale?: (staleSeconds: number) => void
}

export type PublishOutcome =
  /** Changed just now, or found so. */
  | { readonly kind: 'published' }
  | { readonly kind: 'already' }
  /** A record to be revoked is not there, so there is nothing to revoke. */
  | { readonly kind: 'absent' }
  /** Somebody else's record is there. */
  | { readonly kind: 'conflict'; readonly found: readonly string[]; readonly explanation: string }
  | { readonly kind: 'refused'; readonly code: RefusalCode; readonly explanation: string }
  /** Not known, or not yet to be seen: try again later. */
  | { readonly kind: 'failure'; readonly code: string; readonly reason: string }

/** What the primary has, and what is to be done about it. */
type Plan =
  | { readonly kind: 'update'; readonly update: Update; readonly staleSeconds: number }
  | Exclude<PublishOutcome, { kind: 'published' }>

/** `published` and `already` both mean that the primary serves what is to be there. */
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
    if (plan.kind !== 'update') return plan
    options.onStale?.(plan.staleSeconds)
    const outcome = await sendUpdate(primary, plan.update, tsigKey, options)
    // The record is public from here on. A crash before we know costs nothing: at the next start it is
    // `already` right.
    if (outcome.kind === 'done') {
      const found = makePlan(options, await askPrimary(primary, name, 'TXT', options))
      if (found.kind === 'already') return { kind: 'published' }
      if (found.kind !== 'update') return found
      const reason = `${formatEndpoint(primary)} has taken the change of ${name}, and does not serve it`
      return { kind: 'failure', code: 'UNRESOLVED', reason }
    }
    const raced = outcome.kind === 'refused' && (outcome.code === 'YXRRSET' || outcome.code === 'NXRRSET')
    if (raced && attempt === 1) continue
    return outcome
  }
}

function makePlan(options: PublishOptions, found: Interpretation<readonly Uint8Array[]>): Plan {
  const { name, zone, ttlSeconds, target = 'key', replaces = [] } = options
  const wanted = recordAt(target, options.record)
  const of = (data: readonly Uint8Array[]): ResourceRecord => ({
    name,
    type: 'TXT',
    class: 'IN',
    ttlSeconds,
    data,
  })
  const add = (text: string): ResourceRecord => of(txtStrings(text))
  switch (found.kind) {
    case 'failure':
      return found
    case 'alias':
      return conflict(options, [`CNAME ${found.name}`])
    case 'nodata':
    case 'nxdomain': {
      if (wanted === null) return { kind: 'already' }
      if (target === 'revoked') return { kind: 'absent' }
      const prerequisites = [{ kind: 'rrset does not exist', name, type: 'TXT' } as const]
      const update: Update = { zone, prerequisites, changes: [{ kind: 'add', record: add(wanted) }] }
      return { kind: 'update', update, staleSeconds: found.ttlSeconds }
    }
    case 'answer': {
      if (!sameName(found.name, name)) return conflict(options, [`CNAME ${found.name}`])
      const values = found.records.map(txtText)
      const isRight = (value: string): boolean => wanted !== null && sameKeyRecord(value, wanted)
      if (values.length === 1 && values.every(isRight)) return { kind: 'already' }
      const ours = [options.record, ...replaces]
      // What this key says once it is revoked is ours to change as long as it is this key that is revoked or removed.
      if (target !== 'key') ours.push(revokedRecordOf(options.record))
      const isOurs = (value: string): boolean => ours.some(one => sameKeyRecord(value, one))
      if (!values.every(isOurs)) return conflict(options, values)
      const present = found.records.map(of)
      const update: Update = {
        zone,
        prerequisites: [{ kind: 'rrset is', records: present }],
        changes: [
          { kind: 'delete rrset', name, type: 'TXT' },
          ...(wanted === null ? [] : [{ kind: 'add', record: add(wanted) } as const]),
        ],
      }
      return { kind: 'update', update, staleSeconds: found.ttlSeconds }
    }
  }
}

/** What the name says for a target; `null`: there is no record. */
export function recordAt(target: Target, record: string): string | null {
  switch (target) {
    case 'key':
      return record
    case 'revoked':
      return revokedRecordOf(record)
    case 'nothing':
      return null
  }
}

export function revokedRecordOf(record: string): string {
  return formatRevokedRecord(parseKeyRecord(record)?.keyType ?? 'rsa')
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
