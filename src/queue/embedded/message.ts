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
import type { Tables } from './tables.ts'
import { unitOf } from './unit.ts'

const CHANGES = 'changes'

/** The recipients of a message at one destination, or a part of them. */
export interface Part extends PartName, PartRecord {}

/** How often the lines or the holds were changed in a way that whoever leases has to know of, by whatever process. */
export function changes(tables: Tables): number {
  return counter(tables, CHANGES) ?? 0
}

export function countChange(tables: Tables): void {
  setCounter(tables, CHANGES, changes(tables) + 1)
}

export function counter({ counters }: Tables, name: string): number | null {
  const octets = counters.getBinaryFast(name)
  return octets ? Number(octets.toString('latin1', 0, octets.length)) : null
}

/** `null`: there is none any more. */
export function setCounter({ counters }: Tables, name: string, value: number | null): void {
  if (value === null) counters.remove(name)
  else counters.put(name, Buffer.from(String(value)))
}

/** The names of those that begin so. */
export function counters({ counters }: Tables, start: string): string[] {
  return Array.from(counters.getKeys({ start, end: `${start}\uffff` })) as string[]
}

/** `content`: the octets themselves, or the name of the file that has them. */
export function insertMessage(
  tables: Tables,
  message: NewMessage,
  parts: readonly NewPart[],
  sizeOctets: number,
  content: Uint8Array | string,
): void {
  const record = recordOf(message, parts, sizeOctets, typeof content === 'string' ? content : null)
  insertRecord(tables, message.id, record, parts, content)
}

/** `file`: the name of the one that has the content. */
export function recordOf(
  message: NewMessage,
  parts: readonly NewPart[],
  sizeOctets: number,
  file: string | null,
): MessageRecord {
  const { arrivedMs, expiresMs } = message
  const { recipients: _, reversePath, ...envelope } = message.envelope
  const open = parts.length
  const only = open === 1 ? (parts[0]?.slots ?? null) : null
  return { reversePath, envelope, arrivedMs, expiresMs, sizeOctets, file, open, only }
}

export function insertRecord(
  tables: Tables,
  id: string,
  record: MessageRecord,
  parts: readonly NewPart[],
  content: Uint8Array | string,
): void {
  tables.messages.put(id, encodeMessage(record))
  for (const { destination, part, slots } of parts) {
    if (!record.only)
      tables.parts.put(partKey(id, { destination, part }), encodePart({ slots, attempts: [] }))
    const dueMs = dueOf(slots)
    if (dueMs === null) continue
    const pair = pairAtFirst(dueMs, record.arrivedMs)
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
