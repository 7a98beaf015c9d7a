/** A recipient with its place in the message, and what time and outcomes make of it. Pure; the same in every engine. */

import {
  type Job,
  type Message,
  type NewMessage,
  RECIPIENTS_PER_JOB,
  type Recipient,
  type RecipientResult,
} from './queue.ts'

/** The recipients of one message that share a destination are kept together, as slots. */
export interface Slot extends Recipient {
  /** Into `message.recipients`. */
  readonly index: number
}

/** Which slots: all of a message at a destination, or a part of them where there are more than fit into a job. */
export interface PartName {
  readonly destination: string
  /** From 1; not given where they are not cut. */
  readonly part?: number | undefined
}

export interface NewPart extends PartName {
  readonly slots: readonly Slot[]
}

/** A new message's slots, by destination and job. They are due when it arrived, or when it is released. */
export function newParts({ recipients, arrivedMs, dueMs = arrivedMs }: NewMessage): NewPart[] {
  const slots = recipients.map(
    (recipient, index): Slot => ({ index, attempts: 0, dueMs, ...recipient, state: 'pending' }),
  )
  const parts: NewPart[] = []
  for (const [destination, there] of Map.groupBy(slots, slot => slot.destination)) {
    if (there.length <= RECIPIENTS_PER_JOB) {
      parts.push({ destination, slots: there })
      continue
    }
    for (let at = 0; at < there.length; at += RECIPIENTS_PER_JOB) {
      const part = 1 + at / RECIPIENTS_PER_JOB
      parts.push({ destination, part, slots: there.slice(at, at + RECIPIENTS_PER_JOB) })
    }
  }
  return parts
}

/** When the first pending one is due; `null` when all are final. */
export function dueOf(slots: readonly Slot[]): number | null {
  let due: number | null = null
  for (const { state, dueMs } of slots) {
    if (state === 'pending' && (due === null || dueMs < due)) due = dueMs
  }
  return due
}

/** The job for those of them that are due at `nowMs`, leased of `message`. A spool of old may have more than fit into one. */
export function jobOf(
  message: Omit<Message, 'recipients'>,
  { destination, part }: PartName,
  slots: readonly Slot[],
  nowMs: number,
): Job {
  const due = slots.filter(({ state, dueMs }) => state === 'pending' && dueMs <= nowMs)
  const taken = due.slice(0, RECIPIENTS_PER_JOB)
  const recipients: Recipient[] = []
  for (const { index, ...recipient } of taken) recipients[index] = recipient
  return {
    message: { ...message, recipients },
    destination,
    recipients: taken.map(({ index }) => index),
    ...(part === undefined ? {} : { part }),
  }
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
