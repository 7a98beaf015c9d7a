/** When reports are made and sent: RFC 8460 §4.1 and §5.5. Pure. */

const HOUR_MS = 3600_000
export const DAY_MS = 24 * HOUR_MS

/** "perhaps several hours", §4.1: "a random delay of up to four hours". */
const SPREAD_MS = 4 * HOUR_MS
/** What ended with the day is written down by then. */
export const SETTLE_MS = 60_000

/** A UTC day, `2026-11-21`. */
export function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

/** The first millisecond of the day; `null` when it is not written as one, or there is no such day. */
export function startOf(day: string): number | null {
  if (!/^\d{4}-\d\d-\d\d$/.test(day)) return null
  const ms = Date.parse(`${day}T00:00:00Z`)
  // Of 30 February JavaScript makes a day of March.
  return Number.isNaN(ms) || dayOf(ms) !== day ? null : ms
}

export function dayBefore(day: string): string {
  return dayOf((startOf(day) ?? 0) - DAY_MS)
}

/** When the report of a day is due. @param jitter 0 ≤ x < 1: the same for one day and domain, whatever restarts */
export function dueMs(day: string, jitter: number): number {
  return (startOf(day) ?? 0) + DAY_MS + SETTLE_MS + Math.floor(jitter * SPREAD_MS)
}

/** A report that could not be made in time, because we were not there, is not news any more. */
export function isTooLate(day: string, nowMs: number): boolean {
  return nowMs >= (startOf(day) ?? 0) + 3 * DAY_MS
}

const FIRST_PAUSE_MS = 10 * 60_000

/**
 * When a report that could not be delivered is tried again: after 10 minutes, 20, 40 and so on, "for up to 24 hours after
 * the initial attempt" (§5.5). `null`: no more.
 * @param attempts so far, at least one
 */
export function retryMs(firstMs: number, attempts: number, nowMs: number): number | null {
  const nextMs = nowMs + FIRST_PAUSE_MS * 2 ** (attempts - 1)
  return nextMs > firstMs + DAY_MS ? null : nextMs
}
