/**
 * The TXT record that proves a name, RFC 8555 §8.4: one value beside others. It is added to what was seen (prerequisites of
 * RFC 2136) and taken away by itself, so that what other ACME clients have at the same name stays as it is, whoever comes
 * first.
 */

import { setTimeout as pause } from 'node:timers/promises'
import type { Interpretation } from '../dns/answer.ts'
import type { ResourceRecord } from '../dns/message.ts'
import { sameName } from '../dns/name.ts'
import { txtStrings, txtText } from '../dns/rdata.ts'
import type { TsigKey } from '../dns/tsig.ts'
import type { Update } from '../dns/update.ts'
import {
  askAuthorities,
  authoritiesAt,
  findAuthorities,
  findPrimary,
  findZone,
  objections,
} from '../net/authorities.ts'
import { type Endpoint, formatEndpoint } from '../net/endpoint.ts'
import { askPrimary, sendUpdate } from '../net/nsupdate.ts'
import type { Resolver } from '../net/resolver.ts'

/** How to the DNS. */
export interface DnsDoor {
  readonly resolver: Resolver
  readonly tsigKey: TsigKey
  /** The primary server of a zone as configured; `null`: what the zone's SOA says. */
  readonly primaryOf: (zone: string) => Endpoint | null
  /** Who must have a record before it is public; empty: the servers of the zone's NS records. */
  readonly authorities: readonly Endpoint[]
  readonly propagationMs: number
  readonly signal: AbortSignal
}

/** Where a record is written. */
export interface Place {
  /** The owner of the TXT record: where CNAMEs led. */
  readonly name: string
  readonly zone: string
  readonly primary: Endpoint
}

export type Trouble = { readonly kind: 'trouble'; readonly reason: string }
export type Done = { readonly kind: 'done' }
const DONE: Done = { kind: 'done' }

/** RFC 1034 §3.6.2: aliases of aliases are to be followed, and loops to be noticed. */
const MAX_CNAMES = 8
/** Short: nobody is to remember it. */
const TTL_SECONDS = 60
/** Others may write at the same name at the same moment. */
const MAX_RACES = 5

/**
 * The place for the proof of a name: CNAMEs at `_acme-challenge` are followed, so that it can be delegated to a zone with
 * nothing else in it.
 */
export async function locate(
  recordName: string,
  door: DnsDoor,
): Promise<({ readonly kind: 'place' } & Place) | Trouble> {
  const { resolver } = door
  let name = recordName
  for (let cnames = 0; ; cnames++) {
    const found = await resolver.query(name, 'CNAME', { fresh: true })
    if (found.kind === 'failure') return trouble(`where ${recordName} is: ${found.reason}`)
    const target = found.kind === 'answer' ? found.records[0] : undefined
    if (target === undefined) break
    if (cnames === MAX_CNAMES) return trouble(`${recordName}: more than ${MAX_CNAMES} CNAMEs, or a loop`)
    name = target
  }
  const found = await findZone(name, resolver)
  if (found.kind === 'failure') return trouble(`the zone of ${name}: ${found.reason}`)
  const { zone } = found
  const configured = door.primaryOf(zone)
  if (configured !== null) return { kind: 'place', name, zone, primary: configured }
  const primary = await findPrimary(name, resolver, { signal: door.signal })
  if (primary.kind === 'failure') {
    return trouble(`the primary server of ${zone}: ${primary.reason}; or write [certificate] primary`)
  }
  return { kind: 'place', name, zone, primary: primary.primary }
}

/** Adds the value to those that are there. */
export async function addValue(place: Place, value: string, door: DnsDoor): Promise<Done | Trouble> {
  for (let races = 0; ; races++) {
    const found = await askPrimary(place.primary, place.name, 'TXT', { signal: door.signal })
    const plan = planAddition(place, value, found)
    if (plan.kind !== 'update') return plan
    const outcome = await sendUpdate(place.primary, plan.update, door.tsigKey, { signal: door.signal })
    if (outcome.kind === 'done') return DONE
    if (outcome.kind === 'failure') return trouble(outcome.reason)
    const raced = outcome.code === 'YXRRSET' || outcome.code === 'NXRRSET'
    if (!raced || races === MAX_RACES) return trouble(outcome.explanation)
  }
}

/** @param found the TXT records at the name, as the primary has them */
export function planAddition(
  { name, zone, primary }: Place,
  value: string,
  found: Interpretation<readonly Uint8Array[]>,
): Done | Trouble | { readonly kind: 'update'; readonly update: Update } {
  const record = (ttlSeconds: number, strings: readonly Uint8Array[]): ResourceRecord => {
    return { name, type: 'TXT', class: 'IN', ttlSeconds, data: strings }
  }
  switch (found.kind) {
    case 'failure':
      return trouble(found.reason)
    case 'alias':
      return trouble(`${formatEndpoint(primary)} has a CNAME at ${name}, and the resolver none (yet)`)
    case 'nodata':
    case 'nxdomain': {
      // RFC 2136 §3.4.2.2: beside a CNAME an addition is ignored, without a word.
      const prerequisites = (['TXT', 'CNAME'] as const).map(
        type => ({ kind: 'rrset does not exist', name, type }) as const,
      )
      const changes = [{ kind: 'add', record: record(TTL_SECONDS, txtStrings(value)) } as const]
      return { kind: 'update', update: { zone, prerequisites, changes } }
    }
    case 'answer': {
      if (!sameName(found.name, name)) {
        return trouble(`${formatEndpoint(primary)} has a CNAME at ${name}, and the resolver none (yet)`)
      }
      if (found.records.some(strings => txtText(strings) === value)) return DONE
      const { ttlSeconds } = found
      const seen = found.records.map(strings => record(ttlSeconds, strings))
      // RFC 2181 §5.2: an RRset has one TTL, so ours would change theirs.
      const changes = [{ kind: 'add', record: record(ttlSeconds, txtStrings(value)) } as const]
      return {
        kind: 'update',
        update: { zone, prerequisites: [{ kind: 'rrset is', records: seen }], changes },
      }
    }
    default:
      return found satisfies never
  }
}

/** Takes the value away, and nothing else. Nothing to do where it is not there. */
export async function removeValue(place: Place, value: string, door: DnsDoor): Promise<Done | Trouble> {
  const { name, zone, primary } = place
  const record: ResourceRecord = { name, type: 'TXT', class: 'IN', ttlSeconds: 0, data: txtStrings(value) }
  // RFC 2136 §3.4.2.4: the deletion of a record that is not there is ignored.
  const update: Update = { zone, prerequisites: [], changes: [{ kind: 'delete record', record }] }
  // Without the signal: who stops cleans up first.
  const outcome = await sendUpdate(primary, update, door.tsigKey)
  if (outcome.kind === 'done') return DONE
  return trouble(outcome.kind === 'failure' ? outcome.reason : outcome.explanation)
}

const FIRST_LOOK_MS = 500
const LONGEST_LOOK_MS = 10_000

/** Resolves when every authoritative server of the zone has the value: the CA may ask any. */
export async function seenEverywhere(
  { name, zone }: Place,
  value: string,
  door: DnsDoor,
): Promise<Done | Trouble> {
  const { resolver, authorities, propagationMs, signal } = door
  const found = authorities.length > 0 ? authoritiesAt(authorities) : await findAuthorities(zone, resolver)
  if (found.kind === 'failure') return trouble(`the servers of ${zone}: ${found.reason}`)
  const startedMs = performance.now()
  for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(waitMs * 2, LONGEST_LOOK_MS)) {
    const answers = await askAuthorities(found, name, 'TXT', { signal })
    const missing = objections(answers, answer => {
      const has = answer.kind === 'answer' && answer.records.some(strings => txtText(strings) === value)
      return has ? null : `does not have the TXT record of ${name}`
    })
    if (missing.length === 0) return DONE
    if (performance.now() - startedMs >= propagationMs) {
      return trouble(`after ${Math.round(propagationMs / 1000)} s: ${missing.join('; ')}`)
    }
    await pause(waitMs, undefined, { signal })
  }
}

function trouble(reason: string): Trouble {
  return { kind: 'trouble', reason }
}
