/**
 * UPDATE, RFC 2136: changes to one zone that the primary makes all or none, and only if all prerequisites
 * hold. That is compare-and-swap for the DNS: a record that somebody else wrote is not overwritten, whoever
 * comes first.
 */

import {
  decodeMessage,
  type Edns,
  encodeMessage,
  type Message,
  OPCODE,
  type ResourceRecord,
  TYPE_ANY,
} from './message.ts'
import { isInZone } from './name.ts'
import type { AnyType } from './rdata.ts'

/** RFC 2136 §2.4. */
export type Prerequisite =
  | { readonly kind: 'rrset exists'; readonly name: string; readonly type: AnyType }
  /** The RRset is exactly these records, of one name and type. */
  | { readonly kind: 'rrset is'; readonly records: readonly ResourceRecord[] }
  | { readonly kind: 'rrset does not exist'; readonly name: string; readonly type: AnyType }
  | { readonly kind: 'name is in use'; readonly name: string }
  | { readonly kind: 'name is not in use'; readonly name: string }

/** RFC 2136 §2.5. */
export type Change =
  | { readonly kind: 'add'; readonly record: ResourceRecord }
  | { readonly kind: 'delete rrset'; readonly name: string; readonly type: AnyType }
  | { readonly kind: 'delete name'; readonly name: string }
  | { readonly kind: 'delete record'; readonly record: ResourceRecord }

export interface Update {
  readonly zone: string
  readonly prerequisites: readonly Prerequisite[]
  /** Made in this order. */
  readonly changes: readonly Change[]
}

/**
 * RFC 2136 §2: zone, prerequisites and updates travel where question, answers and authorities are in a query.
 */
export function encodeUpdate(id: number, update: Update, edns: Edns | null = null): Buffer {
  return encodeMessage({
    id,
    edns,
    opcode: OPCODE.UPDATE,
    questions: [{ name: update.zone, type: 'SOA', class: 'IN' }],
    answers: update.prerequisites.flatMap(encodePrerequisite),
    authorities: update.changes.map(encodeChange),
  })
}

// RFC 2136 §3.2.4: the table of metavalues.
function encodePrerequisite(prerequisite: Prerequisite): ResourceRecord[] {
  switch (prerequisite.kind) {
    case 'rrset exists':
      return [meta(prerequisite.name, prerequisite.type, 'ANY')]
    case 'rrset is':
      return prerequisite.records.map(record => ({ ...record, class: 'IN', ttlSeconds: 0 }))
    case 'rrset does not exist':
      return [meta(prerequisite.name, prerequisite.type, 'NONE')]
    case 'name is in use':
      return [meta(prerequisite.name, TYPE_ANY, 'ANY')]
    case 'name is not in use':
      return [meta(prerequisite.name, TYPE_ANY, 'NONE')]
  }
}

// RFC 2136 §3.4.2.6.
function encodeChange(change: Change): ResourceRecord {
  switch (change.kind) {
    case 'add':
      return { ...change.record, class: 'IN' }
    case 'delete rrset':
      return meta(change.name, change.type, 'ANY')
    case 'delete name':
      return meta(change.name, TYPE_ANY, 'ANY')
    case 'delete record':
      return { ...change.record, class: 'NONE', ttlSeconds: 0 }
  }
}

function meta(name: string, type: AnyType, klass: 'ANY' | 'NONE'): ResourceRecord {
  return { name, type, class: klass, ttlSeconds: 0, data: null } as ResourceRecord
}

/**
 * What a primary reads; the two refusals are those of RFC 2136 §3.1 to §3.4.1, before any zone data is looked
 * at.
 */
export type DecodedUpdate =
  | { readonly kind: 'update'; readonly update: Update }
  | { readonly kind: 'FORMERR' | 'NOTZONE' }

/** @throws FormatError the octets are no DNS message */
export function decodeUpdate(octets: Buffer): DecodedUpdate {
  return readUpdate(decodeMessage(octets))
}

export function readUpdate(message: Message): DecodedUpdate {
  const [zone, ...others] = message.questions
  // RFC 2136 §3.1.1.
  if (zone === undefined || others.length > 0 || zone.type !== 'SOA') return { kind: 'FORMERR' }
  const records = [...message.answers, ...message.authorities]
  if (!records.every(record => isInZone(record.name, zone.name))) return { kind: 'NOTZONE' }

  const prerequisites: Prerequisite[] = []
  const rrsets = new Map<string, ResourceRecord[]>()
  for (const record of message.answers) {
    const prerequisite = readPrerequisite(record, zone.class)
    if (prerequisite === null) return { kind: 'FORMERR' }
    if (prerequisite.kind !== 'rrset is') {
      prerequisites.push(prerequisite)
      continue
    }
    // §3.2.3: the records of one name and type are one prerequisite.
    const key = `${record.name.toLowerCase()} ${record.type}`
    const members = rrsets.get(key)
    if (members === undefined) {
      const started = [record]
      rrsets.set(key, started)
      prerequisites.push({ kind: 'rrset is', records: started })
    } else members.push(record)
  }

  const changes: Change[] = []
  for (const record of message.authorities) {
    const change = readChange(record, zone.class)
    if (change === null) return { kind: 'FORMERR' }
    changes.push(change)
  }
  return { kind: 'update', update: { zone: zone.name, prerequisites, changes } }
}

// RFC 2136 §3.2.5; null is FORMERR.
function readPrerequisite(record: ResourceRecord, zoneClass: string): Prerequisite | null {
  const { name, type } = record
  if (record.ttlSeconds !== 0) return null
  if (record.class === zoneClass) return record.data === null ? null : { kind: 'rrset is', records: [record] }
  if (record.data !== null) return null
  if (record.class === 'ANY') {
    return type === TYPE_ANY ? { kind: 'name is in use', name } : { kind: 'rrset exists', name, type }
  }
  if (record.class !== 'NONE') return null
  return type === TYPE_ANY
    ? { kind: 'name is not in use', name }
    : { kind: 'rrset does not exist', name, type }
}

/**
 * AXFR, MAILB, MAILA and ANY are types of questions, not of records (RFC 1035 §3.2.3). IXFR too (RFC 1995).
 */
const QUERY_TYPES = new Set<string>(['TYPE251', 'TYPE252', 'TYPE253', 'TYPE254', TYPE_ANY])

// RFC 2136 §3.4.1.3; null is FORMERR.
function readChange(record: ResourceRecord, zoneClass: string): Change | null {
  const { name, type } = record
  if (record.class === 'ANY') {
    if (record.ttlSeconds !== 0 || record.data !== null) return null
    if (type === TYPE_ANY) return { kind: 'delete name', name }
    return QUERY_TYPES.has(type) ? null : { kind: 'delete rrset', name, type }
  }
  if (QUERY_TYPES.has(type) || record.data === null) return null
  if (record.class === zoneClass) return { kind: 'add', record }
  return record.class === 'NONE' && record.ttlSeconds === 0 ? { kind: 'delete record', record } : null
}
