/** Delivery within a time, RFC 2852. */

import type { Envelope } from './envelope.ts'
import { SmtpError } from './error.ts'

type DeliverBy = NonNullable<Envelope['deliverBy']>

// by-value = by-time";"by-mode[by-trace], §4; by-time = ["-" / "+"]1*9digit; by-mode = "N" / "R"; by-trace = "T".
const BY_VALUE = /^([-+]?\d{1,9});([NR])(T?)$/i

/** @throws SmtpError 501 5.5.4, also for R with nothing left of its time (§4) */
export function parseDeliverBy(value: string): DeliverBy {
  const [, time, mode = '', trace = ''] = BY_VALUE.exec(value) ?? []
  if (time === undefined) {
    throw new SmtpError(501, '5.5.4', 'BY is a number of seconds, ";", N or R, and T for a trace')
  }
  // `+ 0`: no negative zero.
  const deliverBy = {
    seconds: Number(time) + 0,
    mode: mode.toUpperCase() === 'R' ? 'R' : 'N',
    trace: trace !== '',
  } as const
  if (deliverBy.mode === 'R' && deliverBy.seconds <= 0) {
    throw new SmtpError(501, '5.5.4', 'BY with R needs a time after now')
  }
  return deliverBy
}

export function formatDeliverBy({ seconds, mode, trace }: DeliverBy): string {
  return `${seconds};${mode}${trace ? 'T' : ''}`
}

/** What is left `elapsedMs` after MAIL said it (§4.1.4). R cannot say "over": a last second remains, for the relay to let pass. */
export function remaining(deliverBy: DeliverBy, elapsedMs: number): DeliverBy {
  const seconds = deliverBy.seconds - Math.floor(elapsedMs / 1000)
  const least = deliverBy.mode === 'R' ? 1 : -LONGEST_SECONDS
  return { ...deliverBy, seconds: Math.max(seconds, least) }
}

/** The parameters of a MAIL as they are to be said to the next server `elapsedMs` after it. */
export function later<Parameters extends { readonly deliverBy?: DeliverBy }>(
  parameters: Parameters,
  elapsedMs: number,
): Parameters {
  const { deliverBy } = parameters
  return deliverBy === undefined ? parameters : { ...parameters, deliverBy: remaining(deliverBy, elapsedMs) }
}

/** §4: nine digits. */
const LONGEST_SECONDS = 999_999_999
