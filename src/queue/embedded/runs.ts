/**
 * Whose turn it is at each destination of one priority, and what is free there of the runs (`../turns.ts`). In memory only: of
 * what was forgotten a run begins anew.
 */

import { type Run, Turns } from '../turns.ts'
import { type Due, type DueTables, inOrder, isEarlier, type Place } from './due.ts'
import type { Looked } from './looked.ts'
import { idOf, partOf, partsOf } from './unit.ts'

/** Destinations whose turns are remembered; of the one that was served longest ago they are forgotten. */
const MAX_TURNS = 10_000

export type IsLeased = (destination: string, unit: string) => boolean

export class Runs {
  readonly #fresh: Looked
  readonly #due: Looked
  readonly #isLeased: IsLeased
  readonly #turns = new Map<string, Turns>()

  constructor(fresh: Looked, due: Looked, isLeased: IsLeased) {
    this.#fresh = fresh
    this.#due = due
    this.#isLeased = isLeased
  }

  clear(): void {
    this.#turns.clear()
  }

  has(destination: string): boolean {
    return (this.#turns.get(destination)?.runs.length ?? 0) > 0
  }

  /** A lower bound for what may be free of them. */
  earliest(destination: string): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const { dueMs } of this.#turns.get(destination)?.runs ?? []) earliest = Math.min(earliest, dueMs)
    return earliest
  }

  /** From where on a line goes on behind the run that the place is of; `null`: it is of none. */
  behind(destination: string, { dueMs, unit }: Place): Place | null {
    const turns = this.#turns.get(destination)
    if (!turns || partOf(unit) === undefined) return null
    const id = idOf(unit)
    return turns.has({ dueMs, id }) ? { dueMs, unit: partsOf(id).beyond } : null
  }

  /** What goes next: `free`, the first that is of no run, or one of a run, which may be due later. `null`: nothing. */
  choose(tables: DueTables, destination: string, free: Place | null, nowMs: number): Place | null {
    const turns = this.#turns.get(destination)
    if (!turns) return free
    const next = this.next(tables, destination)
    return turns.choose(free, next !== null && next.dueMs <= nowMs ? next : null)
  }

  /** The first that is free of the run that was served longest ago. */
  next(tables: DueTables, destination: string): Place | null {
    for (const run of this.#turns.get(destination)?.runs ?? []) {
      const place = this.#freeOf(tables, destination, run)
      if (place) return place
    }
    return null
  }

  /**
   * What was taken decides whose turn comes next.
   * @returns destinations of which a run was given up: what is left of it stands in line as all else does, at its front perhaps
   */
  took(tables: DueTables, { destination, dueMs, unit }: Due): string[] {
    const turns = this.#turns.get(destination)
    if (partOf(unit) === undefined) {
      turns?.tookWhole()
      return []
    }
    const run = { dueMs, id: idOf(unit) }
    const more = this.#freeOf(tables, destination, run) !== null
    if (!turns && !more) return []
    const counted = turns ?? new Turns()
    this.#turns.delete(destination)
    this.#turns.set(destination, counted)
    const givenUp = counted.tookPart(run, more) ? [] : [destination]
    for (const oldest of this.#turns.keys()) {
      if (this.#turns.size <= MAX_TURNS) break
      this.#turns.delete(oldest)
      givenUp.push(oldest)
    }
    return givenUp
  }

  #freeOf(tables: DueTables, destination: string, { dueMs, id }: Run): Place | null {
    const { first, beyond } = partsOf(id)
    const from = { dueMs, unit: first }
    const fresh = this.#fresh.line(tables, destination, from)
    for (const place of inOrder(fresh, this.#due.line(tables, destination, from), isEarlier)) {
      if (place.dueMs !== dueMs || place.unit >= beyond) return null
      if (!this.#isLeased(destination, place.unit)) return place
    }
    return null
  }
}
