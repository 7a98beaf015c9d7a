/**
 * The DNS as whoever changes it must see it: what the primary of a zone has, for that is what an update meets, and
 * which of the zone's servers do not have the same.
 */

import type { Interpretation } from '../dns/answer.ts'
import { sameName } from '../dns/name.ts'
import { type KnownData, txtText } from '../dns/rdata.ts'
import {
  askAuthorities,
  authoritiesAt,
  type FoundAuthorities,
  type FoundPrimary,
  findAuthorities,
  findPrimary,
  findZone,
} from '../net/authorities.ts'
import type { Endpoint } from '../net/endpoint.ts'
import { askPrimary } from '../net/nsupdate.ts'
import type { Resolver } from '../net/resolver.ts'
import { type Rr, srvRr, txtRr, type WrittenType } from './finding.ts'
import { Ownership, ownershipName } from './ownership.ts'

export interface ViewOptions {
  readonly resolver: Resolver
  /**
   * The primary of a zone, which need not say so in its SOA, and of other zones that it answers for; of the rest the
   * MNAME is taken.
   */
  readonly primary?: { readonly zone: string; readonly endpoint: Endpoint }
  /** The servers of the first, in place of its NS records. */
  readonly authoritative?: readonly Endpoint[]
  /** Where the servers of all zones answer: 53, but in tests. */
  readonly port?: number
  readonly timeoutMs?: number
}

export interface Seen {
  readonly kind: 'seen'
  readonly zone: string
  readonly primary: Endpoint
  readonly records: readonly Rr[]
  /** Of the RRset, where there is one. */
  readonly ttlSeconds: number | null
  /** The name is an alias: what is there is somebody else's to say, and here as the resolver has it. */
  readonly alias: { readonly target: string; readonly records: readonly Rr[] } | null
  readonly ownership: Ownership
  /** Servers of the zone that have something else, in words. */
  readonly lagging: readonly string[]
  /** Servers of the zone that do not answer. */
  readonly silent: readonly string[]
}

export interface Unseen {
  readonly kind: 'unseen'
  readonly reason: string
}

export interface ZoneServers {
  readonly zone: string
  readonly primary: Endpoint
  readonly authorities: FoundAuthorities
}

export class View {
  readonly #options: ViewOptions
  /** By name and by zone; they do not move while a command runs. */
  readonly #places = new Map<string, Promise<ZoneServers | Unseen>>()
  readonly #zones = new Map<string, Promise<ZoneServers | Unseen>>()

  constructor(options: ViewOptions) {
    this.#options = options
  }

  get resolver(): Resolver {
    return this.#options.resolver
  }

  /** The zone, its primary, and what all its servers have at this name. Nothing is remembered. */
  async look(name: string, type: WrittenType): Promise<Seen | Unseen> {
    const servers = await this.place(name)
    if ('reason' in servers) return servers
    const { zone, primary } = servers
    const [found, list] = await Promise.all([
      this.#ask(primary, name, type),
      this.#ask(primary, ownershipName(zone), 'TXT'),
    ])
    if (found.kind === 'failure') return { kind: 'unseen', reason: found.reason }
    if (list.kind === 'failure') return { kind: 'unseen', reason: list.reason }
    const cname = aliasOf(found, name)
    const behind = cname === null ? null : await this.#options.resolver.query(name, type)
    if (behind?.kind === 'failure') return { kind: 'unseen', reason: behind.reason }
    const records = cname === null && found.kind === 'answer' ? found.records.map(toRr) : []
    const entries = list.kind === 'answer' && aliasOf(list, ownershipName(zone)) === null ? list.records : []
    return {
      kind: 'seen',
      zone,
      primary,
      records,
      ttlSeconds: records.length > 0 && found.kind === 'answer' ? found.ttlSeconds : null,
      alias:
        cname === null
          ? null
          : { target: cname, records: behind?.kind === 'answer' ? behind.records.map(toRr) : [] },
      ownership: new Ownership(entries.map(data => toRr(data).text)),
      ...(await this.#compare(servers, name, type, { cname, records })),
    }
  }

  async #compare(
    { authorities }: ZoneServers,
    name: string,
    type: WrittenType,
    expected: { readonly cname: string | null; readonly records: readonly Rr[] },
  ): Promise<Pick<Seen, 'lagging' | 'silent'>> {
    const answers = await askAuthorities(authorities, name, type, this.#timeout())
    const lagging = new Set<string>()
    const silent = new Set<string>()
    for (const { server, answer } of answers) {
      // An address that cannot be reached from here is no news of the server, if another one is.
      if (answer.kind === 'failure') {
        const others = answers.filter(other => other.server === server && other.answer.kind !== 'failure')
        if (answer.code !== 'NOROUTE' || others.length === 0) silent.add(answer.reason)
        continue
      }
      const cname = aliasOf(answer, name)
      const records = cname === null && answer.kind === 'answer' ? answer.records.map(toRr) : []
      if (cname === expected.cname && sameRecords(records, expected.records)) continue
      lagging.add(`${server} has ${records.length === 0 ? 'nothing' : 'something else'}`)
    }
    return { lagging: [...lagging], silent: [...silent] }
  }

  /** The zone that holds a name, and its servers. */
  place(name: string): Promise<ZoneServers | Unseen> {
    // The name itself is not asked for: a resolver would remember that it is not there yet (RFC 2308 §5).
    const owner = name.replace(/^(?:.*\.)?_[^.]*\./, '')
    return remembered(this.#places, owner, async () => {
      const found = await findZone(owner, this.#options.resolver)
      if (found.kind === 'failure') return { kind: 'unseen', reason: found.reason }
      return remembered(this.#zones, found.zone, () => this.#serversOf(found.zone))
    })
  }

  async #serversOf(zone: string): Promise<ZoneServers | Unseen> {
    const { resolver, primary: configured, authoritative = [] } = this.#options
    const own = configured !== undefined && (await this.#isPrimaryOf(configured, zone))
    const primary = own ? configured.endpoint : await this.#mname(zone)
    if ('reason' in primary) return primary
    if (authoritative.length > 0 && configured !== undefined && sameName(zone, configured.zone))
      return { zone, primary, authorities: authoritiesAt(authoritative) }
    const servers = await findAuthorities(zone, resolver, this.#port())
    if (servers.kind === 'failure') return { kind: 'unseen', reason: servers.reason }
    // The primary is where the configuration says, which may be another port than 53.
    const authorities = servers.authorities.map(authority =>
      'endpoint' in authority && authority.endpoint.host === primary.host
        ? { ...authority, endpoint: primary }
        : authority,
    )
    return { zone, primary, authorities: { kind: 'authorities', authorities } }
  }

  /** Of its own zone it is whatever it says; of another one if it answers for that. */
  async #isPrimaryOf(configured: { zone: string; endpoint: Endpoint }, zone: string): Promise<boolean> {
    if (sameName(zone, configured.zone)) return true
    const found = await askPrimary(configured.endpoint, zone, 'SOA', this.#timeout())
    return found.kind === 'answer' && sameName(found.name, zone)
  }

  async #mname(zone: string): Promise<Endpoint | Unseen> {
    const found: FoundPrimary | { reason: string } = await findPrimary(zone, this.#options.resolver, {
      ...this.#port(),
      ...this.#timeout(),
    })
    return 'reason' in found ? { kind: 'unseen', reason: found.reason } : found.primary
  }

  #ask(server: Endpoint, name: string, type: 'TXT' | 'SRV') {
    return askPrimary(server, name, type, this.#timeout())
  }

  #port() {
    return this.#options.port === undefined ? {} : { port: this.#options.port }
  }

  #timeout() {
    return this.#options.timeoutMs === undefined ? {} : { timeoutMs: this.#options.timeoutMs }
  }
}

function remembered<T>(memory: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  const known = memory.get(key)
  if (known !== undefined) return known
  const made = make()
  memory.set(key, made)
  return made
}

type Data = KnownData['TXT'] | KnownData['SRV']

function aliasOf(found: Interpretation<unknown>, name: string): string | null {
  if (found.kind !== 'alias' && found.kind !== 'answer') return null
  return sameName(found.name, name) ? null : found.name
}

export function toRr(data: Data): Rr {
  return 'target' in data ? srvRr(data) : txtRr(txtText(data), data)
}

/** In any order. */
export function sameRecords(some: readonly Rr[], others: readonly Rr[]): boolean {
  const texts = (records: readonly Rr[]): string => JSON.stringify(records.map(({ text }) => text).toSorted())
  return texts(some) === texts(others)
}
