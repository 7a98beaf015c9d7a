/** How a site is treated: what Postfix calls transport limits and KumoMTA shaping. Rules of it are in `shaping.ts`. */
export interface Shape {
  /** Connections at a time: what a site begins with, and the most it is ever given. */
  readonly concurrency: { readonly initial: number; readonly max: number }
  /** Messages a second; null: as many as the concurrency lets through. */
  readonly messagesPerSecond: number | null
  /** New connections a minute; null: no limit. */
  readonly connectionsPerMinute: number | null
  readonly messagesPerConnection: number
  /** A connection is closed when it is older than this, and when it was idle for as long as `idleMs`. */
  readonly connectionAgeMs: number
  readonly idleMs: number
  /** RCPTs in one transaction; RFC 5321 §4.5.3.1.8 lets us count on 100. */
  readonly recipientsPerTransaction: number
}

/** What most servers take well: Postfix's values, but for the age. */
export const SHAPE: Shape = {
  concurrency: { initial: 5, max: 20 },
  messagesPerSecond: null,
  connectionsPerMinute: null,
  messagesPerConnection: 100,
  connectionAgeMs: 300_000,
  idleMs: 5000,
  recipientsPerTransaction: 50,
}
