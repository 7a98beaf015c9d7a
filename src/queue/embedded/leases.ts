/**
 * What of one priority is leased, in memory only, and from which place on to look for more.
 *
 * Leased parts stay in the line on disk, at its front. So that they are not read over and over, a destination whose head
 * was looked at has a mark: nothing before it in its line is free. `#reached` says how far into the heads we looked; a
 * destination without a mark has no leases, and its head is after that. A mark too far in front costs a look; one too far
 * behind would lose mail, so whatever may free a place earlier than that comes by here: `appeared`, `give`, `reset`.
 */

import { type Due, type DueTables, type Head, headsAfter, isBefore, lineOf, type Place } from './due.ts'
import { Heap } from './heap.ts'

const FRONT: Place = { dueMs: 0, id: '' }
const NOWHERE: Place = { dueMs: Number.POSITIVE_INFINITY, id: '' }

export class Leases {
  readonly #priority: number
  /** Ids by destination. */
  readonly #leased = new Map<string, Set<string>>()
  readonly #marks = new Map<string, Due>()
  #reached: Head | null = null

  constructor(priority: number) {
    this.#priority = priority
  }

  take({ destination, id }: { destination: string; id: string }): void {
    const ids = this.#leased.get(destination)
    if (ids) ids.add(id)
    else this.#leased.set(destination, new Set([id]))
  }

  /**
   * `inLine`: the part is pending still. It may have been hastened and passed over while it was leased, so we do not trust
   * what the worker knows of its place, and look at the line from the front.
   */
  give(destination: string, id: string, inLine: boolean): void {
    const ids = this.#leased.get(destination)
    if (ids?.delete(id) && ids.size === 0) this.#leased.delete(destination)
    if (inLine) this.#mark(destination, FRONT)
    this.#tidy(destination)
  }

  /** A part that is not leased is in line here now. */
  appeared(due: Due): void {
    const mark = this.#marks.get(due.destination)
    if (mark ? isEarlier(due, mark) : !this.#isAhead(due)) this.#mark(due.destination, due)
  }

  /** The lines were changed in a way we have not followed. */
  reset(): void {
    this.#marks.clear()
    for (const destination of this.#leased.keys()) this.#mark(destination, FRONT)
    this.#reached = null
  }

  /**
   * What is due at `nowMs` and not leased, most overdue first; of a destination none after `pass` said yes. Each that is
   * yielded is taken: by `take`, before the next is asked for.
   */
  *overdue(tables: DueTables, nowMs: number, pass: (destination: string) => boolean): Generator<Due> {
    /** The marks that are due, one for a destination. */
    const waiting = new Heap<Due>(isBefore)
    for (const mark of this.#marks.values()) if (mark.dueMs <= nowMs) waiting.push(mark)
    /** Of destinations whose mark is a free place, and not only before the first. */
    const lines = new Map<string, Generator<Place, void>>()
    const look = (destination: string, line: Generator<Place, void>) => {
      lines.set(destination, line)
      const mark = this.#freeIn(line, destination)
      if (mark.dueMs <= nowMs) waiting.push(mark)
    }
    let taken: string | null = null
    const heads = this.#newHeads(tables, nowMs)
    try {
      let head = heads.next()
      for (;;) {
        const first = waiting.top
        if (!head.done && (!first || isBefore(head.value, first))) {
          this.#reached = head.value
          const { destination, dueMs } = head.value
          look(destination, lineOf(tables, this.#priority, destination, { dueMs, id: FRONT.id }))
          head = heads.next()
          continue
        }
        if (!first) return
        waiting.pop()
        const { destination } = first
        const line = lines.get(destination)
        if (!line) {
          look(destination, lineOf(tables, this.#priority, destination, first))
        } else if (!pass(destination)) {
          taken = destination
          yield first
          taken = null
          look(destination, line)
        }
      }
    } finally {
      heads.return()
      const line = lines.get(taken ?? '')
      if (taken !== null && line) this.#freeIn(line, taken)
      for (const destination of lines.keys()) this.#tidy(destination)
    }
  }

  /** When the next that is not leased is due. */
  firstDue(tables: DueTables): number | null {
    let first = Number.POSITIVE_INFINITY
    for (const { destination, dueMs } of headsAfter(tables, this.#priority, this.#reached)) {
      if (this.#marks.has(destination)) continue
      first = dueMs
      break
    }
    for (const [destination, mark] of this.#marks) {
      if (mark.dueMs >= first) continue
      first = Math.min(
        first,
        this.#freeIn(lineOf(tables, this.#priority, destination, mark), destination).dueMs,
      )
      this.#tidy(destination)
    }
    return first === Number.POSITIVE_INFINITY ? null : first
  }

  /** Heads of destinations without a mark, until `nowMs`. Who has one is looked at there, and we are past it. */
  *#newHeads(tables: DueTables, nowMs: number): Generator<Head, void> {
    for (const head of headsAfter(tables, this.#priority, this.#reached)) {
      if (head.dueMs > nowMs) return
      if (this.#marks.has(head.destination)) this.#reached = head
      else yield head
    }
  }

  /** The next free place of the line, which becomes the mark. */
  #freeIn(line: Generator<Place, void>, destination: string): Due {
    const leased = this.#leased.get(destination)
    let free = NOWHERE
    for (let next = line.next(); !next.done; next = line.next()) {
      if (leased?.has(next.value.id)) continue
      free = next.value
      break
    }
    return this.#mark(destination, free)
  }

  #mark(destination: string, { dueMs, id }: Place): Due {
    const mark = { destination, dueMs, id }
    this.#marks.set(destination, mark)
    return mark
  }

  /** Without leases the mark is not before the head on disk: when we have not got there yet, it will be found there. */
  #tidy(destination: string): void {
    const mark = this.#marks.get(destination)
    if (mark && !this.#leased.has(destination) && this.#isAhead(mark)) {
      this.#marks.delete(destination)
    }
  }

  #isAhead(head: Head): boolean {
    return this.#reached === null || isBefore(this.#reached, head)
  }
}

function isEarlier(one: Place, other: Place): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.id < other.id)
}
