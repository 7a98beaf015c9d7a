/** What DNS says of the certificate of a mail host: RFC 7672 §2 and §3. An answer, never a guess: what cannot be known defers. */

import type { Tlsa } from '../dns/rdata.ts'
import { usableTlsa } from '../dns/tlsa.ts'
import type { Addresses, Lookup, MailHost } from './destination.ts'
import type { Objection, TlsPolicy } from './tls-policy.ts'

/** How the host must be verified. */
export interface Dane {
  readonly records: readonly Tlsa[]
  /** The TLSA base domain: for SNI, and the first of the names that DANE-TA wants in the certificate. */
  readonly base: string
}

export type DaneAnswer =
  | { readonly kind: 'none'; readonly reason: string }
  | ({ readonly kind: 'usable'; readonly reason: string } & Dane)
  /** There are records, and none that says how to verify: TLS without authentication (§2.2). */
  | { readonly kind: 'unusable'; readonly reason: string }
  /** Bogus, or no answer: the host must be left alone for now (§2.1.3). */
  | { readonly kind: 'failure'; readonly reason: string }

/** @param found the addresses of the host */
export async function daneOf(
  host: MailHost,
  found: Extract<Addresses, { kind: 'addresses' }>,
  { resolver }: Lookup,
  port: number,
): Promise<DaneAnswer> {
  // §2.2.1 and §2.2.2: where an attacker could have named the host, or its address, what is said of it proves nothing.
  if (!host.secure) return none(`that ${host.name} is the mail host is not protected by DNSSEC`)
  if (!found.secure) return none(`the addresses of ${host.name} are not protected by DNSSEC`)
  // §2.2.3: where the name is an alias that is secure, first the name it stands for, then the name itself.
  const bases = [...new Set([found.name.toLowerCase(), host.name.toLowerCase()])]
  for (const base of bases) {
    const name = `_${port}._tcp.${base}`
    const answer = await resolver.query(name, 'TLSA')
    switch (answer.kind) {
      case 'failure':
        return { kind: 'failure', reason: `TLSA of ${name}: ${answer.code}, ${answer.reason}` }
      case 'answer': {
        if (!answer.authenticated) return none(`the TLSA records of ${name} are not protected by DNSSEC`)
        const records = usableTlsa(answer.records)
        return records.length > 0
          ? { kind: 'usable', records, base, reason: `DANE: ${name} has TLSA records` }
          : { kind: 'unusable', reason: `DANE: ${name} has TLSA records, and none that can be used` }
      }
      case 'nodata':
      case 'nxdomain':
        break
      default:
        return answer satisfies never
    }
  }
  return none(`there are no TLSA records for ${host.name}`)
}

/** The policy for a host: what the destination or the message wants, and DANE above it (RFC 8461 §2: it wins). */
export function withDane(policy: TlsPolicy, answer: DaneAnswer): TlsPolicy | Objection {
  switch (answer.kind) {
    case 'none':
      return policy
    case 'failure':
      return { about: 'TLSA', status: '4.7.5', diagnostic: answer.reason }
    case 'unusable':
      return policy.level === 'opportunistic'
        ? { ...policy, level: 'encrypted', clearText: false, reason: answer.reason }
        : policy
    case 'usable': {
      const { records, base, reason } = answer
      const level = policy.level === 'verified' ? 'verified' : 'dane'
      const both = level === 'verified' ? `${policy.reason}; ${reason}` : reason
      return { level, clearText: false, final: policy.final, reason: both, dane: { records, base } }
    }
    default:
      return answer satisfies never
  }
}

function none(reason: string): DaneAnswer {
  return { kind: 'none', reason }
}
