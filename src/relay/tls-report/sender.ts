/**
 * Reports go out: after the day, each domain in its own minute, the record is asked for, the report made, and given to every
 * place that the record names; what fails is tried again (RFC 8460 §3, §4.1, §5.4, §5.5).
 */

import type { Resolver } from '../../net/resolver.ts'
import type { Log } from '../../observe/event.ts'
import type { Queue } from '../../queue/queue.ts'
import type { Shelf } from '../../queue/shelf.ts'
import type { Mailbox } from '../../smtp/path.ts'
import type { Collection } from './collection.ts'
import { reportMail, reportMailId } from './mail.ts'
import { type Destination, parseRecords, recordName, type TlsRptRecord } from './record.ts'
import {
  buildReport,
  filenameOf,
  gzip,
  reportIdOf,
  type Subject,
  type Submitter,
  submitterDomain,
} from './report.ts'
import { dayBefore, dayOf, dueMs, isTooLate, retryMs, SETTLE_MS } from './schedule.ts'
import { readSending, type Sending, writeSending } from './sending.ts'

/**
 * POST over HTTPS, redirects not followed. Resolves with the status of the answer, whatever it is; rejects when there was
 * none.
 */
export type Post = (
  url: string,
  contentType: string,
  octets: Uint8Array,
  signal: AbortSignal,
) => Promise<{ readonly status: number }>

export interface SenderOptions {
  readonly shelf: Shelf
  readonly queue: Pick<Queue, 'put'>
  readonly resolver: Pick<Resolver, 'txt'>
  readonly post: Post
  readonly submitter: Submitter
  readonly postmaster: Mailbox
  readonly now: () => number
  /** A message was queued that is due now. */
  readonly wake: () => void
  readonly log: Log
}

/** Reports that are under way at a time. */
const AT_ONCE = 8

interface Due extends Subject {
  readonly atMs: number
}

export class ReportSender {
  readonly #options: SenderOptions
  readonly #collection: Pick<Collection, 'domains' | 'counts'>
  /** Of yesterday and the day before, as of `#plannedDay`. */
  #plan: Due[] = []
  #plannedDay = ''
  readonly #closing = new AbortController()

  constructor(options: SenderOptions, collection: Pick<Collection, 'domains' | 'counts'>) {
    this.#options = options
    this.#collection = collection
  }

  /** Sends what is due. Not to be called while it runs. Never rejects. */
  async tick(): Promise<void> {
    try {
      await this.#planDays()
      const nowMs = this.#options.now()
      const due = this.#plan.filter(({ atMs }) => atMs <= nowMs)
      this.#plan = this.#plan.filter(({ atMs }) => atMs > nowMs)
      const next = async () => {
        for (let one = due.shift(); one !== undefined && !this.#closing.signal.aborted; one = due.shift())
          await this.#work(one)
      }
      await Promise.all(Array.from({ length: AT_ONCE }, next))
    } catch (error) {
      // Planned anew at the next tick.
      this.#plannedDay = ''
      this.#alarm({ error: String(error) })
    }
  }

  /** What is under way ends without its answer, and nothing new is begun. */
  close(): void {
    this.#closing.abort()
  }

  async #planDays(): Promise<void> {
    const today = dayOf(this.#options.now() - SETTLE_MS)
    if (today === this.#plannedDay) return
    const plan: Due[] = []
    const yesterday = dayBefore(today)
    for (const day of [dayBefore(yesterday), yesterday]) {
      for await (const { domain } of this.#collection.domains(day)) {
        const subject = { day, domain }
        const atMs = await this.#dueMs(subject)
        if (atMs !== null) plan.push({ ...subject, atMs })
      }
    }
    this.#plan = plan
    this.#plannedDay = today
  }

  async #dueMs(subject: Subject): Promise<number | null> {
    const { shelf, now } = this.#options
    if (isTooLate(subject.day, now())) return null
    const sending = await readSending(shelf, subject, now())
    if (sending !== null) return sending.nextMs
    const [first = 0, second = 0] = await this.#seed(subject)
    return dueMs(subject.day, (first * 256 + second) / 65_536)
  }

  async #work(subject: Subject): Promise<void> {
    const { shelf, now } = this.#options
    try {
      const before = await readSending(shelf, subject, now())
      // A change of the clock, or of the plan: what is over stays so.
      if (before !== null && before.nextMs === null) return
      const sending = await this.#attempt(subject, before)
      // We have ended it ourselves: that is no attempt.
      if (this.#closing.signal.aborted && sending.sentTo.length === (before?.sentTo.length ?? 0)) return
      await writeSending(shelf, subject, sending)
      if (sending.nextMs !== null) this.#plan.push({ ...subject, atMs: sending.nextMs })
    } catch (error) {
      const nowMs = now()
      this.#alarm({ domain: subject.domain, day: subject.day, error: String(error) })
      this.#plan.push({ ...subject, atMs: retryMs(nowMs, 1, nowMs) ?? nowMs })
    }
  }

  async #attempt(subject: Subject, before: Sending | null): Promise<Sending> {
    const { now, log } = this.#options
    const firstMs = before?.firstMs ?? now()
    const attempts = (before?.attempts ?? 0) + 1
    const sentTo = [...(before?.sentTo ?? [])]
    const record = await this.#record(subject.domain)
    const reasons: string[] = []
    if (record.kind === 'reports') {
      const left = record.destinations.filter(({ uri }) => !sentTo.includes(uri))
      for (const [uris, reason] of await this.#send(subject, left)) {
        if (reason === null) sentTo.push(...uris)
        else reasons.push(`${uris.join(', ')}: ${reason}`)
      }
    } else reasons.push(record.reason)
    const isFinal = record.kind === 'none' || reasons.length === 0
    const nowMs = now()
    const nextMs = isFinal ? null : retryMs(firstMs, attempts, nowMs)
    const sending = { firstMs, attempts, nextMs, sentTo, reason: reasons.join('; ') }
    if (record.kind === 'none') return sending
    const due = nextMs === null ? undefined : new Date(nextMs).toISOString()
    const facts = { about: subject.domain, day: subject.day, sent_to: sentTo, failed: reasons, due }
    log.event(
      'notice',
      { kind: 'tls-report', ...facts },
      nextMs === null && reasons.length > 0 ? 'warn' : 'info',
    )
    return sending
  }

  /** `unknown`: DNS has failed, and may not the next time. */
  async #record(
    domain: string,
  ): Promise<TlsRptRecord | { readonly kind: 'unknown'; readonly reason: string }> {
    const answer = await this.#options.resolver.txt(recordName(domain))
    switch (answer.kind) {
      case 'answer':
        return parseRecords(answer.records)
      case 'failure':
        return { kind: 'unknown', reason: `${recordName(domain)}: ${answer.reason}` }
      case 'nodata':
      case 'nxdomain':
        return parseRecords([])
      default:
        return answer satisfies never
    }
  }

  /** Who has it, and why others do not. */
  async #send(subject: Subject, destinations: readonly Destination[]): Promise<[string[], string | null][]> {
    if (destinations.length === 0) return []
    const { submitter, post } = this.#options
    const counts = await this.#collection.counts(subject.day, subject.domain)
    const reportId = reportIdOf(subject, submitter)
    const zipped = await gzip(buildReport(counts, subject, submitter, reportId))
    const results: Promise<[string[], string | null]>[] = []
    const mails = destinations.filter(({ kind }) => kind === 'mail')
    const to = mails.flatMap(one => (one.kind === 'mail' ? [one.mailbox] : []))
    const tried = async (
      uris: string[],
      work: () => Promise<string | null>,
    ): Promise<[string[], string | null]> => [
      uris,
      await work().catch((error: unknown) => (error instanceof Error ? error.message : String(error))),
    ]
    if (to.length > 0) {
      const uris = mails.map(({ uri }) => uri)
      results.push(tried(uris, () => this.#mail(subject, { reportId, zipped, counts, to })))
    }
    for (const destination of destinations) {
      if (destination.kind !== 'https') continue
      const work = async () => {
        const { status } = await post(
          destination.url,
          'application/tlsrpt+gzip',
          zipped,
          this.#closing.signal,
        )
        // §5.4: "typically a 200 or 201".
        return status >= 200 && status < 300 ? null : `HTTP ${status}`
      }
      results.push(tried([destination.uri], work))
    }
    return Promise.all(results)
  }

  /** From here on it is the queue's, which tries for as long as it does with all mail. One that has it already is no failure. */
  async #mail(
    subject: Subject,
    report: Pick<Parameters<typeof reportMail>[0], 'reportId' | 'zipped' | 'counts' | 'to'>,
  ): Promise<null> {
    const { queue, submitter, postmaster, now, wake, log } = this.#options
    const seed = await this.#seed(subject)
    const dayMs = dueMs(subject.day, 0)
    const id = reportMailId(dayMs, seed.slice(2, 12))
    const { message, content } = reportMail({
      ...report,
      id,
      subject,
      filename: filenameOf(subject, submitter, Buffer.from(seed.slice(2, 6)).toString('hex')),
      submitter: submitterDomain(submitter),
      postmaster,
      hostname: submitter.hostname,
      nowMs: now(),
    })
    await queue.put(message, [content])
    log.event('notice', { id, about: subject.domain, kind: 'tls-report', recipients: report.to.length })
    wake()
    return null
  }

  /** Unlike for each host, day and domain, and the same after a restart. */
  async #seed({ day, domain }: Subject): Promise<Uint8Array> {
    const text = `${this.#options.submitter.hostname} ${day} ${domain}`
    return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
  }

  #alarm(facts: Readonly<Record<string, string>>): void {
    this.#options.log.event('alarm', { about: 'TLS reports', ...facts }, 'error')
  }
}
