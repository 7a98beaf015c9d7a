/** What an engine relies on in a new message. A violation is our own fault: the relay makes ids and destinations. */

import type { Hold, NewMessage } from './queue.ts'

/** An id may become a file name. */
const ID = /^[A-Za-z0-9_-]{1,64}$/
const MAX_DESTINATION = 512

export function checkNewMessage({ id, envelope, recipients, arrivedMs, dueMs, expiresMs }: NewMessage): void {
  if (!ID.test(id)) throw new RangeError(`not the id of a message: ${JSON.stringify(id)}`)
  checkTime(arrivedMs)
  checkTime(expiresMs)
  if (dueMs !== undefined) checkTime(dueMs)
  checkPriority(envelope.priority)
  if (recipients.length === 0) throw new RangeError(`message ${id} has no recipients`)
  for (const { destination, dueMs: itsDueMs, attempts = 0 } of recipients) {
    if (itsDueMs !== undefined) checkTime(itsDueMs)
    if (!Number.isSafeInteger(attempts) || attempts < 0)
      throw new RangeError(`not a number of attempts: ${attempts}`)
    if (destination === '' || destination.length > MAX_DESTINATION || destination.includes('\0')) {
      throw new RangeError(`not a destination: ${JSON.stringify(destination)}`)
    }
  }
}

/** Beyond the year 9999: what is later is no time, and priorities are told from times by it (`embedded/due.ts`). */
export const TIME_LIMIT_MS = 2 ** 48

export function checkTime(ms: number): void {
  if (!Number.isSafeInteger(ms) || ms < 0 || ms >= TIME_LIMIT_MS)
    throw new RangeError(`not a time in ms since 1970: ${ms}`)
}

/** In octets: a scope is part of a key, and LMDB's keys are bounded. The longest mailbox has 320 characters. */
const MAX_SCOPE_OCTETS = 1024

export function checkHold({ kind, name, sinceMs, untilMs }: Hold): void {
  checkTime(sinceMs)
  if (untilMs !== null) checkTime(untilMs)
  if (name === '' || name.includes('\0') || Buffer.byteLength(name) > MAX_SCOPE_OCTETS)
    throw new RangeError(`not a ${kind} that can be held: ${JSON.stringify(name)}`)
}

// RFC 6710 §7.
function checkPriority(priority = 0): void {
  if (!Number.isInteger(priority) || Math.abs(priority) > 9)
    throw new RangeError(`not a priority: ${priority}`)
}
