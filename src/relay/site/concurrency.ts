/**
 * How many jobs at a time a site is given. It adapts by what the site does, as Postfix's queue manager has shown to work
 * (its SCHEDULER_README): each delivery adds a little, each failure to reach the site takes a little away, and only a
 * whole window of failures in a row closes it: one bad connection says nothing. Pure: no time, no randomness.
 */

export interface ConcurrencyLimits {
  /** What a site is given that we know nothing of. */
  readonly initial: number
  readonly max: number
}

export interface Concurrency {
  /** Jobs at a time; 0: the site does not answer. */
  readonly window: number
  /** What successes have earned of the next place, what failures have cost of the last one: parts of 1. */
  readonly earned: number
  readonly lost: number
  /** Failures in a row, in windows. */
  readonly failedWindows: number
}

export function initialConcurrency({ initial, max }: ConcurrencyLimits): Concurrency {
  return { window: Math.min(initial, max), earned: 0, lost: 0, failedWindows: 0 }
}

/** One place, to see whether a closed site answers again. */
export const PROBE: Concurrency = { window: 1, earned: 0, lost: 0, failedWindows: 0 }

/**
 * A peer of the site took a transaction, whatever it said of the message.
 * @param inUse jobs at the site now: a window that is not used is not made wider
 */
export function succeeded(before: Concurrency, inUse: number, limits: ConcurrencyLimits): Concurrency {
  if (before.window < 1) return initialConcurrency(limits)
  const calm = { ...before, lost: 0, failedWindows: 0 }
  if (before.window >= limits.max || inUse < before.window) return calm
  const earned = before.earned + 1 / before.window
  return earned >= 1 - ROUNDING ? { ...calm, window: before.window + 1, earned: 0 } : { ...calm, earned }
}

/** No host of the site could be spoken to. At a window of failures in a row the site is closed. */
export function failed(before: Concurrency): Concurrency {
  if (before.window < 1) return before
  const failedWindows = before.failedWindows + 1 / before.window
  if (failedWindows >= 1 - ROUNDING) return { window: 0, earned: 0, lost: 0, failedWindows }
  const lost = before.lost + 1 / before.window
  // Half a window of failures takes a place away: later than a success gives one, so that it does not flutter.
  if (lost < HYSTERESIS) return { ...before, earned: 0, lost, failedWindows }
  return { window: Math.max(1, before.window - 1), earned: 0, lost: 0, failedWindows }
}

/** The site has said that we come too often: half as many at a time, at once. */
export function slowed(before: Concurrency): Concurrency {
  return { ...before, window: Math.max(Math.min(1, before.window), Math.floor(before.window / 2)), earned: 0 }
}

const HYSTERESIS = 0.5
/** n times 1/n is not always 1. */
const ROUNDING = 1e-9
