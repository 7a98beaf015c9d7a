/** What has become of the report of a domain and day. Kept on the shelf, so that a restart sends none twice. */

import type { Json, Shelf } from '../../queue/shelf.ts'
import { KEPT_MS } from './collection.ts'
import type { Subject } from './report.ts'
import { startOf } from './schedule.ts'

export interface Sending {
  /** When it was first tried, ms since 1970. */
  readonly firstMs: number
  readonly attempts: number
  /** When it is tried again; `null`: it is over. */
  readonly nextMs: number | null
  /** The URIs of the record that have it. */
  readonly sentTo: readonly string[]
  /** In words: why it is not sent, or not yet, or not everywhere. '' when all have it. */
  readonly reason: string
}

// A kind of its own: the counts are listed by theirs.
const KIND = 'tls-report-sent/'

export async function readSending(shelf: Shelf, subject: Subject, nowMs: number): Promise<Sending | null> {
  const fact = await shelf.get(keyOf(subject), nowMs)
  return fact === null ? null : fromJson(fact.value)
}

export async function writeSending(shelf: Shelf, subject: Subject, sending: Sending): Promise<void> {
  const value = { ...sending, sentTo: [...sending.sentTo] }
  await shelf.put(keyOf(subject), value, (startOf(subject.day) ?? 0) + KEPT_MS)
}

function keyOf({ day, domain }: Subject): string {
  return `${KIND}${day}/${domain}`
}

function fromJson(value: Json): Sending | null {
  if (typeof value !== 'object' || value === null) return null
  const { firstMs, attempts, nextMs, sentTo, reason } = value as Record<string, unknown>
  if (typeof firstMs !== 'number' || typeof attempts !== 'number') return null
  return {
    firstMs,
    attempts,
    nextMs: typeof nextMs === 'number' ? nextMs : null,
    sentTo: Array.isArray(sentTo) ? sentTo.filter(uri => typeof uri === 'string') : [],
    reason: typeof reason === 'string' ? reason : '',
  }
}
