/** Which messages an operator asks for. Pure; the same in every engine. */

import { formatMailbox } from '../smtp/path.ts'
import { isOfDestination, senderNames } from './hold.ts'
import type { Filter, Message } from './queue.ts'

export function matches({ reversePath, arrivedMs, recipients }: Message, filter: Filter): boolean {
  const { sender, recipient, destination } = filter
  if (!isInTime(arrivedMs, filter)) return false
  if (sender !== undefined && !senderNames(reversePath).includes(sender.toLowerCase())) return false
  if (recipient === undefined && destination === undefined) return true
  return recipients.some(
    each =>
      each.state === 'pending' &&
      (destination === undefined ||
        isOfDestination(each.destination.toLowerCase(), destination.toLowerCase())) &&
      (recipient === undefined || isNamed(formatMailbox(each.mailbox), recipient)),
  )
}

export function isInTime(arrivedMs: number, { fromMs, beforeMs }: Filter): boolean {
  return (fromMs === undefined || arrivedMs >= fromMs) && (beforeMs === undefined || arrivedMs < beforeMs)
}

/** What must be in the record of a message, as text in lower case, for it to match. */
export interface Traces {
  /** Of its envelope. */
  readonly envelope: readonly string[]
  /** Of its recipients, where they are in the same record. */
  readonly recipients: readonly string[]
}

/** Most records need not be understood to see that they do not match. `null`: all of them must be. */
export function tracesOf({ sender, recipient, destination }: Filter): Traces | null {
  const domain = (name: string) => JSON.stringify(name.slice(name.lastIndexOf('@') + 1).toLowerCase())
  const envelope = sender === undefined || sender === '<>' ? [] : [domain(sender)]
  const recipients = [
    ...(recipient === undefined ? [] : [domain(recipient)]),
    // There may be something behind it.
    ...(destination === undefined ? [] : [JSON.stringify(destination.toLowerCase()).slice(0, -1)]),
  ]
  return envelope.length + recipients.length === 0 ? null : { envelope, recipients }
}

/** @param record as `embedded/record.ts` writes it */
export function isTraced(record: string, { envelope, recipients }: Traces): boolean {
  const text = record.toLowerCase()
  if (!envelope.every(trace => text.includes(trace))) return false
  return recipients.every(trace => text.includes(trace)) || text.includes('"only":null')
}

function isNamed(mailbox: string, name: string): boolean {
  const [one, other] = [mailbox.toLowerCase(), name.toLowerCase()]
  return other.startsWith('@') ? one.endsWith(other) : one === other
}
