/**
 * What somebody has used up in a day, and whether there is room for more. No I/O, no clock.
 *
 * A day is the hour of the clock (UTC) and the 23 before it. Hours keep this small, whatever is sent, and make the time
 * at which there is room again exact: the beginning of an hour. Somebody who sends at the same time every day never
 * meets what he sent the day before.
 */

import type { DayLimits } from '../directory.ts'

export const HOUR_MS = 3_600_000
export const DAY_HOURS = 24
/** At this part of a limit it is told, once in a day. */
export const NEAR_PERCENT = 80

export interface Amounts {
  readonly messages: number
  readonly recipients: number
  readonly newRecipients: number
}

export type Counted = keyof Amounts

/** A user's, or a domain's. */
export interface Usage {
  /** In the order of time; `hour` is since 1970. */
  readonly hours: readonly Hour[]
  /** In which hour it was told last that a limit is nearly used up. */
  readonly told: Readonly<Partial<Record<Counted, number>>>
}

export interface Hour extends Amounts {
  readonly hour: number
}

/** What there is no room for. */
export interface Excess {
  readonly counted: Counted
  readonly limit: number
  readonly used: number
  readonly wanted: number
  /** From when on there is room, should nothing else be sent; `null`: never, it is more than the limit alone. */
  readonly retryMs: number | null
}

export interface Near {
  readonly counted: Counted
  readonly limit: number
  readonly used: number
}

export const NOUNS = {
  messages: 'messages',
  recipients: 'recipients',
  newRecipients: 'new recipients',
} as const satisfies Record<Counted, string>
export const UNUSED: Usage = { hours: [], told: {} }
const NOTHING: Amounts = { messages: 0, recipients: 0, newRecipients: 0 }
export const COUNTED: readonly Counted[] = ['messages', 'recipients', 'newRecipients']

/** `2026-11-22 14:00 UTC` */
export function formatTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

export function hourOf(nowMs: number): number {
  return Math.floor(nowMs / HOUR_MS)
}

/**
 * What still counts in `hour`. A clock that was set back does not open the day again: what is in hours to come counts
 * for this one.
 */
export function current({ hours, told }: Usage, hour: number): Usage {
  if (hours.every(each => each.hour > hour - DAY_HOURS && each.hour <= hour)) return { hours, told }
  const kept = hours.filter(each => each.hour > hour - DAY_HOURS && each.hour < hour)
  const now = hours.filter(each => each.hour >= hour)
  return { hours: now.length === 0 ? kept : [...kept, { ...totalOf(now), hour }], told }
}

export function totalOf(hours: readonly Amounts[]): Amounts {
  return hours.reduce<Amounts>(plus, NOTHING)
}

/** Nothing of it counts any more, so that it need not be kept. */
export function isOver({ hours }: Usage, hour: number): boolean {
  return hours.every(each => each.hour <= hour - DAY_HOURS)
}

/** Why `wanted` is too much; of several limits the one that lasts longest. `usage` is current. */
export function excessOf(usage: Usage, limits: DayLimits, wanted: Amounts): Excess | null {
  const total = totalOf(usage.hours)
  let longest: Excess | null = null
  for (const counted of COUNTED) {
    const limit = limitOf(limits, counted)
    const more = wanted[counted]
    if (more === 0 || total[counted] + more <= limit) continue
    const retryMs = more > limit ? null : roomMs(usage.hours, counted, limit - more)
    const excess = { counted, limit, used: total[counted], wanted: more, retryMs }
    if (retryMs === null) return excess
    if (longest === null || retryMs > (longest.retryMs ?? 0)) longest = excess
  }
  return longest
}

/** When no more than `least` is left of what was counted. */
function roomMs(hours: readonly Hour[], counted: Counted, least: number): number {
  let left = totalOf(hours)[counted]
  for (const each of hours) {
    left -= each[counted]
    if (left <= least) return (each.hour + DAY_HOURS) * HOUR_MS
  }
  throw new Error('what is not counted any more leaves no room')
}

/** Counts `more` in `hour`. `usage` is current there. */
export function count(usage: Usage, hour: number, more: Amounts): Usage {
  const before = usage.hours.filter(each => each.hour < hour)
  const now = usage.hours.find(each => each.hour === hour) ?? NOTHING
  return { ...usage, hours: [...before, { ...plus(now, more), hour }] }
}

/** Takes back what was counted in `hour`, as far as it is still there. */
export function takeBack(
  usage: Usage,
  hour: number,
  { messages, recipients, newRecipients }: Amounts,
): Usage {
  const less = { messages: -messages, recipients: -recipients, newRecipients: -newRecipients }
  const hours = usage.hours.map(each => (each.hour === hour ? { ...plus(each, less), hour } : each))
  return { ...usage, hours: hours.filter(each => each.messages > 0 || each.recipients > 0) }
}

/** The limits of which most is used up, and that was not told within a day; with it, it is told. */
export function tell(usage: Usage, limits: DayLimits, hour: number): { usage: Usage; near: Near[] } {
  const total = totalOf(usage.hours)
  const near = COUNTED.map(counted => ({ counted, limit: limitOf(limits, counted), used: total[counted] }))
    .filter(({ limit, used }) => used > 0 && used * 100 >= limit * NEAR_PERCENT)
    .filter(({ counted }) => {
      const last = usage.told[counted]
      return last === undefined || last > hour || last <= hour - DAY_HOURS
    })
  if (near.length === 0) return { usage, near }
  const told = { ...usage.told, ...Object.fromEntries(near.map(({ counted }) => [counted, hour])) }
  return { usage: { ...usage, told }, near }
}

/** Infinite where there is none. */
export function limitOf(limits: DayLimits, counted: Counted): number {
  const { messagesPerDay, recipientsPerDay, newRecipientsPerDay } = limits
  const limit = { messages: messagesPerDay, recipients: recipientsPerDay, newRecipients: newRecipientsPerDay }
  return limit[counted] ?? Number.POSITIVE_INFINITY
}

function plus(one: Amounts, other: Amounts): Amounts {
  return {
    messages: Math.max(0, one.messages + other.messages),
    recipients: Math.max(0, one.recipients + other.recipients),
    newRecipients: Math.max(0, one.newRecipients + other.newRecipients),
  }
}
