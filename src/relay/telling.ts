/**
 * Telling the sender. A notice is queued before the results it tells of are settled: a crash in between makes the attempt
 * again and the notice is known by its id; it is neither lost nor told twice.
 *
 * What becomes of the jobs of one message at about the same time is told in one notice (RFC 3464 §2 has a group of fields for
 * each recipient): of a thousand recipients of one domain are ten jobs made, and of twenty dead domains twenty. A job that has
 * something to tell waits, with its lease kept, for the other jobs of its message that are due.
 */

import type { Language } from '../message/language/words.ts'
import type { Log } from '../observe/event.ts'
import {
  type DueJob,
  type Job,
  type Message,
  type Queue,
  QueueError,
  type Recipient,
  type RecipientResult,
} from '../queue/queue.ts'
import type { DueNotice } from './notice.ts'
import { notification } from './notification.ts'
import type { Settler } from './settle.ts'

/** For the other jobs of a message is waited no longer: some may be due and have no room for hours. */
const GATHER_MS = 30_000
export const RECIPIENTS_PER_NOTICE = 1000

export interface TellingMeans {
  readonly queue: Pick<Queue, 'content' | 'put' | 'dueJobs' | 'release'>
  readonly settler: Pick<Settler, 'keep' | 'settle'>
  readonly hostname: string
  readonly postmaster: string
  /** Of notices. */
  readonly language: Language
  readonly expireMs: number
  readonly now: () => number
  /** A message was queued that is due now. */
  readonly wake: () => void
  readonly log: Log
}

/** A job that is over but for what is to be told, and then settled. */
export interface Untold {
  readonly job: Job
  readonly notices: readonly DueNotice[]
  readonly results: readonly RecipientResult[]
  /** It could not be told, by a fault of ours. */
  readonly fault: (error: unknown) => Promise<void>
}

interface Gathering {
  /** Jobs that were due when it began; `null`: that is being asked. */
  awaited: Set<string> | null
  readonly ended: Set<string>
  readonly untold: Untold[]
  recipients: number
  readonly timer: NodeJS.Timeout
}

export class Telling {
  readonly #means: TellingMeans
  /** By message. */
  readonly #gatherings = new Map<string, Gathering>()
  #closed = false

  constructor(means: TellingMeans) {
    this.#means = means
  }

  /** Queues a notice of ours. */
  async tell(notice: DueNotice, message: Message): Promise<void> {
    const { queue, settler, log, wake, now } = this.#means
    const mail = notification(message, notice, await this.#contentOf(message), {
      ...this.#means,
      nowMs: now(),
    })
    if (mail === null) return
    await settler.keep(message.id, () => queue.put(mail.message, [mail.content]))
    const { kind, reports } = notice
    const id = mail.message.envelope.xptt?.id
    log.event('notice', { id, about: message.id, kind, recipients: reports.length })
    wake()
  }

  /** Whether other jobs of its message are due, whose results may be told together with this one's. */
  async isOneOfSeveral(job: Job): Promise<boolean> {
    const { id } = job.message
    if (this.#closed) return false
    if (this.#gatherings.has(id)) return true
    const timer = setTimeout(() => void this.#end(id), GATHER_MS).unref()
    const gathering: Gathering = { awaited: null, ended: new Set(), untold: [], recipients: 0, timer }
    this.#gatherings.set(id, gathering)
    const due = await this.#means.queue.dueJobs(id, this.#means.now()).catch((): DueJob[] => [])
    gathering.awaited = new Set(due.map(keyOf))
    gathering.awaited.delete(keyOf(job))
    for (const key of gathering.ended) gathering.awaited.delete(key)
    if (gathering.awaited.size > 0 || gathering.untold.length > 0) return true
    clearTimeout(timer)
    this.#gatherings.delete(id)
    return false
  }

  /** Told and settled with the others; `isOneOfSeveral` has said that there are some. */
  async add(untold: Untold): Promise<void> {
    const count = untold.results.length
    const gathering = this.#gatherings.get(untold.job.message.id)
    if (gathering === undefined) return this.#tellAll([untold])
    const full = gathering.recipients + count > RECIPIENTS_PER_NOTICE ? gathering.untold.splice(0) : []
    gathering.recipients = full.length > 0 ? count : gathering.recipients + count
    gathering.untold.push(untold)
    await this.#tellAll(full)
  }

  /** A job is over, or settled but for what is to be told. */
  async ended(job: Job): Promise<void> {
    const gathering = this.#gatherings.get(job.message.id)
    if (gathering === undefined) return
    gathering.ended.add(keyOf(job))
    if (gathering.awaited === null) return
    gathering.awaited.delete(keyOf(job))
    if (gathering.awaited.size === 0) await this.#end(job.message.id)
  }

  /** What is gathered is told at once, and nothing is waited for any more. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#gatherings.keys()].map(id => this.#end(id)))
  }

  async #end(id: string): Promise<void> {
    const gathering = this.#gatherings.get(id)
    if (gathering === undefined) return
    clearTimeout(gathering.timer)
    this.#gatherings.delete(id)
    await this.#tellAll(gathering.untold)
  }

  async #tellAll(untold: readonly Untold[]): Promise<void> {
    const [first] = untold
    if (first === undefined) return
    const { queue, settler } = this.#means
    try {
      const message = together(first.job.message, untold)
      for (const notice of merged(untold)) await this.tell(notice, message)
      // In one transaction: what was told in one notice is settled together, or attempted again together.
      await Promise.all(untold.map(({ job, results }) => settler.settle(job, results)))
    } catch (error) {
      // `ptt queue remove` took it away in the meantime: there is nothing left to do.
      const gone = error instanceof QueueError && error.code === 'gone'
      if (gone) for (const { job } of untold) queue.release(job)
      else await Promise.all(untold.map(({ fault }) => fault(error)))
    }
  }

  /** What cannot be read when the time of its message is over is returned without it. */
  async #contentOf({ id, expiresMs }: Message): Promise<Uint8Array> {
    const { queue, now, log } = this.#means
    try {
      return await queue.content(id)
    } catch (error) {
      if (!(error instanceof QueueError) || error.code !== 'io' || now() < expiresMs) throw error
      log.event('alarm', { id, about: 'spool', error: String(error) }, 'error')
      return new Uint8Array(0)
    }
  }
}

function keyOf({ destination, part }: DueJob): string {
  return `${destination}\0${part ?? ''}`
}

/** The message with the recipients of all of the jobs. */
function together(message: Message, untold: readonly Untold[]): Message {
  const recipients: Recipient[] = []
  for (const { job } of untold) {
    for (const index of job.recipients) {
      const recipient = job.message.recipients[index]
      if (recipient !== undefined) recipients[index] = recipient
    }
  }
  return { ...message, recipients }
}

/** One notice of each kind. */
function merged(untold: readonly Untold[]): DueNotice[] {
  const byKind = Map.groupBy(
    untold.flatMap(({ notices }) => notices),
    ({ kind }) => kind,
  )
  return [...byKind].map(([kind, notices]) => ({
    kind,
    reports: notices.flatMap(({ reports }) => reports).toSorted((one, other) => one.index - other.index),
  }))
}
