/** What the operator's tls.toml says of a destination, as a policy. Pure. */

import type { TlsRule } from '../config/tls-levels.ts'
import type { Tlsa } from '../dns/rdata.ts'
import { matches } from './shaping.ts'
import { OPPORTUNISTIC, type TlsPolicy } from './tls-policy.ts'

/** @param domain the next-hop domain */
export function tlsLevelFor(rules: readonly TlsRule[], domain: string): TlsPolicy {
  const rule = rules.find(({ domains }) => domains.some(name => matches(name, domain)))
  if (rule === undefined || rule.level === 'opportunistic') return OPPORTUNISTIC
  const common = { clearText: false, final: false, reason: `${rule.where}: ${rule.name}` }
  switch (rule.level) {
    case 'require':
      return { ...common, level: 'encrypted' }
    case 'dane':
      return { ...common, level: 'encrypted', daneOnly: true }
    case 'verify':
      return { ...common, level: 'named' }
    case 'fingerprint':
      return { ...common, level: 'pinned', dane: { records: pins(rule.fingerprints ?? []), base: null } }
    default:
      return rule.level satisfies never
  }
}

/** A fingerprint is of the certificate or of its key: what DANE-EE records say (RFC 6698 §2.1), whoever says it. */
function pins(fingerprints: readonly Buffer[]): Tlsa[] {
  return fingerprints.flatMap(certificate =>
    [0, 1].map(selector => ({ usage: 3, selector, matchingType: 1, certificate })),
  )
}
