/**
 * The queue of a spool that is open: what each of its operations reads and changes in the database, and when the journal or a
 * file is asked instead.
 */

import { type Log, silent } from '../../observe/event.ts'
import { checkHold, checkNewMessage, checkTime } from '../check.ts'
import {
  type Content,
  type DueJob,
  type Filter,
  type Found,
  type Hold,
  type Job,
  type Message,
  type NewMessage,
  type Queue,
  QueueError,
  type RecipientResult,
  type Scope,
  type Skip,
  type StoredContent,
  type Story,
} from '../queue.ts'
import { dueOf, hastened, newParts } from '../slot.ts'
import { inMemory, wholeOf } from '../stored.ts'
import { Arrivals, INLINE_OCTETS, JOURNAL_OCTETS } from './arrivals.ts'
import type { ContentFolder } from './content.ts'
import { queueError } from './failure.ts'
import type { Files } from './files.ts'
import * as held from './held.ts'
import { isKnown, rememberOld } from './known.ts'
import { Lines } from './lines.ts'
import { listMessages, searchMessages } from './list.ts'
import * as stored from './message.ts'
import { writeResults } from './outcome.ts'
import { endingWork, type Store } from './store.ts'
import { encodedStory, keepStory, loadStory } from './story.ts'
import { Sweep, type SweepOptions } from './sweep.ts'
import type { Tables } from './tables.ts'

/** Of each message that is gone some 1,200 octets: 120 MB of the spool. */
const MOST_STORIES = 100_000

export interface EmbeddedQueueOptions extends SweepOptions {
  readonly folder: string
  readonly files: Files
  readonly mostStories?: number
  /** How large the journal is. */
  readonly journalOctets?: number
  readonly log?: Log
}

export class EmbeddedQueue implements Queue {
  readonly #store: Store
  readonly #contents: ContentFolder
  readonly #folder: string
  readonly #files: Files
  readonly #mostStories: number
  readonly #arrivals: Arrivals
  readonly #lines: Lines
  readonly #sweep: Sweep

  constructor(store: Store, contents: ContentFolder, options: EmbeddedQueueOptions) {
    const { folder, files, log = silent } = options
    const { mostStories = MOST_STORIES, journalOctets = JOURNAL_OCTETS } = options
    this.#store = store
    this.#contents = contents
    this.#folder = folder
    this.#files = files
    this.#mostStories = mostStories
    this.#arrivals = new Arrivals({ store, folder, files, mostStories, journalOctets, log })
    this.#lines = new Lines(store, this.#arrivals, log)
    this.#sweep = new Sweep(store, contents, this.#arrivals, log, options)
  }

  async put(message: NewMessage, content: Content): Promise<'queued' | 'duplicate'> {
    checkNewMessage(message)
    const { id } = message
    const sizeOctets = content.reduce((sum, { length }) => sum + length, 0)
    const parts = newParts(message)
    const arrived = await this.#arrivals.put(message, parts, content, sizeOctets)
    if (arrived === 'queued') this.#lines.appeared(message, parts)
    if (arrived !== null) return arrived
    const insert = async (octetsOrName: Uint8Array | string) => {
      const inserted = await this.#store.commit(tables => {
        if (isKnown(tables, id)) return false
        stored.insertMessage(tables, message, parts, sizeOctets, octetsOrName)
        rememberOld(tables, id, message.arrivedMs)
        // Somebody else may be at work who has looked further than this is due (`ptt queue import`).
        if (!this.#arrivals.leasesAlone) stored.countChange(tables)
        return true
      })
      if (!inserted) return false
      this.#lines.appeared(message, parts)
      return true
    }
    if (sizeOctets <= INLINE_OCTETS) {
      const [only = new Uint8Array(0), ...others] = content
      const queued = await insert(others.length === 0 ? only : Buffer.concat(content))
      return queued ? 'queued' : 'duplicate'
    }
    // The repetition of a large message is not written only to be thrown away.
    if (isKnown(this.#store.read(), id)) return 'duplicate'
    try {
      return (await this.#contents.write(id, content, insert)) ? 'queued' : 'duplicate'
    } catch (error) {
      throw await queueError(error, () => this.#files.freeOctets(this.#folder))
    }
  }

  async lease(nowMs: number, limit: number, skip?: (destination: string) => Skip): Promise<Job[]> {
    if (!this.#arrivals.isReady) await this.#arrivals.begin()
    return this.#lines.lease(nowMs, limit, skip)
  }

  unpark(destination?: string): void {
    this.#lines.unpark(destination)
  }

  async settle(job: Job, results: readonly RecipientResult[], lease?: 'keep'): Promise<void> {
    const { message, destination, part } = job
    const { id } = message
    for (const result of results) if (result.action === 'deferred') checkTime(result.dueMs)
    if (lease !== 'keep' && (await this.#arrivals.settle(id, { destination, part }, results))) {
      this.#lines.give(job, false)
      return
    }
    const { inLine, moved, file } = await this.#commitEnd((tables, mostStories) => {
      this.#arrivals.moveIn(tables, id)
      return writeResults(tables, id, { destination, part }, results, mostStories)
    })
    if (lease !== 'keep') this.#lines.give(job, inLine)
    else if (moved) this.#lines.moved(job)
    if (file !== null) await this.#contents.remove(file)
  }

  release(job: Job): void {
    this.#lines.give(job, true)
  }

  async nextDue(): Promise<number | null> {
    if (!this.#arrivals.leases) await this.#arrivals.allIn()
    return this.#lines.nextDue()
  }

  async content(id: string): Promise<Uint8Array> {
    const content = await this.openContent(id)
    try {
      return await wholeOf(content)
    } finally {
      await content.close()
    }
  }

  async openContent(id: string): Promise<StoredContent> {
    const young = this.#store.young.get(id)
    if (young) return inMemory(young.content)
    const failure = this.#arrivals.leases ? null : await this.#arrivals.allIn()
    const record = stored.loadRecord(this.#store.read(), id)
    if (!record) throw failure ?? gone(id)
    if (record.file === null) {
      const octets = this.#store.read().contents.getBinary(id)
      if (octets?.length === record.sizeOctets) return inMemory(octets)
      throw new QueueError('io', `the content of message ${id} is not in the spool`)
    }
    try {
      return await this.#contents.open(record.file, record.sizeOctets)
    } catch (error) {
      // It may have been removed meanwhile.
      if (!stored.loadRecord(this.#store.read(), id)) throw gone(id)
      throw error
    }
  }

  async get(id: string): Promise<Message | null> {
    const failure = await this.#arrivals.allIn()
    return stored.loadMessage(this.#store.read(), id) ?? unlessFailed(failure, null)
  }

  async dueJobs(id: string, nowMs: number): Promise<DueJob[]> {
    await this.#arrivals.allIn()
    const tables = this.#store.read()
    const record = stored.loadRecord(tables, id)
    if (!record || record.held !== undefined) return []
    return stored.loadParts(tables, id, record).flatMap(({ destination, part, slots }) => {
      if ((dueOf(slots) ?? Number.POSITIVE_INFINITY) > nowMs) return []
      return [part === undefined ? { destination } : { destination, part }]
    })
  }

  async story(id: string): Promise<Story | null> {
    const failure = await this.#arrivals.allIn()
    return loadStory(this.#store.read(), id) ?? unlessFailed(failure, null)
  }

  async list(options: { after?: string; limit: number; filter?: Filter }): Promise<Message[]> {
    await this.#arrivals.allIn()
    const tables = this.#store.read()
    const messages = [...listMessages(tables, options)]
    // A reader that is slow with them (a pager) keeps no snapshot, for a snapshot keeps space from being used again.
    tables.root.resetReadTxn()
    return messages
  }

  async search(options: { after?: string; limit: number; filter: Filter }): Promise<Found> {
    await this.#arrivals.allIn()
    const tables = this.#store.read()
    const found = searchMessages(tables, options)
    tables.root.resetReadTxn()
    return found
  }

  async retry(id: string, nowMs: number): Promise<boolean> {
    checkTime(nowMs)
    const failure = await this.#arrivals.allIn()
    const found = await this.#store.commit(tables => {
      this.#arrivals.moveIn(tables, id)
      const record = stored.loadRecord(tables, id)
      if (!record) return false
      for (const part of stored.loadParts(tables, id, record)) {
        stored.updatePart(tables, id, record, part, hastened(part.slots, nowMs))
      }
      stored.countChange(tables)
      return true
    })
    return found || unlessFailed(failure, false)
  }

  async remove(id: string, nowMs?: number): Promise<boolean> {
    const failure = await this.#arrivals.allIn()
    const removed = await this.#commitEnd((tables, mostStories) => {
      this.#arrivals.moveIn(tables, id)
      const record = stored.loadRecord(tables, id)
      if (!record) return null
      const parts = stored.loadParts(tables, id, record)
      const ended = { atMs: nowMs ?? record.arrivedMs, how: 'removed' } as const
      keepStory(tables, id, encodedStory(id, record, parts, ended), mostStories)
      stored.eraseMessage(tables, id, record, parts)
      held.forgetHeld(tables, id, record.held)
      return record
    })
    if (removed && removed.file !== null) await this.#contents.remove(removed.file)
    return removed !== null || unlessFailed(failure, false)
  }

  async hold(hold: Hold): Promise<void> {
    checkHold(hold)
    await this.#arrivals.allIn()
    await this.#store.commit(tables => held.putHold(tables, hold))
  }

  async lift(scope: Scope): Promise<boolean> {
    await this.#arrivals.allIn()
    return this.#store.commit(tables => held.removeHold(tables, scope))
  }

  async holds(): Promise<Hold[]> {
    return this.#lines.holds()
  }

  async count(): Promise<number> {
    await this.#arrivals.allIn()
    const { messages } = this.#store.read()
    return (messages.getStats() as { entryCount: number }).entryCount
  }

  async sweep(nowMs: number): Promise<void> {
    try {
      await this.#sweep.run(nowMs)
    } catch (error) {
      throw await queueError(error, () => this.#files.freeOctets(this.#folder))
    }
  }

  async close(): Promise<void> {
    await this.#arrivals.close().catch(() => {})
    await this.#store.close()
  }

  /** What may end a message; nobody waits for it. */
  #commitEnd<T>(change: (tables: Tables, mostStories: number) => T): Promise<T> {
    return endingWork(this.#store, this.#mostStories, change, 'soon')
  }
}

/** That something is not there is only so when all that was acknowledged could be looked at. */
function unlessFailed<T>(failure: QueueError | null, value: T): T {
  if (failure !== null) throw failure
  return value
}

function gone(id: string): QueueError {
  return new QueueError('gone', `no message ${id} in the queue`)
}
