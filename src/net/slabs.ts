/**
 * Memory for large messages, used again for the next. TLS gives a buffer for each record: that thousands of them, which have lived
 * as long as their message, are garbage V8 finds only where it looks through the whole heap, which it did once a message of 25 MB.
 * Copied here they die young, and that is found in passing: a seventh of the CPU of the relay and the signer (measured).
 */

export const SLAB_OCTETS = 256 * 1024

/** What nobody has wanted for so long is given back. */
const UNWANTED_MS = 5000

export class Slabs {
  readonly #idle: Buffer[] = []
  /** The fewest that were idle since the last look. */
  #fewest = 0
  #timer: NodeJS.Timeout | null = null

  get idle(): number {
    return this.#idle.length
  }

  take(): Buffer {
    const slab = this.#idle.pop() ?? newSlab()
    this.#fewest = Math.min(this.#fewest, this.#idle.length)
    return slab
  }

  /** It is written over from now on. */
  give(slab: Buffer): void {
    this.#idle.push(slab)
    this.#timer ??= setInterval(() => this.#look(), UNWANTED_MS).unref()
  }

  #look(): void {
    // Free at once, and not when the heap is looked through.
    for (const { buffer } of this.#idle.splice(0, this.#fewest)) (buffer as ArrayBuffer).resize(0)
    this.#fewest = this.#idle.length
    if (this.#fewest > 0) return
    clearInterval(this.#timer ?? undefined)
    this.#timer = null
  }
}

/** What can be resized is mapped by itself. Of what malloc(3) has given hardly any goes back to the system (measured). */
function newSlab(): Buffer {
  return Buffer.from(new ArrayBuffer(SLAB_OCTETS, { maxByteLength: SLAB_OCTETS }))
}
