/**
 * Which ids were put already. Of a message that is queued its record tells, of one that is gone its story. Where a story goes
 * before the id may be forgotten, as the oldest of very many do, and where none is kept, the id itself is kept, in `seen`.
 */

import { decodeStory } from './record.ts'
import type { Tables } from './tables.ts'

const NOTHING = Buffer.alloc(0)
const FORGOTTEN = 'forgotten'

/** Whether the id was put in the time ids are remembered, or is queued still. */
export function isKnown(tables: Tables, id: string): boolean {
  return tables.messages.doesExist(id) || tables.seen.doesExist(id) || isTold(tables, id)
}

function isTold(tables: Tables, id: string): boolean {
  const octets = tables.stories.getBinaryFast(id)
  return octets !== undefined && decodeStory(octets).message.arrivedMs >= forgottenUntil(tables)
}

/** Within a transaction: nothing else will tell of the id, of a message that arrived at `arrivedMs`. */
export function remember(tables: Tables, id: string, arrivedMs: number): void {
  if (arrivedMs >= forgottenUntil(tables)) keepId(tables, id, arrivedMs)
}

/** Within the transaction that puts it: of what arrived so long ago its story will not tell, and until the next sweep it is known. */
export function rememberOld(tables: Tables, id: string, arrivedMs: number): void {
  if (arrivedMs < forgottenUntil(tables)) keepId(tables, id, arrivedMs)
}

function keepId({ seen, seenAt }: Tables, id: string, arrivedMs: number): void {
  seen.put(id, NOTHING)
  seenAt.put([arrivedMs, id], NOTHING)
}

/** Within a transaction: ids of messages that arrived before `untilMs` are not known any more; of those in `seen` at most `limit`. @returns how many */
export function forgetIds(tables: Tables, untilMs: number, limit: number): number {
  const { seen, seenAt, counters } = tables
  if (untilMs > forgottenUntil(tables)) counters.put(FORGOTTEN, Buffer.from(String(untilMs)))
  const keys = Array.from(seenAt.getKeys({ end: [untilMs], limit })) as [number, string][]
  for (const key of keys) {
    seenAt.remove(key)
    seen.remove(key[1])
  }
  return keys.length
}

/** Messages that arrived before are not remembered. */
function forgottenUntil({ counters }: Tables): number {
  const octets = counters.getBinaryFast(FORGOTTEN)
  return octets ? Number(octets.toString('latin1', 0, octets.length)) : Number.NEGATIVE_INFINITY
}
