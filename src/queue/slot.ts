/** A recipient with its place in the message, and what time and outcomes make of it. Pure; the same in every engine. */

import type { Message, NewMessage, Recipient, RecipientResult } from './queue.ts'

/** The recipients of one message that share a destination are kept together, as slots. */
export interface Slot extends Recipient {
  /** Into `message.recipients`. */
  readonly index: number
}

/** A new message's slots by destination, all due when it arrived, or when it is released. */
export function newSlots({ recipients, arrivedMs, dueMs = arrivedMs }: NewMessage): Map<string, Slot[]> {
  const slots = recipients.map(
    (recipient, index): Slot => ({ index, ...recipient, state: 'pending', attempts: 0, dueMs }),
  )
  return Map.groupBy(slots, slot => slot.destination)
}

/** When the first pending one is due; `null` when all are final. */
export function dueOf(slots: readonly Slot[]): number | null {
  let due: number | null = null
  for (const { state, dueMs } of slots) {
    if (state === 'pending' && (due === null || dueMs < due)) due = dueMs
  }
  return due
}

/** Which of them a job leased at `nowMs` is for. */
export function dueIndices(slots: readonly Slot[], nowMs: number): number[] {
  return slots.filter(({ state, dueMs }) => state === 'pending' && dueMs <= nowMs).map(({ index }) => index)
}

export function settled(slots: readonly Slot[], results: readonly RecipientResult[]): Slot[] {
  const byIndex = new Map(results.map(result => [result.index, result]))
  return slots.map(slot => {
    const result = byIndex.get(slot.index)
    if (result === undefined || slot.state !== 'pending') return slot
    const tried = { ...slot, attempts: slot.attempts + 1, last: result.evidence }
    if (result.action !== 'deferred') return { ...tried, state: result.action }
    const { dueMs, delayToldMs } = result
    return { ...tried, dueMs, ...(delayToldMs === undefined ? {} : { delayToldMs }) }
  })
}

export function hastened(slots: readonly Slot[], nowMs: number): Slot[] {
  return slots.map(slot =>
    slot.state === 'pending' && slot.dueMs > nowMs ? { ...slot, dueMs: nowMs } : slot,
  )
}

/** The slots of all destinations as the message's recipients, in the order of the envelope. */
export function recipientsOf(slots: Iterable<Slot>): Message['recipients'] {
  return Array.from(slots)
    .toSorted((one, other) => one.index - other.index)
    .map(({ index: _, ...recipient }) => recipient)
}
