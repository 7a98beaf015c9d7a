/** Messages in the database: each function is a step of a transaction, and reads all it needs before it writes. */

import type { Envelope } from '../../smtp/envelope.ts'
import { merged, type PastAttempt } from '../history.ts'
import type { Attempt, Message, NewMessage } from '../queue.ts'
import { dueOf, type NewPart, type PartName, recipientsOf, type Slot } from '../slot.ts'
import { enterLine, moveDue, pairAtFirst } from './due.ts'
import {
  decodeMessage,
  decodePart,
  encodeMessage,
  encodePart,
  type MessageRecord,
  type PartRecord,
} from './record.ts'
import type { Tables } from './store.ts'
import { unitOf } from './unit.ts'

const CHANGES = 'changes'

/** The recipients of a message at one destination, or a part of them. */
export interface Part extends PartName, PartRecord {}

/** How often the lines or the holds were changed in a way that whoever leases has to know of, by whatever process. */
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
  parts: readonly NewPart[],
  sizeOctets: number,
  content: Uint8Array | string,
): void {
  const { id, arrivedMs, expiresMs } = message
  const { recipients: _, reversePath, ...envelope } = message.envelope
  const file = typeof content === 'string' ? content : null
  const open = parts.length
  const only = open === 1 ? (parts[0]?.slots ?? null) : null
  const record = { reversePath, envelope, arrivedMs, expiresMs, sizeOctets, file, open, only }
  tables.messages.put(id, encodeMessage(record))
  for (const { destination, part, slots } of parts) {
    if (!only) tables.parts.put(partKey(id, { destination, part }), encodePart({ slots, attempts: [] }))
    const dueMs = dueOf(slots)
    if (dueMs === null) continue
    const pair = pairAtFirst(dueMs, arrivedMs)
    enterLine(tables, pair, priorityOf(record), destination, { unit: unitOf(id, part), dueMs })
  }
  if (typeof content !== 'string') tables.contents.put(id, content)
}

export function loadRecord(tables: Tables, id: string): MessageRecord | null {
  const octets = tables.messages.getBinaryFast(id)
  return octets ? decodeMessage(octets) : null
}

export function loadPart(
  tables: Tables,
  id: string,
  { only, attempts = [] }: MessageRecord,
  name: PartName,
): Part | null {
  const { destination, part } = name
  if (only) return only[0]?.destination === destination ? { destination, slots: only, attempts } : null
  const octets = tables.parts.getBinaryFast(partKey(id, name))
  return octets ? { destination, part, ...decodePart(octets) } : null
}

export function loadParts(tables: Tables, id: string, { only, attempts = [] }: MessageRecord): Part[] {
  if (only) return only.slice(0, 1).map(({ destination }) => ({ destination, slots: only, attempts }))
  const parts: Part[] = []
  // An id has no space: this is after all keys that begin with this id, and before those of every other.
  for (const { key, value } of tables.parts.getRange({ start: [id], end: [`${id} `] })) {
    const [, destination, part] = key as [string, string, number?]
    parts.push({ destination, part, ...decodePart(value) })
  }
  return parts
}

/** What a job needs to know of a message, whatever number of recipients it has. */
export function fixedOf(id: string, record: MessageRecord): Omit<Message, 'recipients'> {
  const { file: _, open: __, only: ___, attempts: ____, ...fixed } = record
  return { id, ...fixed }
}

export function messageOf(id: string, record: MessageRecord, parts: readonly Part[]): Message {
  return { ...fixedOf(id, record), recipients: recipientsOf(parts.flatMap(({ slots }) => slots)) }
}

export function attemptsOf(parts: readonly Part[]): Attempt[] {
  return merged(
    parts.flatMap(({ destination, attempts }) => attempts.map(attempt => ({ ...attempt, destination }))),
  )
}

export function loadMessage(tables: Tables, id: string): Message | null {
  const record = loadRecord(tables, id)
  return record && messageOf(id, record, loadParts(tables, id, record))
}

/** The recipients of a part are as `slots` now. Returns false when it was the last one that had any pending. */
export function updatePart(
  tables: Tables,
  id: string,
  record: MessageRecord,
  was: Part,
  slots: readonly Slot[],
  attempts: readonly PastAttempt[] = was.attempts,
): boolean {
  const wasMs = dueOf(was.slots)
  const isMs = dueOf(slots)
  const closes = wasMs !== null && isMs === null
  if (closes && record.open === 1) return false
  if (record.held === undefined)
    moveDue(tables, priorityOf(record), was.destination, unitOf(id, was.part), wasMs, isMs)
  if (record.only) {
    const told = attempts.length === 0 ? {} : { attempts }
    tables.messages.put(id, encodeMessage({ ...record, only: slots, ...told }))
    return true
  }
  tables.parts.put(partKey(id, was), encodePart({ slots, attempts }))
  if (closes) tables.messages.put(id, encodeMessage({ ...record, open: record.open - 1 }))
  return true
}

/** All of it but the content's file. The id stays known by the story that was kept of it. */
export function eraseMessage(
  tables: Tables,
  id: string,
  record: MessageRecord,
  parts: readonly Part[],
): void {
  for (const part of parts) {
    if (!record.only) tables.parts.remove(partKey(id, part))
    if (record.held === undefined)
      moveDue(tables, priorityOf(record), part.destination, unitOf(id, part.part), dueOf(part.slots), null)
  }
  tables.messages.remove(id)
  if (record.file === null) tables.contents.remove(id)
}

/** Takes all that is pending of a message out of the lines, or puts it back. */
export function moveAll(
  tables: Tables,
  id: string,
  record: MessageRecord,
  where: 'out of line' | 'into line',
): void {
  for (const { destination, part, slots } of loadParts(tables, id, record)) {
    const dueMs = dueOf(slots)
    const [wasMs, isMs] = where === 'into line' ? [null, dueMs] : [dueMs, null]
    moveDue(tables, priorityOf(record), destination, unitOf(id, part), wasMs, isMs)
  }
}

/** It is the message's own, and stays. */
export function priorityOf({ envelope }: { readonly envelope: Pick<Envelope, 'priority'> }): number {
  return envelope.priority ?? 0
}

function partKey(id: string, { destination, part }: PartName): (string | number)[] {
  return part === undefined ? [id, destination] : [id, destination, part]
}
