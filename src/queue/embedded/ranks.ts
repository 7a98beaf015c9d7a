/** The leases of all priorities: each has its own, and the higher go first (RFC 6710 §5.1). And what is parked. */

import { type Due, type DueTables, priorities } from './due.ts'
import { Leases, type Meeting } from './leases.ts'

export interface RankedDue extends Due {
  readonly priority: number
}

export class Ranks {
  /** Of all priorities that anything has. */
  readonly #ranks = new Map<number, Leases>()
  /** The same, the highest first; `null`: it must be found out. */
  #inOrder: readonly (readonly [priority: number, leases: Leases])[] | null = null
  readonly #parked = new Set<string>()
  readonly #isHeld: (destination: string) => boolean

  constructor(isHeld: (destination: string) => boolean) {
    this.#isHeld = isHeld
  }

  of(priority: number): Leases {
    const known = this.#ranks.get(priority)
    if (known) return known
    const isClosed = (destination: string) => this.#parked.has(destination) || this.#isHeld(destination)
    const leases = new Leases(priority, isClosed)
    this.#ranks.set(priority, leases)
    this.#inOrder = null
    return leases
  }

  /** The lines were changed in a way we have not followed. */
  reset(): void {
    this.#inOrder = null
    for (const leases of this.#ranks.values()) leases.reset()
  }

  park(destination: string): void {
    this.#parked.add(destination)
  }

  unpark(destination?: string): void {
    const named = destination === undefined ? [...this.#parked] : [destination]
    for (const each of named) {
      if (!this.#parked.delete(each)) continue
      for (const leases of this.#ranks.values()) leases.opened(each)
    }
  }

  /** As of `Leases`: of a destination none after `meet` passed it, whatever the priority. */
  overdue(tables: DueTables, nowMs: number, meet: (due: RankedDue) => Meeting): void {
    const passed = new Set<string>()
    for (const [priority, leases] of this.#all(tables)) {
      let last = false
      leases.overdue(tables, nowMs, due => {
        const meeting = passed.has(due.destination) ? 'pass' : meet({ ...due, priority })
        if (meeting === 'pass') passed.add(due.destination)
        last = meeting === 'last'
        return meeting
      })
      if (last) return
    }
  }

  firstDue(tables: DueTables): number | null {
    let first: number | null = null
    for (const [, leases] of this.#all(tables)) {
      const due = leases.firstDue(tables)
      if (due !== null && (first === null || due < first)) first = due
    }
    return first
  }

  /** What is put has come by `of`. */
  #all(tables: DueTables): readonly (readonly [priority: number, leases: Leases])[] {
    if (this.#inOrder !== null) return this.#inOrder
    for (const priority of priorities(tables)) this.of(priority)
    const inOrder = [...this.#ranks].toSorted(([one], [other]) => other - one)
    this.#inOrder = inOrder
    return inOrder
  }
}
