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

/** What must be in the record of a message, without regard to case, for it to match. */
export interface Traces {
  /** Of its envelope. */
  readonly envelope: readonly Trace[]
  /** Of its recipients, where they are in the same record. */
  readonly recipients: readonly Trace[]
}

type Trace = (record: string) => boolean

/** Most records need not be understood to see that they do not match. `null`: all of them must be. */
export function tracesOf({ sender, recipient, destination }: Filter): Traces | null {
  const domain = (name: string) => traceOf(JSON.stringify(name.slice(name.lastIndexOf('@') + 1)))
  const envelope = sender === undefined || sender === '<>' ? [] : [domain(sender)]
  const recipients = [
    ...(recipient === undefined ? [] : [domain(recipient)]),
    // There may be something behind it.
    ...(destination === undefined ? [] : [traceOf(JSON.stringify(destination).slice(0, -1))]),
  ]
  return envelope.length + recipients.length === 0 ? null : { envelope, recipients }
}

function traceOf(text: string): Trace {
  // A third of the time that a copy in lower case takes. Beyond ASCII the two are not the same.
  if (/^[\x20-\x7e]*$/.test(text)) {
    const pattern = new RegExp(text.replace(/[$()*+./?[\\\]^{|}]/g, '\\$&'), 'iu')
    return record => pattern.test(record)
  }
  const lower = text.toLowerCase()
  return record => record.toLowerCase().includes(lower)
}

/** @param record as `embedded/record.ts` writes it */
export function isTraced(record: string, { envelope, recipients }: Traces): boolean {
  if (!envelope.every(isIn => isIn(record))) return false
  return recipients.every(isIn => isIn(record)) || record.includes('"only":null')
}

function isNamed(mailbox: string, name: string): boolean {
  const [one, other] = [mailbox.toLowerCase(), name.toLowerCase()]
  return other.startsWith('@') ? one.endsWith(other) : one === other
}
