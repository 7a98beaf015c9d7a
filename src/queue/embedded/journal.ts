/**
 * The journal: where a small message is kept first. One write that waits for the disk keeps all that came meanwhile, a commit of
 * the database takes several times the CPU (`group.ts`); and most messages are delivered before the database needs to know of
 * them. What it does not know after a crash is read from here (`arrivals.ts`).
 *
 * A file of a fixed size, written in laps: a place counts the octets of all laps. What stands before `release`d places is
 * written over. A note (`journal-note.ts`) never goes over the end of a lap.
 */

import type { JournalFile } from './files.ts'
import { Group } from './group.ts'
import { HEADER_OCTETS, seal } from './journal-note.ts'
import { step } from './step.ts'

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
        await this.#wipe(notes)
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
  async #wipe(notes: readonly Waiting[]): Promise<void> {
    const start = this.#tail % this.#octets
    const octets = notes.reduce((sum, { note }) => sum + note.length, 0) || HEADER_OCTETS
    await this.#file.write([Buffer.alloc(Math.min(octets, this.#octets - start))], start).catch(() => {})
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
