/**
 * How far the lines of one pair of tables were looked at, for one priority; in memory only.
 *
 * A destination whose head was looked at has a mark: nothing before it in its line of this pair is free, but for what is of a
 * run (`../turns.ts`). `#reached` says how far into the heads we looked. A destination without a mark has no leases in this
 * pair, and its head is after that; or it is closed, or has nothing here. A mark too far in front costs a look; one too far
 * behind would lose mail, so whatever may free a place earlier than that comes by here: `appeared`, `mark`, `reset`.
 */

import {
  type Due,
  type DueTables,
  type Head,
  headsAfter,
  isBefore,
  isEarlier,
  lineOf,
  type PairName,
  type Place,
} from './due.ts'

/** Destinations of which nothing is to be looked at. */
export type Closed = (destination: string) => boolean

export class Looked {
  readonly #pair: PairName
  readonly #priority: number
  readonly #marks = new Map<string, Place>()
  #reached: Head | null = null
  /** No head is found before: none of a destination without a mark that is after `#reached`. */
  #quietUntilMs = 0

  constructor(pair: PairName, priority: number) {
    this.#pair = pair
    this.#priority = priority
  }

  get marks(): ReadonlyMap<string, Place> {
    return this.#marks
  }

  /** Nothing before that is free there. */
  mark(destination: string, { dueMs, unit }: Place): void {
    this.#marks.set(destination, { dueMs, unit })
  }

  /** A part that is not leased is in a line of this pair now. */
  appeared({ destination, dueMs, unit }: Due): void {
    const place = { dueMs, unit }
    const mark = this.#marks.get(destination)
    if (mark ? isEarlier(place, mark) : !this.#isAhead({ destination, dueMs }))
      this.#marks.set(destination, place)
    else this.#comesBy(dueMs)
  }

  /** The lines were changed in a way we have not followed. */
  reset(): void {
    this.#marks.clear()
    this.#reached = null
    this.#quietUntilMs = 0
  }

  /** Of destinations without a mark, until `nowMs`. Who has one is looked at there, and we are past it. */
  *heads(tables: DueTables, nowMs: number, isClosed: Closed): Generator<Head, void> {
    if (nowMs < this.#quietUntilMs) return
    for (const head of headsAfter(tables, this.#pair, this.#priority, this.#reached)) {
      if (head.dueMs > nowMs) {
        this.#quietUntilMs = head.dueMs
        return
      }
      if (this.#marks.has(head.destination) || isClosed(head.destination)) this.#reached = head
      else yield head
    }
    this.#quietUntilMs = Number.POSITIVE_INFINITY
  }

  /** One of `heads` is looked at now: there is a mark from here on. */
  reach(head: Head): void {
    this.#reached = head
    this.#marks.set(head.destination, { dueMs: head.dueMs, unit: '' })
  }

  /** When the first of the destinations without a mark is due; `null`: none is before `beforeMs`. */
  firstHead(tables: DueTables, beforeMs: number, isClosed: Closed): number | null {
    for (const { destination, dueMs } of headsAfter(tables, this.#pair, this.#priority, this.#reached)) {
      if (dueMs >= beforeMs) return null
      if (!this.#marks.has(destination) && !isClosed(destination)) return dueMs
    }
    return null
  }

  /** The line of a destination in this pair. */
  line(tables: DueTables, destination: string, from: Place): Generator<Place, void> {
    return lineOf(tables, this.#pair, this.#priority, destination, from)
  }

  /** Nothing is leased there and there is no run: when we have not got to the mark, its head on disk will be found. */
  tidy(destination: string): void {
    const mark = this.#marks.get(destination)
    if (!mark || !this.#isAhead({ destination, dueMs: mark.dueMs })) return
    this.#marks.delete(destination)
    this.#comesBy(mark.dueMs)
  }

  /** The destination is closed: it is looked at from the front when it is opened. */
  forget(destination: string): void {
    this.#marks.delete(destination)
  }

  #comesBy(dueMs: number): void {
    this.#quietUntilMs = Math.min(this.#quietUntilMs, dueMs)
  }

  #isAhead(head: Head): boolean {
    return this.#reached === null || isBefore(this.#reached, head)
  }
}
