/**
 * The engine for tests and trials: everything is in memory and gone with the process. So its `250` promises nothing
 * about a power cut; in all else it keeps the contract.
 */

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
import { dueIndices, dueOf, hastened, newSlots, recipientsOf, type Slot, settled } from '../slot.ts'

const DAY_MS = 24 * 3600_000

export interface MemoryOptions {
  readonly retainIdsMs?: number
}

export function openMemory(options: MemoryOptions = {}): Queue {
  return new MemoryQueue(options)
}

interface Due {
  readonly id: string
  readonly destination: string
  readonly dueMs: number
  readonly priority: number
}

interface Entry {
  readonly message: Omit<Message, 'recipients'>
  readonly content: Uint8Array
  /** By destination. */
  readonly parts: Map<string, Slot[]>
}

class MemoryQueue implements Queue {
  readonly #retainIdsMs: number
  readonly #entries = new Map<string, Entry>()
  /** Ids with the time they arrived. */
  readonly #seen = new Map<string, number>()
  readonly #leased = new Set<string>()
  #closed = false

  constructor({ retainIdsMs = DAY_MS }: MemoryOptions) {
    this.#retainIdsMs = retainIdsMs
  }

  async put(message: NewMessage, content: Content): Promise<'queued' | 'duplicate'> {
    this.#open()
    checkNewMessage(message)
    const { id, arrivedMs, expiresMs } = message
    if (this.#seen.has(id) || this.#entries.has(id)) return 'duplicate'
    const octets = Uint8Array.from(Buffer.concat(content))
    const { recipients: _, reversePath, ...envelope } = message.envelope
    const fixed = { id, reversePath, envelope, arrivedMs, expiresMs, sizeOctets: octets.length }
    this.#entries.set(id, { message: fixed, content: octets, parts: newSlots(message) })
    this.#seen.set(id, arrivedMs)
    return 'queued'
  }

  async lease(nowMs: number, limit: number, skip?: (destination: string) => boolean): Promise<Job[]> {
    this.#open()
    const passed = new Set<string>()
    const jobs: Job[] = []
    for (const { id, destination, dueMs } of this.#due().sort(byPriority)) {
      if (jobs.length >= limit) break
      if (dueMs > nowMs || passed.has(destination)) continue
      if (skip?.(destination)) {
        passed.add(destination)
        continue
      }
      const entry = this.#entry(id)
      const recipients = dueIndices(entry.parts.get(destination) ?? [], nowMs)
      jobs.push({ message: messageOf(entry), destination, recipients })
    }
    for (const { message, destination } of jobs) this.#leased.add(leaseKey(message.id, destination))
    return jobs
  }

  async settle(job: Job, results: readonly RecipientResult[]): Promise<void> {
    this.#open()
    const { id } = job.message
    const entry = this.#entries.get(id)
    const slots = entry?.parts.get(job.destination)
    if (entry && slots) {
      for (const result of results) if (result.action === 'deferred') checkTime(result.dueMs)
      entry.parts.set(job.destination, settled(slots, results))
      if ([...entry.parts.values()].every(part => dueOf(part) === null)) this.#entries.delete(id)
    }
    this.release(job)
  }

  release(job: Job): void {
    this.#leased.delete(leaseKey(job.message.id, job.destination))
  }

  async nextDue(): Promise<number | null> {
    this.#open()
    return this.#due()[0]?.dueMs ?? null
  }

  async content(id: string): Promise<Uint8Array> {
    this.#open()
    return Uint8Array.from(this.#entry(id).content)
  }

  async get(id: string): Promise<Message | null> {
    this.#open()
    const entry = this.#entries.get(id)
    return entry ? messageOf(entry) : null
  }

  async list({ after = '', limit }: { after?: string; limit: number }): Promise<Message[]> {
    this.#open()
    const ids = [...this.#entries.keys()].filter(id => id > after).toSorted()
    return ids.slice(0, limit).map(id => messageOf(this.#entry(id)))
  }

  async retry(id: string, nowMs: number): Promise<boolean> {
    this.#open()
    const entry = this.#entries.get(id)
    for (const [destination, slots] of entry?.parts ?? []) {
      entry?.parts.set(destination, hastened(slots, nowMs))
    }
    return entry !== undefined
  }

  async remove(id: string): Promise<boolean> {
    this.#open()
    return this.#entries.delete(id)
  }

  async count(): Promise<number> {
    this.#open()
    return this.#entries.size
  }

  async sweep(nowMs: number): Promise<void> {
    this.#open()
    for (const [id, arrivedMs] of this.#seen) {
      if (arrivedMs < nowMs - this.#retainIdsMs) this.#seen.delete(id)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #open(): void {
    if (this.#closed) throw new QueueError('closed', 'the queue is closed')
  }

  #entry(id: string): Entry {
    const entry = this.#entries.get(id)
    if (!entry) throw new QueueError('gone', `no message ${id} in the queue`)
    return entry
  }

  /** What is pending and not leased, most overdue first. */
  #due(): Due[] {
    const due: Due[] = []
    for (const [id, { message, parts }] of this.#entries) {
      const priority = message.envelope.priority ?? 0
      for (const [destination, slots] of parts) {
        const dueMs = dueOf(slots)
        if (dueMs !== null && !this.#leased.has(leaseKey(id, destination))) {
          due.push({ id, destination, dueMs, priority })
        }
      }
    }
    return due.sort(
      (one, other) =>
        one.dueMs - other.dueMs || order(one.destination, other.destination) || order(one.id, other.id),
    )
  }
}

function messageOf({ message, parts }: Entry): Message {
  return { ...message, recipients: recipientsOf([...parts.values()].flat()) }
}

/** What stands earlier among equals stays earlier. */
function byPriority(one: Due, other: Due): number {
  return other.priority - one.priority
}

/** An id has no space. */
function leaseKey(id: string, destination: string): string {
  return `${id} ${destination}`
}

function order(one: string, other: string): number {
  return one < other ? -1 : Number(one > other)
}
