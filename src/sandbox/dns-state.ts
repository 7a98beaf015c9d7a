/**
 * What updates changed, as a JSON file: the RRsets of each zone that differ from the configured ones. The
 * rest is not kept, so that a record added to the configuration appears although the file is old.
 */

import { readFileSync } from 'node:fs'
import { writeWhole } from '../config/whole-file.ts'
import type { ResourceRecord } from '../dns/message.ts'
import { formatRecord, parseRecord, sameData, Zone, type ZoneRecord } from './dns-zone.ts'

interface ZoneState {
  readonly origin: string
  /** An RRset as it is now; no records: it was deleted. */
  readonly rrsets: readonly {
    readonly name: string
    readonly type: string
    readonly records: readonly ZoneRecord[]
  }[]
}

/** @throws Error the file is there and cannot be read or understood */
export function loadState(file: string, configured: readonly Zone[]): Zone[] {
  try {
    const states = JSON.parse(readFileSync(file, 'utf8')) as readonly ZoneState[]
    return configured.map(zone => {
      const state = states.find(candidate => candidate.origin === zone.origin)
      return state === undefined ? zone : overlay(zone, state)
    })
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [...configured]
    throw new Error(`${file}: cannot be read as the state of the DNS server; remove it to begin anew`, {
      cause,
    })
  }
}

/** The file is whole at any moment: written beside, then renamed. */
export function saveState(file: string, configured: readonly Zone[], current: readonly Zone[]): void {
  const states = current.map((zone, index) => difference(configured[index] ?? zone, zone))
  writeWhole(file, `${JSON.stringify(states, null, 2)}\n`)
}

function overlay(zone: Zone, state: ZoneState): Zone {
  const key = (record: { name: string; type: string }): string => `${record.name} ${record.type}`
  const changed = new Set(state.rrsets.map(key))
  const kept = zone
    .records()
    .filter(record => !changed.has(key({ ...record, name: relativeName(record, zone) })))
  const added = state.rrsets.flatMap(rrset => rrset.records.map(record => parseRecord(record, zone.origin)))
  return new Zone(zone.origin, [...kept, ...added])
}

function difference(before: Zone, after: Zone): ZoneState {
  const rrsets: ZoneState['rrsets'][number][] = []
  const seen = new Set<string>()
  for (const { name, type } of [...before.records(), ...after.records()]) {
    const key = `${name.toLowerCase()} ${type}`
    if (seen.has(key)) continue
    seen.add(key)
    const old = before.rrset(name, type)
    const now = after.rrset(name, type)
    if (isSame(old, now)) continue
    const records = now.map(record => formatRecord(record, after.origin)).filter(record => record !== null)
    const first = now[0] ?? old[0]
    if (first !== undefined) rrsets.push({ name: relativeName(first, after), type, records })
  }
  return { origin: after.origin, rrsets }
}

function isSame(a: readonly ResourceRecord[], b: readonly ResourceRecord[]): boolean {
  return (
    a.length === b.length &&
    a.every(record => b.some(other => sameData(record, other) && record.ttlSeconds === other.ttlSeconds))
  )
}

function relativeName(record: ResourceRecord, zone: Zone): string {
  return formatRecord(record, zone.origin)?.name ?? record.name
}
