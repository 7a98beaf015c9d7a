/**
 * The order in which parts are due, on disk: `due` has each part that has a pending recipient under [destination, dueMs,
 * id], `heads` the first of each destination under [dueMs, destination]. So the most overdue parts of all destinations
 * are found by merging, and a destination that is passed over costs one step, however many messages wait for it.
 */

import type { Database, Key } from 'lmdb'

export interface DueTables {
  readonly due: Database<Uint8Array, Key>
  readonly heads: Database<Uint8Array, Key>
}

export interface Due {
  readonly destination: string
  readonly dueMs: number
  readonly id: string
}

const NOTHING = new Uint8Array(0)
/** How many entries of a destination are read at first, and at most; most are asked for one. */
const FIRST_CHUNK = 4
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
  const oldHead = headOf(due, destination)
  if (wasMs !== null) due.remove([destination, wasMs, id])
  if (isMs !== null) due.put([destination, isMs, id], NOTHING)
  const newHead = headOf(due, destination)
  if (newHead === oldHead) return
  if (oldHead !== null) heads.remove([oldHead, destination])
  if (newHead !== null) heads.put([newHead, destination], NOTHING)
}

/** What is due at `nowMs` and not `isLeased`, most overdue first. Who takes one and asks `pass` gets no more like it. */
export function* overdue(
  tables: DueTables,
  nowMs: number,
  isLeased: (due: Due) => boolean,
  pass: (destination: string) => boolean,
): Generator<Due> {
  const heads = headsUntil(tables, nowMs)
  // The next of each destination that was begun, in order; its rest comes from the walk.
  const begun: { next: Due; walk: Generator<Due> }[] = []
  const advance = (walk: Generator<Due>) => {
    const { value, done } = walk.next()
    if (done) return
    const at = begun.findIndex(({ next }) => isBefore(value, next))
    begun.splice(at < 0 ? begun.length : at, 0, { next: value, walk })
  }
  try {
    let head = heads.next()
    for (;;) {
      const first = begun[0]
      if (!head.done && (!first || isBefore(head.value, first.next))) {
        advance(walkOf(tables, head.value.destination, nowMs, isLeased))
        head = heads.next()
      } else if (first) {
        begun.shift()
        if (pass(first.next.destination)) continue
        yield first.next
        advance(first.walk)
      } else {
        return
      }
    }
  } finally {
    heads.return?.()
  }
}

/** When the next that is not `isLeased` is due. */
export function firstDue(tables: DueTables, isLeased: (due: Due) => boolean): number | null {
  let first: number | null = null
  for (const { destination, dueMs } of headsUntil(tables, Infinity)) {
    if (first !== null && dueMs >= first) break
    const { value, done } = walkOf(tables, destination, first ?? Infinity, isLeased).next()
    if (!done && (first === null || value.dueMs < first)) first = value.dueMs
  }
  return first
}

function* headsUntil({ heads }: DueTables, untilMs: number): Generator<Omit<Due, 'id'>, void> {
  for (const [dueMs, destination] of heads.getKeys({ end: [untilMs + 1] }) as Iterable<[number, string]>) {
    yield { dueMs, destination }
  }
}

/** One destination's, in order. No cursor stays open between two of them. */
function* walkOf(
  { due }: DueTables,
  destination: string,
  untilMs: number,
  isLeased: (due: Due) => boolean,
): Generator<Due, void> {
  let limit = FIRST_CHUNK
  let start: Key = [destination]
  for (;;) {
    const range = { start, end: [destination, untilMs + 1], exclusiveStart: true, limit }
    const keys = Array.from(due.getKeys(range)) as [string, number, string][]
    for (const [, dueMs, id] of keys) {
      const entry = { destination, dueMs, id }
      if (!isLeased(entry)) yield entry
    }
    const last = keys.at(-1)
    if (!last || keys.length < limit) return
    start = last
    limit = Math.min(limit * 2, LARGEST_CHUNK)
  }
}

function headOf(due: DueTables['due'], destination: string): number | null {
  const range = { start: [destination], end: [destination, Infinity], limit: 1 }
  for (const [, dueMs] of due.getKeys(range) as Iterable<[string, number]>) return dueMs
  return null
}

/** Ties are broken by destination; within one, `due` is in order already. */
function isBefore(one: Omit<Due, 'id'>, other: Omit<Due, 'id'>): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.destination < other.destination)
}
