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

/**
 * What must be in the record of a message's envelope, as text in lower case, for it to match: most records need not be
 * understood to see that they do not.
 */
export function tracesOf({ sender }: Filter): string[] {
  if (sender === undefined || sender === '<>') return []
  return [JSON.stringify(sender.slice(sender.lastIndexOf('@') + 1).toLowerCase())]
}

function isNamed(mailbox: string, name: string): boolean {
  const [one, other] = [mailbox.toLowerCase(), name.toLowerCase()]
  return other.startsWith('@') ? one.endsWith(other) : one === other
}
