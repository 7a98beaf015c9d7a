/**
 * Where lines go that are for a descriptor. Those of one turn of the event loop are written together: for who reads them, as systemd's
 * journal does, each write is work, and several come with each message. They are written before the loop waits again, and when the
 * process ends, by an error too; only a signal that cannot be caught takes those of its turn along. `flush` is for what must not be
 * known where the log does not tell of it.
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

  /** Writes what is held. What cannot be written is lost: a disk that is full stops no mail. Who reads from a pipe is waited for. */
  readonly flush = (): void => {
    if (this.#held === '') return
    const held = Buffer.from(this.#held)
    this.#held = ''
    for (const piece of piecesOf(held)) {
      if (this.#lost > 0) this.#tellOfLost()
      const written = this.#lost > 0 ? 0 : this.#put(piece)
      this.#lost += linesIn(piece.subarray(written))
    }
  }

  #tellOfLost(): void {
    const complaint = Buffer.from(`${this.#torn ? '\n' : ''}${this.#complain(this.#lost)}`)
    if (this.#put(complaint) === complaint.length) this.#lost = 0
  }

  /** @returns how many octets were written */
  #put(octets: Buffer): number {
    let written = 0
    try {
      while (written < octets.length) written += this.#putSome(octets, written)
    } catch {
      // The rest is lost.
    }
    if (written > 0) this.#torn = octets[written - 1] !== LINE_FEED
    return written
  }

  #putSome(octets: Buffer, from: number): number {
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
  for (let from = 0, end = 0; from < lines.length; from = end) {
    end = lines.lastIndexOf(LINE_FEED, from + PIECE_OCTETS - 1) + 1
    if (end <= from) end = lines.indexOf(LINE_FEED, from) + 1
    yield lines.subarray(from, end)
  }
}

function linesIn(octets: Buffer): number {
  let lines = 0
  for (const octet of octets) if (octet === LINE_FEED) lines++
  return lines
}
