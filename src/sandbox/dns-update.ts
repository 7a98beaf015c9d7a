/** What a primary does with an UPDATE, RFC 2136 §3.2 to §3.6: prerequisites, then all changes or none. */

import { type ResourceRecord, TYPE_ANY } from '../dns/message.ts'
import { sameName } from '../dns/name.ts'
import type { AnyType } from '../dns/rdata.ts'
import type { Change, Prerequisite, Update } from '../dns/update.ts'
import { sameData, Zone } from './dns-zone.ts'

export type Applied =
  | { readonly kind: 'done'; readonly zone: Zone }
  | { readonly kind: 'YXDOMAIN' | 'YXRRSET' | 'NXDOMAIN' | 'NXRRSET' | 'REFUSED' }

/** Whether the key may change the RRset (RFC 2136 §3.3). */
export type Permission = (name: string, type: AnyType) => boolean

export function applyUpdate(zone: Zone, update: Update, permission: Permission): Applied {
  for (const prerequisite of update.prerequisites) {
    const failed = failure(zone, prerequisite)
    if (failed !== null) return { kind: failed }
  }
  if (!update.changes.every(change => isPermitted(change, permission))) return { kind: 'REFUSED' }
  const changed = update.changes.reduce((current, change) => make(current, change), zone)
  return { kind: 'done', zone: changed === zone ? zone : withNextSerial(changed, zone) }
}

// RFC 2136 §3.2.5.
function failure(
  zone: Zone,
  prerequisite: Prerequisite,
): 'YXDOMAIN' | 'YXRRSET' | 'NXDOMAIN' | 'NXRRSET' | null {
  switch (prerequisite.kind) {
    case 'name is in use':
      return zone.isInUse(prerequisite.name) ? null : 'NXDOMAIN'
    case 'name is not in use':
      return zone.isInUse(prerequisite.name) ? 'YXDOMAIN' : null
    case 'rrset exists':
      return zone.rrset(prerequisite.name, prerequisite.type).length > 0 ? null : 'NXRRSET'
    case 'rrset does not exist':
      return zone.rrset(prerequisite.name, prerequisite.type).length > 0 ? 'YXRRSET' : null
    case 'rrset is': {
      const { records } = prerequisite
      const [first] = records
      const present = first === undefined ? [] : zone.rrset(first.name, first.type)
      const covers = (a: readonly ResourceRecord[], b: readonly ResourceRecord[]): boolean =>
        b.every(record => a.some(other => sameData(record, other)))
      return covers(present, records) && covers(records, present) ? null : 'NXRRSET'
    }
  }
}

function isPermitted(change: Change, permission: Permission): boolean {
  switch (change.kind) {
    case 'add':
    case 'delete record':
      return permission(change.record.name, change.record.type)
    case 'delete rrset':
      return permission(change.name, change.type)
    case 'delete name':
      return permission(change.name, TYPE_ANY)
  }
}

/** RFC 2136 §3.4.2.7. The same zone comes back where nothing changes. */
function make(zone: Zone, change: Change): Zone {
  const records = zone.records()
  const isApex = (name: string): boolean => sameName(name, zone.origin)
  /** The zone without the records that `goes` names; SOA and NS of the origin stay. */
  const without = (goes: (record: ResourceRecord) => boolean): Zone => {
    const left = records.filter(
      record => !goes(record) || (isApex(record.name) && (record.type === 'SOA' || record.type === 'NS')),
    )
    return left.length === records.length ? zone : new Zone(zone.origin, left)
  }
  switch (change.kind) {
    case 'delete name':
      return without(record => sameName(record.name, change.name))
    case 'delete rrset':
      return without(record => sameName(record.name, change.name) && record.type === change.type)
    case 'delete record': {
      const { record } = change
      // Of the origin's NS records all but the last one may go.
      if (record.type === 'NS' && isApex(record.name) && zone.rrset(record.name, 'NS').length > 1) {
        const left = records.filter(other => !(sameName(other.name, record.name) && sameData(other, record)))
        return new Zone(zone.origin, left)
      }
      return without(other => sameName(other.name, record.name) && sameData(other, record))
    }
    case 'add':
      return add(zone, records, change.record)
  }
}

function add(zone: Zone, records: readonly ResourceRecord[], record: ResourceRecord): Zone {
  const types = zone.types(record.name)
  const isCname = record.type === 'CNAME'
  // A CNAME stands alone: what would stand beside another type is ignored.
  if (isCname ? types.some(type => type !== 'CNAME') : types.includes('CNAME')) return zone
  if (record.type === 'SOA') {
    if (record.data === null || !isNewer(record.data.serial, zone.soa().data.serial)) return zone
    if (!sameName(record.name, zone.origin)) return zone
  }
  const replaced = (other: ResourceRecord): boolean =>
    sameName(other.name, record.name) &&
    other.type === record.type &&
    (isCname || record.type === 'SOA' || sameData(other, record))
  return new Zone(zone.origin, [...records.filter(other => !replaced(other)), record])
}

/** RFC 2136 §3.6: the serial grows with every change, unless the update itself set a newer one. */
function withNextSerial(changed: Zone, before: Zone): Zone {
  const soa = changed.soa()
  if (isNewer(soa.data.serial, before.soa().data.serial)) return changed
  // RFC 2136 §4.2: never zero.
  const serial = (soa.data.serial + 1) % 2 ** 32 || 1
  const others = changed.records().filter(record => record.type !== 'SOA')
  return new Zone(changed.origin, [{ ...soa, data: { ...soa.data, serial } }, ...others])
}

/** Serial number arithmetic, RFC 1982 §3.2. */
function isNewer(serial: number, than: number): boolean {
  const ahead = (serial - than + 2 ** 32) % 2 ** 32
  return ahead !== 0 && ahead < 2 ** 31
}
