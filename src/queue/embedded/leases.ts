/**
 * What of one priority is leased, in memory only, and from which places on to look for more.
 *
 * Leased parts stay in the line on disk, at its front. So that they are not read over and over, and what is due later is not
 * read for the sake of what is fresh, `Looked` knows of either pair of tables how far it was looked at: the line of a
 * destination is read in that pair only in which something may be due there.
 */

import {
  type Due,
  type DueTables,
  type Head,
  inOrder,
  isBefore,
  isEarlier,
  type PairName,
  type Place,
} from './due.ts'
import { Heap } from './heap.ts'
import { type Closed, Looked } from './looked.ts'
import { Runs } from './runs.ts'

const FRONT: Place = { dueMs: 0, unit: '' }
const NOWHERE: Place = { dueMs: Number.POSITIVE_INFINITY, unit: '' }
/**
 * What becomes of the first in line. It is leased: as a job (`last`: and no more are wanted), or to be taken out of the line
 * (`aside`). Or nothing of this destination is, this time (`pass`).
 */
export type Meeting = 'take' | 'last' | 'aside' | 'pass'

/** What is read of a destination in one pair. */
interface Reading {
  places: Generator<Place, void>
  /** The next free place that is of no run. */
  free: Place
}

/** The line of one destination while it is looked through. */
interface Line {
  /** Of the pairs in which something may be due. */
  readonly readings: Map<Looked, Reading>
  /** What of it waits for its turn among the destinations. */
  next: Due | null
}

export class Leases {
  readonly #isClosed: Closed
  /** Units by destination. */
  readonly #leased = new Map<string, Set<string>>()
  readonly #fresh: Looked
  readonly #due: Looked
  readonly #both: readonly Looked[]
  readonly #runs: Runs

  constructor(priority: number, isClosed: Closed) {
    this.#isClosed = isClosed
    this.#fresh = new Looked('fresh', priority)
    this.#due = new Looked('due', priority)
    this.#both = [this.#fresh, this.#due]
    this.#runs = new Runs(this.#fresh, this.#due, (destination, unit) => this.#isLeased(destination, unit))
  }

  take(destination: string, unit: string): void {
    const units = this.#leased.get(destination)
    if (units) units.add(unit)
    else this.#leased.set(destination, new Set([unit]))
  }

  /**
   * `inLine`: the part is pending still. It may have been hastened and passed over while it was leased, so we do not trust
   * what the worker knows of its place, and look at the line from the front.
   */
  give(destination: string, unit: string, inLine: boolean): void {
    const units = this.#leased.get(destination)
    if (units?.delete(unit) && units.size === 0) this.#leased.delete(destination)
    if (inLine) this.#fromFront(destination)
    this.#tidy(destination)
  }

  /** A part that is leased is at another place of the line, perhaps as the head of a destination that was not looked at. */
  moved(destination: string): void {
    this.#fromFront(destination)
  }

  /** A part that is not leased is in line here now. */
  appeared(due: Due, pair: PairName): void {
    if (pair === 'fresh') this.#fresh.appeared(due)
    else this.#due.appeared(due)
  }

  /** The destination was closed, and is not any more. */
  opened(destination: string): void {
    this.#fromFront(destination)
  }

  /** The lines were changed in a way we have not followed. */
  reset(): void {
    for (const looked of this.#both) looked.reset()
    this.#runs.clear()
    for (const destination of this.#leased.keys()) this.#fromFront(destination)
  }

  /** What is due at `nowMs` and not leased, most overdue first, as `meet` says. What it takes is leased then. */
  overdue(tables: DueTables, nowMs: number, meet: (due: Due) => Meeting): void {
    /** Of each destination one that counts: what goes next of it; before it was looked at, a bound for that. */
    const waiting = new Heap<Due>(isBefore)
    for (const destination of this.#marked()) {
      const dueMs = this.#earliest(destination)
      if (dueMs <= nowMs && !this.#isClosed(destination))
        waiting.push({ destination, dueMs, unit: FRONT.unit })
    }
    const lines = new Map<string, Line>()
    const read = (destination: string, line: Line, looked: Looked) => {
      const from = looked.marks.get(destination) ?? FRONT
      if (line.readings.has(looked) || from.dueMs > nowMs) return
      const reading = { places: looked.line(tables, destination, from), free: NOWHERE }
      line.readings.set(looked, reading)
      this.#advance(tables, destination, looked, reading)
    }
    const lineAt = (destination: string): Line => {
      const known = lines.get(destination)
      if (known) return known
      const line = { readings: new Map<Looked, Reading>(), next: null }
      lines.set(destination, line)
      return line
    }
    const look = (destination: string, line: Line) => {
      // Where turns are taken, it counts whether anything else is due, however late.
      for (const looked of this.#both)
        if (looked.marks.has(destination) || this.#runs.has(destination)) read(destination, line, looked)
      const next = this.#next(tables, destination, line, nowMs)
      line.next = next && { destination, ...next }
      if (line.next) waiting.push(line.next)
    }
    const heads = this.#heads(tables, nowMs)
    try {
      let head = heads.next()
      for (;;) {
        const first = waiting.top
        if (!head.done && !(first && isBefore(first, head.value))) {
          const { destination, looked } = head.value
          looked.reach(head.value)
          look(destination, lineAt(destination))
          head = heads.next()
          continue
        }
        if (!first) return
        waiting.pop()
        const { destination } = first
        const known = lines.get(destination)
        if (known === undefined) look(destination, lineAt(destination))
        if (known?.next !== first) continue
        const meeting = meet(first)
        if (meeting === 'pass') continue
        this.take(destination, first.unit)
        const disturbed = meeting === 'aside' ? [] : this.#runs.took(tables, first)
        for (const each of disturbed) {
          this.#fromFront(each)
          lines.delete(each)
        }
        // The other one may have stopped at what is of a run since this was taken.
        for (const [looked, reading] of lines.get(destination)?.readings ?? [])
          if (isSame(first, reading.free) || this.#runs.behind(destination, reading.free))
            this.#advance(tables, destination, looked, reading)
        if (meeting === 'last') return
        look(destination, lineAt(destination))
      }
    } finally {
      heads.return()
      for (const destination of lines.keys()) this.#tidy(destination)
    }
  }

  /** When the next that is not leased is due. */
  firstDue(tables: DueTables): number | null {
    let first = Number.POSITIVE_INFINITY
    for (const looked of this.#both) {
      // What is leased has a mark in the pair that it is in.
      first = looked.firstHead(tables, first, this.#isClosed) ?? first
    }
    for (const destination of this.#marked()) {
      if (this.#earliest(destination) >= first || this.#isClosed(destination)) continue
      for (const looked of this.#both) {
        const mark = looked.marks.get(destination)
        if (mark === undefined || mark.dueMs >= first) continue
        const reading = { places: looked.line(tables, destination, mark), free: NOWHERE }
        this.#advance(tables, destination, looked, reading)
        first = Math.min(first, reading.free.dueMs)
      }
      first = Math.min(first, this.#runs.next(tables, destination)?.dueMs ?? first)
      this.#tidy(destination)
    }
    return first === Number.POSITIVE_INFINITY ? null : first
  }

  *#heads(tables: DueTables, nowMs: number): Generator<Head & { looked: Looked }, void> {
    const headsOf = function* (looked: Looked, isClosed: Closed) {
      for (const head of looked.heads(tables, nowMs, isClosed)) yield { ...head, looked }
    }
    yield* inOrder(headsOf(this.#fresh, this.#isClosed), headsOf(this.#due, this.#isClosed), isBefore)
  }

  /** Destinations that have a mark. */
  *#marked(): Generator<string, void> {
    yield* this.#fresh.marks.keys()
    for (const destination of this.#due.marks.keys())
      if (!this.#fresh.marks.has(destination)) yield destination
  }

  #fromFront(destination: string): void {
    for (const looked of this.#both) looked.mark(destination, FRONT)
  }

  /** What of the destination goes next; `null`: nothing is due. */
  #next(tables: DueTables, destination: string, { readings }: Line, nowMs: number): Place | null {
    let next = NOWHERE
    for (const { free } of readings.values()) if (isEarlier(free, next)) next = free
    return this.#runs.choose(tables, destination, next.dueMs <= nowMs ? next : null, nowMs)
  }

  /** The next free place that is of no run, which becomes the mark. */
  #advance(tables: DueTables, destination: string, looked: Looked, reading: Reading): void {
    reading.free = NOWHERE
    for (let next = reading.places.next(); !next.done; next = reading.places.next()) {
      const behind = this.#runs.behind(destination, next.value)
      if (behind !== null) reading.places = looked.line(tables, destination, behind)
      else if (!this.#isLeased(destination, next.value.unit)) {
        reading.free = next.value
        break
      }
    }
    looked.mark(destination, reading.free)
  }

  /** A lower bound for what may be free there. */
  #earliest(destination: string): number {
    let earliest = this.#runs.earliest(destination)
    for (const { marks } of this.#both)
      earliest = Math.min(earliest, marks.get(destination)?.dueMs ?? earliest)
    return earliest
  }

  /** What is closed is looked at from the front when it is opened. */
  #tidy(destination: string): void {
    if (this.#isClosed(destination)) for (const looked of this.#both) looked.forget(destination)
    else if (!this.#leased.has(destination) && !this.#runs.has(destination))
      for (const looked of this.#both) looked.tidy(destination)
  }

  #isLeased(destination: string, unit: string): boolean {
    return this.#leased.get(destination)?.has(unit) ?? false
  }
}

function isSame(one: Place, other: Place): boolean {
  return one.unit === other.unit && one.dueMs === other.dueMs
}
