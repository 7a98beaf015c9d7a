/** What a zone has that concerns mail, out of all its records, and who wrote it. */

import type { ResourceRecord } from '../dns/message.ts'
import { isInZone, sameName } from '../dns/name.ts'
import { txtText } from '../dns/rdata.ts'
import { isSpf } from '../dns/spf.ts'
import { type Rr, show, srvRr, txtRr } from './finding.ts'
import { Ownership, ownershipName } from './ownership.ts'
import type { DkimKey } from './services.ts'

export interface Entry {
  /** `ptt`: by `ptt dns apply`; `signer`: a key of the signer; `null`: somebody else, or by hand. */
  readonly writer: 'ptt' | 'signer' | null
  readonly name: string
  readonly type: 'TXT' | 'SRV' | 'MX' | 'CNAME'
  readonly ttlSeconds: number
  /** As in a master file. */
  readonly value: string
}

/** Names under which there is something about mail whatever it says. */
const MAIL_NAME =
  /^(?:_dmarc|_mta-sts|_smtp\._tls|_submissions?\._tcp|_acme-challenge)\.|(?:^|\.)(?:_domainkey|_report\._dmarc)\./

export interface InventoryOptions {
  readonly zone: string
  /** Only what is at these names or below them. */
  readonly domains: readonly string[]
  readonly keys: readonly DkimKey[]
  readonly sameKey: (one: string, other: string) => boolean
}

/** In the order of the names, those of a domain together: from the right. */
export function inventory(records: readonly ResourceRecord[], options: InventoryOptions): Entry[] {
  const { zone, domains } = options
  const list = records.filter(({ name }) => sameName(name, ownershipName(zone)))
  const ownership = new Ownership(list.flatMap(record => textOf(record) ?? []))
  return records
    .filter(({ name }) => domains.some(domain => isInZone(name, domain)))
    .flatMap(record => entryOf(record, ownership, options) ?? [])
    .toSorted((one, other) => (sortKey(one) < sortKey(other) ? -1 : 1))
}

function entryOf(record: ResourceRecord, ownership: Ownership, options: InventoryOptions): Entry | null {
  const name = record.name.toLowerCase()
  const { ttlSeconds } = record
  const isMail = MAIL_NAME.test(`${name}.`)
  if (record.data === null) return null
  switch (record.type) {
    case 'MX': {
      const { preference, exchange } = record.data
      return { writer: null, name, type: 'MX', ttlSeconds, value: `${preference} ${exchange || '.'}` }
    }
    case 'CNAME':
      return isMail ? { writer: null, name, type: 'CNAME', ttlSeconds, value: record.data } : null
    case 'TXT':
    case 'SRV': {
      const rr = record.type === 'TXT' ? txtRr(txtText(record.data), record.data) : srvRr(record.data)
      if (!isMail && !(rr.type === 'TXT' && isSpf(rr.text))) return null
      return {
        writer: writerOf(name, rr, ownership, options),
        name,
        type: rr.type,
        ttlSeconds,
        value: show(rr),
      }
    }
    default:
      return null
  }
}

function writerOf(
  name: string,
  rr: Rr,
  ownership: Ownership,
  { keys, sameKey }: InventoryOptions,
): Entry['writer'] {
  if (ownership.owns(name, rr)) return 'ptt'
  const isKey = keys.some(
    ({ domain, selector, record }) =>
      sameName(name, `${selector}._domainkey.${domain}`) && sameKey(record, rr.text),
  )
  return isKey ? 'signer' : null
}

function textOf(record: ResourceRecord): string | null {
  return record.type === 'TXT' && record.data !== null ? txtText(record.data) : null
}

function sortKey({ name, type, value }: Entry): string {
  return `${name.split('.').toReversed().join('.')} ${type} ${value}`
}
