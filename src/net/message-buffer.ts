/**
 * The message of one session while it comes in. All sessions of a service draw on one budget, so that what strangers
 * send cannot take more memory than was set aside for it: a message that does not fit is told 452 and sent again later.
 */

import { SLAB_OCTETS, type Slabs } from './slabs.ts'

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

/** Up to here a message is held as it came: a slab is not taken for a little, for what it is larger the budget does not know. */
const SMALL_OCTETS = SLAB_OCTETS

export class MessageBuffer {
  readonly #budget: Budget
  readonly #slabs: Slabs | null
  /** Those that are in use, and how much of the last. */
  readonly #used: Buffer[] = []
  #filled = SLAB_OCTETS
  #pieces: Uint8Array[] = []
  #sizeOctets = 0
  #overflowed = false

  /** @param slabs for what is large, of which the pieces are there until `clear`; without them all is kept as it came */
  constructor(budget: Budget, slabs: Slabs | null = null) {
    this.#budget = budget
    this.#slabs = slabs
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
      this.#sizeOctets += octets.length
      if (this.#slabs === null || this.#sizeOctets <= SMALL_OCTETS) this.#pieces.push(octets)
      else this.#move(octets, this.#slabs)
    } else {
      this.clear()
      this.#overflowed = true
    }
  }

  /** With what was held as it came until now: of a message of 1 MiB it would be a quarter, for as long as the message lives. */
  #move(octets: Uint8Array, slabs: Slabs): void {
    const held = this.#used.length === 0 ? this.#pieces.splice(0) : []
    for (const piece of held) this.#copy(piece, slabs)
    this.#copy(octets, slabs)
  }

  #copy(octets: Uint8Array, slabs: Slabs): void {
    for (let at = 0; at < octets.length; ) {
      if (this.#filled === SLAB_OCTETS) {
        this.#used.push(slabs.take())
        this.#pieces.push(NOTHING)
        this.#filled = 0
      }
      const slab = this.#used.at(-1) ?? NOTHING
      const part = octets.subarray(at, at + SLAB_OCTETS - this.#filled)
      slab.set(part, this.#filled)
      at += part.length
      this.#filled += part.length
      this.#pieces[this.#pieces.length - 1] = slab.subarray(0, this.#filled)
    }
  }

  /** Gives everything back to the budget. */
  clear(): void {
    this.#budget.give(this.#sizeOctets)
    this.#pieces = []
    this.#sizeOctets = 0
    this.#overflowed = false
    for (const slab of this.#used.splice(0)) this.#slabs?.give(slab)
    this.#filled = SLAB_OCTETS
  }
}

const NOTHING = Buffer.alloc(0)
