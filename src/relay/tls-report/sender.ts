/**
 * Reports go out: after the day, each domain in its own minute, the record is asked for, the report made, and given to every
 * place that the record names; what fails is tried again (RFC 8460 §3, §4.1, §5.4, §5.5).
 */

import type { Resolver } from '../../net/resolver.ts'
import type { Shelf } from '../../queue/shelf.ts'
import type { Collection } from './collection.ts'
import { type Giving, give, jitterOf } from './give.ts'
import { parseRecords, recordName, type TlsRptRecord } from './record.ts'
import type { Subject } from './report.ts'
import { dayBefore, dayOf, dueMs, isTooLate, retryMs, SETTLE_MS } from './schedule.ts'
import { readSending, type Sending, writeSending } from './sending.ts'

export interface SenderOptions extends Giving {
  readonly shelf: Shelf
  readonly resolver: Pick<Resolver, 'txt'>
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
    const { shelf, submitter, now } = this.#options
    if (isTooLate(subject.day, now())) return null
    const sending = await readSending(shelf, subject, now())
    if (sending !== null) return sending.nextMs
    return dueMs(subject.day, await jitterOf(subject, submitter))
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
      const counts = await this.#collection.counts(subject.day, subject.domain)
      const given = await give(subject, counts, left, this.#options, this.#closing.signal)
      for (const { uris, failed } of given) {
        if (failed === null) sentTo.push(...uris)
        else reasons.push(`${uris.join(', ')}: ${failed}`)
      }
    } else reasons.push(record.reason)
    const isFinal = record.kind === 'none' || reasons.length === 0
    const nowMs = now()
    const nextMs = isFinal ? null : retryMs(firstMs, attempts, nowMs)
    const sending = { firstMs, attempts, nextMs, sentTo, reason: reasons.join('; ') }
    // Most domains want no report, and of many DNS cannot say: that is nobody's business every morning.
    const level =
      record.kind !== 'reports' ? 'debug' : nextMs === null && reasons.length > 0 ? 'warn' : 'info'
    const { day, domain: about } = subject
    const due = nextMs === null ? undefined : new Date(nextMs).toISOString()
    log.event('notice', { kind: 'tls-report', about, day, sent_to: sentTo, failed: reasons, due }, level)
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

  #alarm(facts: Readonly<Record<string, string>>): void {
    this.#options.log.event('alarm', { about: 'TLS reports', ...facts }, 'error')
  }
}
