/**
 * The records of the spool as they are written. Each begins with its version; a spool is read by this and every later
 * ptt, so a field changes its meaning only with a new version, and old ones stay readable.
 *
 *   message  { v, reversePath, envelope, arrivedMs, expiresMs, sizeOctets, file, open, only, attempts?, held? }   by id
 *   part     { v, recipients: [{ index, mailbox, destination, notify?, originalRecipient?, state, attempts, dueMs,
 *                                delayToldMs?, last? }], attempts? }                 by id, destination, and its number
 *   hold     { v, reason, sinceMs, untilMs }                                                          by kind and name
 *   story    { v, message, attempts, ended }                                                                     by id
 *   note     { v, id, record } with a content, { v, id, arrivedMs, endedMs } with a story             in the journal
 *
 * JSON: an operator can read it, and for records of some hundred octets it is as fast as binary forms.
 */

import type { PastAttempt } from '../history.ts'
import { type Hold, type Message, QueueError, type Story } from '../queue.ts'
import type { Slot } from '../slot.ts'

/**
 * 2: what senders ask for (`requireTls`, `hold`, `notify`…) is in the envelope and the recipients, and a ptt that does not
 * know it must not deliver without. 3: a destination may have several parts, and a message may be held.
 */
const VERSION = 3
const READABLE: readonly unknown[] = [1, 2, VERSION]

export interface MessageRecord extends Omit<Message, 'id' | 'recipients'> {
  /** The content's file; `null` when the content is in the database. */
  readonly file: string | null
  /** Parts with a recipient that is pending. */
  readonly open: number
  /** The recipients, when they are one part: most messages are one record. Otherwise there is a record for each part. */
  readonly only: readonly Slot[] | null
  /** What came of `only`, once something did. */
  readonly attempts?: readonly PastAttempt[]
}

export interface PartRecord {
  readonly slots: readonly Slot[]
  readonly attempts: readonly PastAttempt[]
}

export function encodeMessage(record: MessageRecord): Buffer {
  return encode(record)
}

export function decodeMessage(octets: Buffer | string): MessageRecord {
  const { v: _, ...record } = decode(octets) as { v: number } & MessageRecord
  return record
}

export function encodePart({ slots, attempts }: PartRecord): Buffer {
  return encode({ recipients: slots, ...(attempts.length === 0 ? {} : { attempts }) })
}

export function decodePart(octets: Buffer): PartRecord {
  const { recipients: slots, attempts = [] } = decode(octets) as {
    recipients: Slot[]
    attempts?: PastAttempt[]
  }
  return { slots, attempts }
}

export function encodeHold({ reason, sinceMs, untilMs }: Hold): Buffer {
  return encode({ reason, sinceMs, untilMs })
}

export function decodeHold(octets: Buffer): Pick<Hold, 'reason' | 'sinceMs' | 'untilMs'> {
  const { reason, sinceMs, untilMs } = decode(octets) as Hold
  return { reason, sinceMs, untilMs }
}

export function encodeStory(story: Story): Buffer {
  return encode(story)
}

export function decodeStory(octets: Buffer): Story {
  const { message, attempts, ended } = decode(octets) as Story
  return { message, attempts, ended }
}

/** With its content, or with its story. */
export type JournalNote =
  | { readonly id: string; readonly record: MessageRecord }
  | { readonly id: string; readonly arrivedMs: number; readonly endedMs: number }

export function encodeNote(note: JournalNote): string {
  return encodeText(note)
}

export function decodeNote(text: string): JournalNote {
  return decode(text) as JournalNote
}

function encode(record: object): Buffer {
  return Buffer.from(encodeText(record))
}

function encodeText(record: object): string {
  return JSON.stringify({ v: VERSION, ...record })
}

/** `octets` may be part of a larger buffer that is used again: its `length` counts. Or they are text already. */
function decode(octets: Buffer | string): unknown {
  const record = JSON.parse(typeof octets === 'string' ? octets : octets.toString('utf8', 0, octets.length))
  if (!READABLE.includes(record.v)) {
    throw new QueueError(
      'io',
      `a record of version ${record.v}: this ptt reads versions ${READABLE.join(', ')}`,
    )
  }
  return record
}
