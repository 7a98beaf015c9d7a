/**
 * The message of one session while it comes in. All sessions of a service draw on one budget, so that what strangers
 * send cannot take more memory than was set aside for it: a message that does not fit is told 452 and sent again later.
 */

/** The octets that all messages in flight may take together. */
export class Budget {
  #leftOctets: number

  constructor(limitOctets: number) {
    this.#leftOctets = limitOctets
  }

  take(octets: number): boolean {
    if (octets > this.#leftOctets) return false
    this.#leftOctets -= octets
    return true
  }

  give(octets: number): void {
    this.#leftOctets += octets
  }
}

export class MessageBuffer {
  readonly #budget: Budget
  #pieces: Uint8Array[] = []
  #sizeOctets = 0
  #overflowed = false

  constructor(budget: Budget) {
    this.#budget = budget
  }

  get pieces(): readonly Uint8Array[] {
    return this.#pieces
  }

  get sizeOctets(): number {
    return this.#sizeOctets
  }

  /** The budget did not hold all of the message: answer 452 4.3.1. */
  get overflowed(): boolean {
    return this.#overflowed
  }

  add(octets: Uint8Array): void {
    if (this.#overflowed) return
    if (this.#budget.take(octets.length)) {
      this.#pieces.push(octets)
      this.#sizeOctets += octets.length
    } else {
      this.clear()
      this.#overflowed = true
    }
  }

  /** Gives everything back to the budget. */
  clear(): void {
    this.#budget.give(this.#sizeOctets)
    this.#pieces = []
    this.#sizeOctets = 0
    this.#overflowed = false
  }
}
