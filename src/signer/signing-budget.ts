/**
 * How much is signed in an hour: what somebody who has broken into submission could send at most, as the users he knows.
 *
 * Memory: sixty numbers, and as many for each domain with a budget. Nothing is kept over a restart: the hour begins anew.
 */

import type { Directory } from '../directory/directory.ts'
import { foldMailbox } from '../directory/may-send.ts'
import type { Mailbox } from '../smtp/path.ts'
import { type Reply, reply } from '../smtp/reply.ts'

const MINUTE_MS = 60_000
const HOUR_MINUTES = 60
const NONE: ReadonlyMap<string, number> = new Map()

/**
 * How many signatures the last hour may have, of all domains together and of each that has a `signing_budget` in Git.
 * Every signature counts, of a repeated message too.
 */
export class SigningBudget {
  readonly #perHour: number | undefined
  readonly #directory: () => Pick<Directory, 'signingBudgets'>
  readonly #now: () => number
  readonly #all = new LastHour()
  readonly #domains = new Map<string, LastHour>()

  /** @param perHour of all domains together; not given: there is no limit */
  constructor(
    perHour: number | undefined,
    now: () => number,
    directory: () => Pick<Directory, 'signingBudgets'> = () => ({}),
  ) {
    this.#perHour = perHour
    this.#directory = directory
    this.#now = now
  }

  /** Whether anything in the name of these is counted. */
  counts(authors: readonly Mailbox[]): boolean {
    if (this.#perHour !== undefined) return true
    const budgets = this.#directory().signingBudgets ?? NONE
    return budgets.size > 0 && authors.some(author => ownerOf(author, budgets) !== undefined)
  }

  /** One more in the name of these; a refusal when there is none left. `domain`: the deployment's, for the words. */
  spend(domain: string, authors: readonly Mailbox[]): Reply | null {
    const budgets = this.#directory().signingBudgets ?? NONE
    for (const known of this.#domains.keys()) if (!budgets.has(known)) this.#domains.delete(known)
    const spent: LastHour[] = []
    const within = (hour: LastHour, most: number | undefined): boolean => {
      if (most !== undefined) spent.push(hour)
      return most === undefined || hour.total(this.#now()) < most
    }
    if (!within(this.#all, this.#perHour)) return exceeded(domain, this.#perHour)
    for (const owner of new Set(authors.map(author => ownerOf(author, budgets)))) {
      if (owner === undefined) continue
      const hour = this.#domains.get(owner) ?? new LastHour()
      this.#domains.set(owner, hour)
      if (!within(hour, budgets.get(owner))) return exceeded(owner, budgets.get(owner))
    }
    // None of them, where there is no room in one.
    for (const hour of spent) hour.add(this.#now())
    return null
  }
}

function exceeded(domain: string, perHour: number | undefined): Reply {
  return reply(550, '5.7.1', `${domain} may send ${perHour} messages an hour, and has sent them`)
}

/** The nearest domain with a budget at or above the address: addresses beneath a domain are its users' too. */
function ownerOf(author: Mailbox, budgets: ReadonlyMap<string, number>): string | undefined {
  let { domain } = foldMailbox(author)
  while (!budgets.has(domain)) {
    const dot = domain.indexOf('.')
    if (dot < 0) return undefined
    domain = domain.slice(dot + 1)
  }
  return domain
}

/** Counted by the minute. */
class LastHour {
  /** The oldest first. */
  #minutes: { readonly minute: number; count: number }[] = []
  #total = 0

  total(nowMs: number): number {
    this.#forget(this.#minute(nowMs) - HOUR_MINUTES)
    return this.#total
  }

  add(nowMs: number): void {
    const minute = this.#minute(nowMs)
    const last = this.#minutes.at(-1)
    this.#total++
    if (last?.minute === minute) last.count++
    else this.#minutes.push({ minute, count: 1 })
  }

  /** A clock that is set back does not open the hour again. */
  #minute(nowMs: number): number {
    return Math.max(Math.floor(nowMs / MINUTE_MS), this.#minutes.at(-1)?.minute ?? 0)
  }

  #forget(until: number): void {
    const kept = this.#minutes.filter(({ minute }) => minute > until)
    if (kept.length === this.#minutes.length) return
    this.#minutes = kept
    this.#total = kept.reduce((sum, { count }) => sum + count, 0)
  }
}
