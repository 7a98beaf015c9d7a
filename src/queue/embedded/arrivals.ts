/**
 * The journal before the database: small mail that is due at once is kept in the journal and in memory (`young.ts`), is leased from
 * there, and where it is delivered soon the database has to know no more of it than its story (`moves.ts`). All else goes by the
 * database.
 *
 * Only who leases keeps a journal (`journals.ts`). Without one, or while the database cannot be written, all goes by the database.
 */

import type { Content, NewMessage, QueueError, RecipientResult } from '../queue.ts'
import { dueOf, type NewPart, type PartName } from '../slot.ts'
import { pairAtFirst } from './due.ts'
import { queueError } from './failure.ts'
import { contentOf, noteOf } from './journal-note.ts'
import { Journals, type JournalsOptions, type OwnJournal, TAKEN_OVER } from './journals.ts'
import { isKnown } from './known.ts'
import { changes, countChange, recordOf } from './message.ts'
import { Moves } from './moves.ts'
import { after, storyOf } from './outcome.ts'
import { encodeNote } from './record.ts'
import type { Store } from './store.ts'
import type { Tables } from './tables.ts'
import type { Young } from './young.ts'

/** Larger contents have a file each (`content.ts`). */
export const INLINE_OCTETS = 64 * 1024
/** At 1,700 messages of 4 KiB a second a second and a half. */
export const JOURNAL_OCTETS = 16 * 1024 * 1024
const RETRY_MS = 1000

export interface ArrivalsOptions extends JournalsOptions {
  readonly journalOctets: number
}

export class Arrivals {
  readonly #options: ArrivalsOptions
  readonly #store: Store
  readonly #young: Young
  readonly #journals: Journals
  readonly #moves: Moves
  #leases = false
  #closed = false
  #own: OwnJournal | null = null
  /** It cannot be written any more, and there is something in it that the database does not know yet. */
  #given: OwnJournal | null = null
  /** Another process leases since: we keep no journal any more. */
  #deposed = false
  /** What others have left is not in the database yet. */
  #behind = false
  #mending: Promise<void> | null = null
  #mendedMs = 0
  /** Being written into the journal, by id. */
  readonly #coming = new Map<string, Promise<void>>()

  constructor(options: ArrivalsOptions) {
    this.#options = options
    this.#store = options.store
    this.#young = options.store.young
    this.#journals = new Journals(options)
    this.#moves = new Moves(options, error => this.#alarm('what is in the journal', error))
  }

  get leases(): boolean {
    return this.#leases
  }

  /** For who leases: nothing that others have left is missing; where it cannot be had, that is tried once in a while. */
  get isReady(): boolean {
    return this.#leases && !(this.#behind && performance.now() - this.#mendedMs > RETRY_MS)
  }

  /** Nobody else does, as far as is known. */
  get leasesAlone(): boolean {
    return this.#leases && !this.#deposed && (this.#own === null || this.#journals.has(this.#own.name))
  }

  /** This process leases from now on. */
  async begin(): Promise<void> {
    if (this.#closed) return
    if (!this.#leases) this.#behind = true
    this.#leases = true
    await this.mend()
  }

  /** What others have left is in the database, and there is a journal; what cannot be done now is when this is called next. */
  mend(): Promise<void> {
    if (!this.#leases) return Promise.resolve()
    this.#mending ??= this.#mend().finally(() => {
      this.#mending = null
    })
    return this.#mending
  }

  /** @returns `null`: it is not for the journal */
  async put(
    message: NewMessage,
    parts: readonly NewPart[],
    content: Content,
    sizeOctets: number,
  ): Promise<'queued' | 'duplicate' | null> {
    const { id } = message
    for (let same = this.#coming.get(id); same; same = this.#coming.get(id)) await same.catch(() => {})
    if (this.#young.find(id)) return 'duplicate'
    const own = this.#own
    if (own === null || this.#moves.failing || !isForJournal(message, parts, sizeOctets)) return null
    const record = recordOf(message, parts, sizeOctets, null)
    const note = noteOf(encodeNote({ id, record }), content)
    if (!own.journal.hasRoom(note.length)) return null
    const tables = this.#store.read()
    if (isKnown(tables, id)) return 'duplicate'
    const changed = changes(tables)
    const coming = own.journal.append(note, 'now', at => {
      // Another process may have read it before we were told that it is on the disk.
      const tables = this.#store.read()
      if (changes(tables) !== changed && isKnown(tables, id)) return
      this.#young.add({ id, at, record, content: contentOf(note) })
    })
    this.#coming.set(id, coming)
    try {
      await coming
      this.#moves.soon()
      return 'queued'
    } catch (error) {
      this.#giveUp(own, error)
      return null
    } finally {
      this.#coming.delete(id)
    }
  }

  /** The outcome of all that was leased of a message. False: it is not for the journal, where some recipient is pending still. */
  async settle(id: string, { destination }: PartName, results: readonly RecipientResult[]): Promise<boolean> {
    const message = this.#young.get(id)
    const own = this.#own
    if (own === null || message === null || this.#young.isMoving(id)) return false
    const was = { destination, slots: message.record.only ?? [], attempts: [] }
    if (was.slots[0]?.destination !== destination) return false
    const now = after(was, results)
    if (dueOf(now.slots) !== null) return false
    const { arrivedMs, endedMs, octets } = storyOf(id, message.record, [now], results)
    const note = noteOf(encodeNote({ id, arrivedMs, endedMs }), [octets])
    if (!own.journal.hasRoom(note.length)) return false
    // From here on the database may come to know it before the journal does.
    this.#young.end(message, { arrivedMs, endedMs, octets: contentOf(note) })
    try {
      await own.journal.append(note, 'soon')
      this.#moves.soon()
    } catch (error) {
      this.#giveUp(own, error)
      try {
        await this.#moves.one(id)
      } catch (reason) {
        this.#young.unend(message)
        throw reason
      }
    }
    return true
  }

  /** Resolves when the database knows all that was acknowledged until now; where that cannot be, to the reason. */
  async allIn(): Promise<QueueError | null> {
    try {
      // What others have left is on its way.
      await this.#mending
      if (this.#own && !this.#journals.has(this.#own.name)) this.#giveUp(this.#own, TAKEN_OVER)
      if (!this.#leases || this.#deposed) await this.#journals.catchUp()
      if (this.#leases) await this.#moves.all()
      return null
    } catch (error) {
      const { folder, files } = this.#options
      const failure = await queueError(error, () => files.freeOctets(folder))
      if (failure.code === 'closed') throw failure
      this.#alarm('what is in the journal', failure)
      return failure
    }
  }

  /**
   * Whether ids may be forgotten: no journal tells any more of what has come until now. As long as one does, who reads it must know
   * what has ended since, or it is delivered once more. @throws QueueError
   */
  async mayForget(): Promise<boolean> {
    if (this.#behind || this.#deposed || this.#given !== null) return false
    await this.#moves.all()
    return true
  }

  /** Within a transaction: what is young of that id is in the database. */
  moveIn(tables: Tables, id: string): void {
    this.#moves.moveIn(tables, id)
  }

  /** All is in the database then, and there is no journal; where that cannot be, it is read when the spool is opened next. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#mending
    await Promise.allSettled(this.#coming.values())
    this.#leases = false
    if (this.#own) this.#leave(this.#own)
    await this.#finish()
  }

  #alarm(what: string, error: unknown): void {
    this.#options.log.event('alarm', { about: 'spool', error: `${what}: ${error}` }, 'error')
  }

  async #mend(): Promise<void> {
    if (this.#own) return
    this.#mendedMs = performance.now()
    try {
      if (this.#behind) {
        for (const name of await this.#journals.takeOver())
          this.#options.log.event('spool', { let_alone: name })
      }
      this.#behind = false
      await this.#finish()
      if (this.#deposed) return
      const own = await this.#journals.create(this.#options.journalOctets)
      this.#own = own
      this.#moves.from(own)
    } catch (error) {
      this.#alarm('no journal', error)
    }
  }

  #leave(own: OwnJournal): void {
    if (this.#own !== own) return
    this.#own = null
    this.#moves.from(null)
    this.#given = own
  }

  /** It could not be written. What is young is in the database soon; until then it is in the journal still. */
  #giveUp(own: OwnJournal, error: unknown): void {
    if (this.#own !== own) return
    this.#deposed = !this.#journals.has(own.name)
    this.#alarm('the journal', error)
    this.#leave(own)
    this.#finish().catch(reason => {
      this.#alarm('the journal', reason)
      setTimeout(() => this.mend(), RETRY_MS).unref()
    })
  }

  /** Of a journal that is not written any more: all it tells is in the database, and it is removed. */
  async #finish(): Promise<void> {
    const given = this.#given
    if (given === null) return
    await given.journal.close()
    await this.#moves.close(given, tables => {
      // Who leases now has to know.
      if (this.#deposed) countChange(tables)
    })
    if (this.#given === given) this.#given = null
    await this.#journals.remove(given.name)
  }
}

/** One that has several parts, or is due later, comes into the database anyway before it is delivered. */
function isForJournal(message: NewMessage, parts: readonly NewPart[], sizeOctets: number): boolean {
  const [only, ...others] = parts
  if (only === undefined || others.length > 0 || only.part !== undefined) return false
  if (sizeOctets > INLINE_OCTETS) return false
  const dueMs = dueOf(only.slots)
  return dueMs !== null && pairAtFirst(dueMs, message.arrivedMs) === 'fresh'
}
