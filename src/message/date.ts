/** date-time, RFC 5322 §3.3 and §4.3. */

import { withoutComments } from './comment.ts'

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** RFC 5322 §3.3: "any numeric year 1900 or later". */
const FIRST_YEAR = 1900

/**
 * `Fri, 21 Nov 1997 09:55:06 -0600`. `offsetMinutes` is east of UTC; 0 gives `+0000`: the time at UTC, where `-0000` would
 * say that the local offset is not known (RFC 5322 §3.3).
 *
 * @throws RangeError it is no time, or one before 1900
 */
export function formatDate(ms: number, offsetMinutes = 0): string {
  const local = new Date(ms + offsetMinutes * 60_000)
  if (!(local.getUTCFullYear() >= FIRST_YEAR)) throw new RangeError(`not a time from 1900 on: ${ms}`)
  const day = DAYS[local.getUTCDay()] ?? ''
  const month = MONTHS[local.getUTCMonth()] ?? ''
  const clock = `${two(local.getUTCHours())}:${two(local.getUTCMinutes())}:${two(local.getUTCSeconds())}`
  const offset = Math.abs(offsetMinutes)
  const zone = `${offsetMinutes < 0 ? '-' : '+'}${two(Math.floor(offset / 60))}${two(offset % 60)}`
  return `${day}, ${local.getUTCDate()} ${month} ${String(local.getUTCFullYear()).padStart(4, '0')} ${clock} ${zone}`
}

function two(n: number): string {
  return String(n).padStart(2, '0')
}

// date-time = [ day-of-week "," ] date time [CFWS], with what obs-date-time lets stand between: comments are gone already.
const DATE_TIME = new RegExp(
  `^(?:(?:${DAYS.join('|')}) ?, ?)?(\\d{1,2}) ?(${MONTHS.join('|')}) ?(\\d{2,}) ` +
    `(\\d{2}) ?: ?(\\d{2})(?: ?: ?(\\d{2}))? ?([+-]\\d{4}|[A-Z]{1,5})$`,
  'i',
)

// obs-zone, RFC 5322 §4.3, in hours; any other letters are to be taken for -0000.
const ZONES: Readonly<Record<string, number>> = {
  EDT: -4,
  EST: -5,
  CDT: -5,
  CST: -6,
  MDT: -6,
  MST: -7,
  PDT: -7,
  PST: -8,
}

/** The time a date-time says, obsolete forms included; `null` when it is none. A wrong day of the week is not looked at. */
export function parseDate(text: string): number | null {
  const bare = withoutComments(text)?.replace(/\s+/g, ' ').trim() ?? ''
  const [, day = '', name = '', year = '', hour = '', minute = '', second = '0', zone = ''] =
    DATE_TIME.exec(bare) ?? []
  if (zone === '') return null
  const month = MONTHS.findIndex(one => one.toLowerCase() === name.toLowerCase())
  const clock = [Number(hour), Number(minute), Number(second)] as const
  // A leap second is read as the second after it.
  if (clock[0] > 23 || clock[1] > 59 || clock[2] > 60) return null
  const fullYear = Number(year) + (year.length > 3 ? 0 : year.length === 2 && Number(year) < 50 ? 2000 : 1900)
  if (fullYear < FIRST_YEAR) return null
  const date = new Date(0)
  date.setUTCFullYear(fullYear, month, Number(day))
  if (date.getUTCDate() !== Number(day) || date.getUTCMonth() !== month) return null
  date.setUTCHours(...clock)
  const offsetMinutes = minutesOf(zone)
  return offsetMinutes === null ? null : date.getTime() - offsetMinutes * 60_000
}

function minutesOf(zone: string): number | null {
  const [, sign, hours, minutes] = /^([+-])(\d\d)(\d\d)$/.exec(zone) ?? []
  if (sign === undefined) return (ZONES[zone.toUpperCase()] ?? 0) * 60
  // RFC 5322 §3.3: the zone must be within -9959 and +9959.
  if (Number(minutes) > 59) return null
  return (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1)
}
