/** How a connection to an MX is protected, and why. A policy is data: what it says is in the log of each delivery. */

import type { TlsWish } from '../net/connection.ts'
import { opportunisticTls } from '../net/tls.ts'

export interface TlsPolicy {
  readonly level: 'opportunistic'
  /** In words, for the log. */
  readonly reason: string
  /** Whether clear text is allowed when TLS cannot be had. */
  readonly clearText: boolean
}

/** No policy of the destination is known: TLS where it is offered, whoever is there (RFC 7435). */
export const OPPORTUNISTIC: TlsPolicy = {
  level: 'opportunistic',
  reason: 'no policy of the destination is known',
  clearText: true,
}

/** @param host the MX's name; an address literal has none to put into SNI (RFC 6066 §3) */
export function wishFor(policy: TlsPolicy, host: string): TlsWish {
  const servername = host.startsWith('[') ? '' : host
  return { mode: policy.clearText ? 'opportunistic' : 'required', options: opportunisticTls(servername) }
}
