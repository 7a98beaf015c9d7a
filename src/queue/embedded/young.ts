/**
 * Messages that the journal has and the database has not, in memory: most are delivered before it needs to know of them. Each is
 * one part, was due as it arrived, and stands in the `fresh` lines as if it were in those tables (`due.ts`).
 */

import { isOfDestination } from '../hold.ts'
import { QueueError } from '../queue.ts'
import { dueOf } from '../slot.ts'
import { type Head, isBefore, isEarlier, type Place } from './due.ts'
import type { MessageRecord } from './record.ts'
import { Sorted } from './sorted.ts'
import type { EncodedStory } from './story.ts'

export interface YoungMessage {
  readonly id: string
  /** Where the journal begins to tell of it. */
  readonly at: number
  /** Its recipients are in `only`. */
  readonly record: MessageRecord
  readonly content: Uint8Array
}

/** All of its recipients are final: of the message nothing is left but its story. */
export interface Ended {
  readonly id: string
  readonly at: number
  readonly end: EncodedStory
}

/** Of one priority. */
interface Lines {
  readonly heads: Sorted<Head>
  readonly byDestination: Map<string, Sorted<Place>>
}

export class Young {
  /** As the journal tells of them. */
  readonly #all = new Map<string, YoungMessage | Ended>()
  readonly #lines = new Map<number, Lines>()
  /** Those that the transaction which is open writes into the database. */
  readonly #moving = new Set<string>()

  get size(): number {
    return this.#all.size
  }

  /** Of one that has not ended. */
  get(id: string): YoungMessage | null {
    const known = this.#all.get(id)
    return known === undefined || 'end' in known ? null : known
  }

  find(id: string): YoungMessage | Ended | undefined {
    return this.#all.get(id)
  }

  /** In the order of the journal. */
  all(): Iterable<YoungMessage | Ended> {
    return this.#all.values()
  }

  add(message: YoungMessage): void {
    this.#all.set(message.id, message)
    this.#enter(message)
  }

  end(message: YoungMessage, end: EncodedStory): void {
    const { id, at } = message
    this.#leave(message)
    this.#all.set(id, { id, at, end })
  }

  /** That it has ended could not be kept: it is as it was. */
  unend(message: YoungMessage): void {
    if (this.#all.has(message.id)) this.add(message)
  }

  /** The database has it, or whoever has changed the database has seen to it. */
  delete(id: string): void {
    const message = this.get(id)
    if (message) this.#leave(message)
    this.#all.delete(id)
  }

  /** Within a transaction: that message is in the database once it is committed. */
  moves(id: string): void {
    this.#moving.add(id)
  }

  isMoving(id: string): boolean {
    return this.#moving.has(id)
  }

  /** How many the transaction moves until now, for `undoMoves`. */
  get moving(): number {
    return this.#moving.size
  }

  /** Those after the first `count` are not moved. */
  undoMoves(count: number): void {
    for (const id of [...this.#moving].slice(count)) this.#moving.delete(id)
  }

  /** The transaction was committed. */
  moved(): void {
    for (const id of this.#moving) this.delete(id)
    this.#moving.clear()
  }

  *heads(priority: number, after: Head | null): Generator<Head, void> {
    const heads = this.#lines.get(priority)?.heads
    if (heads === undefined) return
    for (const head of heads.from(after ?? FIRST_HEAD))
      if (after === null || isBefore(after, head)) yield head
  }

  *line(priority: number, destination: string, from: Place): Generator<Place, void> {
    const line = this.#lines.get(priority)?.byDestination.get(destination)
    if (line !== undefined) yield* line.from(from)
  }

  /** When the first at a destination, or at one of that domain, is due. */
  firstDueAt(name: string): number | null {
    let first: number | null = null
    for (const { byDestination } of this.#lines.values()) {
      for (const [destination, line] of byDestination) {
        const dueMs = line.first?.dueMs
        if (dueMs !== undefined && isOfDestination(destination, name)) first = Math.min(first ?? dueMs, dueMs)
      }
    }
    return first
  }

  #enter(message: YoungMessage): void {
    const { priority, destination, place } = placeOf(message)
    const lines = this.#lines.get(priority) ?? { heads: new Sorted(isBefore), byDestination: new Map() }
    this.#lines.set(priority, lines)
    const line = lines.byDestination.get(destination) ?? new Sorted(isEarlier)
    lines.byDestination.set(destination, line)
    this.#change(lines, destination, line, () => line.add(place))
  }

  #leave(message: YoungMessage): void {
    const { priority, destination, place } = placeOf(message)
    const lines = this.#lines.get(priority)
    const line = lines?.byDestination.get(destination)
    if (lines === undefined || line === undefined) return
    this.#change(lines, destination, line, () => line.remove(place))
    if (line.first === undefined) lines.byDestination.delete(destination)
  }

  /** Keeps the heads as the lines are. */
  #change({ heads }: Lines, destination: string, line: Sorted<Place>, change: () => void): void {
    const wasMs = line.first?.dueMs
    change()
    const isMs = line.first?.dueMs
    if (wasMs === isMs) return
    if (wasMs !== undefined) heads.remove({ destination, dueMs: wasMs })
    if (isMs !== undefined) heads.add({ destination, dueMs: isMs })
  }
}

const FIRST_HEAD: Head = { dueMs: 0, destination: '' }

function placeOf({ id, record }: YoungMessage): { priority: number; destination: string; place: Place } {
  const [slot] = record.only ?? []
  const dueMs = dueOf(record.only ?? [])
  if (slot === undefined || dueMs === null)
    throw new QueueError('io', `message ${id} has nothing that is due`)
  return {
    priority: record.envelope.priority ?? 0,
    destination: slot.destination,
    place: { dueMs, unit: id },
  }
}
