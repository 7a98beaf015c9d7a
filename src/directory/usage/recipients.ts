/**
 * Whom a user has written to: kept as digests under a key of the store, so that who reads the store can list nobody.
 *
 * What is kept is bounded: recipients who were not written to for a time are forgotten, a few with each message, and of a
 * user who has very many, any. Being forgotten costs no more than being counted as new once again.
 */

import { createHmac } from 'node:crypto'
import type { Database } from 'lmdb'

/** Without a message for as long, a recipient is new again. */
export const REMEMBERED_DAYS = 90
/** Of a user, at most. One takes some 60 octets on the disk. */
export const REMEMBERED = 50_000
/** Looked at with each message, beside two for each recipient who is new: so that more is looked at than comes. */
const LOOKED_AT = 8

const USER_OCTETS = 8
const DIGEST_OCTETS = 16
const DAY_OCTETS = 4
const EVERYTHING = Buffer.alloc(USER_OCTETS + DIGEST_OCTETS, 0xff)

export interface RecipientTables {
  /** Digest of the user, digest of both → the day of the last message; for who is new, the id of that message too. */
  readonly recipients: Database<Buffer, Buffer>
  /** Digest of the user → how many he has there. */
  readonly known: Database<number, Buffer>
  /** `swept`: where the last look ended. */
  readonly marks: Database<Buffer, string>
}

/** All of it in one transaction. */
export class Recipients {
  readonly #tables: RecipientTables
  readonly #secret: Buffer
  readonly #most: number

  constructor(tables: RecipientTables, secret: Buffer, most = REMEMBERED) {
    this.#tables = tables
    this.#secret = secret
    this.#most = most
  }

  /** One key for each address, however often it is there. */
  keysOf(user: string, addresses: readonly string[]): Buffer[] {
    const owner = this.#digest(user).subarray(0, USER_OCTETS)
    return [...new Set(addresses)].map(address =>
      Buffer.concat([owner, this.#digest(`${user}\0${address}`).subarray(0, DIGEST_OCTETS)]),
    )
  }

  /** How many were not written to lately. */
  countNew(keys: readonly Buffer[], day: number): number {
    return keys.filter(key => !this.#isKnown(key, day)).length
  }

  /** They are written to with message `id`. */
  remember(keys: readonly Buffer[], day: number, id: string): void {
    const { recipients } = this.#tables
    let fresh = 0
    for (const key of keys) {
      const before = recipients.get(key)
      const known = before !== undefined && this.#isKnown(key, day)
      if (before === undefined) this.#add(key, 1)
      if (!known) fresh++
      // Who is written to by two messages is known, whatever comes of the first: the id goes.
      if (!known || before.length > DAY_OCTETS || before.readUInt32LE() !== day)
        recipients.put(key, entryOf(day, known ? '' : id))
    }
    const [first] = keys
    if (first !== undefined) this.#crowdOut(first, keys)
    this.#sweep(day, LOOKED_AT + 2 * fresh)
  }

  /** Message `id` was refused: who is known by it alone is not. Returns how many. */
  forget(keys: readonly Buffer[], id: string): number {
    let forgotten = 0
    for (const key of keys) {
      if (this.#tables.recipients.get(key)?.toString('latin1', DAY_OCTETS) !== id) continue
      this.#remove(key)
      forgotten++
    }
    return forgotten
  }

  #isKnown(key: Buffer, day: number): boolean {
    const last = this.#tables.recipients.get(key)?.readUInt32LE()
    return last !== undefined && last > day - REMEMBERED_DAYS
  }

  #digest(text: string): Buffer {
    return createHmac('sha256', this.#secret).update(text).digest()
  }

  /** Digests have no order: those after the first new one are any. Those of this message stay. */
  #crowdOut(first: Buffer, keys: readonly Buffer[]): void {
    const { recipients, known } = this.#tables
    const owner = first.subarray(0, USER_OCTETS)
    let excess = (known.get(owner) ?? 0) - this.#most
    if (excess <= 0) return
    const kept = new Set(keys.map(key => key.toString('hex')))
    const end = Buffer.concat([owner, EVERYTHING.subarray(USER_OCTETS)])
    for (const range of [
      { start: Buffer.from(first), end },
      { start: Buffer.from(owner), end: Buffer.from(first) },
    ])
      for (const key of [...recipients.getKeys({ ...range, limit: excess + keys.length })]) {
        if (excess <= 0) return
        if (kept.has(key.toString('hex'))) continue
        this.#remove(key)
        excess--
      }
  }

  /** Goes round all of them, and forgets those whose time is over. */
  #sweep(day: number, count: number): void {
    const { recipients, marks } = this.#tables
    const start = marks.get('swept') ?? Buffer.alloc(1)
    const some = [...recipients.getRange({ start, limit: count })]
    for (const { key, value } of some) if (value.readUInt32LE() <= day - REMEMBERED_DAYS) this.#remove(key)
    const last = some.at(-1)?.key
    marks.put('swept', last === undefined || some.length < count ? Buffer.alloc(1) : Buffer.from(last))
  }

  #remove(key: Buffer): void {
    this.#tables.recipients.remove(key)
    this.#add(key, -1)
  }

  #add(key: Buffer, more: number): void {
    const { known } = this.#tables
    const owner = key.subarray(0, USER_OCTETS)
    const count = (known.get(owner) ?? 0) + more
    if (count > 0) known.put(owner, count)
    else known.remove(owner)
  }
}

function entryOf(day: number, id: string): Buffer {
  const value = Buffer.alloc(DAY_OCTETS + id.length)
  value.writeUInt32LE(day)
  value.write(id, DAY_OCTETS, 'latin1')
  return value
}
