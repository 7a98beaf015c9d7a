/**
 * The addresses that mail leaves from, and what those that are being warmed up have sent today. A message counts once for
 * each recipient that a peer took it for: that is how providers count what comes from an address, however many recipients
 * are in a transaction.
 */

import type { SourceRule } from '../config/sources.ts'
import type { Message } from '../queue/queue.ts'
import type { Shelf } from '../queue/shelf.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import type { ReversePath } from '../smtp/path.ts'
import { poolOf } from './destination.ts'
import { dayLimit, poolFor, type Source, sourceFor } from './reach/source.ts'

const DAY_MS = 24 * 3600_000

/** What sources have sent on a day (days since 1970, UTC). Counted in memory, and kept on the shelf over a restart. */
export class DayCounts {
  readonly #shelf: Shelf
  readonly #counts: Map<string, number>

  private constructor(shelf: Shelf, counts: Map<string, number>) {
    this.#shelf = shelf
    this.#counts = counts
  }

  static async open(shelf: Shelf, nowMs: number): Promise<DayCounts> {
    const facts = await shelf.list(KIND, { nowMs, limit: MAX_COUNTS })
    const counts = facts.map(({ key, value }) => [key, typeof value === 'number' ? value : 0] as const)
    return new DayCounts(shelf, new Map(counts))
  }

  get(source: string, day: number): number {
    return this.#counts.get(keyOf(source, day)) ?? 0
  }

  /** Rejects when it could not be kept; it is counted all the same. */
  async add(source: string, day: number, messages: number): Promise<void> {
    const key = keyOf(source, day)
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + messages)
    await this.#shelf.add(key, messages, (day + KEPT_DAYS) * DAY_MS)
  }
}

const KIND = 'sent/'
const KEPT_DAYS = 3
const MAX_COUNTS = 10_000

function keyOf(source: string, day: number): string {
  return `${KIND}${source}/${day}`
}

export class Sources {
  readonly #rules: () => readonly SourceRule[]
  readonly #hostname: string
  readonly #counts: Pick<DayCounts, 'get' | 'add'>
  readonly #now: () => number
  /** What is being given to somebody now, in recipients, by the source's name. */
  readonly #underWay = new Map<string, number>()

  constructor(
    rules: () => readonly SourceRule[],
    hostname: string,
    counts: Pick<DayCounts, 'get' | 'add'>,
    now: () => number,
  ) {
    this.#rules = rules
    this.#hostname = hostname
    this.#counts = counts
    this.#now = now
  }

  /** Our own names, as others see us: an MX of such a name is ourselves. */
  get hostnames(): readonly string[] {
    return [this.#hostname, ...this.#rules().flatMap(({ hostname }) => hostname ?? [])]
  }

  /** The pool of a sender's mail; '' for the one of everybody else. */
  poolFor(reversePath: ReversePath): string {
    return poolFor(this.#rules(), reversePath === null ? null : normalizeDomain(reversePath.domain))
  }

  /** Where a message leaves from; null: from nowhere until tomorrow. */
  sourceOf(message: Pick<Message, 'id'>, destination: string): Source | null {
    const rules = this.#rules()
    return sourceFor(rules, poolOf(destination), message.id, this.#hostname, rule => this.#roomOf(rule))
  }

  /**
   * A message leaves from there, for so many recipients if they all are taken: they count for the share of the day until
   * `end`. @returns for how many of them there is room
   */
  begin({ name }: Source, recipients: number): number {
    const rule = this.#rules().find(each => each.name === name)
    const room = rule === undefined ? null : this.#roomOf(rule)
    const share = room === null ? recipients : Math.min(recipients, Math.max(0, room))
    this.#underWay.set(name, (this.#underWay.get(name) ?? 0) + share)
    return share
  }

  /** @param share what `begin` returned */
  end({ name }: Source, share: number): void {
    const left = (this.#underWay.get(name) ?? 0) - share
    if (left > 0) this.#underWay.set(name, left)
    else this.#underWay.delete(name)
  }

  /** A peer took a message for so many recipients. Rejects when the count could not be kept. */
  async sent({ name }: Source, recipients: number): Promise<void> {
    if (recipients > 0 && this.#rules().some(rule => rule.name === name && rule.warmUp !== undefined))
      await this.#counts.add(name, Math.floor(this.#now() / DAY_MS), recipients)
  }

  #roomOf(rule: SourceRule): number | null {
    const nowMs = this.#now()
    const limit = dayLimit(rule, nowMs)
    if (limit === null) return null
    const sent = this.#counts.get(rule.name, Math.floor(nowMs / DAY_MS))
    return limit - sent - (this.#underWay.get(rule.name) ?? 0)
  }
}
