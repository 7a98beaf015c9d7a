/**
 * A zone as data, and what an authoritative server says of it: RFC 1034 §4.3.2 without delegations, wildcards
 * by RFC 4592. A zone is never changed: an update gives another one (dns-update.ts).
 */

import { canonicalData, type RecordClass, type ResourceRecord } from '../dns/message.ts'
import { canonicalName, isInZone } from '../dns/name.ts'
import type { AnyType, RecordType, Soa } from '../dns/rdata.ts'
import { formatData, parseData } from './dns-presentation.ts'

export interface ZoneData {
  /** `example.com`, or `.`: every name there is. */
  readonly origin: string
  /** One SOA and one NS record are made up where none is given. */
  readonly records: readonly ZoneRecord[]
}

export interface ZoneRecord {
  /** Relative to the origin; `@` is the origin itself, `*` stands for every name that is not there. */
  readonly name: string
  readonly type: RecordType
  /** As in a master file (RFC 1035 §5.1), but names are always whole, and TXT is the text without quotes. */
  readonly data: string
  readonly ttlSeconds?: number
}

export type Lookup =
  | { readonly kind: 'records'; readonly records: readonly ResourceRecord[] }
  | { readonly kind: 'cname'; readonly records: readonly ResourceRecord[] }
  | { readonly kind: 'nodata'; readonly soa: ResourceRecord }
  | { readonly kind: 'nxdomain'; readonly soa: ResourceRecord }

const DEFAULT_TTL_SECONDS = 60
/** Short, because a sandbox is where one looks at once for what was just published. */
const NEGATIVE_TTL_SECONDS = 5

/** Owner name → type → RRset; names in lower case. */
type Tree = ReadonlyMap<string, ReadonlyMap<AnyType, readonly ResourceRecord[]>>

export class Zone {
  readonly origin: string
  readonly #tree: Tree
  /** Owner names and the empty names between them and the origin. */
  readonly #names: ReadonlySet<string>

  constructor(origin: string, records: readonly ResourceRecord[]) {
    this.origin = canonicalName(origin)
    const tree = new Map<string, Map<AnyType, ResourceRecord[]>>()
    const names = new Set([this.origin])
    for (const record of records) {
      const name = canonicalName(record.name)
      const types = tree.get(name) ?? new Map<AnyType, ResourceRecord[]>()
      tree.set(name, types.set(record.type, [...(types.get(record.type) ?? []), record]))
      for (let above = name; above !== this.origin && !names.has(above); above = parent(above))
        names.add(above)
    }
    this.#tree = tree
    this.#names = names
  }

  static parse(data: ZoneData): Zone {
    const origin = canonicalName(data.origin)
    const given = data.records.map(record => parseRecord(record, origin))
    const has = (type: RecordType): boolean =>
      given.some(record => record.type === type && record.name === origin)
    const madeUp: ZoneRecord[] = []
    const ns = origin === '.' ? 'ns' : `ns.${origin}`
    const hostmaster = origin === '.' ? 'hostmaster' : `hostmaster.${origin}`
    if (!has('SOA')) {
      madeUp.push({
        name: '@',
        type: 'SOA',
        data: `${ns} ${hostmaster} 1 3600 600 86400 ${NEGATIVE_TTL_SECONDS}`,
      })
    }
    if (!has('NS')) madeUp.push({ name: '@', type: 'NS', data: ns })
    return new Zone(origin, [...madeUp.map(record => parseRecord(record, origin)), ...given])
  }

  /** The inverse of `parse`. */
  export(): ZoneData {
    const records = this.records().map(record => formatRecord(record, this.origin))
    return { origin: this.origin, records: records.filter(record => record !== null) }
  }

  records(): ResourceRecord[] {
    return [...this.#tree.values()].flatMap(types => [...types.values()].flat())
  }

  rrset(name: string, type: AnyType): readonly ResourceRecord[] {
    return this.#tree.get(canonicalName(name))?.get(type) ?? []
  }

  /** RFC 2136 §2.4.4: owns a record; an empty name does not count. */
  isInUse(name: string): boolean {
    return this.#tree.has(canonicalName(name))
  }

  types(name: string): AnyType[] {
    return [...(this.#tree.get(canonicalName(name))?.keys() ?? [])]
  }

  soa(): ResourceRecord & { readonly type: 'SOA'; readonly data: Soa } {
    const [soa] = this.rrset(this.origin, 'SOA')
    if (soa?.type !== 'SOA' || soa.data === null) throw new Error(`zone ${this.origin} has no SOA`)
    return { ...soa, data: soa.data }
  }

  lookup(name: string, type: AnyType): Lookup {
    const asked = canonicalName(name)
    const source = this.#names.has(asked) ? asked : this.#wildcard(asked)
    if (source === null) return { kind: 'nxdomain', soa: this.#negativeSoa() }
    // RFC 4592 §3.3.2: a synthesized record is owned by the name that was asked for.
    const own = (record: ResourceRecord): ResourceRecord => ({ ...record, name })
    const rrset = this.rrset(source, type)
    if (rrset.length > 0) return { kind: 'records', records: rrset.map(own) }
    const cname = this.rrset(source, 'CNAME')
    if (cname.length > 0) return { kind: 'cname', records: cname.map(own) }
    return { kind: 'nodata', soa: this.#negativeSoa() }
  }

  /** RFC 4592 §3.3.1: `*` below the closest name that is there. */
  #wildcard(name: string): string | null {
    let closest = parent(name)
    while (!this.#names.has(closest)) closest = parent(closest)
    const wildcard = closest === '.' ? '*' : `*.${closest}`
    return this.#names.has(wildcard) ? wildcard : null
  }

  /** RFC 2308 §3: the TTL of a negative answer is the lesser of the SOA's own and its minimum. */
  #negativeSoa(): ResourceRecord {
    const soa = this.soa()
    return { ...soa, ttlSeconds: Math.min(soa.ttlSeconds, soa.data.minimum) }
  }
}

export function parseRecord(record: ZoneRecord, origin: string): ResourceRecord {
  const name =
    record.name === '@' ? origin : canonicalName(origin === '.' ? record.name : `${record.name}.${origin}`)
  return {
    name,
    type: record.type,
    class: 'IN' satisfies RecordClass,
    ttlSeconds: record.ttlSeconds ?? DEFAULT_TTL_SECONDS,
    data: parseData(record.type, record.data),
  } as ResourceRecord
}

/** `null`: a type that has no presentation here. */
export function formatRecord(record: ResourceRecord, origin: string): ZoneRecord | null {
  const formatted = formatData(record)
  if (formatted === null) return null
  const owner = canonicalName(record.name)
  const relative = owner.slice(0, owner.length - (origin === '.' ? 0 : origin.length + 1))
  return { name: owner === origin ? '@' : relative, ...formatted, ttlSeconds: record.ttlSeconds }
}

/** The zone with the longest origin that the name is in. */
export function zoneOf(zones: readonly Zone[], name: string): Zone | null {
  const holding = zones.filter(zone => isInZone(name, zone.origin))
  return holding.reduce<Zone | null>(
    (best, zone) => (best && best.origin.length > zone.origin.length ? best : zone),
    null,
  )
}

export function sameData(a: ResourceRecord, b: ResourceRecord): boolean {
  return a.type === b.type && canonicalData(a).equals(canonicalData(b))
}

function parent(name: string): string {
  const dot = name.indexOf('.')
  return dot === -1 || name === '.' ? '.' : name.slice(dot + 1)
}
