/** A shelf on disk: an LMDB environment of its own in the spool's folder, so that facts and mail do not wait for each other. */

import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { open } from 'lmdb'
import { checkKey, type Fact, type Json, type Shelf } from '../shelf.ts'

const FILE = 'shelf.mdb'
/** Removed in one transaction, which others wait for. */
const SWEEP_AT_ONCE = 1000

/** The folder is made when it is not there. */
export async function openEmbeddedShelf(folder: string): Promise<Shelf> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const file = join(folder, FILE)
  const facts = open<{ value: Json; untilMs: number }, string>({
    path: file,
    encoding: 'json',
    // As in store.ts: what is told to be written is on the disk.
    overlappingSync: false,
  })
  await Promise.all([chmod(file, 0o600), chmod(`${file}-lock`, 0o600)])
  return {
    async get(key, nowMs) {
      checkKey(key)
      facts.resetReadTxn()
      const fact = facts.get(key)
      return fact === undefined || fact.untilMs <= nowMs ? null : { key, ...fact }
    },
    async put(key, value, untilMs) {
      checkKey(key)
      await facts.put(key, { value, untilMs })
    },
    take(key) {
      return facts.transaction(() => {
        const found = facts.doesExist(key)
        if (found) facts.removeSync(key)
        return found
      })
    },
    async list(prefix, { nowMs, after, limit }) {
      facts.resetReadTxn()
      const found: Fact[] = []
      for (const { key, value } of facts.getRange({
        start: after === undefined || after < prefix ? prefix : after,
      })) {
        if (found.length >= limit || !key.startsWith(prefix)) break
        if (key !== after && value.untilMs > nowMs) found.push({ key, ...value })
      }
      return found
    },
    add(key, amount, untilMs) {
      checkKey(key)
      return facts.transaction(() => {
        const before = facts.get(key)?.value
        const sum = (typeof before === 'number' ? before : 0) + amount
        facts.putSync(key, { value: sum, untilMs })
        return sum
      })
    },
    async sweep(nowMs) {
      facts.resetReadTxn()
      const over: string[] = []
      for (const { key, value } of facts.getRange({})) {
        if (value.untilMs > nowMs) continue
        over.push(key)
        if (over.length >= SWEEP_AT_ONCE) break
      }
      await facts.transaction(() => {
        for (const key of over) facts.removeSync(key)
      })
      return over.length
    },
    close: () => facts.close(),
  }
}
