/** The limits a server announces, RFC 9422: ours in our EHLO reply, a peer's out of his. */

import type { Limits } from './limits.ts'

/** What a server says it takes; absent: nothing was said about it. */
export interface ServerLimits {
  /** §4.1: MAIL commands in a session, those refused too. */
  readonly mailMax?: number
  /** §4.2: RCPT commands in a transaction, those refused too. */
  readonly rcptMax?: number
  /** §4.3: different domains of recipients in a session. */
  readonly rcptDomainMax?: number
}

const NAMES = { RCPTMAX: 'rcptMax', MAILMAX: 'mailMax', RCPTDOMAINMAX: 'rcptDomainMax' } as const

/** §4.1: six digits at most. What is more than they can say is no limit worth a word. */
const LARGEST = 999_999

export const serverLimits = ({ transactions, recipients, recipientDomains }: Limits): ServerLimits => ({
  ...(recipients <= LARGEST ? { rcptMax: recipients } : {}),
  ...(transactions <= LARGEST ? { mailMax: transactions } : {}),
  ...(recipientDomains <= LARGEST ? { rcptDomainMax: recipientDomains } : {}),
})

// limits-param = limit-name-value 0*[SP limit-name-value], §3.
/** Empty when there is no limit to announce. */
export function formatServerLimits(limits: ServerLimits): string {
  return Object.entries(NAMES)
    .flatMap(([name, key]) => (limits[key] === undefined ? [] : `${name}=${limits[key]}`))
    .join(' ')
}

// limit-name-value = limit-name ["=" limit-value]; limit-name = 1*(ALPHA / DIGIT / "-" / "_"); limit-value: any VCHAR
// except ";".
const LIMIT_NAME_VALUE = /^([A-Za-z0-9_-]+)(?:=([!-:<-~]+))?$/
// MAILMAX, RCPTMAX, RCPTDOMAINMAX: %x31-39 0*5DIGIT, §4.
const VALUE = /^[1-9]\d{0,5}$/

/** §3.7: bad syntax makes nothing of the whole, a bad value of its own limit; limits we do not know are passed over. */
export function parseServerLimits(parameters: string): ServerLimits {
  let limits: ServerLimits = {}
  for (const part of parameters.split(/ +/).filter(Boolean)) {
    const [, name, value = ''] = LIMIT_NAME_VALUE.exec(part) ?? []
    if (name === undefined) return {}
    const key = keyOf(name.toUpperCase())
    if (key !== undefined && VALUE.test(value)) limits = { ...limits, [key]: Number(value) }
  }
  return limits
}

const keyOf = (name: string): keyof ServerLimits | undefined =>
  Object.entries(NAMES).find(([known]) => known === name)?.[1]
