/**
 * The order in which parts are due, on disk: `due` has each part that has a pending recipient under [destination, dueMs,
 * unit], `heads` the first of each destination under [dueMs, destination]. So the most overdue parts of all destinations
 * are found by merging, and a destination that is passed over costs one step, however many messages wait for it.
 *
 * What was due as it arrived is in `fresh` and `freshHeads` instead, which are of the same form: most mail comes and goes
 * there. Among a million that wait, each that comes and each that goes would rewrite a page of `due` that no other does.
 *
 * Each priority (RFC 6710) has lines and heads of its own: its lines under the destination and the priority, its heads
 * before those of all that are lower. Priority 0 is as if there were no others. An operation on a priority never meets
 * what has another, and there are 19 of them.
 */

import type { Database, Key } from 'lmdb'
import { TIME_LIMIT_MS } from '../check.ts'
import { BEHIND_DOMAIN } from '../hold.ts'

type Table = Database<Buffer, Key>

export interface DueTables {
  readonly due: Table
  readonly heads: Table
  readonly fresh: Table
  readonly freshHeads: Table
  readonly young: YoungLines
}

/** What is of the pair `fresh` and not in the database: read, it is as if it were. */
export interface YoungLines {
  heads(priority: number, after: Head | null): Generator<Head, void>
  line(priority: number, destination: string, from: Place): Generator<Place, void>
  firstDueAt(name: string): number | null
}

/** `fresh`: of what was due as it arrived. `due`: of all else. */
export type PairName = 'fresh' | 'due'

interface Pair {
  readonly due: Table
  readonly heads: Table
}

/** A place in the line of one destination. */
export interface Place {
  readonly dueMs: number
  /** See `unit.ts`. */
  readonly unit: string
}

export interface Due extends Place {
  readonly destination: string
}

/** A destination in the line of all. */
export type Head = Omit<Due, 'unit'>

const NOTHING = Buffer.alloc(0)
/** How many places are read at first, and at most; most are asked for one. */
const FIRST_CHUNK = 2
const LARGEST_CHUNK = 256
const HIGHEST = 9
const LOWEST = -9

/** Where what arrives goes. It stays there until it is due at another time, or is held. */
export function pairAtFirst(dueMs: number, arrivedMs: number): PairName {
  return dueMs <= arrivedMs ? 'fresh' : 'due'
}

/** Within a transaction: a part of this priority that is pending since it arrived is in line. */
export function enterLine(
  tables: DueTables,
  pair: PairName,
  priority: number,
  destination: string,
  { unit, dueMs }: Place,
): void {
  move(pairOf(tables, pair), priority, destination, unit, null, dueMs)
}

/**
 * Within a transaction: the part of this priority was due at `wasMs` and is at `isMs`; `null`: it was not, or is no more,
 * pending.
 */
export function moveDue(
  tables: DueTables,
  priority: number,
  destination: string,
  unit: string,
  wasMs: number | null,
  isMs: number | null,
): void {
  if (wasMs === isMs) return
  if (wasMs !== null && tables.fresh.doesExist([...lineKey(priority, destination), wasMs, unit])) {
    move(pairOf(tables, 'fresh'), priority, destination, unit, wasMs, null)
    if (isMs !== null) move(tables, priority, destination, unit, null, isMs)
  } else move(tables, priority, destination, unit, wasMs, isMs)
}

function move(
  { due, heads }: Pair,
  priority: number,
  destination: string,
  unit: string,
  wasMs: number | null,
  isMs: number | null,
): void {
  const line = lineKey(priority, destination)
  // Most that leave are the head: to ask that is less than to look for the head.
  const wasHead = wasMs !== null && heads.doesExist(headKey(priority, wasMs, destination))
  const oldHead = wasHead ? wasMs : headOf(due, line)
  if (wasMs !== null) due.remove([...line, wasMs, unit])
  if (isMs !== null) due.put([...line, isMs, unit], NOTHING)
  const newHead = wasHead ? headOf(due, line) : earlier(oldHead, isMs)
  if (newHead === oldHead) return
  if (oldHead !== null) heads.remove(headKey(priority, oldHead, destination))
  if (newHead !== null) heads.put(headKey(priority, newHead, destination), NOTHING)
}

function pairOf(tables: DueTables, name: PairName): Pair {
  return name === 'due' ? tables : { due: tables.fresh, heads: tables.freshHeads }
}

/** The priorities that anything has, the highest first: a look at the heads for each. */
export function* priorities(tables: DueTables): Generator<number, void> {
  const exhausted = { heads: false, freshHeads: false }
  for (let next = HIGHEST; next >= LOWEST; next--) {
    let found: number | null = null
    for (const name of ['heads', 'freshHeads'] as const) {
      if (exhausted[name]) continue
      const range = { start: [offsetOf(next)], limit: 1 }
      const [first] = Array.from(tables[name].getKeys(range)) as [number, string][]
      if (first === undefined) exhausted[name] = true
      else found = Math.max(found ?? LOWEST, 0 - Math.floor(first[0] / TIME_LIMIT_MS))
    }
    if (found === null) return
    next = found
    yield next
  }
}

/** Destinations by their first place of that priority in a pair, after `after`. */
export function headsAfter(
  tables: DueTables,
  pair: PairName,
  priority: number,
  after: Head | null,
): Generator<Head, void> {
  const stored = storedHeads(pairOf(tables, pair).heads, priority, after)
  return pair === 'due' ? stored : union(tables.young.heads(priority, after), stored, isBefore)
}

function* storedHeads(heads: Table, priority: number, after: Head | null): Generator<Head, void> {
  const offset = offsetOf(priority)
  const start = after ? headKey(priority, after.dueMs, after.destination) : [offset]
  const range = { start, exclusiveStart: after !== null, end: [offset + TIME_LIMIT_MS] }
  for (const [at, destination] of heads.getKeys(range) as Iterable<[number, string]>) {
    yield { dueMs: at - offset, destination }
  }
}

/** The line of one destination in a pair from `from` on. No cursor stays open between two places. */
export function lineOf(
  tables: DueTables,
  pair: PairName,
  priority: number,
  destination: string,
  from: Place,
): Generator<Place, void> {
  const stored = storedLine(pairOf(tables, pair).due, lineKey(priority, destination), from)
  return pair === 'due' ? stored : union(tables.young.line(priority, destination, from), stored, isEarlier)
}

function* storedLine(due: Table, line: DueKey, from: Place): Generator<Place, void> {
  const end = [...line, Number.POSITIVE_INFINITY]
  let start: Key = [...line, from.dueMs, from.unit]
  for (let limit = FIRST_CHUNK, exclusiveStart = false; ; exclusiveStart = true) {
    const keys = Array.from(due.getKeys({ start, end, exclusiveStart, limit })) as DueKey[]
    for (const key of keys) yield { dueMs: dueMsOf(key), unit: key[key.length - 1] as string }
    const last = keys.at(-1)
    if (!last || keys.length < limit) return
    start = last
    limit = Math.min(limit * 2, LARGEST_CHUNK)
  }
}

/** What two give, each in order, in one order; what both give, once. */
function* union<T>(
  one: Generator<T, void>,
  other: Generator<T, void>,
  goesBefore: (one: T, other: T) => boolean,
): Generator<T, void> {
  let latest: T | null = null
  for (const each of inOrder(one, other, goesBefore)) {
    if (latest === null || goesBefore(latest, each)) yield each
    latest = each
  }
}

/** What two give, each in order, in one order. */
export function* inOrder<T>(
  one: Generator<T, void>,
  other: Generator<T, void>,
  goesBefore: (one: T, other: T) => boolean,
): Generator<T, void> {
  try {
    let first = one.next()
    let second = other.next()
    while (!first.done && !second.done) {
      if (goesBefore(second.value, first.value)) {
        yield second.value
        second = other.next()
      } else {
        yield first.value
        first = one.next()
      }
    }
    if (!first.done) yield first.value
    if (!second.done) yield second.value
    yield* first.done ? other : one
  } finally {
    one.return()
    other.return()
  }
}

type DueKey = (string | number)[]

/** How the keys of a line begin. No destination is a number. */
function lineKey(priority: number, destination: string): DueKey {
  return priority === 0 ? [destination] : [priority, destination]
}

function dueMsOf(key: DueKey): number {
  return key[key.length - 2] as number
}

/** A number before all heads of lower priorities: every time is less than `TIME_LIMIT_MS`. */
function offsetOf(priority: number): number {
  // Not -0, which LMDB's keys know from 0.
  return 0 - priority * TIME_LIMIT_MS
}

function headKey(priority: number, dueMs: number, destination: string): [number, string] {
  return [offsetOf(priority) + dueMs, destination]
}

/** When the first that is in line at a destination, or at one of that domain, is due, leased or not. */
export function firstDueAt(tables: DueTables, destination: string): number | null {
  let first = tables.young.firstDueAt(destination)
  for (const priority of priorities(tables)) {
    const line = lineKey(priority, destination)
    for (const table of [tables.due, tables.fresh]) {
      first = earlier(first, headOf(table, line))
      for (const other of linesOfDomain(table, line)) first = earlier(first, headOf(table, other))
    }
  }
  return first
}

/** Of destinations that are the domain of `line` with something behind it. */
function* linesOfDomain(due: Table, line: DueKey): Generator<DueKey, void> {
  const before = line.slice(0, -1)
  const domain = String(line.at(-1))
  for (const mark of BEHIND_DOMAIN) {
    const end = [...before, domain + String.fromCharCode(mark.charCodeAt(0) + 1)]
    for (let start = [...before, domain + mark]; ; ) {
      const [key] = Array.from(due.getKeys({ start, end, limit: 1 })) as DueKey[]
      if (key === undefined) break
      const found = key.slice(0, -2)
      yield found
      start = [...found, Number.POSITIVE_INFINITY]
    }
  }
}

function headOf(due: Table, line: DueKey): number | null {
  const range = { start: line, end: [...line, Number.POSITIVE_INFINITY], limit: 1 }
  for (const key of due.getKeys(range) as Iterable<DueKey>) return dueMsOf(key)
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

/** In one line: the order of the keys. */
export function isEarlier(one: Place, other: Place): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.unit < other.unit)
}
