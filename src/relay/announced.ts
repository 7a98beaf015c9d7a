/**
 * How a destination is protected when the message asks for nothing of its own: as the operator says (tls.toml), else as
 * the destination has announced by MTA-STS (RFC 8461), else where TLS is offered. DANE is of each host: `dane.ts`.
 */

import type { TlsRule } from '../config/tls-levels.ts'
import type { MtaSts, StsAnswer } from './mta-sts/mta-sts.ts'
import { tlsLevelFor } from './tls-level.ts'
import type { TlsPolicy } from './tls-policy.ts'

export interface Announcements {
  readonly tlsLevels: readonly TlsRule[]
  /** None: MTA-STS is not looked at. */
  readonly mtaSts?: Pick<MtaSts, 'policyFor'>
}

export interface Announced {
  readonly policy: TlsPolicy
  /** What was found of MTA-STS; null: it was not looked for. */
  readonly sts: StsAnswer | null
}

/** @param domain the next-hop domain. Rejects when it cannot be known whether there is a policy in force: mail waits. */
export async function announcedBy(domain: string, { tlsLevels, mtaSts }: Announcements): Promise<Announced> {
  const policy = tlsLevelFor(tlsLevels, domain)
  if (mtaSts === undefined || policy.level !== 'opportunistic') return { policy, sts: null }
  const sts = await mtaSts.policyFor(domain)
  // RFC 8461 §5: `testing` is for reports, `none` for domains that leave.
  if (sts.kind === 'none' || sts.mode !== 'enforce') return { policy, sts }
  const reason = `MTA-STS: ${domain} enforces policy ${sts.id}`
  return { policy: { level: 'sts', clearText: false, final: false, reason, mx: sts.mx }, sts }
}
