/**
 * The engine for tests and trials: everything is in memory and gone with the process. So its `250` promises nothing
 * about a power cut; in all else it keeps the contract.
 */

import { checkHold, checkNewMessage, checkTime } from '../check.ts'
import { matches } from '../filter.ts'
import { merged, noted } from '../history.ts'
import { holdOf, isOfDestination, isOver, scopeKey } from '../hold.ts'
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
  STORY_RECIPIENTS,
  type StoredContent,
  type Story,
} from '../queue.ts'
import { dueOf, hastened, jobOf, newParts, recipientsOf, settled } from '../slot.ts'
import { inMemory } from '../stored.ts'
import { type Entry, Lines, order, partKey } from './lines.ts'

const DAY_MS = 24 * 3600_000

export interface MemoryOptions {
  readonly retainIdsMs?: number
  readonly retainStoriesMs?: number
}

export function openMemory(options: MemoryOptions = {}): Queue {
  return new MemoryQueue(options)
}

class MemoryQueue implements Queue {
  readonly #retainIdsMs: number
  readonly #retainStoriesMs: number
  readonly #entries = new Map<string, Entry>()
  /** Ids with the time they arrived. */
  readonly #seen = new Map<string, number>()
  readonly #holds = new Map<string, Hold>()
  readonly #stories = new Map<string, Story & { readonly ended: object }>()
  readonly #lines = new Lines(this.#entries, this.#holds)
  #closed = false

  constructor({ retainIdsMs = DAY_MS, retainStoriesMs = 2 * DAY_MS }: MemoryOptions) {
    this.#retainIdsMs = retainIdsMs
    this.#retainStoriesMs = retainStoriesMs
  }

  async put(message: NewMessage, content: Content): Promise<'queued' | 'duplicate'> {
    this.#open()
    checkNewMessage(message)
    const { id, arrivedMs, expiresMs } = message
    if (this.#seen.has(id) || this.#entries.has(id)) return 'duplicate'
    const octets = Uint8Array.from(Buffer.concat(content))
    const { recipients: _, reversePath, ...envelope } = message.envelope
    const fixed = { id, reversePath, envelope, arrivedMs, expiresMs, sizeOctets: octets.length }
    const parts = newParts(message).map(part => [partKey(part), { ...part, attempts: [] }] as const)
    this.#entries.set(id, { message: fixed, content: octets, parts: new Map(parts) })
    this.#seen.set(id, arrivedMs)
    return 'queued'
  }

  async lease(
    nowMs: number,
    limit: number,
    skip: (destination: string) => Skip = () => false,
  ): Promise<Job[]> {
    this.#open()
    if (limit <= 0) return []
    for (const hold of [...this.#holds.values()]) if (isOver(hold, nowMs)) this.#end(hold)
    const jobs: Job[] = []
    const passed = new Set<string>()
    try {
      while (jobs.length < limit) {
        const due = this.#lines.next(nowMs, passed)
        if (due === undefined) break
        const { id, destination } = due
        const entry = this.#entry(id)
        const hold = holdOf(this.#holds, entry.message)
        if (hold !== undefined) {
          entry.held = { kind: hold.kind, name: hold.name }
          continue
        }
        const skipped = skip(destination)
        if (skipped === 'park') this.#lines.park(destination)
        if (skipped) {
          passed.add(destination)
          continue
        }
        this.#lines.take(due)
        const part = entry.parts.get(partKey(due))
        if (part) jobs.push(jobOf(entry.message, part, part.slots, nowMs))
      }
    } catch (error) {
      for (const job of jobs) this.release(job)
      throw error
    }
    return jobs
  }

  unpark(destination?: string): void {
    this.#lines.unpark(destination)
  }

  async settle(job: Job, results: readonly RecipientResult[], lease?: 'keep'): Promise<void> {
    this.#open()
    const { id } = job.message
    const entry = this.#entries.get(id)
    const part = entry?.parts.get(partKey(job))
    if (entry && part) {
      for (const result of results) if (result.action === 'deferred') checkTime(result.dueMs)
      const news = results.filter(({ index }) =>
        part.slots.some(slot => slot.index === index && slot.state === 'pending'),
      )
      const slots = settled(part.slots, results)
      entry.parts.set(partKey(job), { ...part, slots, attempts: noted(part.attempts, news) })
      if ([...entry.parts.values()].every(({ slots }) => dueOf(slots) === null)) {
        const atMs = results.reduce(
          (latest, { evidence }) => Math.max(latest, evidence.atMs),
          entry.message.arrivedMs,
        )
        this.#erase(entry, atMs, 'settled')
      }
    }
    if (lease !== 'keep') this.release(job)
  }

  release(job: Job): void {
    this.#lines.give(job)
  }

  async nextDue(): Promise<number | null> {
    this.#open()
    const times = this.#lines.due().map(({ dueMs }) => dueMs)
    for (const hold of this.#holds.values()) {
      if (hold.untilMs === null) continue
      for (const { parts, held } of this.#entries.values()) {
        if (held && scopeKey(held) === scopeKey(hold)) times.push(hold.untilMs)
        if (held || hold.kind !== 'destination') continue
        for (const { destination, slots } of parts.values()) {
          const dueMs = dueOf(slots)
          if (isOfDestination(destination, hold.name) && dueMs !== null)
            times.push(Math.max(dueMs, hold.untilMs))
        }
      }
    }
    return times.length === 0 ? null : Math.min(...times)
  }

  async content(id: string): Promise<Uint8Array> {
    this.#open()
    return Uint8Array.from(this.#entry(id).content)
  }

  async openContent(id: string): Promise<StoredContent> {
    return inMemory(await this.content(id))
  }

  async get(id: string): Promise<Message | null> {
    this.#open()
    const entry = this.#entries.get(id)
    return entry ? messageOf(entry) : null
  }

  async dueJobs(id: string, nowMs: number): Promise<DueJob[]> {
    this.#open()
    const { parts, held } = this.#entries.get(id) ?? {}
    if (parts === undefined || held !== undefined) return []
    return [...parts.values()].flatMap(({ destination, part, slots }) => {
      if ((dueOf(slots) ?? Number.POSITIVE_INFINITY) > nowMs) return []
      return [part === undefined ? { destination } : { destination, part }]
    })
  }

  async list({ after = '', limit, filter = {} }: { after?: string; limit: number; filter?: Filter }) {
    this.#open()
    const ids = [...this.#entries.keys()].filter(id => id > after).toSorted()
    const messages = ids.map(id => messageOf(this.#entry(id))).filter(message => matches(message, filter))
    return messages.slice(0, Math.max(limit, 0))
  }

  async search(options: { after?: string; limit: number; filter: Filter }): Promise<Found> {
    const messages = await this.list(options)
    return { messages, after: messages.length < options.limit ? null : (messages.at(-1)?.id ?? null) }
  }

  async story(id: string): Promise<Story | null> {
    this.#open()
    const entry = this.#entries.get(id)
    if (!entry) return this.#stories.get(id) ?? null
    return { message: messageOf(entry), attempts: attemptsOf(entry), ended: null }
  }

  async retry(id: string, nowMs: number): Promise<boolean> {
    this.#open()
    const entry = this.#entries.get(id)
    for (const [key, part] of entry?.parts ?? []) {
      entry?.parts.set(key, { ...part, slots: hastened(part.slots, nowMs) })
    }
    // As an engine does that cannot follow what another process has changed.
    if (entry) this.#lines.reset()
    return entry !== undefined
  }

  async remove(id: string, nowMs?: number): Promise<boolean> {
    this.#open()
    const entry = this.#entries.get(id)
    if (entry) this.#erase(entry, nowMs ?? entry.message.arrivedMs, 'removed')
    return entry !== undefined
  }

  async hold(hold: Hold): Promise<void> {
    this.#open()
    checkHold(hold)
    this.#holds.set(scopeKey(hold), hold)
    const entry = hold.kind === 'message' ? this.#entries.get(hold.name) : undefined
    if (entry) entry.held ??= { kind: hold.kind, name: hold.name }
    this.#lines.reset()
  }

  async lift(scope: Scope): Promise<boolean> {
    this.#open()
    return this.#end(scope)
  }

  async holds(): Promise<Hold[]> {
    this.#open()
    return [...this.#holds.values()].toSorted((one, other) => order(scopeKey(one), scopeKey(other)))
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
    for (const [id, { ended }] of this.#stories) {
      if (ended.atMs < nowMs - this.#retainStoriesMs) this.#stories.delete(id)
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

  #erase(entry: Entry, atMs: number, how: 'settled' | 'removed'): void {
    const message = messageOf(entry)
    const recipients = message.recipients.length
    const shown = { ...message, recipients: message.recipients.slice(0, STORY_RECIPIENTS) }
    const story = { message: shown, attempts: attemptsOf(entry), ended: { atMs, how, recipients } }
    this.#stories.set(message.id, story)
    this.#entries.delete(message.id)
  }

  #end(scope: Scope): boolean {
    for (const entry of this.#entries.values())
      if (entry.held && scopeKey(entry.held) === scopeKey(scope)) entry.held = undefined
    if (!this.#holds.delete(scopeKey(scope))) return false
    this.#lines.reset()
    return true
  }
}

function messageOf({ message, parts, held }: Entry): Message {
  const recipients = recipientsOf([...parts.values()].flatMap(({ slots }) => slots))
  return { ...message, recipients, ...(held === undefined ? {} : { held }) }
}

function attemptsOf({ parts }: Entry): Story['attempts'] {
  const sorted = [...parts.values()].toSorted(
    (one, other) => order(one.destination, other.destination) || (one.part ?? 0) - (other.part ?? 0),
  )
  return merged(
    sorted.flatMap(({ destination, attempts }) => attempts.map(attempt => ({ ...attempt, destination }))),
  )
}
