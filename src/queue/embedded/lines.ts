/**
 * Who is next: what of the lines on disk is leased, parked or held, and what has become of that since we looked. Leases and
 * what is parked are in memory only; holds are on disk, and another process may change them.
 */

import type { Log } from '../../observe/event.ts'
import { type Holds, holdOf, isDestinationHeld, isOver } from '../hold.ts'
import type { Hold, Job, NewMessage, Scope, Skip } from '../queue.ts'
import { dueOf, jobOf, type NewPart } from '../slot.ts'
import type { Arrivals } from './arrivals.ts'
import { firstDueAt, pairAtFirst } from './due.ts'
import * as held from './held.ts'
import { isKnown } from './known.ts'
import * as stored from './message.ts'
import { type RankedDue, Ranks } from './ranks.ts'
import type { MessageRecord } from './record.ts'
import type { Store } from './store.ts'
import type { Tables } from './tables.ts'
import { idOf, partOf, unitOf } from './unit.ts'

/** Messages found held in one look: all of a `lease` waits for them to be set aside. */
const ASIDE_AT_ONCE = 500

/** Due, and held. */
interface Aside {
  readonly id: string
  readonly scope: Scope
  readonly due: RankedDue
}

export class Lines {
  readonly #store: Store
  readonly #arrivals: Pick<Arrivals, 'moveIn'>
  readonly #log: Log
  readonly #leases = new Ranks(destination => isDestinationHeld(this.#holds, destination))
  #changes = 0
  #holds: Holds = new Map()
  /**
   * Met in a line, though settled: somebody else had brought into the database what the journal told of before. They stay leased
   * until the database knows better.
   */
  readonly #shadows: RankedDue[] = []
  /** There are messages set aside for holds that are no more. */
  #loose = false

  constructor(store: Store, arrivals: Pick<Arrivals, 'moveIn'>, log: Log) {
    this.#store = store
    this.#arrivals = arrivals
    this.#log = log
  }

  /** A message was put. */
  appeared(message: NewMessage, parts: readonly NewPart[]): void {
    const leases = this.#leases.of(stored.priorityOf(message))
    for (const { destination, part, slots } of parts) {
      const dueMs = dueOf(slots)
      if (dueMs === null) continue
      const pair = pairAtFirst(dueMs, message.arrivedMs)
      leases.appeared({ destination, unit: unitOf(message.id, part), dueMs }, pair)
    }
  }

  /** As of `Queue`. */
  async lease(
    nowMs: number,
    limit: number,
    skip: (destination: string) => Skip = () => false,
  ): Promise<Job[]> {
    if (limit <= 0) return []
    await this.#endHolds(nowMs)
    const jobs: Job[] = []
    const aside: Aside[] = []
    try {
      do {
        aside.length = 0
        this.#meet(nowMs, limit, skip, jobs, aside)
        if (aside.length > 0) await this.#setAside(aside)
      } while (aside.length === ASIDE_AT_ONCE && jobs.length < limit)
    } catch (error) {
      for (const job of jobs) this.give(job, true)
      for (const { due } of aside) this.#leases.of(due.priority).give(due.destination, due.unit, true)
      throw error
    }
    return jobs
  }

  unpark(destination?: string): void {
    this.#leases.unpark(destination)
  }

  /** A lease is given back. `inLine`: some recipient of it is pending still. */
  give({ message, destination, part }: Job, inLine: boolean): void {
    this.#leases.of(stored.priorityOf(message)).give(destination, unitOf(message.id, part), inLine)
  }

  /** What is leased stays so, and is at another place in line now. */
  moved({ message, destination }: Job): void {
    this.#leases.of(stored.priorityOf(message)).moved(destination)
  }

  /** As of `Queue`. */
  nextDue(): number | null {
    const tables = this.#read()
    if (this.#loose) return 0
    let first = this.#leases.firstDue(tables) ?? Number.POSITIVE_INFINITY
    for (const [key, hold] of this.#holds) {
      if (hold.untilMs === null) continue
      const dueMs =
        hold.kind === 'destination' ? firstDueAt(tables, hold.name) : held.keepsSome(tables, key) ? 0 : null
      if (dueMs !== null) first = Math.min(first, Math.max(dueMs, hold.untilMs))
    }
    return first === Number.POSITIVE_INFINITY ? null : first
  }

  /** By what they name. */
  holds(): Hold[] {
    this.#read()
    return [...this.#holds.values()]
  }

  /** Looks at what is due: what is held goes into `aside`, of the rest jobs are made. */
  #meet(
    nowMs: number,
    limit: number,
    skip: (destination: string) => Skip,
    jobs: Job[],
    aside: Aside[],
  ): void {
    const tables = this.#read()
    /** Of a message with many destinations once. */
    let latest: { readonly id: string; readonly record: MessageRecord | null } | null = null
    this.#leases.overdue(tables, nowMs, due => {
      const id = idOf(due.unit)
      const young = tables.young.find(id)
      if (young && 'end' in young) {
        this.#shadows.push(due)
        return 'aside'
      }
      if (latest?.id !== id)
        latest = { id, record: young?.record ?? this.#load(id, due, () => stored.loadRecord(tables, id)) }
      const { record } = latest
      // From here on what is met is leased: nobody else is given it. A crash forgets that: it is due again.
      if (record === null) return 'aside'
      const hold = holdOf(this.#holds, { id, reversePath: record.reversePath })
      if (hold !== undefined) {
        if (aside.length === ASIDE_AT_ONCE) return 'pass'
        aside.push({ id, scope: hold, due })
        return 'aside'
      }
      const skipped = skip(due.destination)
      if (skipped === 'park') this.#leases.park(due.destination)
      if (skipped) return 'pass'
      const name = { destination: due.destination, part: partOf(due.unit) }
      const part = this.#load(id, due, () => stored.loadPart(tables, id, record, name))
      if (part === null) return 'aside'
      jobs.push(jobOf(stored.fixedOf(id, record), part, part.slots, nowMs))
      return jobs.length >= limit ? 'last' : 'take'
    })
  }

  async #setAside(aside: readonly Aside[]): Promise<void> {
    await this.#store.commit(tables => {
      for (const { id, scope } of aside) {
        this.#arrivals.moveIn(tables, id)
        held.setAside(tables, id, scope)
      }
    })
    for (const { due } of aside) this.#leases.of(due.priority).give(due.destination, due.unit, false)
  }

  async #endHolds(nowMs: number): Promise<void> {
    this.#read()
    const over = this.#loose || [...this.#holds.values()].some(hold => isOver(hold, nowMs))
    if (over) await this.#store.commit(tables => held.endHolds(tables, nowMs))
  }

  /** To read what is due: when lines or holds were changed, perhaps by another process, what we know is not enough. */
  #read(): Tables {
    const tables = this.#store.read()
    if (this.#shadows.length > 0) this.#endShadows(tables)
    const changes = stored.changes(tables)
    if (changes === this.#changes) return tables
    this.#holds = held.loadHolds(tables)
    this.#loose = held.looseKey(tables, this.#holds) !== null
    // What another process has read in the journal is where it put it.
    for (const { id } of tables.young.all())
      if (tables.young.get(id) && isKnown(tables, id)) tables.young.delete(id)
    this.#leases.reset()
    this.#changes = changes
    return tables
  }

  #endShadows({ young }: Tables): void {
    for (const due of this.#shadows.splice(0)) {
      if (young.find(idOf(due.unit))) this.#shadows.push(due)
      else this.#leases.of(due.priority).give(due.destination, due.unit, false)
    }
  }

  /** A record that cannot be read is told of once and stays leased, so that it holds up no other. */
  #load<T>(id: string, { destination }: RankedDue, load: () => T | null): T | null {
    let reason: unknown = 'its record is missing'
    try {
      const loaded = load()
      if (loaded !== null) return loaded
    } catch (error) {
      reason = error
    }
    this.#log.event('alarm', { id, destination, about: 'spool', error: String(reason) }, 'error')
    return null
  }
}
