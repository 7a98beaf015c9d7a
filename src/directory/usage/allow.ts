/** Whether a message is within the limits of its user and his domain, and counting it: what happens in a transaction. */

import type { DayLimits, User } from '../directory.ts'
import { Recipients } from './recipients.ts'
import type { UsageTables } from './store.ts'
import {
  type Amounts,
  COUNTED,
  count,
  current,
  DAY_HOURS,
  type Excess,
  excessOf,
  hourOf,
  isOver,
  limitOf,
  type Near,
  takeBack,
  tell,
  totalOf,
  UNUSED,
} from './window.ts'

/** A message that is to be counted. */
export interface Claim {
  readonly id: string
  readonly user: User
  /** In the form in which they are compared. */
  readonly recipients: readonly string[]
  readonly nowMs: number
}

/** `of`: `alice@example.com`, or `example.com` where it is the limit of all its users. */
export type Denial = Excess & { readonly of: string }
export type Notice = Near & { readonly of: string }

export interface Counted {
  readonly claim: Claim
  readonly amounts: Amounts
  readonly notices: readonly Notice[]
}

/** Looked at with each message: those that are over are not kept. */
const LOOKED_AT = 4

interface Account {
  readonly key: string
  readonly of: string
  readonly limits: DayLimits
}

/** Whose counts a message of the user concerns; none, where he has no such limits. */
function accountsOf({ name, domain, limits, domainLimits }: User): Account[] {
  const accounts = [
    { key: name, of: name, limits: limits ?? {} },
    { key: `@${domain}`, of: domain, limits: domainLimits ?? {} },
  ]
  return accounts.filter(
    ({ limits: { messagesPerDay, recipientsPerDay, newRecipientsPerDay } }) =>
      (messagesPerDay ?? recipientsPerDay ?? newRecipientsPerDay) !== undefined,
  )
}

export function isCounted(user: User): boolean {
  return accountsOf(user).length > 0
}

/** Whether not even a message to one recipient would pass. Nothing is written. */
export function look(tables: UsageTables, user: User, nowMs: number): Denial | null {
  return denialOf(tables, accountsOf(user), hourOf(nowMs), { messages: 1, recipients: 1, newRecipients: 0 })
}

/** Counts the message, or says why not and writes nothing. */
export function reserve(tables: UsageTables, claim: Claim): Denial | Counted {
  const { id, user, nowMs } = claim
  const accounts = accountsOf(user)
  const hour = hourOf(nowMs)
  const day = Math.floor(hour / DAY_HOURS)
  const memory = accounts.some(({ limits }) => limits.newRecipientsPerDay !== undefined)
    ? new Recipients(tables, tables.secret)
    : null
  const keys = memory?.keysOf(user.name, claim.recipients) ?? []
  const amounts: Amounts = {
    messages: 1,
    recipients: claim.recipients.length,
    newRecipients: memory?.countNew(keys, day) ?? 0,
  }
  const denial = denialOf(tables, accounts, hour, amounts)
  if (denial !== null) return denial
  const notices: Notice[] = []
  for (const { key, of, limits } of accounts) {
    const counted = count(usageOf(tables, key, hour), hour, amounts)
    const { usage, near } = tell(counted, limits, hour)
    tables.usage.put(key, usage)
    notices.push(...near.map(each => ({ ...each, of })))
  }
  memory?.remember(keys, day, id)
  sweep(tables, hour)
  return { claim, amounts, notices }
}

/** A limit of a user, or of all users of his domain, and what is used up of it. */
export interface Used extends Notice {
  /** When there is room again; `null`: there is now. */
  readonly roomMs: number | null
}

/** @param tables `null`: nothing was ever counted */
export function usedBy(tables: UsageTables | null, user: User, nowMs: number): Used[] {
  const hour = hourOf(nowMs)
  return accountsOf(user).flatMap(({ key, of, limits }) => {
    const usage = tables === null ? UNUSED : usageOf(tables, key, hour)
    const total = totalOf(usage.hours)
    return COUNTED.flatMap(counted => {
      const limit = limitOf(limits, counted)
      if (!Number.isFinite(limit)) return []
      const one = { messages: 0, recipients: 0, newRecipients: 0, [counted]: 1 }
      const roomMs = excessOf(usage, limits, one)?.retryMs ?? null
      return [{ of, counted, used: total[counted], limit, roomMs }]
    })
  })
}

/** It was not accepted after all. */
export function giveBack(tables: UsageTables, { claim, amounts }: Counted): void {
  const { id, user, recipients, nowMs } = claim
  const hour = hourOf(nowMs)
  let newRecipients = 0
  if (amounts.newRecipients > 0) {
    const memory = new Recipients(tables, tables.secret)
    newRecipients = memory.forget(memory.keysOf(user.name, recipients), id)
  }
  for (const { key } of accountsOf(user)) {
    const usage = tables.usage.get(key)
    if (usage !== undefined) tables.usage.put(key, takeBack(usage, hour, { ...amounts, newRecipients }))
  }
}

function denialOf(
  tables: UsageTables,
  accounts: readonly Account[],
  hour: number,
  wanted: Amounts,
): Denial | null {
  let longest: Denial | null = null
  for (const { key, of, limits } of accounts) {
    const excess = excessOf(usageOf(tables, key, hour), limits, wanted)
    if (excess === null) continue
    if (excess.retryMs === null) return { ...excess, of }
    if (longest === null || excess.retryMs > (longest.retryMs ?? 0)) longest = { ...excess, of }
  }
  return longest
}

function usageOf({ usage }: UsageTables, key: string, hour: number) {
  return current(usage.get(key) ?? UNUSED, hour)
}

/** Goes round all accounts, and takes out those of which nothing counts any more. */
function sweep({ usage, marks }: UsageTables, hour: number): void {
  const start = marks.get('looked at')?.toString()
  const some = [...usage.getRange(start === undefined ? { limit: LOOKED_AT } : { start, limit: LOOKED_AT })]
  for (const { key, value } of some) if (isOver(value, hour)) usage.remove(key)
  const last = some.at(-1)?.key
  if (last === undefined || some.length < LOOKED_AT) marks.remove('looked at')
  else marks.put('looked at', Buffer.from(last))
}
