/**
 * What of one priority is leased, in memory only, and from which place on to look for more.
 *
 * Leased parts stay in the line on disk, at its front. So that they are not read over and over, a destination whose head
 * was looked at has a mark: nothing before it in its line is free, but for what is of a run (`../turns.ts`). `#reached` says
 * how far into the heads we looked; a destination without a mark has no leases and no runs, and its head is after that, or it
 * is closed. A mark too far in front costs a look; one too far behind would lose mail, so whatever may free a place earlier
 * than that comes by here: `appeared`, `give`, `opened`, `reset`.
 */

import { type Run, Turns } from '../turns.ts'
import {
  type Due,
  type DueTables,
  type Head,
  headsAfter,
  isBefore,
  isEarlier,
  lineOf,
  type Place,
} from './due.ts'
import { Heap } from './heap.ts'
import { idOf, partOf, partsOf } from './unit.ts'

const FRONT: Place = { dueMs: 0, unit: '' }
const NOWHERE: Place = { dueMs: Number.POSITIVE_INFINITY, unit: '' }
/** Destinations whose turns are remembered; of the one that was served longest ago, a run begins anew. */
const MAX_TURNS = 10_000

/**
 * What becomes of the first in line. It is leased: as a job (`last`: and no more are wanted), or to be taken out of the line
 * (`aside`). Or nothing of this destination is, this time (`pass`).
 */
export type Meeting = 'take' | 'last' | 'aside' | 'pass'

/** Destinations of which nothing is to be looked at. */
export type Closed = (destination: string) => boolean

/** The line of one destination while it is looked through. */
interface Line {
  places: Generator<Place, void>
  /** The next free place that is of no run. */
  free: Place
}

export class Leases {
  readonly #priority: number
  readonly #isClosed: Closed
  /** Units by destination. */
  readonly #leased = new Map<string, Set<string>>()
  readonly #marks = new Map<string, Due>()
  readonly #turns = new Map<string, Turns>()
  #reached: Head | null = null

  constructor(priority: number, isClosed: Closed) {
    this.#priority = priority
    this.#isClosed = isClosed
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
    if (inLine) this.#mark(destination, FRONT)
    this.#tidy(destination)
  }

  /** A part that is not leased is in line here now. */
  appeared(due: Due): void {
    const mark = this.#marks.get(due.destination)
    if (mark ? isEarlier(due, mark) : !this.#isAhead(due)) this.#mark(due.destination, due)
  }

  /** The destination was closed, and is not any more. */
  opened(destination: string): void {
    this.#mark(destination, FRONT)
  }

  /** The lines were changed in a way we have not followed. */
  reset(): void {
    this.#marks.clear()
    this.#turns.clear()
    for (const destination of this.#leased.keys()) this.#mark(destination, FRONT)
    this.#reached = null
  }

  /** What is due at `nowMs` and not leased, most overdue first, as `meet` says. What it takes is leased then. */
  overdue(tables: DueTables, nowMs: number, meet: (due: Due) => Meeting): void {
    /** The marks that are due, one for a destination. */
    const waiting = new Heap<Due>(isBefore)
    for (const mark of this.#marks.values()) {
      if (this.#isClosed(mark.destination)) continue
      const dueMs = this.#earliest(mark)
      if (dueMs <= nowMs) waiting.push({ ...mark, dueMs })
    }
    /** Of destinations that were looked at: what waits of them is what goes next, and not only before it. */
    const lines = new Map<string, Line>()
    const look = (destination: string, line: Line) => {
      const next = this.#next(tables, destination, line, nowMs)
      if (next) waiting.push({ destination, ...next })
    }
    const begin = (destination: string, from: Place) => {
      const line = { places: lineOf(tables, this.#priority, destination, from), free: NOWHERE }
      lines.set(destination, line)
      this.#advance(tables, destination, line)
      look(destination, line)
    }
    const heads = this.#newHeads(tables, nowMs)
    try {
      let head = heads.next()
      for (;;) {
        const first = waiting.top
        if (!head.done && (!first || isBefore(head.value, first))) {
          this.#reached = head.value
          begin(head.value.destination, { dueMs: head.value.dueMs, unit: FRONT.unit })
          head = heads.next()
          continue
        }
        if (!first) return
        waiting.pop()
        const { destination } = first
        const line = lines.get(destination)
        if (!line) {
          begin(destination, this.#marks.get(destination) ?? FRONT)
          continue
        }
        const meeting = meet(first)
        if (meeting === 'pass') continue
        this.take(destination, first.unit)
        if (meeting !== 'aside') this.#count(tables, first)
        if (first.unit === line.free.unit && first.dueMs === line.free.dueMs)
          this.#advance(tables, destination, line)
        if (meeting === 'last') return
        look(destination, line)
      }
    } finally {
      heads.return()
      for (const destination of lines.keys()) this.#tidy(destination)
    }
  }

  /** When the next that is not leased is due. */
  firstDue(tables: DueTables): number | null {
    let first = Number.POSITIVE_INFINITY
    for (const { destination, dueMs } of headsAfter(tables, this.#priority, this.#reached)) {
      if (this.#marks.has(destination) || this.#isClosed(destination)) continue
      first = dueMs
      break
    }
    for (const [destination, mark] of this.#marks) {
      if (this.#earliest(mark) >= first || this.#isClosed(destination)) continue
      const line = { places: lineOf(tables, this.#priority, destination, mark), free: NOWHERE }
      this.#advance(tables, destination, line)
      first = Math.min(first, line.free.dueMs, this.#nextOfRuns(tables, destination)?.dueMs ?? first)
      this.#tidy(destination)
    }
    return first === Number.POSITIVE_INFINITY ? null : first
  }

  /** Heads of destinations without a mark, until `nowMs`. Who has one is looked at there, and we are past it. */
  *#newHeads(tables: DueTables, nowMs: number): Generator<Head, void> {
    for (const head of headsAfter(tables, this.#priority, this.#reached)) {
      if (head.dueMs > nowMs) return
      if (this.#marks.has(head.destination) || this.#isClosed(head.destination)) this.#reached = head
      else yield head
    }
  }

  /** What of the destination goes next; `null`: nothing is due. */
  #next(tables: DueTables, destination: string, { free }: Line, nowMs: number): Place | null {
    const due = (place: Place | null) => (place !== null && place.dueMs <= nowMs ? place : null)
    const turns = this.#turns.get(destination)
    if (!turns) return due(free)
    return turns.choose(due(free), due(this.#nextOfRuns(tables, destination)))
  }

  #nextOfRuns(tables: DueTables, destination: string): Place | null {
    for (const run of this.#turns.get(destination)?.runs ?? []) {
      const place = this.#freeOfRun(tables, destination, run)
      if (place) return place
    }
    return null
  }

  #freeOfRun(tables: DueTables, destination: string, { dueMs, id }: Run): Place | null {
    const { first, beyond } = partsOf(id)
    const leased = this.#leased.get(destination)
    for (const place of lineOf(tables, this.#priority, destination, { dueMs, unit: first })) {
      if (place.dueMs !== dueMs || place.unit >= beyond) return null
      if (!leased?.has(place.unit)) return place
    }
    return null
  }

  /** The next free place of the line that is of no run, which becomes the mark. */
  #advance(tables: DueTables, destination: string, line: Line): void {
    const leased = this.#leased.get(destination)
    const turns = this.#turns.get(destination)
    line.free = NOWHERE
    for (let next = line.places.next(); !next.done; next = line.places.next()) {
      const { dueMs, unit } = next.value
      if (turns && partOf(unit) !== undefined && turns.has({ dueMs, id: idOf(unit) })) {
        const beyond = { dueMs, unit: partsOf(idOf(unit)).beyond }
        line.places = lineOf(tables, this.#priority, destination, beyond)
      } else if (!leased?.has(unit)) {
        line.free = next.value
        break
      }
    }
    this.#mark(destination, line.free)
  }

  /** What was taken decides whose turn comes next. */
  #count(tables: DueTables, { destination, dueMs, unit }: Due): void {
    const turns = this.#turns.get(destination)
    if (partOf(unit) === undefined) {
      turns?.tookWhole()
      return
    }
    const run = { dueMs, id: idOf(unit) }
    const more = this.#freeOfRun(tables, destination, run) !== null
    if (!turns && !more) return
    const counted = turns ?? new Turns()
    this.#turns.delete(destination)
    this.#turns.set(destination, counted)
    if (!counted.tookPart(run, more)) this.#mark(destination, FRONT)
    for (const oldest of this.#turns.keys()) {
      if (this.#turns.size <= MAX_TURNS) break
      this.#turns.delete(oldest)
      this.#mark(oldest, FRONT)
    }
  }

  /** A lower bound for what may be free there. */
  #earliest({ destination, dueMs }: Due): number {
    let earliest = dueMs
    for (const run of this.#turns.get(destination)?.runs ?? []) earliest = Math.min(earliest, run.dueMs)
    return earliest
  }

  #mark(destination: string, { dueMs, unit }: Place): void {
    this.#marks.set(destination, { destination, dueMs, unit })
  }

  /**
   * Without leases and runs the mark is not before the head on disk: when we have not got there yet, it will be found there.
   * What is closed is looked at from the front when it is opened.
   */
  #tidy(destination: string): void {
    const mark = this.#marks.get(destination)
    if (!mark) return
    if (this.#isClosed(destination)) this.#marks.delete(destination)
    else if (!this.#leased.has(destination) && !this.#hasRuns(destination) && this.#isAhead(mark))
      this.#marks.delete(destination)
  }

  #hasRuns(destination: string): boolean {
    return (this.#turns.get(destination)?.runs.length ?? 0) > 0
  }

  #isAhead(head: Head): boolean {
    return this.#reached === null || isBefore(this.#reached, head)
  }
}
