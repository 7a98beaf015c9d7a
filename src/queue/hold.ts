/** Which hold, of those there are, keeps a message or a destination. Pure; the same in every engine. */

import { formatMailbox, type ReversePath } from '../smtp/path.ts'
import type { Hold, Scope } from './queue.ts'

/** By `scopeKey`. */
export type Holds = ReadonlyMap<string, Hold>

/** No kind has a space in it. */
export function scopeKey({ kind, name }: Scope): string {
  return `${kind} ${name}`
}

export function scopeOfKey(key: string): Scope {
  const space = key.indexOf(' ')
  return { kind: key.slice(0, space) as Scope['kind'], name: key.slice(space + 1) }
}

export function isOver({ untilMs }: Hold, nowMs: number): boolean {
  return untilMs !== null && untilMs <= nowMs
}

/** The hold of the message itself, or of its sender, or of all senders of his domain. */
export function holdOf(
  holds: Holds,
  { id, reversePath }: { readonly id: string; readonly reversePath: ReversePath },
): Hold | undefined {
  if (holds.size === 0) return undefined
  const own = holds.get(scopeKey({ kind: 'message', name: id }))
  if (own !== undefined) return own
  for (const name of senderNames(reversePath)) {
    const hold = holds.get(scopeKey({ kind: 'sender', name }))
    if (hold !== undefined) return hold
  }
  return undefined
}

export function isDestinationHeld(holds: Holds, destination: string): boolean {
  return holdOfDestination(holds, destination) !== undefined
}

/** Of the destination itself, or of the domain it is of. */
export function holdOfDestination(holds: Holds, destination: string): Hold | undefined {
  if (holds.size === 0) return undefined
  const own = holds.get(scopeKey({ kind: 'destination', name: destination }))
  return own ?? holds.get(scopeKey({ kind: 'destination', name: destination.replace(/[@ ].*$/s, '') }))
}

/** What stands behind a domain that has several destinations: `one.example@pool`, `one.example via route`. */
export const BEHIND_DOMAIN = ['@', ' '] as const

/** Whether a destination is the one that is named, or one of the domain that is. */
export function isOfDestination(destination: string, name: string): boolean {
  return destination === name || BEHIND_DOMAIN.some(mark => destination.startsWith(`${name}${mark}`))
}

/** What a sender may be named by: himself, his domain. */
export function senderNames(reversePath: ReversePath): string[] {
  if (reversePath === null) return ['<>']
  return [formatMailbox(reversePath).toLowerCase(), `@${reversePath.domain.toLowerCase()}`]
}
