/**
 * Which format a spool is of, so that a ptt of before leaves alone what it would misread. The records have versions of their
 * own (`record.ts`): a new format is what no record can tell of, as a table or a kind of key.
 *
 *   1  until there was a number: `messages parts contents due heads seen seenAt counters`
 *   2  parts of parts, as [id, destination, part] and `ID.PART` in line; `holds held stories storiesAt`
 *   3  what was due as it arrived in lines of its own; `fresh freshHeads`
 *   4  an id is in `seen` only where neither a record nor a story tells of it; `storiesAt` says when the message arrived
 *   5  a journal beside the database may tell of messages that it does not know (`journals.ts`)
 *
 * A format is read by the ptt that wrote it and by those of the next two formats at least. None needed rewriting so far: what is
 * in a spool of before means the same in 5.
 */

import { QueueError } from '../queue.ts'
import type { Tables } from './tables.ts'

const FORMAT = 5
const READABLE: readonly number[] = [1, 2, 3, 4, FORMAT]
const KEY = 'format'

/** @throws QueueError `io` when it is of a format that this ptt does not read. */
export function checkFormat({ counters }: Tables): number {
  const octets = counters.getBinary(KEY)
  const format = octets ? Number(octets.toString('latin1')) : 1
  if (READABLE.includes(format)) return format
  throw new QueueError(
    'io',
    `a spool of format ${format}: this ptt reads formats ${READABLE.join(', ')}; start the one that wrote it`,
  )
}

export function isCurrent(format: number): boolean {
  return format === FORMAT
}

export function writeFormat({ counters }: Tables): void {
  counters.put(KEY, Buffer.from(String(FORMAT)))
}
