/** Pages of the messages there are, and searching among them. There is no index but the id: `search` has to look at each. */

import { isInTime, isTraced, matches, tracesOf } from '../filter.ts'
import type { Filter, Found, Message } from '../queue.ts'
import { loadParts, messageOf } from './message.ts'
import { decodeMessage } from './record.ts'
import type { Tables } from './tables.ts'

export interface Page {
  readonly after?: string
  readonly limit: number
  readonly filter?: Filter
}

/** At one microsecond for what does not match, and ten for what almost does, some tens of milliseconds at most. */
const LOOKS = 5000

export function listMessages(tables: Tables, page: Page): readonly Message[] {
  return page.limit <= 0 ? [] : searchMessages(tables, page, Number.POSITIVE_INFINITY).messages
}

/** Looks at `most` messages, and stops with the `limit`th that matches. */
export function searchMessages(
  tables: Tables,
  { after, limit, filter = {} }: Page,
  most: number = LOOKS,
): Found {
  const messages: Message[] = []
  const traces = tracesOf(filter)
  const start = after === undefined ? {} : { start: after, exclusiveStart: true }
  let looks = 0
  for (const { key, value } of tables.texts.getRange(start)) {
    const id = key as string
    if (traces === null || isTraced(value, traces)) {
      const record = decodeMessage(value)
      if (isInTime(record.arrivedMs, filter)) {
        const message = messageOf(id, record, loadParts(tables, id, record))
        if (matches(message, filter)) messages.push(message)
      }
    }
    if (messages.length >= limit || ++looks >= most) return { messages, after: id }
  }
  return { messages, after: null }
}
