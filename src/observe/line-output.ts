/**
 * Where lines go that are for a descriptor. Each is written before anything else happens: what comes after it, a reply or a note on
 * the disk, shall not be known where the log does not tell of it, not even after a kill.
 */

import { writeSync } from 'node:fs'

/** When a pipe is full, and does not wait itself. */
const FULL_MS = 5

export class LineOutput {
  readonly #descriptor: number
  readonly #complain: (lost: number) => string
  /** Lines that could not be written since one last could. */
  #lost = 0
  /** The last write ended within a line. */
  #torn = false

  /** @param complain a line that says how many before it could not be written: the disk is full, say */
  constructor(descriptor: number, complain: (lost: number) => string) {
    this.#descriptor = descriptor
    this.#complain = complain
  }

  /**
   * What cannot be written is lost: a disk that is full stops no mail. Who reads from a pipe is waited for.
   * @param line with its line feed
   */
  write(line: string): void {
    if (this.#lost > 0 && this.#put(`${this.#torn ? '\n' : ''}${this.#complain(this.#lost)}`)) this.#lost = 0
    if (this.#lost > 0 || !this.#put(line)) this.#lost++
  }

  /** Whether all of it was written. */
  #put(line: string): boolean {
    const octets = Buffer.from(line)
    let written = 0
    try {
      while (written < octets.length) written += this.#putSome(octets, written)
      this.#torn = false
    } catch {
      this.#torn ||= written > 0
    }
    return written === octets.length
  }

  #putSome(octets: Uint8Array, from: number): number {
    try {
      return writeSync(this.#descriptor, octets, from)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_MS)
      return 0
    }
  }
}
