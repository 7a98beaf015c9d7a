/**
 * What is counted, by UTC day and domain. In memory first, and written down every few seconds: a delivery costs no write.
 * A relay that is killed loses the counts of those seconds.
 */

import type { Log } from '../../observe/event.ts'
import type { Shelf } from '../../queue/shelf.ts'
import type { Outcome } from './outcome.ts'
import { DAY_MS, dayOf, startOf } from './schedule.ts'
import { fromJson, type PolicyCount, Tally, toJson } from './tally.ts'

const KIND = 'tls-report/'
const PAGE = 500
/** For `ptt tls report`, long after they were sent. */
export const KEPT_MS = 14 * DAY_MS
/** Domains whose counts are in memory, at most, while the spool cannot be written. */
const MAX_PENDING = 50_000

export class Collection {
  readonly #shelf: Shelf
  readonly #now: () => number
  readonly #log: Log
  /** Not written yet, by key. */
  #pending = new Map<string, Tally>()
  #writing: Promise<void> = Promise.resolve()
  #dropped = 0

  constructor(options: { readonly shelf: Shelf; readonly now: () => number; readonly log: Log }) {
    this.#shelf = options.shelf
    this.#now = options.now
    this.#log = options.log
  }

  note(outcome: Outcome): void {
    const { policyDomain } = outcome
    // An address has no name to ask for a record (RFC 8460 §3).
    if (policyDomain.startsWith('[')) return
    const tally = this.#of(keyOf(dayOf(this.#now()), policyDomain), policyDomain)
    if (tally === null) this.#dropped++
    else tally.note(outcome)
  }

  /** Writes down what there is. Never rejects: what could not be written is kept for the next time. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write())
    return this.#writing
  }

  /** In the order of their names; what was not flushed is not there. */
  async *domains(day: string): AsyncGenerator<{ readonly domain: string; readonly counts: PolicyCount[] }> {
    const prefix = keyOf(day, '')
    let after: string | undefined
    for (;;) {
      const options = { nowMs: this.#now(), limit: PAGE, ...(after === undefined ? {} : { after }) }
      const facts = await this.#shelf.list(prefix, options)
      for (const { key, value } of facts) yield { domain: key.slice(prefix.length), counts: fromJson(value) }
      after = facts.at(-1)?.key
      if (facts.length < PAGE) return
    }
  }

  /** Empty when nothing is known. */
  async counts(day: string, domain: string): Promise<PolicyCount[]> {
    const fact = await this.#shelf.get(keyOf(day, domain), this.#now())
    return fact === null ? [] : fromJson(fact.value)
  }

  async #write(): Promise<void> {
    if (this.#pending.size === 0) return
    const writing = this.#pending
    this.#pending = new Map()
    const failed = await Promise.all([...writing].map(([key, tally]) => this.#writeOne(key, tally)))
    const [error] = failed.filter(one => one !== null)
    if (error === undefined && this.#dropped === 0) return
    const lost = this.#dropped
    this.#dropped = 0
    this.#log.event('alarm', { about: 'TLS reports', error: error ?? 'too many domains', lost }, 'error')
  }

  /** What went wrong, in words. Its counts are taken up again. */
  async #writeOne(key: string, tally: Tally): Promise<string | null> {
    try {
      const before = await this.#shelf.get(key, this.#now())
      const whole = new Tally(tally.domain)
      if (before !== null) whole.add(fromJson(before.value))
      whole.add(tally.counts())
      await this.#shelf.put(key, toJson(whole.counts()), untilMs(key))
      return null
    } catch (error) {
      const kept = this.#of(key, tally.domain)
      if (kept === null) this.#dropped++
      else kept.add(tally.counts())
      return String(error)
    }
  }

  #of(key: string, domain: string): Tally | null {
    const known = this.#pending.get(key)
    if (known !== undefined) return known
    if (this.#pending.size >= MAX_PENDING) return null
    const tally = new Tally(domain)
    this.#pending.set(key, tally)
    return tally
  }
}

function keyOf(day: string, domain: string): string {
  return `${KIND}${day}/${domain}`
}

function untilMs(key: string): number {
  return (startOf(key.slice(KIND.length, KIND.length + 10)) ?? 0) + KEPT_MS
}
