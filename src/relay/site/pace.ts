/**
 * No more than so many events in so long, evenly: the generic cell rate algorithm of ITU-T I.371, in milliseconds. Pure:
 * time is an argument.
 */
export class Pace {
  readonly #intervalMs: number
  readonly #toleranceMs: number
  /** When the next event would come if all came evenly. */
  #theoreticalMs = 0

  /**
   * @param events at most so many in `periodMs`
   * @param burst so many may come at once after a silence
   */
  constructor(events: number, periodMs: number, burst = 1) {
    this.#intervalMs = periodMs / events
    this.#toleranceMs = this.#intervalMs * (burst - 1)
  }

  /** How long to wait before the next event may be; 0: now. */
  waitMs(nowMs: number): number {
    return Math.max(0, Math.ceil(this.#theoreticalMs - this.#toleranceMs - nowMs - ROUNDING))
  }

  /** How many events may be at this moment. */
  room(nowMs: number): number {
    const headMs = nowMs + this.#toleranceMs - Math.max(this.#theoreticalMs, nowMs)
    return headMs < -ROUNDING ? 0 : Math.floor((headMs + ROUNDING) / this.#intervalMs) + 1
  }

  /** One event is, now. */
  take(nowMs: number): void {
    this.#theoreticalMs = Math.max(this.#theoreticalMs, nowMs) + this.#intervalMs
  }
}

/** Milliseconds since 1970 leave this much of a double. */
const ROUNDING = 1e-3
