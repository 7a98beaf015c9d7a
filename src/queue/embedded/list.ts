/** A page of the messages there are. */

import { isInTime, matches, tracesOf } from '../filter.ts'
import type { Filter, Message } from '../queue.ts'
import { loadParts, messageOf } from './message.ts'
import { decodeMessage } from './record.ts'
import type { Tables } from './store.ts'

export function listMessages(
  tables: Tables,
  { after, limit, filter }: { after?: string; limit: number; filter?: Filter },
): Message[] {
  const messages: Message[] = []
  if (limit <= 0) return messages
  const traces = tracesOf(filter ?? {})
  const start = after === undefined ? {} : { start: after, exclusiveStart: true }
  for (const { key, value } of tables.messages.getRange(start)) {
    const id = key as string
    if (traces.length > 0) {
      const text = value.toString('utf8', 0, value.length).toLowerCase()
      if (!traces.every(trace => text.includes(trace))) continue
    }
    const record = decodeMessage(value)
    if (filter && !isInTime(record.arrivedMs, filter)) continue
    const message = messageOf(id, record, loadParts(tables, id, record))
    if (filter && !matches(message, filter)) continue
    messages.push(message)
    if (messages.length >= limit) break
  }
  return messages
}
