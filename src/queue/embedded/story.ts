/**
 * What is told of messages that are gone. Bounded by time and by number: each has some hundred octets. While there is a story
 * its id is known by it (`known.ts`).
 */

import { type Message, STORY_RECIPIENTS, type Story } from '../queue.ts'
import { recipientsOf } from '../slot.ts'
import { remember } from './known.ts'
import { attemptsOf, fixedOf, loadParts, loadRecord, messageOf, type Part } from './message.ts'
import { decodeStory, encodeStory, type MessageRecord } from './record.ts'
import type { Tables } from './tables.ts'

/** Where there is no room: of all stories so much is made at once. */
const MADE_AT_ONCE = 0.001

export function loadStory(tables: Tables, id: string): Story | null {
  const record = loadRecord(tables, id)
  if (record) {
    const parts = loadParts(tables, id, record)
    return { message: messageOf(id, record, parts), attempts: attemptsOf(parts), ended: null }
  }
  const octets = tables.stories.getBinaryFast(id)
  return octets ? decodeStory(octets) : null
}

/** As it is kept, with what is needed to forget it again. */
export interface EncodedStory {
  readonly arrivedMs: number
  readonly endedMs: number
  readonly octets: Buffer
}

export function encodedStory(
  id: string,
  record: MessageRecord,
  parts: readonly Part[],
  { atMs, how }: { readonly atMs: number; readonly how: 'settled' | 'removed' },
): EncodedStory {
  const slots = parts.flatMap(({ slots }) => slots)
  const recipients = slots.length
  const first = slots.toSorted((one, other) => one.index - other.index).slice(0, STORY_RECIPIENTS)
  const message: Message = { ...fixedOf(id, record), recipients: recipientsOf(first) }
  const octets = encodeStory({ message, attempts: attemptsOf(parts), ended: { atMs, how, recipients } })
  return { arrivedMs: record.arrivedMs, endedMs: atMs, octets }
}

/** In the transaction that erases the message. The oldest make room, so that there are never more than `most`; 0: it is not kept. */
export function keepStory(tables: Tables, id: string, story: EncodedStory, most: number): void {
  const { stories, storiesAt } = tables
  const { arrivedMs, endedMs, octets } = story
  if (most <= 0) {
    remember(tables, id, arrivedMs)
    return
  }
  makeRoom(tables, most)
  stories.put(id, octets)
  storiesAt.put([endedMs, id], Buffer.from(String(arrivedMs)))
}

/** Those that ended before `untilMs`, at most `limit`. @returns how many */
export function forgetStories(tables: Tables, untilMs: number, limit: number): number {
  return forgetFirst(tables, { end: [untilMs], limit })
}

/** A spool of before format 4 does not say when the message arrived: its id was remembered from then on. */
function forgetFirst(tables: Tables, range: { end?: [number]; limit: number }): number {
  const { stories, storiesAt } = tables
  const first = Array.from(storiesAt.getRange(range))
  for (const { key, value: arrivedMs } of first) {
    const [, id] = key as [endedMs: number, id: string]
    storiesAt.remove(key)
    stories.remove(id)
    if (arrivedMs.length > 0) remember(tables, id, Number(arrivedMs.toString('latin1')))
  }
  return first.length
}

/** How many more stories there is room for, by tables: to count them is two fifths of what it takes to keep one (measured). */
const rooms = new WeakMap<Tables, { most: number; left: number }>()

/** Another process may keep some too: it is counted again before there would be too many of ours. */
function makeRoom(tables: Tables, most: number): void {
  let room = rooms.get(tables)
  if (room?.most !== most || room.left <= 0) {
    const excess = countOf(tables) + 1 - most
    const limit = excess + Math.floor(most * MADE_AT_ONCE)
    if (excess > 0) forgetFirst(tables, { limit })
    room = { most, left: excess > 0 ? limit - excess + 1 : 1 - excess }
    rooms.set(tables, room)
  }
  room.left--
}

function countOf({ storiesAt }: Tables): number {
  return (storiesAt.getStats() as { entryCount: number }).entryCount
}
