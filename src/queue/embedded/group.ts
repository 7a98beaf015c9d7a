/**
 * When what waits for the disk is written together. A commit costs some 0.4 ms of CPU whatever is in it (measured: pages of a
 * dozen tables, two writes that wait for the disk), each change in it 0.03 ms: so under load changes are made to share one, for
 * at most `GROUP_MS`.
 */

/** From the beginning of one commit to that of the next, while several changes at a time wait for one. */
export const GROUP_MS = 5
/** So many that somebody waits for share a commit well enough. */
const ENOUGH = 32
/** The same patience, asked a moment later, is not less: a timer that is made anew for each who comes costs 3 µs (measured). */
const SLACK_MS = 0.5

export class Group {
  readonly #everyMs: number
  #beganMs = Number.NEGATIVE_INFINITY
  #urgent = 0
  /** Ends the wait of `gather`, which would end by itself at `#untilMs`. */
  #hurry: (() => void) | null = null
  #untilMs = 0

  constructor(everyMs = GROUP_MS) {
    this.#everyMs = everyMs
  }

  /** A commit begins, with so many changes that somebody waits for. */
  begin(urgent: number, nowMs: number): void {
    this.#beganMs = nowMs
    this.#urgent = urgent
  }

  /**
   * How long those that wait may wait for others. Who is alone does not wait: one client that sends message after message
   * would wait each time, and nobody would come.
   */
  patienceMs(urgent: number, nowMs: number): number {
    const alone = urgent > 0 && this.#urgent < 2
    if (alone || urgent >= ENOUGH) return 0
    return Math.max(this.#beganMs + this.#everyMs - nowMs, 0)
  }

  /** Resolves when there is no patience left: it is asked again when its time is over, and where `come` says that there is less. */
  async gather(patienceMs: () => number): Promise<void> {
    for (let ms = patienceMs(); ms > 0; ms = patienceMs()) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, ms)
      this.#hurry = resolve
      this.#untilMs = performance.now() + ms
      await promise
      clearTimeout(timer)
      this.#hurry = null
    }
  }

  /** Somebody came, with whom the patience is this. */
  come(patienceMs: number): void {
    if (performance.now() + patienceMs < this.#untilMs - SLACK_MS) this.#hurry?.()
  }
}
