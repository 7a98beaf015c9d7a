/**
 * When to try again, RFC 5321 §4.5.4.1. Pure: time and randomness are arguments.
 *
 * The RFC asks for 30 minutes at least and allows "more sophisticated and variable strategies"; most first failures are
 * greylisting, which is over after five minutes, so we begin earlier and slow down.
 */

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** Waits after the first, second, … attempt; the last one is repeated. */
export const RETRY_MS: readonly number[] = [
  5 * MINUTE_MS,
  10 * MINUTE_MS,
  20 * MINUTE_MS,
  40 * MINUTE_MS,
  HOUR_MS,
  2 * HOUR_MS,
  4 * HOUR_MS,
]

/** RFC 5321 §4.5.4.1: "the give-up time generally needs to be at least 4-5 days". */
export const EXPIRE_MS = 5 * 24 * HOUR_MS

/** Messages that failed together must not come back together. */
const JITTER = 0.1

/**
 * When a recipient is due again after its `attempts`th attempt (1, 2, …). `random` returns [0, 1): the wait is the one of
 * the list, give or take a tenth.
 */
export function nextDue(
  attempts: number,
  nowMs: number,
  random: () => number,
  retryMs: readonly number[] = RETRY_MS,
): number {
  const waitMs = retryMs[Math.min(Math.max(attempts, 1), retryMs.length) - 1]
  if (waitMs === undefined) throw new RangeError('the list of waits is empty')
  return Math.round(nowMs + waitMs * (1 + JITTER * (2 * random() - 1)))
}
