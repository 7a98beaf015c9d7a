/**
 * Where a destination's mail goes, RFC 5321 §5.1: from its name to hosts, from a host to addresses. "Does not exist" is
 * an answer and bounces; "could not be asked" is none and defers. The two are never mixed up.
 */

import type { RouteRule } from '../config/routes.ts'
import { betterThanOwn, mailHosts } from '../dns/mx.ts'
import type { Resolver } from '../net/resolver.ts'
import { addressOfLiteral, isAddressLiteral } from '../smtp/domain.ts'
import type { EnhancedStatusCode } from '../smtp/status.ts'

export type Route =
  | { readonly kind: 'hosts'; readonly hosts: readonly MailHost[] }
  /** Nothing to connect to; 5.x.x fails the recipients, 4.x.x defers them. */
  | { readonly kind: 'none'; readonly status: EnhancedStatusCode; readonly diagnostic: string }

export interface MailHost {
  readonly name: string
  /**
   * How we know that the destination means it: an MX record, `authenticated` by DNSSEC or not; `domain`: there is no MX
   * record, and it is the destination itself (RFC 5321 §5.1); `literal`: it was given as an address; `configured`: it is a smart
   * host that the operator has named.
   */
  readonly found: 'authenticated' | 'unauthenticated' | 'domain' | 'literal' | 'configured'
  /**
   * That the destination means it is sure, and what DNSSEC says of it can be believed: the answer to the MX question was
   * authenticated, or the operator has named it; and the resolver is one that we trust.
   */
  readonly secure: boolean
  /** The name that has the MX records, where the destination is an alias of it. */
  readonly owner?: string
  /** Of its MX record: the lower, the sooner (RFC 5321 §5.1). */
  readonly preference: number
  /** Known already for an address literal; else to be looked up. */
  readonly addresses: readonly string[] | null
  /** Of a smart host. */
  readonly route?: RouteRule
}

export type Addresses =
  | {
      readonly kind: 'addresses'
      readonly addresses: readonly string[]
      /** The name that has them, where the host's is an alias. */
      readonly name: string
      /** Authenticated by DNSSEC, aliases too. */
      readonly secure: boolean
    }
  | { readonly kind: 'none'; readonly status: EnhancedStatusCode; readonly diagnostic: string }

/**
 * What recipients are queued under: their domain, the pool of addresses that their sender's mail leaves from, and the smart
 * host that it goes through. What goes different ways has a line of its own: none waits for the room of another.
 * @param pool @param route names without spaces; '' where there is none
 */
export function destinationFor(domain: string, pool: string, route = ''): string {
  const from = pool === '' ? domain : `${domain}@${pool}`
  return route === '' ? from : `${from}${VIA}${route}`
}

const VIA = ' via '

export function domainOf(destination: string): string {
  const end = destination.search(/[@ ]/)
  return end < 0 ? destination : destination.slice(0, end)
}

/** '' where there is none. */
export function poolOf(destination: string): string {
  return /^[^@ ]*@([^ ]*)/.exec(destination)?.[1] ?? ''
}

/** The name of the smart host's route; '' where it goes to the MX hosts. */
export function routeOf(destination: string): string {
  const at = destination.indexOf(VIA)
  return at < 0 ? '' : destination.slice(at + VIA.length)
}

/** The resolver, and whether what it says of DNSSEC can be believed. */
export interface Lookup {
  readonly resolver: Pick<Resolver, 'mx' | 'addresses' | 'query'>
  /** The AD bit is only as good as the way to the resolver (RFC 4035 §4.9.3): believed over loopback. */
  readonly trusted: boolean
}

/**
 * @param domain in lower case with A-labels, or an address literal
 * @param self our own names: an MX that is us, and all that are no better, would be a loop (RFC 5321 §5.1)
 */
export async function route(
  domain: string,
  { resolver, trusted }: Lookup,
  self: readonly string[],
  random: () => number,
): Promise<Route> {
  if (isAddressLiteral(domain)) {
    const address = addressOfLiteral(domain)
    if (address === null) return none('5.1.2', `${domain} is an address literal of no kind we can reach`)
    return {
      kind: 'hosts',
      hosts: [{ name: domain, found: 'literal', secure: false, preference: 0, addresses: [address] }],
    }
  }
  const answer = await resolver.mx(domain)
  const found = mailHosts(domain, answer, random)
  switch (found.kind) {
    case 'no domain':
      return none('5.1.2', found.reason)
    case 'null mx':
      return none('5.1.10', found.reason)
    case 'unusable':
      return none('5.4.4', found.reason)
    case 'failure':
      return none('4.4.3', found.reason)
    case 'hosts':
      break
    default:
      return found satisfies never
  }
  const hosts = betterThanOwn(found.hosts, exchange =>
    self.some(name => name.toLowerCase() === exchange.toLowerCase()),
  )
  if (hosts.length === 0) return none('5.4.6', `mail for ${domain} loops back to us: ${self[0]} is its MX`)
  const secure = found.authenticated && trusted
  const byMx = secure ? 'authenticated' : 'unauthenticated'
  const owner = answer.kind === 'answer' ? { owner: answer.name } : {}
  return {
    kind: 'hosts',
    hosts: hosts.map(({ exchange, preference }) => ({
      name: exchange,
      preference,
      secure,
      found: found.implicit ? 'domain' : byMx,
      addresses: null,
      ...owner,
    })),
  }
}

/** Whom the certificate of a host may be for, beside its TLSA base domain: RFC 7672 §3.2.2. @param domain the next-hop domain */
export function namesOf({ name, owner, route }: MailHost, domain: string): string[] {
  // A smart host is nobody's MX: who has a certificate for the recipient's domain is not it.
  if (route !== undefined) return [name]
  return [name, domain, ...(owner === undefined ? [] : [owner])]
}

/** Whether all of the resolvers are on this machine. */
export function areTrusted(resolvers: readonly { readonly host: string }[]): boolean {
  return resolvers.every(({ host }) => /^(?:127(?:\.\d{1,3}){3}|::1|localhost)$/.test(host))
}

export async function addressesOf(host: MailHost, { resolver, trusted }: Lookup): Promise<Addresses> {
  if (host.addresses !== null)
    return { kind: 'addresses', addresses: host.addresses, name: host.name, secure: false }
  const answer = await resolver.addresses(host.name)
  switch (answer.kind) {
    case 'answer':
      return {
        kind: 'addresses',
        addresses: answer.records.map(record => record.address),
        name: answer.name,
        secure: answer.authenticated && trusted,
      }
    case 'failure':
      return none('4.4.3', `Address of ${host.name}: ${answer.code}, ${answer.reason}`)
    case 'nodata':
    case 'nxdomain':
      return none('5.4.4', `The mail host ${host.name} has no address`)
    default:
      return answer satisfies never
  }
}

function none(status: EnhancedStatusCode, diagnostic: string) {
  return { kind: 'none', status, diagnostic } as const
}
