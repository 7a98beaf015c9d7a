/** The leases of all priorities: each has its own, and the higher go first (RFC 6710 §5.1). */

import { type Due, type DueTables, priorities } from './due.ts'
import { Leases } from './leases.ts'

export interface RankedDue extends Due {
  readonly priority: number
}

export class Ranks {
  readonly #ranks = new Map<number, Leases>()

  of(priority: number): Leases {
    const known = this.#ranks.get(priority)
    if (known) return known
    const leases = new Leases(priority)
    this.#ranks.set(priority, leases)
    return leases
  }

  reset(): void {
    for (const leases of this.#ranks.values()) leases.reset()
  }

  /** As of `Leases`: of a destination none after `pass` said yes, whatever the priority. */
  *overdue(
    tables: DueTables,
    nowMs: number,
    pass: (destination: string) => boolean,
  ): Generator<RankedDue, void> {
    const passed = new Set<string>()
    const passOnce = (destination: string) => {
      if (!passed.has(destination) && pass(destination)) passed.add(destination)
      return passed.has(destination)
    }
    for (const priority of priorities(tables)) {
      for (const due of this.of(priority).overdue(tables, nowMs, passOnce)) yield { ...due, priority }
    }
  }

  firstDue(tables: DueTables): number | null {
    let first: number | null = null
    for (const priority of priorities(tables)) {
      const due = this.of(priority).firstDue(tables)
      if (due !== null && (first === null || due < first)) first = due
    }
    return first
  }
}
