/** What came of each attempt, for the story of a message: a list that does not grow for ever. Pure. */

import type { Attempt, RecipientResult } from './queue.ts'

/** As it is kept with the recipients of one destination. */
export type PastAttempt = Omit<Attempt, 'destination'>

/** How it began says as much as how it goes now. */
const FIRST = 4
const LAST = 12
/** A destination with two hosts may say two things in turn. */
const LOOK_BACK = 4

/**
 * `past` with the results of one more attempt, those who were told the same together. What came to the same as lately is
 * counted, not repeated: a destination that is down for five days is one line.
 */
export function noted(past: readonly PastAttempt[], results: readonly RecipientResult[]): PastAttempt[] {
  const groups = Map.groupBy(results, ({ action, evidence }) => keyOf({ action, ...evidence }))
  const attempts = [...past]
  for (const [key, [first, ...others]] of groups) {
    if (first === undefined) continue
    const recipients = [first, ...others].map(({ index }) => index)
    const { action, evidence } = first
    const at = attempts.findLastIndex(
      (attempt, index) =>
        index >= attempts.length - LOOK_BACK &&
        keyOf(attempt) === key &&
        attempt.recipients.join() === recipients.join(),
    )
    const [same] = at < 0 ? [] : attempts.splice(at, 1)
    const { times = 0, sinceMs = evidence.atMs } = same ?? {}
    attempts.push({ ...evidence, action, recipients, times: times + 1, sinceMs })
  }
  return bounded(attempts)
}

/** The stories of all destinations as one, by time. */
export function merged(attempts: readonly Attempt[]): Attempt[] {
  return bounded(attempts.toSorted((one, other) => one.atMs - other.atMs))
}

function bounded<T>(attempts: T[]): T[] {
  return attempts.length <= FIRST + LAST ? attempts : [...attempts.slice(0, FIRST), ...attempts.slice(-LAST)]
}

type Outcome = Pick<PastAttempt, 'action' | 'status' | 'diagnostic' | 'remote' | 'tls' | 'site'>

function keyOf({ action, status, diagnostic, remote, tls, site }: Outcome): string {
  return JSON.stringify([action, status, diagnostic, remote, tls, site])
}
