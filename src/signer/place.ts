/**
 * Where the records of a domain are: its zone, the primary that takes changes, the servers that must all serve them. From
 * ptt.toml for the deployment's own domain; for the others of the directory found by asking.
 */

import { isInZone, sameName } from '../dns/name.ts'
import { authoritiesAt, type FoundAuthorities, findAuthorities, findPrimary } from '../net/authorities.ts'
import type { Endpoint } from '../net/endpoint.ts'
import { askPrimary } from '../net/nsupdate.ts'
import type { Resolver } from '../net/resolver.ts'
import type { Place } from './look.ts'

export interface PlaceOptions {
  /** The zone of the deployment's domain. */
  readonly zone: string
  /** The primary; of other zones too, if it has them. */
  readonly primary: Endpoint
  /** Ask the SOA for the primary instead (RFC 2136 §4.3). */
  readonly primaryFrom: 'here' | 'soa'
  /** The authoritative servers of `zone`, in place of its NS records; none: by these. */
  readonly authoritative: readonly Endpoint[]
  /** Without one only the primary is asked. */
  readonly resolver: Resolver | undefined
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export type FoundPlace = Place | { readonly kind: 'failure'; readonly code: string; readonly reason: string }

/** The place of a domain. Asked anew each time: zones move, and servers are added. */
export async function placeOf(domain: string, options: PlaceOptions): Promise<FoundPlace> {
  const found = await primaryOf(domain, options)
  if ('kind' in found) return found
  const { zone, primary } = found
  const authorities = await authoritiesOf(zone, primary, options)
  return authorities.kind === 'failure' ? authorities : { zone, primary, authorities }
}

type Primary = Pick<Place, 'zone' | 'primary'>
type Failure = Extract<FoundPlace, { kind: 'failure' }>

async function primaryOf(domain: string, options: PlaceOptions): Promise<Primary | Failure> {
  const { zone, primary, resolver } = options
  if (options.primaryFrom === 'soa') {
    if (resolver === undefined)
      return failure('NAME', 'primary_from = "soa" needs a resolver: write resolver below [signer]')
    const found = await findPrimary(domain, resolver, asking(options))
    return found.kind === 'failure' ? found : { zone: found.zone, primary: found.primary }
  }
  if (isInZone(domain, zone)) return { zone, primary }
  // The nearest name above it that our primary has an SOA of.
  for (let name = domain; name !== ''; name = name.split('.').slice(1).join('.')) {
    const answer = await askPrimary(primary, name, 'SOA', asking(options))
    if (answer.kind === 'answer' && sameName(answer.name, name)) return { zone: name, primary }
    // What it is not authoritative for it refuses, or sends us elsewhere.
    const elsewhere =
      answer.kind !== 'failure' || ['REFUSED', 'NOTAUTH', 'REFERRAL', 'RCODE'].includes(answer.code)
    if (!elsewhere) return answer
  }
  if (resolver === undefined)
    return failure(
      'NAME',
      `the primary has no zone that ${domain} is in, and there is no resolver to find another`,
    )
  const found = await findPrimary(domain, resolver, asking(options))
  return found.kind === 'failure' ? found : { zone: found.zone, primary: found.primary }
}

async function authoritiesOf(
  zone: string,
  primary: Endpoint,
  options: PlaceOptions,
): Promise<FoundAuthorities | Failure> {
  if (options.authoritative.length > 0 && sameName(zone, options.zone))
    return authoritiesAt(options.authoritative)
  if (options.resolver === undefined) return authoritiesAt([primary])
  const found = await findAuthorities(zone, options.resolver)
  if (found.kind === 'failure') return found
  // The primary is where ptt.toml says, which may be another port than 53.
  const authorities = found.authorities.map(authority =>
    'endpoint' in authority && authority.endpoint.host === primary.host
      ? { ...authority, endpoint: primary }
      : authority,
  )
  return { kind: 'authorities', authorities }
}

function failure(code: string, reason: string): Failure {
  return { kind: 'failure', code, reason }
}

function asking({ timeoutMs, signal }: PlaceOptions): { timeoutMs?: number; signal?: AbortSignal } {
  return {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(signal === undefined ? {} : { signal }),
  }
}
