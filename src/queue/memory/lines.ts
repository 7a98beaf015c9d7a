/** Who is next: what is leased or parked, and whose turn it is. */

import type { PastAttempt } from '../history.ts'
import { type Holds, isDestinationHeld } from '../hold.ts'
import type { Job, Message, Scope } from '../queue.ts'
import { dueOf, type PartName, type Slot } from '../slot.ts'
import { Turns } from '../turns.ts'

export interface Part extends PartName {
  readonly slots: readonly Slot[]
  readonly attempts: readonly PastAttempt[]
}

export interface Due extends PartName {
  readonly id: string
  readonly dueMs: number
  readonly priority: number
}

export interface Entry {
  /** Set aside, for that hold. */
  held?: Scope | undefined
  readonly message: Omit<Message, 'recipients' | 'held'>
  readonly content: Uint8Array
  /** By `partKey`. */
  readonly parts: Map<string, Part>
}

export class Lines {
  readonly #entries: ReadonlyMap<string, Entry>
  readonly #holds: Holds
  readonly #leased = new Set<string>()
  readonly #parked = new Set<string>()
  /** By priority and destination. */
  readonly #turns = new Map<string, Turns>()

  constructor(entries: ReadonlyMap<string, Entry>, holds: Holds) {
    this.#entries = entries
    this.#holds = holds
  }

  park(destination: string): void {
    this.#parked.add(destination)
  }

  unpark(destination?: string): void {
    if (destination === undefined) this.#parked.clear()
    else this.#parked.delete(destination)
  }

  take(due: Due): void {
    this.#leased.add(leaseKey(due))
    this.#count(due)
  }

  give(job: Job): void {
    this.#leased.delete(leaseKey({ ...job, id: job.message.id }))
  }

  /** As an engine does that cannot follow what another process has changed. */
  reset(): void {
    this.#turns.clear()
  }

  /** Of each destination what goes next; of these the highest priority, then the most overdue. */
  next(nowMs: number, passed: ReadonlySet<string>): Due | undefined {
    const due = this.due().filter(({ dueMs, destination }) => dueMs <= nowMs && !passed.has(destination))
    const fronts = [...Map.groupBy(due, turnKey)].map(([key, line]) => {
      const turns = this.#turns.get(key)
      if (!turns) return line[0]
      const whole = line.find(each => each.part === undefined || !turns.has(each)) ?? null
      const [next = null] = turns.runs.flatMap(({ dueMs, id }) =>
        line.filter(each => each.part !== undefined && each.id === id && each.dueMs === dueMs).slice(0, 1),
      )
      return turns.choose(whole, next) ?? undefined
    })
    return fronts
      .filter(front => front !== undefined)
      .toSorted(
        (one, other) =>
          other.priority - one.priority ||
          one.dueMs - other.dueMs ||
          order(one.destination, other.destination),
      )[0]
  }

  /** It was leased just now. */
  #count(taken: Due): void {
    const key = turnKey(taken)
    const { id, dueMs } = taken
    const turns = this.#turns.get(key)
    if (taken.part === undefined) {
      turns?.tookWhole()
      return
    }
    const more = this.due().some(
      each => turnKey(each) === key && each.id === id && each.dueMs === dueMs && each.part !== undefined,
    )
    if (!turns && !more) return
    const counted = turns ?? new Turns()
    this.#turns.set(key, counted)
    counted.tookPart({ id, dueMs }, more)
  }

  /** What is pending and not leased, parked or held, most overdue first. */
  due(): Due[] {
    const due: Due[] = []
    for (const [id, { message, parts, held }] of this.#entries) {
      if (held !== undefined) continue
      const priority = message.envelope.priority ?? 0
      for (const { destination, part, slots } of parts.values()) {
        const dueMs = dueOf(slots)
        if (dueMs === null || this.#leased.has(leaseKey({ id, destination, part }))) continue
        if (this.#parked.has(destination) || isDestinationHeld(this.#holds, destination)) continue
        due.push({ id, destination, part, dueMs, priority })
      }
    }
    return due.sort(
      (one, other) =>
        one.dueMs - other.dueMs ||
        order(one.destination, other.destination) ||
        order(unitOf(one), unitOf(other)),
    )
  }
}

/** No destination has a NUL. */
export function partKey({ destination, part }: PartName): string {
  return part === undefined ? destination : `${destination}\0${part}`
}

/** What comes first of what is due at the same time. */
function unitOf({ id, part }: Due): string {
  return part === undefined ? id : `${id}.${part}`
}

/** An id has no space. */
function leaseKey(name: PartName & { readonly id: string }): string {
  return `${name.id} ${partKey(name)}`
}

function turnKey({ priority, destination }: Due): string {
  return `${priority} ${destination}`
}

export function order(one: string, other: string): number {
  return one < other ? -1 : Number(one > other)
}
