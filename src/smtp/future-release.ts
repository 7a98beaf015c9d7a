/** Messages held for later, RFC 4865: what is announced, and the two ways to ask for it. */

import type { Envelope } from './envelope.ts'
import { SmtpError } from './error.ts'

type Hold = NonNullable<Envelope['hold']>

// max-future-release-interval SP max-future-release-date-time, §3 (3).
export function formatFutureRelease(longestSeconds: number, nowMs: number): string {
  // The date-time is rounded down, so that whatever is announced is accepted.
  const wholeMs = Math.floor(nowMs / 1000) * 1000
  return `${longestSeconds} ${formatDateTime(wholeMs + longestSeconds * 1000)}`
}

// future-release-integer = %x31-39 *8DIGIT, §3 (2).
const INTERVAL = /^[1-9]\d{0,8}$/

/** HOLDFOR=. @throws SmtpError 501 5.5.4 (§4.2.10, §4.2.11) */
export function parseHoldFor(value: string): Hold {
  if (!INTERVAL.test(value))
    throw new SmtpError(501, '5.5.4', 'HOLDFOR is a number of seconds from 1 to 999999999')
  return { forSeconds: Number(value) }
}

// date-time of RFC 3339 §5.6, normalized to UTC (RFC 4865 §3 (4)).
const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d+)?Z$/i

/** HOLDUNTIL=, in whole seconds, upwards: never released before. @throws SmtpError 501 5.5.4 (§4.2.10, §4.2.11) */
export function parseHoldUntil(value: string): Hold {
  const untilMs = parseDateTime(value)
  if (untilMs === null) {
    throw new SmtpError(501, '5.5.4', 'HOLDUNTIL is a date and time in UTC, as 2007-05-10T15:00:00Z')
  }
  return { untilMs }
}

function parseDateTime(text: string): number | null {
  const [, year = '', month = '', day = '', hour = '', minute = '', second = '', fraction] =
    DATE_TIME.exec(text) ?? []
  if (year === '') return null
  // RFC 3339 §5.7: 60 is a leap second. It is over when the next minute begins.
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return null
  const date = new Date(0)
  // Not Date.UTC: it takes the years 0 to 99 for 1900 to 1999.
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return null
  date.setUTCHours(Number(hour), Number(minute), Number(second))
  return date.getTime() + (Number(fraction ?? 0) > 0 ? 1000 : 0)
}

/** In whole seconds, upwards. */
export function formatDateTime(ms: number): string {
  return `${new Date(Math.ceil(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`
}

/** When a message may first be attempted, of a MAIL that came at `nowMs`: in whole seconds, as HOLDUNTIL says it. */
export function releaseMs(hold: Hold, nowMs: number): number {
  return 'untilMs' in hold ? hold.untilMs : Math.ceil((nowMs + hold.forSeconds * 1000) / 1000) * 1000
}
