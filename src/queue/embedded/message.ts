/** Messages in the database: each function is a step of a transaction, and reads all it needs before it writes. */

import type { Envelope } from '../../smtp/envelope.ts'
import type { Message, NewMessage } from '../queue.ts'
import { dueOf, newSlots, recipientsOf, type Slot } from '../slot.ts'
import { moveDue } from './due.ts'
import { decodeMessage, decodePart, encodeMessage, encodePart, type MessageRecord } from './record.ts'
import type { Tables } from './store.ts'

const NOTHING = Buffer.alloc(0)
const CHANGES = 'changes'

export interface Loaded {
  readonly message: Message
  readonly parts: ReadonlyMap<string, readonly Slot[]>
}

/** Whether the id was put in the time ids are remembered, or is queued still. */
export function isKnown(tables: Tables, id: string): boolean {
  return tables.seen.doesExist(id) || tables.messages.doesExist(id)
}

/** How often messages were made due earlier than they were, by whatever process. */
export function changes({ counters }: Tables): number {
  const octets = counters.getBinaryFast(CHANGES)
  return octets ? Number(octets.toString('latin1', 0, octets.length)) : 0
}

export function countChange(tables: Tables): void {
  tables.counters.put(CHANGES, Buffer.from(String(changes(tables) + 1)))
}

/** `content`: the octets themselves, or the name of the file that has them. */
export function insertMessage(
  tables: Tables,
  message: NewMessage,
  sizeOctets: number,
  content: Uint8Array | string,
): void {
  const { id, arrivedMs, expiresMs } = message
  const { recipients: _, reversePath, ...envelope } = message.envelope
  const parts = newSlots(message)
  const file = typeof content === 'string' ? content : null
  const open = parts.size
  const only = open === 1 ? (parts.values().next().value ?? null) : null
  const record = { reversePath, envelope, arrivedMs, expiresMs, sizeOctets, file, open, only }
  tables.messages.put(id, encodeMessage(record))
  for (const [destination, slots] of parts) {
    if (!only) tables.parts.put([id, destination], encodePart(slots))
    moveDue(tables, priorityOf(record), destination, id, null, dueOf(slots))
  }
  if (typeof content !== 'string') tables.contents.put(id, content)
  tables.seen.put(id, NOTHING)
  tables.seenAt.put([arrivedMs, id], NOTHING)
}

export function loadRecord(tables: Tables, id: string): MessageRecord | null {
  const octets = tables.messages.getBinaryFast(id)
  return octets ? decodeMessage(octets) : null
}

export function loadPart(
  tables: Tables,
  id: string,
  { only }: MessageRecord,
  destination: string,
): readonly Slot[] | null {
  if (only) return only[0]?.destination === destination ? only : null
  const octets = tables.parts.getBinaryFast([id, destination])
  return octets ? decodePart(octets) : null
}

export function loadParts(
  tables: Tables,
  id: string,
  { only }: MessageRecord,
): ReadonlyMap<string, readonly Slot[]> {
  if (only) return new Map(only.slice(0, 1).map(({ destination }) => [destination, only]))
  const parts = new Map<string, Slot[]>()
  // An id has no space: this is after every [id, destination] and before every other id.
  for (const { key, value } of tables.parts.getRange({ start: [id], end: [`${id} `] })) {
    const [, destination] = key as [string, string]
    parts.set(destination, decodePart(value))
  }
  return parts
}

export function loadMessage(tables: Tables, id: string): Loaded | null {
  const record = loadRecord(tables, id)
  if (!record) return null
  const parts = loadParts(tables, id, record)
  const { file: _, open: __, only: ___, ...fixed } = record
  return { message: { id, ...fixed, recipients: recipientsOf([...parts.values()].flat()) }, parts }
}

/** A destination's recipients are as `is` now. Returns false when that was the last one that had any pending. */
export function updatePart(
  tables: Tables,
  id: string,
  record: MessageRecord,
  destination: string,
  was: readonly Slot[],
  is: readonly Slot[],
): boolean {
  const wasMs = dueOf(was)
  const isMs = dueOf(is)
  const closes = wasMs !== null && isMs === null
  if (closes && record.open === 1) return false
  moveDue(tables, priorityOf(record), destination, id, wasMs, isMs)
  if (record.only) {
    tables.messages.put(id, encodeMessage({ ...record, only: is }))
    return true
  }
  tables.parts.put([id, destination], encodePart(is))
  if (closes) tables.messages.put(id, encodeMessage({ ...record, open: record.open - 1 }))
  return true
}

/** All of it but the content's file, and but the id, which stays known. */
export function eraseMessage(tables: Tables, id: string, record: MessageRecord): void {
  for (const [destination, slots] of loadParts(tables, id, record)) {
    if (!record.only) tables.parts.remove([id, destination])
    moveDue(tables, priorityOf(record), destination, id, dueOf(slots), null)
  }
  tables.messages.remove(id)
  if (record.file === null) tables.contents.remove(id)
}

/** It is the message's own, and stays. */
export function priorityOf({ envelope }: { readonly envelope: Pick<Envelope, 'priority'> }): number {
  return envelope.priority ?? 0
}
