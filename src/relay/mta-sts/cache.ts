/**
 * Policies on the shelf: they outlive a restart, for a policy that could be forgotten by having us restart protects from
 * nobody (RFC 8461 §10.2). Beside them is for which domains there was mail lately: those are kept fresh. There is no copy in
 * memory: reading one takes 10 µs (measured), and what another process takes away is gone at once.
 */

import type { Shelf } from '../../queue/shelf.ts'
import type { StsPolicy } from './policy.ts'

export interface CachedPolicy extends StsPolicy {
  /** Of the TXT record it came with. */
  readonly id: string
  /** Milliseconds since 1970, as the two that follow. */
  readonly fetchedMs: number
  /** max_age later. It is not in force any more. */
  readonly untilMs: number
  /** It should be fetched again, changed or not. */
  readonly refreshMs: number
}

const KIND = 'sts/'
const USED = 'sts-used/'
const PAGE = 500
const DAY_MS = 86_400_000
const USED_MS = 30 * DAY_MS

export class PolicyCache {
  readonly #shelf: Shelf
  readonly #now: () => number

  constructor(shelf: Shelf, now: () => number) {
    this.#shelf = shelf
    this.#now = now
  }

  /** One that is in force. */
  async get(domain: string): Promise<CachedPolicy | null> {
    const fact = await this.#shelf.get(KIND + domain, this.#now())
    return fact === null ? null : fromFact(fact.value, fact.untilMs)
  }

  async put(domain: string, policy: CachedPolicy): Promise<void> {
    const { mode, mx, maxAgeSeconds, id, fetchedMs, refreshMs, untilMs } = policy
    await this.#shelf.put(KIND + domain, { mode, mx, maxAgeSeconds, id, fetchedMs, refreshMs }, untilMs)
  }

  /** There is mail for it. Written once a day. */
  async use(domain: string): Promise<void> {
    const key = USED + domain
    const untilMs = this.#now() + USED_MS
    const fact = await this.#shelf.get(key, this.#now())
    if (fact === null || fact.untilMs < untilMs - DAY_MS) await this.#shelf.put(key, null, untilMs)
  }

  /** There was mail for it within thirty days. */
  async isUsed(domain: string): Promise<boolean> {
    return (await this.#shelf.get(USED + domain, this.#now())) !== null
  }

  /** Those in force, in the order of their domains. */
  async *list(): AsyncGenerator<[domain: string, policy: CachedPolicy]> {
    let after: string | undefined
    for (;;) {
      const options = { nowMs: this.#now(), limit: PAGE, ...(after === undefined ? {} : { after }) }
      const facts = await this.#shelf.list(KIND, options)
      for (const { key, value, untilMs } of facts) {
        const policy = fromFact(value, untilMs)
        if (policy !== null) yield [key.slice(KIND.length), policy]
      }
      after = facts.at(-1)?.key
      if (facts.length < PAGE) return
    }
  }
}

/** `null`: what is there is none, and is fetched as if it were not there. */
function fromFact(value: unknown, untilMs: number): CachedPolicy | null {
  if (typeof value !== 'object' || value === null) return null
  const { mode, mx, maxAgeSeconds, id, fetchedMs, refreshMs } = value as Record<string, unknown>
  if (mode !== 'enforce' && mode !== 'testing' && mode !== 'none') return null
  if (!Array.isArray(mx) || !mx.every(pattern => typeof pattern === 'string')) return null
  if (typeof id !== 'string' || typeof maxAgeSeconds !== 'number') return null
  if (typeof fetchedMs !== 'number' || typeof refreshMs !== 'number') return null
  return { mode, mx, maxAgeSeconds, id, fetchedMs, refreshMs, untilMs }
}
