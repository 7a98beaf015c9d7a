/**
 * Where lines go that are for a descriptor. Those of one turn of the event loop are written together: a system call for each was a
 * part of what a message costs. They are written before the loop waits again, and when the process ends, by an error too; only a
 * signal that cannot be caught takes those of its turn along.
 */

import { writeSync } from 'node:fs'

/** PIPE_BUF of pipe(7): what several processes write into one pipe is not mixed while no piece is longer. */
const PIECE_OCTETS = 4096
/** A turn that says more than this is not waited for. */
const MOST_HELD = 64 * 1024
/** When a pipe is full, and does not wait itself. */
const FULL_MS = 5
const LINE_FEED = 0x0a

export class LineOutput {
  readonly #descriptor: number
  readonly #complain: (lost: number) => string
  #held = ''
  /** Lines that could not be written since one last could. */
  #lost = 0
  /** The last write ended within a line. */
  #torn = false

  /** @param complain a line that says how many before it could not be written: the disk is full, say */
  constructor(descriptor: number, complain: (lost: number) => string) {
    this.#descriptor = descriptor
    this.#complain = complain
    process.on('exit', this.flush)
  }

  /** @param line with its line feed */
  write(line: string): void {
    if (this.#held === '') setImmediate(this.flush)
    this.#held += line
    if (this.#held.length > MOST_HELD) this.flush()
  }

  /** Writes what is held. What cannot be written is lost: a log stops no mail. */
  readonly flush = (): void => {
    const held = Buffer.from(this.#held)
    this.#held = ''
    for (const piece of piecesOf(held)) {
      if (this.#lost > 0 && this.#put(Buffer.from(this.#complaint()))) this.#lost = 0
      if (this.#lost > 0 || !this.#put(piece)) this.#lost += piece.filter(octet => octet === LINE_FEED).length
    }
  }

  #complaint(): string {
    return `${this.#torn ? '\n' : ''}${this.#complain(this.#lost)}`
  }

  /** Whether all of it was written. */
  #put(octets: Uint8Array): boolean {
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

/** Whole lines, as many in each as fit, and a line at least. */
export function* piecesOf(lines: Buffer): Generator<Buffer> {
  let from = 0
  while (from < lines.length) {
    const fitting = lines.lastIndexOf(LINE_FEED, from + PIECE_OCTETS - 1) + 1
    const end = fitting > from ? fitting : lines.indexOf(LINE_FEED, from) + 1
    yield lines.subarray(from, end)
    from = end
  }
}
