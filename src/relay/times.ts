/** The times of a message: when it may be tried, by when it is wanted there, when its delay is told. Pure. */

import type { Message, NewMessage, Recipient } from '../queue/queue.ts'
import { releaseMs } from '../smtp/future-release.ts'

/** What of a message its times hang on. */
type Timed = Pick<Message | NewMessage, 'arrivedMs'> & {
  readonly envelope: Pick<Message['envelope'], 'hold' | 'deliverBy'>
}

/** RFC 4865 §4.2: not attempted before. What is not held is released when it arrives. */
export function releasedMs({ arrivedMs, envelope }: Timed): number {
  return envelope.hold === undefined ? arrivedMs : Math.max(arrivedMs, releaseMs(envelope.hold, arrivedMs))
}

/** The deliver-by-time of RFC 2852 §4; `null` when none was given. */
export function deliverByMs({ arrivedMs, envelope }: Timed): number | null {
  return envelope.deliverBy === undefined ? null : arrivedMs + envelope.deliverBy.seconds * 1000
}

/** RFC 2852 §4.1.3: the deliver-by-time is "reached or passed". */
export function isOverdue(message: Timed, nowMs: number): boolean {
  const deadlineMs = deliverByMs(message)
  return deadlineMs !== null && nowMs >= deadlineMs
}

/** RFC 2852 §4.1.3: "no further delivery attempts may be made". */
export function mustReturn(message: Timed, nowMs: number): boolean {
  return message.envelope.deliverBy?.mode === 'R' && isOverdue(message, nowMs)
}

/** Until when it is tried: its time to live, or the deliver-by-time when it is to be returned then. */
export function triedUntilMs(message: Timed & Pick<Message, 'expiresMs'>): number {
  const deadlineMs = message.envelope.deliverBy?.mode === 'R' ? deliverByMs(message) : null
  return Math.min(message.expiresMs, deadlineMs ?? message.expiresMs)
}

/** RFC 4865: it waits for its release, and not for another attempt. `ptt queue retry` may have released it before. */
export function isHeld({ envelope }: Timed, { state, attempts, dueMs }: Recipient, nowMs: number): boolean {
  return envelope.hold !== undefined && state === 'pending' && attempts === 0 && dueMs > nowMs
}
