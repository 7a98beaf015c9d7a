/** Connections without work, of all sites together: no more than so many, and the one that has waited longest makes room. */
export class Idle {
  readonly #most: number
  /** What closes each, the one that waits longest first. */
  readonly #waiting = new Map<object, () => void>()

  constructor(most: number) {
    this.#most = most
  }

  get count(): number {
    return this.#waiting.size
  }

  /** @param close takes it from where it is kept, and closes it */
  add(connection: object, close: () => void): void {
    this.#waiting.set(connection, close)
    for (const [oldest, closeOldest] of this.#waiting) {
      if (this.#waiting.size <= this.#most) return
      this.#waiting.delete(oldest)
      closeOldest()
    }
  }

  /** It has work, or is closed. */
  remove(connection: object): void {
    this.#waiting.delete(connection)
  }
}
