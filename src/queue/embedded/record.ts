/**
 * The records of the spool as they are written. Each begins with its version; a spool is read by this and every later
 * ptt, so a field changes its meaning only with a new version, and old ones stay readable.
 *
 *   message  { v, reversePath, envelope, arrivedMs, expiresMs, sizeOctets, file, open }    by id
 *   part     { v, recipients: [{ index, mailbox, state, attempts, dueMs, last? }] }        by id and destination
 *
 * JSON: an operator can read it, and for records of some hundred octets it is as fast as binary forms.
 */

import { type Message, QueueError } from '../queue.ts'
import type { Slot } from '../slot.ts'

const VERSION = 1

/** What of a message does not depend on its destinations. */
export interface MessageRecord extends Omit<Message, 'id' | 'recipients'> {
  /** The content's file; `null` when the content is in the database. */
  readonly file: string | null
  /** Destinations with a recipient that is pending. */
  readonly open: number
}

export function encodeMessage(record: MessageRecord): Uint8Array {
  return encode(record)
}

export function decodeMessage(octets: Uint8Array): MessageRecord {
  const { v: _, ...record } = decode(octets) as { v: number } & MessageRecord
  return record
}

export function encodePart(slots: readonly Slot[]): Uint8Array {
  return encode({ recipients: slots.map(({ destination: _, ...recipient }) => recipient) })
}

export function decodePart(octets: Uint8Array, destination: string): Slot[] {
  const { recipients } = decode(octets) as { recipients: Omit<Slot, 'destination'>[] }
  return recipients.map(recipient => ({ ...recipient, destination }))
}

function encode(record: object): Uint8Array {
  return Buffer.from(JSON.stringify({ v: VERSION, ...record }))
}

function decode(octets: Uint8Array): unknown {
  const record = JSON.parse(Buffer.from(octets.buffer, octets.byteOffset, octets.length).toString())
  if (record.v !== VERSION) {
    throw new QueueError('io', `a record of version ${record.v}: this ptt reads version ${VERSION}`)
  }
  return record
}
