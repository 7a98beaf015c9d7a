/** What came of an attempt, in the database: a step of a transaction. */

import { noted } from '../history.ts'
import type { RecipientResult } from '../queue.ts'
import { dueOf, type PartName, type Slot, settled } from '../slot.ts'
import { forgetHeld } from './held.ts'
import * as stored from './message.ts'
import type { MessageRecord } from './record.ts'
import { type EncodedStory, encodedStory, keepStory } from './story.ts'
import type { Tables } from './tables.ts'

export interface Written {
  /** The part is pending still, and in line. */
  readonly inLine: boolean
  /** It is at another place of its line now. */
  readonly moved: boolean
  /** The message is gone, and this is the file that had its content. */
  readonly file: string | null
}

const NOTHING: Written = { inLine: false, moved: false, file: null }

/** One of which nothing is known any more is left as it is. */
export function writeResults(
  tables: Tables,
  id: string,
  name: PartName,
  results: readonly RecipientResult[],
  mostStories: number,
): Written {
  const record = stored.loadRecord(tables, id)
  const was = record && stored.loadPart(tables, id, record, name)
  if (!record || !was) return NOTHING
  const now = after(was, results)
  if (stored.updatePart(tables, id, record, was, now.slots, now.attempts)) {
    const inLine = record.held === undefined && dueOf(now.slots) !== null
    return { inLine, moved: inLine && dueOf(now.slots) !== dueOf(was.slots), file: null }
  }
  const parts = stored.loadParts(tables, id, record)
  const ended = parts.map(each => (isSame(each, was) ? now : each))
  keepStory(tables, id, storyOf(id, record, ended, results), mostStories)
  stored.eraseMessage(tables, id, record, parts)
  forgetHeld(tables, id, record.held)
  return { ...NOTHING, file: record.file }
}

/** The part with the results. */
export function after(was: stored.Part, results: readonly RecipientResult[]): stored.Part {
  const slots = settled(was.slots, results)
  return { ...was, slots, attempts: noted(was.attempts, news(results, was.slots)) }
}

/** Of one that has ended with these results. */
export function storyOf(
  id: string,
  record: MessageRecord,
  parts: readonly stored.Part[],
  results: readonly RecipientResult[],
): EncodedStory {
  const atMs = results.reduce((latest, { evidence }) => Math.max(latest, evidence.atMs), record.arrivedMs)
  return encodedStory(id, record, parts, { atMs, how: 'settled' })
}

/** What is new to recipients who were pending. */
function news(results: readonly RecipientResult[], slots: readonly Slot[]): RecipientResult[] {
  const pending = new Set(slots.flatMap(({ index, state }) => (state === 'pending' ? index : [])))
  return results.filter(({ index }) => pending.has(index))
}

function isSame(one: stored.Part, other: stored.Part): boolean {
  return one.destination === other.destination && one.part === other.part
}
