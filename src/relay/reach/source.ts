/**
 * What address a message leaves from, by sources.toml: a pool by the domain of its sender, and of the pool an address by the
 * message's id, so that each attempt at a message comes from where the first did (greylists want that), and an address more or
 * less in a pool moves few. Pure.
 */

import type { SourceRule } from '../../config/sources.ts'
import { matches } from '../shaping.ts'

export interface Source {
  /** For the log; '' where there are no sources. */
  readonly name: string
  /** '' for the pool of those who have no other. */
  readonly pool: string
  /** The name in EHLO. */
  readonly hostname: string
  /** The address to connect from; undefined: the system chooses; null: this family is not used. */
  readonly ipv4: string | undefined | null
  readonly ipv6: string | undefined | null
}

/** Where nothing is said of sources. */
export function usualSource(hostname: string): Source {
  return { name: '', pool: '', hostname, ipv4: undefined, ipv6: undefined }
}

/** The pool for a sender's domain: that of the first source that names the domain; '' when none does. */
export function poolFor(rules: readonly SourceRule[], senderDomain: string | null): string {
  if (senderDomain === null) return ''
  return rules.find(({ senders }) => senders?.some(pattern => matches(pattern, senderDomain)))?.pool ?? ''
}

/** How much a source may still send today, in messages; null: as much as there is. */
export type DayRoom = (rule: SourceRule) => number | null

/**
 * The source of a message: by weighted rendezvous hashing over those of the pool that are not excluded and have room today. Null: no
 * source of the pool may send today.
 */
export function sourceFor(
  rules: readonly SourceRule[],
  pool: string,
  id: string,
  hostname: string,
  dayRoom: DayRoom,
): Source | null {
  const ofPool = rules.filter(rule => (rule.pool ?? '') === pool)
  if (ofPool.length === 0) return usualSource(hostname)
  let best: { readonly rule: SourceRule; readonly score: number } | null = null
  for (const rule of ofPool) {
    const room = dayRoom(rule)
    if (room !== null && room <= 0) continue
    const score = -(rule.weight ?? 1) / Math.log(uniform(`${rule.name} ${id}`))
    if (best === null || score > best.score) best = { rule, score }
  }
  return best === null ? null : toSource(best.rule, hostname)
}

/** How many messages a source that is being warmed up may send on a day (UTC): each day some more than on the one before. */
export function dayLimit({ warmUp }: SourceRule, nowMs: number): number | null {
  if (warmUp === undefined) return null
  const day = Math.floor((nowMs - warmUp.sinceMs) / DAY_MS)
  if (day < 0) return 0
  const limit = warmUp.firstDay * warmUp.growth ** day
  return limit >= warmUp.until ? null : Math.floor(limit)
}

const DAY_MS = 24 * 3600_000

function toSource({ name, pool, hostname, addresses }: SourceRule, usual: string): Source {
  const ipv6 = addresses.find(address => address.includes(':')) ?? null
  const ipv4 = addresses.find(address => !address.includes(':')) ?? null
  return { name, pool: pool ?? '', hostname: hostname ?? usual, ipv4, ipv6 }
}

/** 0 < x < 1, from FNV-1a with a final mixing (MurmurHash3's): even enough to share mail out, and the same for ever. */
function uniform(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  hash ^= hash >>> 16
  return ((hash >>> 0) + 0.5) / 2 ** 32
}
