/** What the journal tells of a message, in the database: a step of a transaction. It may be done several times, by several processes. */

import { forgetHeld } from './held.ts'
import { isKnown, rememberOld } from './known.ts'
import * as stored from './message.ts'
import { keepStory } from './story.ts'
import type { Tables } from './tables.ts'
import type { Ended, YoungMessage } from './young.ts'

/** Where the database knows the id somebody else has done it, and what it says of the message is so, but that it may have ended since. */
export function absorb(tables: Tables, message: YoungMessage | Ended, mostStories: number): void {
  if ('end' in message) absorbEnd(tables, message, mostStories)
  else if (!isKnown(tables, message.id)) absorbMessage(tables, message)
}

function absorbMessage(tables: Tables, { id, record, content }: YoungMessage): void {
  const slots = record.only ?? []
  const [slot] = slots
  if (slot === undefined) return
  rememberOld(tables, id, record.arrivedMs)
  stored.insertRecord(tables, id, record, [{ destination: slot.destination, slots }], content)
}

function absorbEnd(tables: Tables, { id, end }: Ended, mostStories: number): void {
  const record = stored.loadRecord(tables, id)
  if (record) {
    stored.eraseMessage(tables, id, record, stored.loadParts(tables, id, record))
    forgetHeld(tables, id, record.held)
  } else if (isKnown(tables, id)) return
  rememberOld(tables, id, end.arrivedMs)
  keepStory(tables, id, end, mostStories)
}
