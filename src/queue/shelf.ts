/**
 * The shelf: small facts that the relay keeps beside the queue, and that another process may look at and change: who is
 * suppressed, what a source has sent today, what a domain's policy was. Each has a time after which it is gone.
 *
 * - Keys are `kind/…`, at most 1,000 octets; values are what JSON can say.
 * - When `put` or `take` resolves, the fact survives a power cut. A crash before leaves what was there.
 * - What is over (`untilMs`) is never returned; `sweep` gives its space back.
 */

export interface Shelf {
  get(key: string, nowMs: number): Promise<Fact | null>
  put(key: string, value: Json, untilMs: number): Promise<void>
  /** Takes it away. False: there was none. */
  take(key: string): Promise<boolean>
  /** Those whose key begins with `prefix`, in the order of their keys, after the key `after`. */
  list(prefix: string, options: { nowMs: number; after?: string; limit: number }): Promise<Fact[]>
  /** Adds to the number at `key` (0 when there is none) and returns what it is then. */
  add(key: string, amount: number, untilMs: number): Promise<number>
  /** How many were over and are gone now. */
  sweep(nowMs: number): Promise<number>
  close(): Promise<void>
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export interface Fact {
  readonly key: string
  readonly value: Json
  readonly untilMs: number
}

export const MAX_KEY_OCTETS = 1000

/** @throws RangeError */
export function checkKey(key: string): void {
  if (!/^[a-z][a-z-]*\/[^\0]+$/s.test(key) || Buffer.byteLength(key) > MAX_KEY_OCTETS)
    throw new RangeError(`not a key of the shelf: ${JSON.stringify(key.slice(0, 80))}`)
}
