/**
 * The engine that needs nothing installed: LMDB, ordered keys and batched durable commits, in one folder.
 *
 *   queue.mdb, queue.mdb-lock    messages, recipients, what is due, and contents up to 64 KiB; or `queue-N.mdb`, once it was
 *                                written anew (`generation.ts`)
 *   content/ID-nonce             larger contents
 *
 * A message is one record and a part per destination, so that an outcome rewrites what concerns its destination only.
 */

import { dirname, join, resolve } from 'node:path'
import { type Log, silent } from '../../observe/event.ts'
import { checkHold, checkNewMessage, checkTime } from '../check.ts'
import { noted } from '../history.ts'
import { type Holds, holdOf, isDestinationHeld, isOver } from '../hold.ts'
import {
  type Content,
  type Filter,
  type Hold,
  type Job,
  type Message,
  type NewMessage,
  type Queue,
  QueueError,
  type RecipientResult,
  type Scope,
  type Skip,
  type Story,
} from '../queue.ts'
import { dueOf, hastened, jobOf, newParts, settled } from '../slot.ts'
import { ContentFolder, idOfName } from './content.ts'
import { firstDueAt } from './due.ts'
import { queueError } from './failure.ts'
import { disk, type Files } from './files.ts'
import { checkFormat, isCurrent, writeFormat } from './format.ts'
import { latestGeneration } from './generation.ts'
import * as held from './held.ts'
import { listMessages } from './list.ts'
import * as stored from './message.ts'
import { type RankedDue, Ranks } from './ranks.ts'
import type { MessageRecord } from './record.ts'
import { Store, type Tables } from './store.ts'
import { forgetStories, keepStory, loadStory } from './story.ts'
import { idOf, partOf, unitOf } from './unit.ts'

const DAY_MS = 24 * 3600_000
const INLINE_OCTETS = 64 * 1024
/** Ids forgotten in one transaction: others wait for it some milliseconds only. */
const FORGET_AT_ONCE = 1000
/** Of each message that is gone some 1,200 octets: 120 MB of the spool. */
const MOST_STORIES = 100_000
const COMPACT_ABOVE_OCTETS = 64 * 1024 * 1024
/** Messages found held in one look: all of a `lease` waits for them to be set aside. */
const ASIDE_AT_ONCE = 500

export interface EmbeddedOptions {
  /** The spool; made, mode 0700, when it is not there. */
  readonly folder: string
  readonly retainIdsMs?: number
  readonly retainStoriesMs?: number
  readonly mostStories?: number
  /** From which size on a database that is mostly free is written anew by `sweep`. */
  readonly compactAboveOctets?: number
  readonly log?: Log
  readonly files?: Files
}

/** Whether there is a spool in the folder, for those who want to look at one and not make it. */
export function hasSpool(folder: string): boolean {
  return latestGeneration(folder) > 0
}

/** @throws QueueError when the spool cannot be made or opened. */
export async function openEmbedded(options: EmbeddedOptions): Promise<Queue> {
  const { files = disk } = options
  const folder = resolve(options.folder)
  const contents = join(folder, 'content')
  try {
    const made = await files.makeFolder(contents)
    const store = await Store.open(folder, files)
    await useFormat(store)
    // The names of what was made are durable before any message depends on them.
    await files.syncFolder(folder)
    if (made !== undefined) {
      for (let path = folder; path.length >= made.length; path = dirname(path)) {
        await files.syncFolder(dirname(path))
      }
    }
    return new EmbeddedQueue(store, new ContentFolder(contents, files), { ...options, folder, files })
  } catch (error) {
    const { code, message } = await queueError(error, () => files.freeOctets(folder))
    throw new QueueError(code, `${folder}: ${message}`, error)
  }
}

/** A spool of before is of our format from now on; where that cannot be written, it is when it is opened next. */
async function useFormat(store: Store): Promise<void> {
  try {
    if (isCurrent(checkFormat(store.read()))) return
  } catch (error) {
    await store.close()
    throw error
  }
  await store.commit(writeFormat).catch(() => {})
}

class EmbeddedQueue implements Queue {
  readonly #store: Store
  readonly #contents: ContentFolder
  readonly #folder: string
  readonly #files: Files
  readonly #retainIdsMs: number
  readonly #retainStoriesMs: number
  readonly #mostStories: number
  readonly #compactAboveOctets: number
  readonly #log: Log
  readonly #leases = new Ranks(destination => isDestinationHeld(this.#holds, destination))
  #changes = 0
  #holds: Holds = new Map()
  /** There are messages set aside for holds that are no more. */
  #loose = false

  constructor(store: Store, contents: ContentFolder, options: EmbeddedOptions & { files: Files }) {
    const { folder, files, retainIdsMs = DAY_MS, log = silent } = options
    const { retainStoriesMs = 2 * DAY_MS, mostStories = MOST_STORIES } = options
    this.#store = store
    this.#contents = contents
    this.#folder = folder
    this.#files = files
    this.#retainIdsMs = retainIdsMs
    this.#retainStoriesMs = retainStoriesMs
    this.#mostStories = mostStories
    this.#compactAboveOctets = options.compactAboveOctets ?? COMPACT_ABOVE_OCTETS
    this.#log = log
  }

  async put(message: NewMessage, content: Content): Promise<'queued' | 'duplicate'> {
    checkNewMessage(message)
    const { id } = message
    const sizeOctets = content.reduce((sum, { length }) => sum + length, 0)
    const parts = newParts(message)
    const insert = async (octetsOrName: Uint8Array | string) => {
      const inserted = await this.#store.commit(tables => {
        if (stored.isKnown(tables, id)) return false
        stored.insertMessage(tables, message, parts, sizeOctets, octetsOrName)
        return true
      })
      if (!inserted) return false
      const leases = this.#leases.of(stored.priorityOf(message))
      for (const { destination, part, slots } of parts)
        leases.appeared({ destination, unit: unitOf(id, part), dueMs: dueOf(slots) ?? message.arrivedMs })
      return true
    }
    if (sizeOctets <= INLINE_OCTETS) {
      const [only = new Uint8Array(0), ...others] = content
      const queued = await insert(others.length === 0 ? only : Buffer.concat(content))
      return queued ? 'queued' : 'duplicate'
    }
    // The repetition of a large message is not written only to be thrown away.
    if (stored.isKnown(this.#store.read(), id)) return 'duplicate'
    try {
      return (await this.#contents.write(id, content, insert)) ? 'queued' : 'duplicate'
    } catch (error) {
      throw await queueError(error, () => this.#files.freeOctets(this.#folder))
    }
  }

  async lease(
    nowMs: number,
    limit: number,
    skip: (destination: string) => Skip = () => false,
  ): Promise<Job[]> {
    if (limit <= 0) return []
    await this.#endHolds(nowMs)
    const jobs: Job[] = []
    const aside: Aside[] = []
    try {
      do {
        aside.length = 0
        this.#meet(nowMs, limit, skip, jobs, aside)
        if (aside.length > 0) await this.#setAside(aside)
      } while (aside.length === ASIDE_AT_ONCE && jobs.length < limit)
    } catch (error) {
      for (const job of jobs) this.release(job)
      for (const { due } of aside) this.#leases.of(due.priority).give(due.destination, due.unit, true)
      throw error
    }
    return jobs
  }

  unpark(destination?: string): void {
    this.#leases.unpark(destination)
  }

  async settle(job: Job, results: readonly RecipientResult[]): Promise<void> {
    const { message, destination, part } = job
    const { id } = message
    for (const result of results) if (result.action === 'deferred') checkTime(result.dueMs)
    const { inLine, file } = await this.#commitEnd((tables, mostStories) => {
      const record = stored.loadRecord(tables, id)
      const was = record && stored.loadPart(tables, id, record, { destination, part })
      if (!record || !was) return { inLine: false, file: null }
      const slots = settled(was.slots, results)
      const attempts = noted(was.attempts, news(results, was.slots))
      if (stored.updatePart(tables, id, record, was, slots, attempts)) {
        return { inLine: record.held === undefined && dueOf(slots) !== null, file: null }
      }
      const parts = stored.loadParts(tables, id, record)
      const now = parts.map(each => (isSame(each, was) ? { ...was, slots, attempts } : each))
      const atMs = results.reduce((latest, { evidence }) => Math.max(latest, evidence.atMs), record.arrivedMs)
      keepStory(tables, id, record, now, { atMs, how: 'settled' }, mostStories)
      stored.eraseMessage(tables, id, record, parts)
      held.forgetHeld(tables, id, record.held)
      return { inLine: false, file: record.file }
    })
    this.#leases.of(stored.priorityOf(message)).give(destination, unitOf(id, part), inLine)
    if (file !== null) await this.#contents.remove(file)
  }

  release({ message, destination, part }: Job): void {
    this.#leases.of(stored.priorityOf(message)).give(destination, unitOf(message.id, part), true)
  }

  async nextDue(): Promise<number | null> {
    const tables = this.#readLines()
    if (this.#loose) return 0
    let first = this.#leases.firstDue(tables) ?? Number.POSITIVE_INFINITY
    for (const [key, hold] of this.#holds) {
      if (hold.untilMs === null) continue
      const dueMs =
        hold.kind === 'destination' ? firstDueAt(tables, hold.name) : held.keepsSome(tables, key) ? 0 : null
      if (dueMs !== null) first = Math.min(first, Math.max(dueMs, hold.untilMs))
    }
    return first === Number.POSITIVE_INFINITY ? null : first
  }

  async content(id: string): Promise<Uint8Array> {
    const record = stored.loadRecord(this.#store.read(), id)
    if (!record) throw gone(id)
    if (record.file === null) {
      const octets = this.#store.read().contents.getBinary(id)
      if (octets?.length === record.sizeOctets) return octets
      throw new QueueError('io', `the content of message ${id} is not in the spool`)
    }
    try {
      return await this.#contents.read(record.file, record.sizeOctets)
    } catch (error) {
      // It may have been removed while we read.
      if (!stored.loadRecord(this.#store.read(), id)) throw gone(id)
      if (error instanceof QueueError) throw error
      throw new QueueError('io', `the content of message ${id} cannot be read: ${String(error)}`, error)
    }
  }

  async get(id: string): Promise<Message | null> {
    return stored.loadMessage(this.#store.read(), id)
  }

  async story(id: string): Promise<Story | null> {
    return loadStory(this.#store.read(), id)
  }

  async list(options: { after?: string; limit: number; filter?: Filter }): Promise<Message[]> {
    const tables = this.#store.read()
    const messages = listMessages(tables, options)
    // A reader that is slow with them (a pager) keeps no snapshot, for a snapshot keeps space from being used again.
    tables.root.resetReadTxn()
    return messages
  }

  async retry(id: string, nowMs: number): Promise<boolean> {
    checkTime(nowMs)
    return this.#store.commit(tables => {
      const record = stored.loadRecord(tables, id)
      if (!record) return false
      for (const part of stored.loadParts(tables, id, record)) {
        stored.updatePart(tables, id, record, part, hastened(part.slots, nowMs))
      }
      stored.countChange(tables)
      return true
    })
  }

  async remove(id: string, nowMs?: number): Promise<boolean> {
    const removed = await this.#commitEnd((tables, mostStories) => {
      const record = stored.loadRecord(tables, id)
      if (!record) return null
      const parts = stored.loadParts(tables, id, record)
      const ended = { atMs: nowMs ?? record.arrivedMs, how: 'removed' } as const
      keepStory(tables, id, record, parts, ended, mostStories)
      stored.eraseMessage(tables, id, record, parts)
      held.forgetHeld(tables, id, record.held)
      return record
    })
    if (removed && removed.file !== null) await this.#contents.remove(removed.file)
    return removed !== null
  }

  async hold(hold: Hold): Promise<void> {
    checkHold(hold)
    await this.#store.commit(tables => held.putHold(tables, hold))
  }

  async lift(scope: Scope): Promise<boolean> {
    return this.#store.commit(tables => held.removeHold(tables, scope))
  }

  async holds(): Promise<Hold[]> {
    this.#readLines()
    return [...this.#holds.values()]
  }

  async count(): Promise<number> {
    const { messages } = this.#store.read()
    return (messages.getStats() as { entryCount: number }).entryCount
  }

  async sweep(nowMs: number): Promise<void> {
    const untilMs = nowMs - this.#retainIdsMs
    while ((await this.#store.commit(tables => forgetIds(tables, untilMs))) === FORGET_AT_ONCE) {
      // The next thousand, after whatever else was waiting to be committed.
    }
    const untilEndMs = nowMs - this.#retainStoriesMs
    while (
      (await this.#store.commit(tables => forgetStories(tables, untilEndMs, FORGET_AT_ONCE))) ===
      FORGET_AT_ONCE
    ) {
      // As above.
    }
    try {
      const orphans = await this.#contents.sweep(
        name => stored.loadRecord(this.#store.read(), idOfName(name))?.file === name,
      )
      if (orphans > 0) this.#log.event('spool', { orphans_removed: orphans })
      const givenBack = await this.#store.compact(this.#compactAboveOctets)
      if (givenBack > 0) this.#log.event('spool', { octets_given_back: givenBack })
    } catch (error) {
      throw await queueError(error, () => this.#files.freeOctets(this.#folder))
    }
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  /** What may end a message. On a disk that is full the message goes without a story, so that there is room again. */
  async #commitEnd<T>(change: (tables: Tables, mostStories: number) => T): Promise<T> {
    try {
      return await this.#store.commit(tables => change(tables, this.#mostStories))
    } catch (error) {
      if (!(error instanceof QueueError) || error.code !== 'full') throw error
      return this.#store.commit(tables => change(tables, 0))
    }
  }

  /** Looks at what is due: what is held goes into `aside`, of the rest jobs are made. */
  #meet(
    nowMs: number,
    limit: number,
    skip: (destination: string) => Skip,
    jobs: Job[],
    aside: Aside[],
  ): void {
    const tables = this.#readLines()
    /** Of a message with many destinations once. */
    let latest: { readonly id: string; readonly record: MessageRecord | null } | null = null
    this.#leases.overdue(tables, nowMs, due => {
      const id = idOf(due.unit)
      if (latest?.id !== id) latest = { id, record: this.#load(id, due, () => stored.loadRecord(tables, id)) }
      const { record } = latest
      // From here on what is met is leased: nobody else is given it. A crash forgets that: it is due again.
      if (record === null) return 'aside'
      const hold = holdOf(this.#holds, { id, reversePath: record.reversePath })
      if (hold !== undefined) {
        if (aside.length === ASIDE_AT_ONCE) return 'pass'
        aside.push({ id, scope: hold, due })
        return 'aside'
      }
      const skipped = skip(due.destination)
      if (skipped === 'park') this.#leases.park(due.destination)
      if (skipped) return 'pass'
      const name = { destination: due.destination, part: partOf(due.unit) }
      const part = this.#load(id, due, () => stored.loadPart(tables, id, record, name))
      if (part === null) return 'aside'
      jobs.push(jobOf(stored.fixedOf(id, record), part, part.slots, nowMs))
      return jobs.length >= limit ? 'last' : 'take'
    })
  }

  async #setAside(aside: readonly Aside[]): Promise<void> {
    await this.#store.commit(tables => {
      for (const { id, scope } of aside) held.setAside(tables, id, scope)
    })
    for (const { due } of aside) this.#leases.of(due.priority).give(due.destination, due.unit, false)
  }

  async #endHolds(nowMs: number): Promise<void> {
    this.#readLines()
    const over = this.#loose || [...this.#holds.values()].some(hold => isOver(hold, nowMs))
    if (over) await this.#store.commit(tables => held.endHolds(tables, nowMs))
  }

  /** To read what is due: when lines or holds were changed, perhaps by another process, what we know is not enough. */
  #readLines(): Tables {
    const tables = this.#store.read()
    const changes = stored.changes(tables)
    if (changes === this.#changes) return tables
    this.#holds = held.loadHolds(tables)
    this.#loose = held.looseKey(tables, this.#holds) !== null
    this.#leases.reset()
    this.#changes = changes
    return tables
  }

  /** A record that cannot be read is told of once and stays leased, so that it holds up no other. */
  #load<T>(id: string, { destination }: RankedDue, load: () => T | null): T | null {
    let reason: unknown = 'its record is missing'
    try {
      const loaded = load()
      if (loaded !== null) return loaded
    } catch (error) {
      reason = error
    }
    this.#log.event('alarm', { id, destination, about: 'spool', error: String(reason) }, 'error')
    return null
  }
}

/** Due, and held. */
interface Aside {
  readonly id: string
  readonly scope: Scope
  readonly due: RankedDue
}

/** What is new to recipients who were pending. */
function news(results: readonly RecipientResult[], slots: stored.Part['slots']): RecipientResult[] {
  const pending = new Set(slots.flatMap(({ index, state }) => (state === 'pending' ? index : [])))
  return results.filter(({ index }) => pending.has(index))
}

function isSame(one: stored.Part, other: stored.Part): boolean {
  return one.destination === other.destination && one.part === other.part
}

function forgetIds({ seen, seenAt }: Tables, untilMs: number): number {
  const keys = Array.from(seenAt.getKeys({ end: [untilMs], limit: FORGET_AT_ONCE })) as [number, string][]
  for (const key of keys) {
    seenAt.remove(key)
    seen.remove(key[1])
  }
  return keys.length
}

function gone(id: string): QueueError {
  return new QueueError('gone', `no message ${id} in the queue`)
}
