/** A shelf in memory: for tests, and for a relay whose spool is in memory too. */

import { checkKey, type Fact, type Json, type Shelf } from '../shelf.ts'

export function openMemoryShelf(): Shelf {
  const facts = new Map<string, { readonly value: Json; readonly untilMs: number }>()
  const alive = (key: string, nowMs: number): Fact | null => {
    const fact = facts.get(key)
    return fact === undefined || fact.untilMs <= nowMs ? null : { key, ...fact }
  }
  return {
    async get(key, nowMs) {
      checkKey(key)
      return alive(key, nowMs)
    },
    async put(key, value, untilMs) {
      checkKey(key)
      facts.set(key, { value: structuredClone(value), untilMs })
    },
    async take(key) {
      return facts.delete(key)
    },
    async list(prefix, { nowMs, after = '', limit }) {
      return [...facts.keys()]
        .filter(key => key.startsWith(prefix) && compare(key, after) > 0)
        .sort(compare)
        .flatMap(key => alive(key, nowMs) ?? [])
        .slice(0, limit)
    },
    async add(key, amount, untilMs) {
      checkKey(key)
      const before = facts.get(key)?.value
      const sum = (typeof before === 'number' ? before : 0) + amount
      facts.set(key, { value: sum, untilMs })
      return sum
    },
    async sweep(nowMs) {
      const over = [...facts].filter(([, { untilMs }]) => untilMs <= nowMs)
      for (const [key] of over) facts.delete(key)
      return over.length
    },
    async close() {},
  }
}

/** By octets, as LMDB has them. */
function compare(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}
