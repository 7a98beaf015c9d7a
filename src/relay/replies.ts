/** What a reply means beyond its code, by the rules of replies.toml and by RFC 3463. Pure. */

import type { Category, ReplyRule } from '../config/replies.ts'
import { formatReply, type Reply } from '../smtp/reply.ts'
import { matches } from './shaping.ts'

export interface Classified {
  readonly category: Category
  /** What becomes of the recipient: what the code says, or what a rule or the category knows better. */
  readonly action: 'defer' | 'fail'
  /** Not tried again before; null: as usual. */
  readonly waitMs: number | null
  /** Nothing is sent to the site for as long; null: it is not the site's affair. */
  readonly pauseMs: number | null
  /** The rule that knew it; null: RFC 3463. */
  readonly rule: ReplyRule | null
}

/**
 * @param answer a 4xx or 5xx
 * @param host the MX's name
 */
export function classify(rules: readonly ReplyRule[], answer: Reply, host: string): Classified {
  // Enough for what anybody says; a stranger's 100 KB must not keep a regular expression busy.
  const text = formatReply(answer).slice(0, LONGEST_TEXT)
  const rule = rules.find(
    ({ hosts, reply }) => reply.test(text) && (hosts?.some(name => matches(name, host)) ?? true),
  )
  const category = rule?.category ?? categoryOf(answer)
  const action = rule?.action ?? (answer.code < 500 || WAITING.has(category) ? 'defer' : 'fail')
  const advisedMs = action === 'defer' ? advisedWaitMs(text) : null
  const waits = category === 'greylisted' || category === 'busy-mailbox'
  return {
    category,
    action,
    waitMs: (waits ? advisedMs : null) ?? rule?.waitMs ?? null,
    pauseMs: (category === 'rate-limited' ? advisedMs : null) ?? rule?.pauseMs ?? PAUSE_MS[category] ?? null,
    rule: rule ?? null,
  }
}

const LONGEST_TEXT = 2000

/** It is we who are turned away, not the message: it waits, whatever the code says, until that is put right. */
const WAITING: ReadonlySet<Category> = new Set(['blocked', 'rate-limited', 'greylisted', 'our-dns'])

const PAUSE_MS: Partial<Record<Category, number>> = { blocked: 3600_000, 'rate-limited': 600_000 }

/** Whether the address is not to be written to again for a while. */
export function isHardBounce({ category, action }: Classified): boolean {
  return action === 'fail' && (category === 'bad-address' || category === 'inactive')
}

/** By the enhanced status code alone, RFC 3463 §3 and those who added to it; `other` where it says nothing. */
export function categoryOf({ code, status }: Pick<Reply, 'code' | 'status'>): Category {
  const [, subject, detail] = (status ?? '').split('.').map(Number)
  switch (subject) {
    case 1:
      return detail === 1 || detail === 2 || detail === 3 || detail === 6 || detail === 10
        ? 'bad-address'
        : 'policy'
    case 2:
      return MAILBOX[detail ?? 0] ?? 'other'
    case 3:
      return detail === 4 ? 'too-large' : 'their-trouble'
    case 4:
      return detail === 5 ? 'rate-limited' : 'routing'
    case 5:
      return detail === 3 ? 'other' : 'protocol'
    case 6:
      return 'policy'
    case 7:
      return detail === 25
        ? 'our-dns'
        : detail !== undefined && detail >= 20 && detail <= 29
          ? 'authentication'
          : 'policy'
    default:
      return code >= 500 && code <= 504 ? 'protocol' : code === 552 ? 'mailbox-full' : 'other'
  }
}

const MAILBOX: Record<number, Category> = { 1: 'inactive', 2: 'mailbox-full', 3: 'too-large' }

/** More than this is not believed. */
const LONGEST_ADVICE_MS = 4 * 3600_000

/** "try again in 5 minutes", "for 300 seconds", "come back in 00:05:00": in ms; null where nothing of the kind is said. */
export function advisedWaitMs(text: string): number | null {
  const clock = /\b(?:in|after|for)\s+(\d{1,2}):(\d{2}):(\d{2})\b/i.exec(text)
  if (clock) {
    const [, hours, minutes, seconds] = clock.map(Number)
    return bounded(((hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0)) * 1000)
  }
  const words =
    /\b(?:in|after|for|wait)\s+(?:about\s+|at least\s+)?(\d{1,5})\s*(s|sec|second|m|min|minute|h|hour)s?\b/i.exec(
      text,
    )
  if (!words) return null
  const unit = { s: 1000, m: 60_000, h: 3600_000 }[words[2]?.toLowerCase().charAt(0) ?? ''] ?? 0
  return bounded(Number(words[1]) * unit)
}

function bounded(ms: number): number | null {
  return ms > 0 ? Math.min(ms, LONGEST_ADVICE_MS) : null
}
