/**
 * The engine that needs nothing installed: LMDB, ordered keys and batched durable commits, in one folder.
 *
 *   queue.mdb, queue.mdb-lock    messages, recipients, what is due, and contents up to 64 KiB
 *   content/ID-nonce             larger contents
 *
 * A message is one record and a part per destination, so that an outcome rewrites what concerns its destination only.
 */

import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { type Log, silent } from '../../observe/event.ts'
import { checkNewMessage, checkTime } from '../check.ts'
import {
  type Content,
  type Job,
  type Message,
  type NewMessage,
  type Queue,
  QueueError,
  type RecipientResult,
} from '../queue.ts'
import { dueIndices, dueOf, hastened, settled } from '../slot.ts'
import { ContentFolder, idOfName } from './content.ts'
import type { Due } from './due.ts'
import { queueError } from './failure.ts'
import { disk, type Files } from './files.ts'
import * as stored from './message.ts'
import { Ranks } from './ranks.ts'
import { Store, spoolFile, type Tables } from './store.ts'

const DAY_MS = 24 * 3600_000
const INLINE_OCTETS = 64 * 1024
/** Ids forgotten in one transaction: others wait for it some milliseconds only. */
const FORGET_AT_ONCE = 1000

export interface EmbeddedOptions {
  /** The spool; made, mode 0700, when it is not there. */
  readonly folder: string
  readonly retainIdsMs?: number
  readonly log?: Log
  readonly files?: Files
}

/** Whether there is a spool in the folder, for those who want to look at one and not make it. */
export function hasSpool(folder: string): boolean {
  return existsSync(spoolFile(folder))
}

/** @throws QueueError when the spool cannot be made or opened. */
export async function openEmbedded(options: EmbeddedOptions): Promise<Queue> {
  const { files = disk } = options
  const folder = resolve(options.folder)
  const contents = join(folder, 'content')
  try {
    const made = await files.makeFolder(contents)
    const store = await Store.open(folder, files)
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

class EmbeddedQueue implements Queue {
  readonly #store: Store
  readonly #contents: ContentFolder
  readonly #folder: string
  readonly #files: Files
  readonly #retainIdsMs: number
  readonly #log: Log
  readonly #leases = new Ranks()
  #changes = 0

  constructor(
    store: Store,
    contents: ContentFolder,
    { folder, files, retainIdsMs = DAY_MS, log = silent }: EmbeddedOptions & { files: Files },
  ) {
    this.#store = store
    this.#contents = contents
    this.#folder = folder
    this.#files = files
    this.#retainIdsMs = retainIdsMs
    this.#log = log
  }

  async put(message: NewMessage, content: Content): Promise<'queued' | 'duplicate'> {
    checkNewMessage(message)
    const { id } = message
    const sizeOctets = content.reduce((sum, { length }) => sum + length, 0)
    const insert = async (octetsOrName: Uint8Array | string) => {
      const inserted = await this.#store.commit(tables => {
        if (stored.isKnown(tables, id)) return false
        stored.insertMessage(tables, message, sizeOctets, octetsOrName)
        return true
      })
      if (!inserted) return false
      const leases = this.#leases.of(stored.priorityOf(message))
      const { dueMs = message.arrivedMs } = message
      for (const { destination } of message.recipients) leases.appeared({ destination, id, dueMs })
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

  async lease(nowMs: number, limit: number, skip = (_: string) => false): Promise<Job[]> {
    if (limit <= 0) return []
    const tables = this.#readLines()
    const loaded = new Map<string, stored.Loaded>()
    const jobs: Job[] = []
    try {
      for (const due of this.#leases.overdue(tables, nowMs, skip)) {
        const { id, destination, priority } = due
        // From here until `settle` or `release` nobody else is given this. A crash forgets it: it is due again.
        this.#leases.of(priority).take(due)
        const of = loaded.get(id) ?? this.#load(tables, due)
        if (!of) continue
        loaded.set(id, of)
        const recipients = dueIndices(of.parts.get(destination) ?? [], nowMs)
        jobs.push({ message: of.message, destination, recipients })
        if (jobs.length >= limit) break
      }
    } catch (error) {
      for (const job of jobs) this.release(job)
      throw error
    }
    return jobs
  }

  async settle(job: Job, results: readonly RecipientResult[]): Promise<void> {
    const { id } = job.message
    for (const result of results) if (result.action === 'deferred') checkTime(result.dueMs)
    const { inLine, file } = await this.#store.commit(tables => {
      const record = stored.loadRecord(tables, id)
      const was = record && stored.loadPart(tables, id, record, job.destination)
      if (!record || !was) return { inLine: false, file: null }
      const is = settled(was, results)
      if (stored.updatePart(tables, id, record, job.destination, was, is)) {
        return { inLine: dueOf(is) !== null, file: null }
      }
      stored.eraseMessage(tables, id, record)
      return { inLine: false, file: record.file }
    })
    this.#leases.of(stored.priorityOf(job.message)).give(job.destination, id, inLine)
    if (file !== null) await this.#contents.remove(file)
  }

  release({ message, destination }: Job): void {
    this.#leases.of(stored.priorityOf(message)).give(destination, message.id, true)
  }

  async nextDue(): Promise<number | null> {
    return this.#leases.firstDue(this.#readLines())
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
    return stored.loadMessage(this.#store.read(), id)?.message ?? null
  }

  async list({ after, limit }: { after?: string; limit: number }): Promise<Message[]> {
    if (limit <= 0) return []
    const tables = this.#store.read()
    const start = after === undefined ? {} : { start: after, exclusiveStart: true }
    const ids = Array.from(tables.messages.getKeys({ ...start, limit })) as string[]
    const messages = ids.flatMap(id => stored.loadMessage(tables, id)?.message ?? [])
    // A reader that is slow with them (a pager) keeps no snapshot, for a snapshot keeps space from being used again.
    tables.root.resetReadTxn()
    return messages
  }

  async retry(id: string, nowMs: number): Promise<boolean> {
    checkTime(nowMs)
    return this.#store.commit(tables => {
      const record = stored.loadRecord(tables, id)
      if (!record) return false
      for (const [destination, was] of stored.loadParts(tables, id, record)) {
        stored.updatePart(tables, id, record, destination, was, hastened(was, nowMs))
      }
      stored.countChange(tables)
      return true
    })
  }

  async remove(id: string): Promise<boolean> {
    const removed = await this.#store.commit(tables => {
      const record = stored.loadRecord(tables, id)
      if (record) stored.eraseMessage(tables, id, record)
      return record
    })
    if (removed && removed.file !== null) await this.#contents.remove(removed.file)
    return removed !== null
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
    try {
      const orphans = await this.#contents.sweep(
        name => stored.loadRecord(this.#store.read(), idOfName(name))?.file === name,
      )
      if (orphans > 0) this.#log.event('spool', { orphans_removed: orphans })
    } catch (error) {
      throw await queueError(error, () => this.#files.freeOctets(this.#folder))
    }
  }

  close(): Promise<void> {
    return this.#store.close()
  }

  /** To read what is due: when some message was hastened, perhaps by another process, what we know is not enough. */
  #readLines(): Tables {
    const tables = this.#store.read()
    const changes = stored.changes(tables)
    if (changes !== this.#changes) this.#leases.reset()
    this.#changes = changes
    return tables
  }

  /** A record that cannot be read is told of once and stays leased, so that it holds up no other. */
  #load(tables: Tables, { id, destination }: Due): stored.Loaded | null {
    let reason: unknown = 'its record is missing'
    try {
      const loaded = stored.loadMessage(tables, id)
      if (loaded) return loaded
    } catch (error) {
      reason = error
    }
    this.#log.event('alarm', { id, destination, about: 'spool', error: String(reason) }, 'error')
    return null
  }
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
