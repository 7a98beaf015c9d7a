/**
 * Whom the relay has said it does not write to, so that RCPT can say so at once. The list is the relay's; this is what it
 * told in its replies to messages of ours, and no question is asked. A message to somebody of whom nothing is remembered is
 * answered as ever: at its end, or with a notice.
 *
 * Remembered for a short time, for nobody tells us when an operator takes somebody from the list. Memory is bounded; of too
 * many the oldest go. Nothing is kept over a restart, and each worker has its own.
 */

import { type ForwardPath, formatMailbox, type ReversePath } from '../smtp/path.ts'
import type { Reply } from '../smtp/reply.ts'
import { refuseSuppressed, type Suppressed, splitSuppressed, suppressionKey } from '../smtp/suppressed.ts'

export const KNOWN = {
  /** Recipients: with reasons as long as they can be some 10 MiB, mostly a quarter of that. */
  entries: 10_000,
  /** Whoever is taken from the relay's list is refused for so long at most. */
  longestMs: 15 * 60_000,
} as const

interface Entry {
  readonly suppressed: Suppressed
  /** Until then it is remembered. */
  readonly forgetMs: number
}

export class KnownSuppressed {
  readonly #now: () => number
  /** The oldest first. */
  readonly #entries = new Map<string, Entry>()

  constructor(now: () => number) {
    this.#now = now
  }

  /** RCPT: `null` where nothing is known against the recipient. */
  refuse(reversePath: ReversePath, forwardPath: ForwardPath): Reply | null {
    // Mostly nobody is.
    if (this.#entries.size === 0) return null
    const nowMs = this.#now()
    this.#forget(nowMs)
    if (reversePath === null) return null
    const entry = this.#entries.get(suppressionKey(reversePath.domain, formatMailbox(forwardPath)))
    return entry === undefined || entry.forgetMs <= nowMs ? null : refuseSuppressed(entry.suppressed)
  }

  /** The reply to a message with this reverse-path, as its client is to see it. */
  learn(reversePath: ReversePath, answer: Reply): Reply {
    const { reply, suppressed } = splitSuppressed(answer)
    // The null reverse-path may write to everybody.
    if (reversePath !== null) for (const each of suppressed) this.#remember(reversePath.domain, each)
    return reply
  }

  #remember(senderDomain: string, suppressed: Suppressed): void {
    const nowMs = this.#now()
    const forgetMs = Math.min(suppressed.untilMs, nowMs + KNOWN.longestMs)
    if (forgetMs <= nowMs) return
    const key = suppressionKey(senderDomain, suppressed.recipient)
    this.#entries.delete(key)
    this.#entries.set(key, { suppressed, forgetMs })
    this.#forget(nowMs)
  }

  /** The oldest, as long as their time is over or they are too many. Those behind them wait until it is their turn. */
  #forget(nowMs: number): void {
    for (const [key, { forgetMs }] of this.#entries) {
      if (forgetMs > nowMs && this.#entries.size <= KNOWN.entries) return
      this.#entries.delete(key)
    }
  }
}
