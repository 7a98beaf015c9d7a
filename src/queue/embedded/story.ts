/** What is told of messages that are gone. Bounded by time and by number: each has some hundred octets. */

import { type Message, STORY_RECIPIENTS, type Story } from '../queue.ts'
import { recipientsOf } from '../slot.ts'
import { attemptsOf, fixedOf, loadParts, loadRecord, messageOf, type Part } from './message.ts'
import { decodeStory, encodeStory, type MessageRecord } from './record.ts'
import type { Tables } from './store.ts'

const NOTHING = Buffer.alloc(0)

export function loadStory(tables: Tables, id: string): Story | null {
  const record = loadRecord(tables, id)
  if (record) {
    const parts = loadParts(tables, id, record)
    return { message: messageOf(id, record, parts), attempts: attemptsOf(parts), ended: null }
  }
  const octets = tables.stories.getBinaryFast(id)
  return octets ? decodeStory(octets) : null
}

/** In the transaction that erases the message. The oldest make room, so that there are never more than `most`; 0: it is not kept. */
export function keepStory(
  tables: Tables,
  id: string,
  record: MessageRecord,
  parts: readonly Part[],
  { atMs, how }: { readonly atMs: number; readonly how: 'settled' | 'removed' },
  most: number,
): void {
  const { stories, storiesAt } = tables
  if (most <= 0) return
  const excess = countOf(tables) + 1 - most
  if (excess > 0) {
    const oldest = Array.from(storiesAt.getKeys({ limit: excess })) as StoryKey[]
    for (const key of oldest) forget(tables, key)
  }
  const slots = parts.flatMap(({ slots }) => slots)
  const recipients = slots.length
  const first = slots.toSorted((one, other) => one.index - other.index).slice(0, STORY_RECIPIENTS)
  const message: Message = { ...fixedOf(id, record), recipients: recipientsOf(first) }
  stories.put(id, encodeStory({ message, attempts: attemptsOf(parts), ended: { atMs, how, recipients } }))
  storiesAt.put([atMs, id], NOTHING)
}

/** Those that ended before `untilMs`, at most `limit`. @returns how many */
export function forgetStories(tables: Tables, untilMs: number, limit: number): number {
  const keys = Array.from(tables.storiesAt.getKeys({ end: [untilMs], limit })) as StoryKey[]
  for (const key of keys) forget(tables, key)
  return keys.length
}

type StoryKey = [endedMs: number, id: string]

function forget({ stories, storiesAt }: Tables, key: StoryKey): void {
  storiesAt.remove(key)
  stories.remove(key[1])
}

function countOf({ storiesAt }: Tables): number {
  return (storiesAt.getStats() as { entryCount: number }).entryCount
}
