/** What DNS says of the certificate of a mail host: RFC 7672 §2 and §3. An answer, never a guess: what cannot be known defers. */

import type { DnsFailure } from '../dns/answer.ts'
import type { Tlsa } from '../dns/rdata.ts'
import { usableTlsa } from '../dns/tlsa.ts'
import type { Addresses, Lookup, MailHost } from './destination.ts'
import { type Objection, refusal, type TlsPolicy } from './tls-policy.ts'

/** How the host must be verified. */
export interface Dane {
  readonly records: readonly Tlsa[]
  /** The TLSA base domain: for SNI, and the first of the names that DANE-TA wants in the certificate; null: the host's name. */
  readonly base: string | null
}

export type DaneAnswer =
  | { readonly kind: 'none'; readonly reason: string }
  | ({ readonly kind: 'usable'; readonly reason: string } & Dane)
  /** There are records, and none that says how to verify: TLS without authentication (§2.2). */
  | ({ readonly kind: 'unusable'; readonly reason: string } & Dane)
  /** Bogus, or no answer: the host must be left alone for now (§2.1.2). */
  | { readonly kind: 'failure'; readonly reason: string }

/**
 * @param found the addresses of the host
 * @param port of the mail hosts; a smart host has its own (§2.2.2: what the operator has configured is looked up as else)
 */
export async function daneOf(
  host: MailHost,
  found: Extract<Addresses, { kind: 'addresses' }>,
  { resolver }: Lookup,
  port: number,
): Promise<DaneAnswer> {
  // Whose certificate is right is what the operator has said.
  if (host.route?.ca !== undefined) return none(`${host.name} has a ca in ${host.route.where}`)
  // §2.2.1: where an attacker could have named the host, what is said of it proves nothing.
  if (!host.secure) return none(`that ${host.name} is the mail host is not protected by DNSSEC`)
  const bases = await basesOf(host, found, resolver)
  if ('kind' in bases) return bases
  let reason = `there are no TLSA records for ${host.name}`
  for (const base of bases) {
    const name = `_${host.route?.host.port ?? port}._tcp.${base}`
    const answer = await resolver.query(name, 'TLSA')
    switch (answer.kind) {
      case 'failure':
        return lookupFailed(`TLSA of ${name}`, answer)
      case 'answer': {
        // §2.2.3: "If any insecure records are encountered …, the next candidate TLSA base domain is tried instead."
        if (!answer.authenticated) {
          reason = `the TLSA records of ${name} are not protected by DNSSEC`
          break
        }
        const records = usableTlsa(answer.records)
        return records.length > 0
          ? { kind: 'usable', records, base, reason: `DANE: ${name} has TLSA records` }
          : {
              kind: 'unusable',
              records: answer.records,
              base,
              reason: `DANE: ${name} has TLSA records, and none that can be used`,
            }
      }
      case 'nodata':
      case 'nxdomain':
        break
      default:
        return answer satisfies never
    }
  }
  return none(reason)
}

/**
 * The candidates for the TLSA base domain, the best first (§2.2.2): what a secure alias stands for, and then the name itself;
 * the name itself alone where the alias is secure and what it stands for is not, since whoever published it may vouch for the
 * host of a provider who has no DNSSEC.
 */
async function basesOf(
  host: MailHost,
  found: Extract<Addresses, { kind: 'addresses' }>,
  resolver: Lookup['resolver'],
): Promise<readonly string[] | DaneAnswer> {
  const name = host.name.toLowerCase()
  const end = found.name.toLowerCase()
  if (found.secure) return [...new Set([end, name])]
  if (end !== name) {
    // §2.1.3: that the whole is insecure does not say where it became so; only a question of its own does.
    const alias = await resolver.query(name, 'CNAME')
    if (alias.kind === 'failure') return lookupFailed(`CNAME of ${name}`, alias)
    if (alias.kind === 'answer' && alias.authenticated) return [name]
  }
  return none(`the addresses of ${host.name} are not protected by DNSSEC`)
}

function lookupFailed(what: string, { code, reason }: DnsFailure): DaneAnswer {
  return { kind: 'failure', reason: `${what}: ${code}, ${reason}` }
}

/** The policy for a host: what the destination or the message wants, and DANE above it (RFC 8461 §2: it wins). */
export function withDane(
  policy: TlsPolicy,
  answer: DaneAnswer,
  { route }: Pick<MailHost, 'route'>,
): TlsPolicy | Objection {
  // What the operator wants to be verified by name, or has pinned, is known better than by DNS. A smart host is named so that
  // it is known whose certificate to look for: its zone may say which that is, and where it does not the CAs do.
  if ((policy.level === 'named' && route === undefined) || policy.dane !== undefined) return policy
  switch (answer.kind) {
    case 'none':
      return policy.daneOnly === undefined ? policy : required(policy, answer.reason, 'dane-required')
    case 'failure':
      return { about: 'TLSA', status: '4.7.5', diagnostic: answer.reason, failure: 'dnssec-invalid' }
    case 'unusable': {
      if (policy.daneOnly !== undefined) return required(policy, answer.reason, 'tlsa-invalid')
      const invalidTlsa = { records: answer.records, base: answer.base }
      return policy.level === 'opportunistic'
        ? { ...policy, level: 'encrypted', clearText: false, reason: answer.reason, invalidTlsa }
        : { ...policy, invalidTlsa }
    }
    case 'usable': {
      const { records, base, reason } = answer
      const level = policy.level === 'verified' ? 'verified' : 'dane'
      const both = level === 'verified' || route !== undefined ? `${policy.reason}; ${reason}` : reason
      return { level, clearText: false, final: policy.final, reason: both, dane: { records, base } }
    }
    default:
      return answer satisfies never
  }
}

/** RFC 7672 §6: mandatory DANE, and the host has not got what it takes. */
function required(policy: TlsPolicy, why: string, failure: 'dane-required' | 'tlsa-invalid'): Objection {
  const diagnostic = `DANE is required (${policy.reason}): ${why}`
  return { about: 'TLSA', status: refusal(policy), diagnostic, failure }
}

function none(reason: string): DaneAnswer {
  return { kind: 'none', reason }
}
