/**
 * The records of the spool as they are written. Each begins with its version; a spool is read by this and every later
 * ptt, so a field changes its meaning only with a new version, and old ones stay readable.
 *
 *   message  { v, reversePath, envelope, arrivedMs, expiresMs, sizeOctets, file, open, only }      by id
 *   part     { v, recipients: [{ index, mailbox, destination, notify?, originalRecipient?, state, attempts, dueMs,
 *                                delayToldMs?, last? }] }                                          by id and destination
 *
 * JSON: an operator can read it, and for records of some hundred octets it is as fast as binary forms.
 */

import { type Message, QueueError } from '../queue.ts'
import type { Slot } from '../slot.ts'

/**
 * 2: what senders ask for (`requireTls`, `hold`, `notify`…) is in the envelope and the recipients, and a ptt that does not
 * know it must not deliver without.
 */
const VERSION = 2
const READABLE: readonly unknown[] = [1, VERSION]

export interface MessageRecord extends Omit<Message, 'id' | 'recipients'> {
  /** The content's file; `null` when the content is in the database. */
  readonly file: string | null
  /** Destinations with a recipient that is pending. */
  readonly open: number
  /** The recipients, when all have one destination: most messages are one record. Otherwise a part per destination. */
  readonly only: readonly Slot[] | null
}

export function encodeMessage(record: MessageRecord): Buffer {
  return encode(record)
}

export function decodeMessage(octets: Buffer): MessageRecord {
  const { v: _, ...record } = decode(octets) as { v: number } & MessageRecord
  return record
}

export function encodePart(slots: readonly Slot[]): Buffer {
  return encode({ recipients: slots })
}

export function decodePart(octets: Buffer): Slot[] {
  return (decode(octets) as { recipients: Slot[] }).recipients
}

function encode(record: object): Buffer {
  return Buffer.from(JSON.stringify({ v: VERSION, ...record }))
}

/** `octets` may be part of a larger buffer that is used again: its `length` counts. */
function decode(octets: Buffer): unknown {
  const record = JSON.parse(octets.toString('utf8', 0, octets.length))
  if (!READABLE.includes(record.v)) {
    throw new QueueError(
      'io',
      `a record of version ${record.v}: this ptt reads versions ${READABLE.join(', ')}`,
    )
  }
  return record
}
