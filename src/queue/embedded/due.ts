/**
 * The order in which parts are due, on disk: `due` has each part that has a pending recipient under [destination, dueMs,
 * id], `heads` the first of each destination under [dueMs, destination]. So the most overdue parts of all destinations
 * are found by merging, and a destination that is passed over costs one step, however many messages wait for it.
 */

import type { Database, Key } from 'lmdb'

export interface DueTables {
  readonly due: Database<Buffer, Key>
  readonly heads: Database<Buffer, Key>
}

/** A place in the line of one destination. */
export interface Place {
  readonly dueMs: number
  readonly id: string
}

export interface Due extends Place {
  readonly destination: string
}

/** A destination in the line of all. */
export type Head = Omit<Due, 'id'>

const NOTHING = Buffer.alloc(0)
/** How many places are read at first, and at most; most are asked for one. */
const FIRST_CHUNK = 2
const LARGEST_CHUNK = 256

/** Within a transaction: the part was due at `wasMs` and is at `isMs`; `null`: it was not, or is no more, pending. */
export function moveDue(
  { due, heads }: DueTables,
  destination: string,
  id: string,
  wasMs: number | null,
  isMs: number | null,
): void {
  if (wasMs === isMs) return
  // Most that leave are the head: to ask that is less than to look for the head.
  const wasHead = wasMs !== null && heads.doesExist([wasMs, destination])
  const oldHead = wasHead ? wasMs : headOf(due, destination)
  if (wasMs !== null) due.remove([destination, wasMs, id])
  if (isMs !== null) due.put([destination, isMs, id], NOTHING)
  const newHead = wasHead ? headOf(due, destination) : earlier(oldHead, isMs)
  if (newHead === oldHead) return
  if (oldHead !== null) heads.remove([oldHead, destination])
  if (newHead !== null) heads.put([newHead, destination], NOTHING)
}

/** Destinations by their first place, after `after`. */
export function* headsAfter({ heads }: DueTables, after: Head | null): Generator<Head, void> {
  const range = after ? { start: [after.dueMs, after.destination], exclusiveStart: true } : {}
  for (const [dueMs, destination] of heads.getKeys(range) as Iterable<[number, string]>) {
    yield { dueMs, destination }
  }
}

/** The line of one destination from `from` on. No cursor stays open between two places. */
export function* lineOf({ due }: DueTables, destination: string, from: Place): Generator<Place, void> {
  const end = [destination, Number.POSITIVE_INFINITY]
  let start: Key = [destination, from.dueMs, from.id]
  for (let limit = FIRST_CHUNK, exclusiveStart = false; ; exclusiveStart = true) {
    const keys = Array.from(due.getKeys({ start, end, exclusiveStart, limit })) as [string, number, string][]
    for (const [, dueMs, id] of keys) yield { dueMs, id }
    const last = keys.at(-1)
    if (!last || keys.length < limit) return
    start = last
    limit = Math.min(limit * 2, LARGEST_CHUNK)
  }
}

function headOf(due: DueTables['due'], destination: string): number | null {
  const range = { start: [destination], end: [destination, Number.POSITIVE_INFINITY], limit: 1 }
  for (const [, dueMs] of due.getKeys(range) as Iterable<[string, number]>) return dueMs
  return null
}

function earlier(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other
  return Math.min(one, other)
}

/** Ties are broken by destination. */
export function isBefore(one: Head, other: Head): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.destination < other.destination)
}
