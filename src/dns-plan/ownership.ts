/**
 * Which records are ours: the zone itself says so. At `_ptt.<zone>` there is a TXT record for each that was
 * written, with its name, type and a hash of its data; it is written and removed in the same update as the record.
 *
 * So it is true wherever `ptt dns` is run from, it cannot be lost without the zone, and a record that somebody
 * changed by hand is not ours any more: its hash is another.
 */

import { createHash } from 'node:crypto'
import { canonicalName } from '../dns/name.ts'
import type { Rr, WrittenType } from './finding.ts'

const VERSION = 'v=ptt1'

/** `_ptt.example.com` */
export function ownershipName(zone: string): string {
  return zone === '.' ? '_ptt' : `_ptt.${zone}`
}

/** `v=ptt1; n=_dmarc.example.com; t=TXT; h=…` */
export function ownershipText(name: string, rr: Rr): string {
  // 132 bits: nobody finds another record with the same hash.
  const hash = createHash('sha256').update(rr.text).digest('base64url').slice(0, 22)
  return `${VERSION}; n=${canonicalName(name)}; t=${rr.type}; h=${hash}`
}

export class Ownership {
  readonly #texts: ReadonlySet<string>

  /** @param texts of the TXT records at `ownershipName` */
  constructor(texts: readonly string[]) {
    this.#texts = new Set(texts)
  }

  /** Was written by us, and is still what we wrote. */
  owns(name: string, rr: Rr): boolean {
    return this.#texts.has(ownershipText(name, rr))
  }

  /** The entries of a name and type, that of `except` left out: they are about records that are gone. */
  stale(name: string, type: WrittenType, except: readonly Rr[]): string[] {
    const head = `${VERSION}; n=${canonicalName(name)}; t=${type}; `
    const kept = new Set(except.map(rr => ownershipText(name, rr)))
    return [...this.#texts].filter(text => text.startsWith(head) && !kept.has(text))
  }
}
