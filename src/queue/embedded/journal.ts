/**
 * The journal: where a small message is kept first. One write that waits for the disk keeps all that came meanwhile, a commit of
 * the database takes several times the CPU (`group.ts`); and most messages are delivered before the database needs to know of
 * them. What it does not know after a crash is read from here (`arrivals.ts`).
 *
 * A file of a fixed size, written in laps: a place counts the octets of all laps. What stands before `release`d places is
 * written over. A note never goes over the end of a lap.
 *
 *   note   magic (4), CRC-32 of all that follows (4), place (8), length of what follows (4), of its head (4), head, content
 *
 * The CRC begins with a number that only this journal has: at its end a reader sees what was there a lap before, which may be the
 * content of a message, and nobody can write a note into one.
 *
 * A reader takes notes as long as each is at its place and whole: whatever was acknowledged comes before the first that is not, for
 * a write begins when the one before it is on the disk. The end of a lap without room for a note, or with a note that has no head,
 * is passed over.
 */

import { crc32 } from 'node:zlib'
import type { JournalFile } from './files.ts'
import { Group } from './group.ts'
import { step } from './step.ts'

const MAGIC = 0x7074746a
const HEADER_OCTETS = 24
const CRC_FROM = 8
/** The largest note, as a part of the journal. All that waits passes the end of a lap once at most. */
const LARGEST = 1 / 16
/** From one write to the next, while several notes at a time wait for one. */
const EVERY_MS = 2

/** What one write waits for. */
interface Waiting {
  readonly note: Buffer
  readonly urgent: boolean
  written(at: number): void
  resolve(): void
  reject(error: unknown): void
}

export class Journal {
  readonly #file: JournalFile
  readonly #octets: number
  readonly #seed: number
  readonly #group = new Group(EVERY_MS)
  readonly #waiting: Waiting[] = []
  #waitingOctets = 0
  #writing: Promise<void> | null = null
  #tail = 0
  #released = 0
  #failure: unknown = null

  /** `octets`: how large the file is. `seed`: what the CRCs begin with, 32 bits. */
  constructor(file: JournalFile, octets: number, seed: number) {
    this.#file = file
    this.#octets = octets
    this.#seed = seed
  }

  /** Where the next note goes: all before is on the disk. */
  get tail(): number {
    return this.#tail
  }

  /** How full it is with what waits, from 0 to 1. */
  get fill(): number {
    return this.#takenOctets / this.#octets
  }

  /** Whether there is room for a note of so many octets: none is so large that the end of a lap takes more than is kept for it. */
  hasRoom(octets: number): boolean {
    const largest = this.#octets * LARGEST
    return octets <= largest && this.#takenOctets + octets + largest <= this.#octets
  }

  get #takenOctets(): number {
    return this.#tail - this.#released + this.#waitingOctets
  }

  /**
   * Resolves when it is on the disk. `soon`: nobody waits for it, so that it may share a write. `written` is told its place, at the
   * moment from which on `tail` is behind it.
   */
  append(
    note: Buffer,
    when: 'now' | 'soon' = 'now',
    written: (at: number) => void = () => {},
  ): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ note, urgent: when === 'now', written, resolve, reject })
    this.#waitingOctets += note.length
    this.#writing ??= this.#write()
    this.#group.come(this.#patienceMs())
    return promise
  }

  /** Nobody needs what is before that place. */
  release(at: number): void {
    this.#released = at
  }

  /** What was begun is written first. */
  async close(): Promise<void> {
    await this.#writing
    await this.#file.close()
  }

  #patienceMs(): number {
    const urgent = this.#waiting.reduce((sum, each) => sum + Number(each.urgent), 0)
    return this.#group.patienceMs(urgent, performance.now())
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      await this.#group.gather(() => this.#patienceMs())
      const lap = this.#octets - (this.#tail % this.#octets)
      const notes = this.#take(lap)
      const urgent = notes.reduce((sum, each) => sum + Number(each.urgent), 0)
      this.#group.begin(urgent, performance.now())
      try {
        if (notes.length === 0) await this.#endLap(lap)
        else await this.#writeNotes(notes)
      } catch (error) {
        this.#failure = error
        await this.#wipe()
        for (const { reject } of [...notes, ...this.#waiting.splice(0)]) reject(error)
      }
    }
    this.#writing = null
  }

  /** Those that fit into so many octets, from the front. */
  #take(octets: number): Waiting[] {
    let count = 0
    let sum = 0
    for (const { note } of this.#waiting) {
      if (sum + note.length > octets) break
      sum += note.length
      count++
    }
    return this.#waiting.splice(0, count)
  }

  async #writeNotes(notes: readonly Waiting[]): Promise<void> {
    let end = this.#tail
    for (const { note } of notes) {
      seal(note, end, this.#seed)
      end += note.length
    }
    step('journal write')
    await this.#file.write(
      notes.map(({ note }) => note),
      this.#tail % this.#octets,
    )
    step('journal done')
    this.#waitingOctets -= end - this.#tail
    for (const { note, written, resolve } of notes) {
      const at = this.#tail
      this.#tail += note.length
      written(at)
      resolve()
    }
  }

  /** After a write that failed nobody shall find in the file what may have been written: nobody was told that it was kept. */
  async #wipe(): Promise<void> {
    const start = this.#tail % this.#octets
    const octets = Math.min(HEADER_OCTETS, this.#octets - start)
    await this.#file.write([Buffer.alloc(octets)], start).catch(() => {})
  }

  async #endLap(octets: number): Promise<void> {
    if (octets >= HEADER_OCTETS) {
      const end = Buffer.alloc(HEADER_OCTETS)
      seal(end, this.#tail, this.#seed)
      await this.#file.write([end], this.#tail % this.#octets)
    }
    this.#tail += octets
  }
}

/** Ready to be appended; `content` is copied. */
export function noteOf(head: string, content: readonly Uint8Array[] = []): Buffer {
  const headOctets = Buffer.byteLength(head)
  const contentOctets = content.reduce((sum, { length }) => sum + length, 0)
  const note = Buffer.allocUnsafeSlow(HEADER_OCTETS + headOctets + contentOctets)
  note.writeUInt32LE(MAGIC, 0)
  note.writeUInt32LE(headOctets + contentOctets, 16)
  note.writeUInt32LE(headOctets, 20)
  let at = HEADER_OCTETS + note.write(head, HEADER_OCTETS)
  for (const piece of content) {
    note.set(piece, at)
    at += piece.length
  }
  return note
}

/** The content in a note. */
export function contentOf(note: Buffer): Buffer {
  return note.subarray(HEADER_OCTETS + note.readUInt32LE(20))
}

function seal(note: Buffer, at: number, seed: number): void {
  note.writeUInt32LE(MAGIC, 0)
  note.writeDoubleLE(at, 8)
  note.writeUInt32LE(crc32(note.subarray(CRC_FROM), seed), 4)
}

export interface Note {
  readonly at: number
  /** Where the next one is. */
  readonly next: number
  readonly head: string
  readonly content: Buffer
}

/** The notes from that place on, of a journal whose file has these octets. */
export function* readNotes(file: Buffer, from: number, seed: number): Generator<Note, void> {
  const octets = file.length
  for (let at = from; at < from + octets; ) {
    const start = at % octets
    const room = octets - start
    if (room < HEADER_OCTETS) {
      at += room
      continue
    }
    if (!hasNote(file.subarray(start), at)) return
    const length = file.readUInt32LE(start + 16)
    const headOctets = file.readUInt32LE(start + 20)
    const end = start + HEADER_OCTETS + length
    if (end > octets || headOctets > length) return
    if (file.readUInt32LE(start + 4) !== crc32(file.subarray(start + CRC_FROM, end), seed)) return
    if (length === 0) {
      at += room
      continue
    }
    const content = start + HEADER_OCTETS + headOctets
    const next = at + HEADER_OCTETS + length
    const head = file.toString('utf8', start + HEADER_OCTETS, content)
    yield { at, next, head, content: file.subarray(content, end) }
    at = next
  }
}

/** So many octets say whether there is a note, `hasNote`, at a place: perhaps not a whole one. */
export const PEEK_OCTETS = 16

/** The first place from `from` on where there is room for a note; the file has so many octets. */
export function peekAt(from: number, octets: number): number {
  const room = octets - (from % octets)
  return room < HEADER_OCTETS ? from + room : from
}

/** Of the first octets of a file: nothing was ever written there. */
export function isUnused(start: Buffer): boolean {
  return start.every(octet => octet === 0)
}

export function hasNote(start: Buffer, at: number): boolean {
  return start.length >= PEEK_OCTETS && start.readUInt32LE(0) === MAGIC && start.readDoubleLE(8) === at
}
