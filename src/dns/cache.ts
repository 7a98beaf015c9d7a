/**
 * A bounded memory of answers by name and type, with time as an argument. RFC 1035 §7.4, RFC 2308 §5, RFC
 * 9520 §3.2.
 */

import type { DnsAnswer } from './answer.ts'
import { canonicalName } from './name.ts'
import type { RecordType } from './rdata.ts'

/**
 * Nothing is believed for longer: RFC 8767 §4 caps at days, RFC 2308 §5 finds one to three hours good for
 * negatives.
 */
const MAX_TTL_SECONDS = 86_400
const MAX_NEGATIVE_TTL_SECONDS = 10_800
/**
 * RFC 9520 §3.2: at least 1 s, at most 5 min, 5 s to begin with. Attempts at mail are minutes apart anyway.
 */
const FAILURE_TTL_SECONDS = 5

interface Entry {
  readonly answer: DnsAnswer<unknown>
  readonly expiresMs: number
}

export class AnswerCache {
  readonly #maxEntries: number
  /** In order of last use. */
  readonly #entries = new Map<string, Entry>()

  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries
  }

  get size(): number {
    return this.#entries.size
  }

  /** With the TTL that is left. */
  get(name: string, type: RecordType, nowMs: number): DnsAnswer<unknown> | undefined {
    return this.#fresh(nameKey(name), nowMs) ?? this.#fresh(typeKey(name, type), nowMs)
  }

  put(name: string, type: RecordType, answer: DnsAnswer<unknown>, nowMs: number): void {
    // RFC 2308 §5: NXDOMAIN holds for every type, NODATA for one.
    const key = answer.kind === 'nxdomain' ? nameKey(name) : typeKey(name, type)
    if (answer.kind === 'answer' || answer.kind === 'nodata') this.#entries.delete(nameKey(name))
    this.#entries.delete(key)
    const ttlSeconds = keepSeconds(answer)
    if (ttlSeconds <= 0) return
    this.#entries.set(key, { answer, expiresMs: nowMs + ttlSeconds * 1000 })
    const oldest = this.#entries.keys().next()
    if (this.#entries.size > this.#maxEntries && !oldest.done) this.#entries.delete(oldest.value)
  }

  clear(): void {
    this.#entries.clear()
  }

  #fresh(key: string, nowMs: number): DnsAnswer<unknown> | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined) return undefined
    this.#entries.delete(key)
    if (entry.expiresMs <= nowMs) return undefined
    this.#entries.set(key, entry)
    const { answer } = entry
    if (answer.kind === 'failure') return answer
    return { ...answer, ttlSeconds: Math.ceil((entry.expiresMs - nowMs) / 1000) }
  }
}

function keepSeconds(answer: DnsAnswer<unknown>): number {
  switch (answer.kind) {
    case 'answer':
      return Math.min(answer.ttlSeconds, MAX_TTL_SECONDS)
    case 'nodata':
    case 'nxdomain':
      return Math.min(answer.ttlSeconds, MAX_NEGATIVE_TTL_SECONDS)
    case 'failure':
      return FAILURE_TTL_SECONDS
  }
}

function nameKey(name: string): string {
  return canonicalName(name)
}

function typeKey(name: string, type: RecordType): string {
  return `${canonicalName(name)} ${type}`
}
