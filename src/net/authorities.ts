/**
 * Who serves a zone, and what each of them says. A record is public once every authoritative server has it (RFC
 * 1034 §4.3.5: secondaries follow in their own time) and nobody remembers any more that it was not there (RFC
 * 2308 §5); the primary alone knows neither.
 */

import type { DnsFailure, Interpretation } from '../dns/answer.ts'
import { canonicalName, sameName } from '../dns/name.ts'
import type { KnownData, RecordType, Soa } from '../dns/rdata.ts'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { type AskOptions, askPrimary } from './nsupdate.ts'
import type { QueryOptions, Resolver } from './resolver.ts'
import { Gate } from './resolver-servers.ts'

const DNS_PORT = 53
/** Thirteen servers, the most that zones have, with two addresses of each kind. */
const MAX_ADDRESSES = 52
/** Questions under way at a time, for one call of `askAuthorities`. */
const MAX_IN_FLIGHT = 8
const TIMEOUT_MS = 5000

export interface FoundZone {
  readonly kind: 'zone'
  /** Canonical: lower case, no final dot. */
  readonly zone: string
  readonly soa: Soa
  /** How long others remember that a name of the zone is not there (RFC 2308 §5). */
  readonly negativeTtlSeconds: number
}

/**
 * The zone that holds `name`, whether the name exists or not: the nearest name above it that has an SOA.
 */
export async function findZone(
  name: string,
  resolver: Resolver,
  options: QueryOptions = {},
): Promise<FoundZone | DnsFailure> {
  let zone: string
  try {
    zone = canonicalName(name)
  } catch (error) {
    return { kind: 'failure', code: 'NAME', reason: (error as Error).message }
  }
  for (; zone !== ''; zone = parentOf(zone)) {
    const found = await resolver.query(zone, 'SOA', options)
    if (found.kind === 'failure') return found
    // An SOA that a CNAME led to is another zone's.
    const [soa] = found.kind === 'answer' && sameName(found.name, zone) ? found.records : []
    if (soa !== undefined && found.kind === 'answer') {
      const negativeTtlSeconds = Math.min(found.ttlSeconds, soa.minimum)
      return { kind: 'zone', zone, soa, negativeTtlSeconds }
    }
  }
  return { kind: 'failure', code: 'NAME', reason: `${name} is in no zone: no name above it has an SOA` }
}

/** The root is nobody's to change. */
function parentOf(name: string): string {
  return name === '.' ? '' : name.split('.').slice(1).join('.')
}

/** One address of one of a zone's name servers; or a name server that has none, with the reason. */
export type Authority =
  | { readonly server: string; readonly endpoint: Endpoint }
  | { readonly server: string; readonly failure: DnsFailure }

export interface FoundAuthorities {
  readonly kind: 'authorities'
  readonly authorities: readonly Authority[]
}

export interface PortOption {
  /** Where authoritative servers answer; 53 but in tests. */
  readonly port?: number
}

/** The NS set of a zone and every address of each, as the resolver has them. */
export async function findAuthorities(
  zone: string,
  resolver: Resolver,
  options: PortOption = {},
): Promise<FoundAuthorities | DnsFailure> {
  const found = await resolver.query(zone, 'NS')
  if (found.kind === 'failure') return found
  if (found.kind !== 'answer' || !sameName(found.name, zone)) {
    return { kind: 'failure', code: 'NAME', reason: `${zone} has no NS records: is it the name of a zone?` }
  }
  const servers = [...new Set(found.records.map(server => server.toLowerCase()))].sort()
  const perServer = await Promise.all(servers.map(server => addressesOf(server, resolver, options)))
  const authorities = perServer.flat()
  // What is not asked is not known to agree.
  for (const [at, authority] of authorities.entries()) {
    if (at < MAX_ADDRESSES) continue
    const reason = `${authority.server}: not asked, ${zone} has more than ${MAX_ADDRESSES} addresses of servers`
    authorities[at] = { server: authority.server, failure: { kind: 'failure', code: 'REFUSED', reason } }
  }
  return { kind: 'authorities', authorities }
}

/** Servers named by the operator in place of the NS set: a hidden primary, another port. */
export function authoritiesAt(endpoints: readonly Endpoint[]): FoundAuthorities {
  const authorities = endpoints.map(endpoint => ({ server: formatEndpoint(endpoint), endpoint }))
  return { kind: 'authorities', authorities }
}

async function addressesOf(
  server: string,
  resolver: Resolver,
  { port = DNS_PORT }: PortOption,
): Promise<Authority[]> {
  const found = await resolver.addresses(server)
  if (found.kind === 'answer')
    return found.records.map(({ address }) => ({ server, endpoint: { host: address, port } }))
  const none = { kind: 'failure', code: 'NAME', reason: `${server} has no address` } as const
  return [{ server, failure: found.kind === 'failure' ? found : none }]
}

/**
 * What one address says: records, NODATA or NXDOMAIN with the time others remember that, a CNAME that leads
 * elsewhere, or why there is no answer. `NOROUTE`: it cannot be reached from here whatever it has.
 */
export interface AuthorityAnswer<T> {
  readonly server: string
  readonly endpoint?: Endpoint
  readonly answer: Interpretation<T>
}

export interface AskAuthoritiesOptions extends Pick<AskOptions, 'random' | 'signal'> {
  /** For one server, default 5 s for each of UDP and TCP. */
  readonly timeoutMs?: number
}

/**
 * Every one is asked, at most eight at a time: over UDP, and over TCP where that is silent or truncated. The
 * answers are in the order of the authorities.
 */
export function askAuthorities<T extends RecordType>(
  { authorities }: FoundAuthorities,
  name: string,
  type: T,
  options: AskAuthoritiesOptions = {},
): Promise<AuthorityAnswer<KnownData[T]>[]> {
  const gate = new Gate(MAX_IN_FLIGHT)
  return Promise.all(
    authorities.map(async authority => {
      const { server } = authority
      if ('failure' in authority) return { server, answer: authority.failure }
      const { endpoint } = authority
      return { server, endpoint, answer: await gate.run(() => askOne(endpoint, name, type, options)) }
    }),
  )
}

async function askOne<T extends RecordType>(
  endpoint: Endpoint,
  name: string,
  type: T,
  options: AskAuthoritiesOptions,
): Promise<Interpretation<KnownData[T]>> {
  const how = { timeoutMs: TIMEOUT_MS, ...options }
  const answer = await askPrimary(endpoint, name, type, { ...how, transport: 'udp' })
  if (answer.kind !== 'failure' || answer.code !== 'TIMEOUT') return answer
  return askPrimary(endpoint, name, type, { ...how, transport: 'tcp' })
}

/**
 * Who does not agree, and why, in words; empty: every name server of the zone does, so the whole world sees the
 * same. An address without a route from here (IPv6 where there is none) does not count as long as the same
 * server has another that does.
 *
 * @param objection what is wrong with an answer that is no failure, `null` where it is as it should be
 */
export function objections<T>(
  answers: readonly AuthorityAnswer<T>[],
  objection: (answer: Exclude<Interpretation<T>, DnsFailure>) => string | null,
): string[] {
  if (answers.length === 0) return ['no authoritative server is known']
  return answers.flatMap(({ server, endpoint, answer }) => {
    if (answer.kind !== 'failure') {
      const reason = objection(answer)
      return reason === null ? [] : [`${label(server, endpoint)} ${reason}`]
    }
    const reached = answers.some(
      other =>
        other.server === server && !(other.answer.kind === 'failure' && other.answer.code === 'NOROUTE'),
    )
    return answer.code === 'NOROUTE' && reached ? [] : [answer.reason]
  })
}

function label(server: string, endpoint: Endpoint | undefined): string {
  const address = endpoint === undefined ? '' : formatEndpoint(endpoint)
  return address === '' || address === server ? server : `${server} (${address})`
}

export interface FoundPrimary extends Omit<FoundZone, 'kind'> {
  readonly kind: 'primary'
  /** An address of the SOA's MNAME that has answered for the zone. */
  readonly primary: Endpoint
}

/**
 * The primary server of the zone that holds `name`, RFC 2136 §4.3: its SOA's MNAME. Where the MNAME is made up,
 * as with a hidden primary, there is none to be found, and it must be configured.
 */
export async function findPrimary(
  name: string,
  resolver: Resolver,
  options: PortOption & AskAuthoritiesOptions = {},
): Promise<FoundPrimary | DnsFailure> {
  const found = await findZone(name, resolver)
  if (found.kind === 'failure') return found
  const { zone, soa } = found
  const reasons: string[] = []
  for (const candidate of await addressesOf(soa.mname, resolver, options)) {
    if ('failure' in candidate) {
      reasons.push(candidate.failure.reason)
      continue
    }
    const answer = await askOne(candidate.endpoint, zone, 'SOA', options)
    if (answer.kind === 'answer') return { ...found, kind: 'primary', primary: candidate.endpoint }
    reasons.push(
      answer.kind === 'failure'
        ? answer.reason
        : `${formatEndpoint(candidate.endpoint)} has no SOA of ${zone}`,
    )
  }
  return {
    kind: 'failure',
    code: 'NETWORK',
    reason: `the primary of ${zone} is ${soa.mname}, by its SOA, and does not answer: ${reasons.join('; ')}`,
  }
}
