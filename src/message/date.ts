/** date-time, RFC 5322 §3.3. */

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/**
 * `Fri, 21 Nov 1997 09:55:06 -0600`. `offsetMinutes` is east of UTC; 0 gives `+0000`: the time at UTC, where `-0000` would
 * say that the local offset is not known (RFC 5322 §3.3).
 */
export function formatDate(ms: number, offsetMinutes = 0): string {
  const local = new Date(ms + offsetMinutes * 60_000)
  if (Number.isNaN(local.getTime())) throw new RangeError(`not a time: ${ms}`)
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
