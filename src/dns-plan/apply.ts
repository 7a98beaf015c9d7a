/**
 * Makes one change by UPDATE (RFC 2136): prerequisites say what was seen, so nothing is overwritten that came
 * since; deletions name the very records, so nothing else at the name is touched. What the primary then has is
 * looked at, for a positive answer alone is no proof.
 */

import type { ResourceRecord } from '../dns/message.ts'
import { txtStrings } from '../dns/rdata.ts'
import type { TsigKey } from '../dns/tsig.ts'
import type { Change as Delta, Prerequisite, Update } from '../dns/update.ts'
import { formatEndpoint } from '../net/endpoint.ts'
import { sendUpdate, type UpdateOptions } from '../net/nsupdate.ts'
import type { Change, Finding, Rr } from './finding.ts'
import { ownershipName } from './ownership.ts'
import type { Seen, Unseen } from './view.ts'

export type Applied =
  | { readonly kind: 'written' }
  /** Somebody changed the records at the same time: they are not what was judged. */
  | { readonly kind: 'raced' }
  | { readonly kind: 'failed'; readonly reason: string }

/** The list of ours is read at every look: its TTL is of no use to anybody else. */
const OWNERSHIP_TTL_SECONDS = 300

export interface ApplyOptions extends Pick<UpdateOptions, 'timeoutMs' | 'now' | 'signal'> {
  readonly tsigKey: TsigKey
  readonly look: (name: string, type: Change['type']) => Promise<Seen | Unseen>
}

export async function apply(change: Change, options: ApplyOptions): Promise<Applied> {
  const { primary, name, type, remove, add } = change
  const outcome = await sendUpdate(primary, updateOf(change), options.tsigKey, options)
  if (outcome.kind === 'refused') {
    // A name that was empty and is an alias now is YXDOMAIN to some.
    const raced = ['YXRRSET', 'NXRRSET', 'YXDOMAIN', 'NXDOMAIN'].includes(outcome.code)
    return raced ? { kind: 'raced' } : { kind: 'failed', reason: outcome.explanation }
  }
  if (outcome.kind === 'failure') return { kind: 'failed', reason: outcome.reason }
  const seen = await options.look(name, type)
  if (seen.kind === 'unseen') return { kind: 'failed', reason: `written, but ${seen.reason}` }
  const has = (rr: Rr): boolean => seen.records.some(({ text }) => text === rr.text)
  if (add.every(has) && !remove.some(has)) return { kind: 'written' }
  const reason = `${formatEndpoint(primary)} says that it has changed ${name} ${type}, and has not: does its policy let the key?`
  return { kind: 'failed', reason }
}

/** The whole of it is done or none (RFC 2136 §3.2.4, §3.4): the record and its entry in the list of ours. */
export function updateOf(change: Change): Update {
  const { zone, name, type, seen, remove, add, ttlSeconds, disown, own } = change
  const list = ownershipName(zone)
  const entry = (text: string): ResourceRecord => ({
    ...{ name: list, type: 'TXT', class: 'IN', ttlSeconds: OWNERSHIP_TTL_SECONDS },
    data: txtStrings(text),
  })
  const record = (rr: Rr): ResourceRecord => toRecord(name, rr, ttlSeconds)
  const prerequisites: Prerequisite[] = [
    seen.length === 0
      ? { kind: 'rrset does not exist', name, type }
      : { kind: 'rrset is', records: seen.map(record) },
  ]
  const changes: Delta[] = [
    ...remove.map(rr => ({ kind: 'delete record', record: record(rr) }) as const),
    ...add.map(rr => ({ kind: 'add', record: record(rr) }) as const),
    ...disown.map(text => ({ kind: 'delete record', record: entry(text) }) as const),
    ...own.map(text => ({ kind: 'add', record: entry(text) }) as const),
  ]
  return { zone, prerequisites, changes }
}

function toRecord(name: string, rr: Rr, ttlSeconds: number): ResourceRecord {
  const owned = { name, class: 'IN', ttlSeconds } as const
  return rr.type === 'TXT'
    ? { ...owned, type: 'TXT', data: rr.data }
    : { ...owned, type: 'SRV', data: rr.data }
}

/** What a finding would have written: its change, or its replacement where that is asked for. */
export function changeOf(finding: Finding, replaces: (name: string) => boolean): Change | null {
  return (
    finding.change ?? (finding.replacement !== null && replaces(finding.name) ? finding.replacement : null)
  )
}
