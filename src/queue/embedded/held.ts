/**
 * Holds in the database. What a hold of a message or a sender is for is taken out of the lines when it is met there, once, so
 * that a million messages that are held cost nothing while they are. Then `held` has it under the hold; where there is no
 * such hold any more, because it was lifted or is over, it is put back, some at a time.
 */

import { type Holds, isOver, scopeKey, scopeOfKey } from '../hold.ts'
import type { Hold, Scope } from '../queue.ts'
import { countChange, loadRecord, moveAll } from './message.ts'
import { decodeHold, encodeHold, encodeMessage } from './record.ts'
import type { Tables } from './tables.ts'

const NOTHING = Buffer.alloc(0)
/** Messages put back in one transaction: others wait for it some ten milliseconds only. */
export const BACK_AT_ONCE = 1000

export function loadHolds({ holds }: Tables): Holds {
  const loaded = new Map<string, Hold>()
  for (const { key, value } of holds.getRange())
    loaded.set(key as string, { ...scopeOfKey(key as string), ...decodeHold(value) })
  return loaded
}

export function putHold(tables: Tables, hold: Hold): void {
  tables.holds.put(scopeKey(hold), encodeHold(hold))
  if (hold.kind === 'message') setAside(tables, hold.name, hold)
  countChange(tables)
}

/** @returns false: there was none. */
export function removeHold(tables: Tables, scope: Scope): boolean {
  const key = scopeKey(scope)
  if (!tables.holds.doesExist(key)) return false
  tables.holds.remove(key)
  putBack(tables, key, BACK_AT_ONCE)
  countChange(tables)
  return true
}

/** Out of the lines, for that hold. */
export function setAside(tables: Tables, id: string, { kind, name }: Scope): void {
  const record = loadRecord(tables, id)
  if (!record || record.held !== undefined) return
  moveAll(tables, id, record, 'out of line')
  tables.messages.put(id, encodeMessage({ ...record, held: { kind, name } }))
  tables.held.put([scopeKey({ kind, name }), id], NOTHING)
}

/** With the message itself. */
export function forgetHeld(tables: Tables, id: string, held: Scope | undefined): void {
  if (held !== undefined) tables.held.remove([scopeKey(held), id])
}

/** Ends holds that are over, and puts back some of what no hold keeps. @returns whether there may be more of it */
export function endHolds(tables: Tables, nowMs: number): boolean {
  const holds = new Map(loadHolds(tables))
  for (const [key, hold] of holds) {
    if (!isOver(hold, nowMs)) continue
    tables.holds.remove(key)
    holds.delete(key)
  }
  let left = BACK_AT_ONCE
  for (let key = looseKey(tables, holds); key !== null && left > 0; key = looseKey(tables, holds))
    left -= putBack(tables, key, left)
  countChange(tables)
  return left <= 0
}

/** A hold that is no more, and has messages still; `null`: there is none. */
export function looseKey({ held }: Tables, holds: Holds): string | null {
  for (let after = ''; ; ) {
    const [first] = Array.from(held.getKeys({ start: [after], limit: 1 })) as [string, string][]
    if (first === undefined) return null
    if (!holds.has(first[0])) return first[0]
    // No id begins with a space: this is after all of the hold.
    after = `${first[0]} `
  }
}

export function keepsSome({ held }: Tables, key: string): boolean {
  return Array.from(held.getKeys({ start: [key], end: [`${key} `], limit: 1 })).length > 0
}

function putBack(tables: Tables, key: string, limit: number): number {
  const range = { start: [key], end: [`${key} `], limit }
  const keys = Array.from(tables.held.getKeys(range)) as [string, string][]
  for (const [, id] of keys) {
    tables.held.remove([key, id])
    const record = loadRecord(tables, id)
    if (!record) continue
    const { held: _, ...free } = record
    tables.messages.put(id, encodeMessage(free))
    moveAll(tables, id, free, 'into line')
  }
  return keys.length
}
