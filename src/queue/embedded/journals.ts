/**
 * The journals in a spool: the one of who leases, `journal-NONCE`, and what others have left. The counter of that name in the
 * database says from which place on it counts: one without a counter is of another database, and is let alone.
 *
 * Whoever opens the spool has the database know what they tell (`catchUp`), also while the relay runs. Who leases takes over what
 * others have left (`takeOver`): they are renamed first, and who writes into one that was renamed acknowledges nothing.
 */

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Log } from '../../observe/event.ts'
import { QueueError } from '../queue.ts'
import { absorb } from './absorb.ts'
import type { Files } from './files.ts'
import { Journal } from './journal.ts'
import { hasNote, isUnused, PEEK_OCTETS, peekAt, readNotes, salvageNotes } from './journal-note.ts'
import { countChange, counter, counters, setCounter } from './message.ts'
import { decodeNote } from './record.ts'
import { endingWork, type Store } from './store.ts'
import type { Tables } from './tables.ts'
import type { Ended, YoungMessage } from './young.ts'

/** `.old` once it was taken over. */
const NAME = /^(journal-[0-9a-f]{12})(?:\.old)?$/
const NONCE_OCTETS = 6
/** Messages that are replayed at once where there is little room: a megabyte at most. */
const PIECE = 16
/** So much of the database is not filled with them. */
const LEFT_FREE = 0.5
export const TAKEN_OVER = 'it was taken over by another process'

export interface JournalsOptions {
  readonly store: Store
  readonly folder: string
  readonly files: Files
  readonly mostStories: number
  readonly log: Log
}

/** One that this process writes. */
export interface OwnJournal {
  readonly journal: Journal
  /** Its counter. */
  readonly name: string
}

/** What one tells. */
interface Told {
  readonly messages: readonly (YoungMessage | Ended)[]
  /** The place after the last note. */
  readonly tail: number
  /** As `salvageNotes` has it. */
  readonly lostOctets: number
}

export class Journals {
  readonly #options: JournalsOptions
  /** Up to where each was read by `catchUp`: its counter stays where it is, for whose journal it is. */
  readonly #caughtUp = new Map<string, number>()

  constructor(options: JournalsOptions) {
    this.#options = options
  }

  /** A new one. When another process has taken it over, what is being written is not acknowledged. */
  async create(octets: number): Promise<OwnJournal> {
    const { folder, files, store, log } = this.#options
    const name = `journal-${randomBytes(NONCE_OCTETS).toString('hex')}`
    const path = join(folder, name)
    const file = await files.createJournal(path, octets)
    try {
      await files.syncFolder(folder)
      await store.commit(tables => {
        for (const each of counters(tables, 'journal-'))
          if (!this.#isThere(each)) setCounter(tables, each, null)
        setCounter(tables, name, 0)
      })
    } catch (error) {
      await file.close()
      await this.remove(name)
      throw error
    }
    const write: typeof file.write = async (pieces, at) => {
      log.flush()
      await file.write(pieces, at)
      if (!files.exists(path)) throw new Error(TAKEN_OVER)
    }
    return { journal: new Journal({ ...file, write }, octets, seedOf(name)), name }
  }

  /** Nobody has taken it over. */
  has(name: string): boolean {
    const { folder, files } = this.#options
    return files.exists(join(folder, name))
  }

  /** All it tells is in the database. One that cannot be removed tells nothing any more. */
  async remove(name: string): Promise<void> {
    const { folder, files } = this.#options
    await files.remove(join(folder, name)).catch(() => {})
  }

  /** Resolves when the database knows all that was acknowledged until now, by whatever process. */
  async catchUp(): Promise<void> {
    const { store, mostStories } = this.#options
    const names = await this.#names()
    if (!names.some(name => this.#tells(store.read(), name))) return
    const tails = await endingWork(store, mostStories, (tables, most) =>
      names.map(name => [name, this.#absorb(tables, this.#told(tables, name), most) ?? 0] as const),
    )
    for (const [name, tail] of tails) this.#caughtUp.set(name, tail)
  }

  /** The same, and those that others have written are no more. @returns the names of those that are of another database */
  async takeOver(): Promise<string[]> {
    const { folder, files, store, mostStories } = this.#options
    const tables = store.read()
    const [ours, foreign] = partition(await this.#names(), name => counter(tables, name) !== null)
    for (const name of ours) if (this.has(name)) await this.#setAside(name)
    if (ours.length > 0) {
      await files.syncFolder(folder)
      const replayAll = () =>
        endingWork(store, mostStories, (tables, most) =>
          ours.map(name => {
            const told = this.#told(tables, name, 'left')
            setCounter(tables, name, this.#absorb(tables, told, most))
            return { name, lostOctets: told?.lostOctets ?? 0 }
          }),
        )
      const replayed = await replayAll().catch(async error => {
        if (!(error instanceof QueueError) || error.code !== 'full') throw error
        for (const name of ours) if (!(await this.#replayInPieces(name))) throw error
        return replayAll()
      })
      for (const { name, lostOctets } of replayed) {
        if (lostOctets > 0) this.#tellLost(name, lostOctets)
        await this.remove(`${name}.old`)
      }
    }
    // One that was never used: who made it has stopped before the database knew of it, or uses it in a moment.
    const [unused, others] = partition(foreign, name => this.#isUnused(name))
    for (const name of unused) await this.#setAside(name)
    if (!unused.every(name => this.#isUnused(name))) return this.takeOver()
    for (const name of unused) await this.remove(`${name}.old`)
    return others
  }

  #isUnused(name: string): boolean {
    return isUnused(this.#octetsOf(name, 0, PEEK_OCTETS))
  }

  async #setAside(name: string): Promise<void> {
    const { folder, files } = this.#options
    try {
      await files.rename(join(folder, name), join(folder, `${name}.old`))
    } catch (error) {
      // Who wrote it has stopped meanwhile, and all of it is in the database.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }

  /** Whether there seems to be a note that the database has not. */
  #tells(tables: Tables, name: string): boolean {
    const from = counter(tables, name)
    const octets = this.#sizeOctets(name)
    if (from === null || octets === 0) return false
    const at = peekAt(Math.max(from, this.#caughtUp.get(name) ?? 0), octets)
    return hasNote(this.#octetsOf(name, at % octets, PEEK_OCTETS), at)
  }

  /** 0: it is no more. */
  #sizeOctets(name: string): number {
    const { folder, files } = this.#options
    return files.sizeOctets(join(folder, name)) || files.sizeOctets(join(folder, `${name}.old`))
  }

  /** It may be taken over at any time. */
  #octetsOf(name: string, at: number, octets: number): Buffer {
    const { folder, files } = this.#options
    const found = files.octetsOf(join(folder, name), at, octets)
    return found.length > 0 ? found : files.octetsOf(join(folder, `${name}.old`), at, octets)
  }

  #isThere(name: string): boolean {
    const { folder, files } = this.#options
    return this.has(name) || files.exists(join(folder, `${name}.old`))
  }

  /** Within a transaction. @returns the place after the last note; `null`: it is not of this database */
  #absorb(tables: Tables, told: Told | null, mostStories: number): number | null {
    if (told === null) return null
    for (const each of told.messages) absorb(tables, each, mostStories)
    if (told.messages.length > 0) countChange(tables)
    return told.tail
  }

  /**
   * Of one that nobody writes: as much as there is room for on a disk that is full. Room is left for the outcomes of what is
   * delivered, which makes room for more; and what has ended takes hardly any. @returns whether that was all
   */
  async #replayInPieces(name: string): Promise<boolean> {
    const { store, mostStories } = this.#options
    const [ended, others] = partition(
      this.#told(store.read(), name, 'left')?.messages ?? [],
      message => 'end' in message,
    )
    const messages = [...ended, ...others]
    for (let at = 0; at < messages.length; at += PIECE) {
      if (store.freePart < LEFT_FREE) return false
      await endingWork(store, mostStories, (tables, most) => {
        for (const each of messages.slice(at, at + PIECE)) absorb(tables, each, most)
        countChange(tables)
      })
    }
    return true
  }

  /**
   * `null`: it is not of this database. For a transaction it is read within it: until that is committed nobody can say that what
   * this reads is no longer needed, and write over it. `left`: nobody writes it any more.
   */
  #told(tables: Tables, name: string, left?: 'left'): Told | null {
    const from = counter(tables, name)
    if (from === null) return null
    const octets = this.#octetsOf(name, 0, this.#sizeOctets(name))
    const seed = seedOf(name)
    const { notes, lostOctets } = left
      ? salvageNotes(octets, from, seed)
      : { notes: readNotes(octets, from, seed), lostOctets: 0 }
    const all = new Map<string, YoungMessage | Ended>()
    let tail = from
    for (const { at, next, head, content } of notes) {
      const note = decodeNote(head)
      const { id } = note
      if ('record' in note) all.set(id, { id, at, record: note.record, content })
      // One that is not there has come into the database since.
      else if (all.has(id)) all.set(id, { id, at, end: { ...note, octets: content } })
      tail = next
    }
    return { messages: [...all.values()], tail, lostOctets }
  }

  #tellLost(name: string, octets: number): void {
    const error = `${name}: ${octets} octets cannot be read, and what is behind them can: a write was cut short, of which nobody was told, or the disk is damaged and mail in them is lost`
    this.#options.log.event('alarm', { about: 'spool', error }, 'error')
  }

  /** As their counters have them. */
  async #names(): Promise<string[]> {
    const { folder, files } = this.#options
    const names = new Set<string>()
    for await (const file of files.names(folder)) {
      const [, name] = NAME.exec(file) ?? []
      if (name !== undefined) names.add(name)
    }
    return [...names]
  }
}

/** Of its nonce. */
function seedOf(name: string): number {
  return Number.parseInt(name.slice('journal-'.length).slice(0, 8), 16)
}

function partition<T>(all: readonly T[], isOf: (each: T) => boolean): [of: T[], others: T[]] {
  return [all.filter(isOf), all.filter(each => !isOf(each))]
}
