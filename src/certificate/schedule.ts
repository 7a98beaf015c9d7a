/**
 * When a certificate is asked for, and when again after a failure. Time and randomness are arguments: the same
 * values give the same plan, over a restart too.
 */

/** What a certificate says of itself. */
export interface Validity {
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** What the plan is made of. */
export interface Situation {
  readonly nowMs: number
  /** The certificate in place with what is wrong with it, or `null`: there is none that can be used. */
  readonly certificate: (Validity & { readonly complaint: string | null }) | null
  /** After a failure: not to be tried before. */
  readonly retryMs: number | null
  /** 0 ≤ x < 1, the same for the life of a certificate. */
  readonly jitter: number
}

export type Plan =
  | { readonly kind: 'issue'; readonly reason: string }
  /** `untilMs`: milliseconds since 1970. */
  | { readonly kind: 'wait'; readonly untilMs: number; readonly reason: string }

/**
 * The most that jitter takes off, as a part of the life: certificates that were issued together are not renewed together.
 * For 90 days it is 36 hours.
 */
const JITTER_SHARE = 1 / 60

export function plan(situation: Situation): Plan {
  const { nowMs, certificate, retryMs, jitter } = situation
  const due = certificate === null ? 'there is no certificate that can be used' : certificate.complaint
  const renewMs = certificate === null ? nowMs : renewalMs(certificate, jitter)
  const reason = due ?? (renewMs <= nowMs ? 'a third of its life is left' : null)
  if (reason === null) return { kind: 'wait', untilMs: renewMs, reason: 'it is good until then' }
  // A clock that was set back must not make of a pause of minutes one of years.
  if (retryMs !== null && retryMs > nowMs && retryMs - nowMs <= LONGEST_ASKED_MS) {
    return { kind: 'wait', untilMs: retryMs, reason: 'the last attempt failed' }
  }
  return { kind: 'issue', reason }
}

/** When a third of the life is left, or a little before by the jitter; milliseconds since 1970. */
export function renewalMs({ notBeforeMs, notAfterMs }: Validity, jitter: number): number {
  const lifeMs = notAfterMs - notBeforeMs
  return Math.round(notAfterMs - lifeMs / 3 - lifeMs * JITTER_SHARE * jitter)
}

const FIRST_PAUSE_MS = 60_000
const LONGEST_PAUSE_MS = 6 * 3_600_000
/** What a CA that limits rates but names no time is left at least. */
const RATE_LIMIT_MS = 3_600_000
/** A CA that asks for more is asked again after a week: its certificate may be needed. */
const LONGEST_ASKED_MS = 7 * 86_400_000

export interface Failure {
  /** What the CA asked for with Retry-After, milliseconds since 1970. */
  readonly retryAfterMs?: number | undefined
  readonly rateLimited?: boolean
}

/**
 * When to try again after the `failures`th failure in a row, milliseconds since 1970: after 1, 3, 9, 27 minutes and so
 * on, at most six hours, a tenth more or less; never before the CA allows it (RFC 8555 §6.6). Four attempts in the first
 * hour stay below what CAs let an account fail.
 *
 * @param random 0 ≤ x < 1
 */
export function retryMs(failures: number, failure: Failure, nowMs: number, random: number): number {
  const steps = Math.max(0, failures - 1)
  // 3 ** 7 minutes is more than the longest pause.
  const pauseMs = Math.min(FIRST_PAUSE_MS * 3 ** Math.min(steps, 7), LONGEST_PAUSE_MS)
  const spreadMs = Math.round(pauseMs * (0.9 + 0.2 * random))
  const limitMs = failure.rateLimited === true && failure.retryAfterMs === undefined ? RATE_LIMIT_MS : 0
  const askedMs = Math.min((failure.retryAfterMs ?? nowMs) - nowMs, LONGEST_ASKED_MS)
  return nowMs + Math.max(spreadMs, limitMs, askedMs)
}

/**
 * The header field Retry-After (RFC 9110 §10.2.3), seconds or a date, as milliseconds since 1970; `undefined` where it
 * says nothing that can be understood.
 */
export function parseRetryAfter(value: unknown, nowMs: number): number | undefined {
  if (typeof value !== 'string') return undefined
  const text = value.trim()
  if (/^\d{1,9}$/.test(text)) return nowMs + Number(text) * 1000
  // An HTTP-date of the preferred form: Date.parse reads much else, a lone year for example.
  if (!/^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(text)) return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : ms
}

/** `2026-03-01T00:00:00Z`. */
export function isoOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z')
}
