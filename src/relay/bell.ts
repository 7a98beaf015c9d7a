/**
 * Wakes one who rests. Two turns of the event loop after it was rung: in the first go out the replies to what has just been kept, for
 * whoever waits for them has work that can be done beside ours; and all that comes meanwhile is one call.
 */

export class Bell {
  #isRinging = false
  #isRung = false
  #wake: (() => void) | null = null

  ring(): void {
    if (this.#isRinging) return
    this.#isRinging = true
    setImmediate(() => setImmediate(() => this.#rung()))
  }

  /** Resolves after so long, and when it rings; at once where it has rung since the last rest. */
  async rest(ms: number): Promise<void> {
    if (!this.#isRung) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, ms)
      this.#wake = resolve
      await promise
      clearTimeout(timer)
      this.#wake = null
    }
    this.#isRung = false
  }

  #rung(): void {
    this.#isRinging = false
    this.#isRung = true
    this.#wake?.()
  }
}
