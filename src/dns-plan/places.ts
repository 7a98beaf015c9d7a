/** Whose a name is: its zone, the primary that takes changes, the servers that must all have them. */

import type { DnsFailure } from '../dns/answer.ts'
import { sameName } from '../dns/name.ts'
import {
  authoritiesAt,
  type FoundAuthorities,
  findAuthorities,
  findPrimary,
  findZone,
} from '../net/authorities.ts'
import type { Endpoint } from '../net/endpoint.ts'
import { askPrimary } from '../net/nsupdate.ts'
import type { Resolver } from '../net/resolver.ts'

export interface PlaceOptions {
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

export interface Place {
  readonly zone: string
  /** That answers, or why there is none: what is hosted elsewhere can be looked at all the same. */
  readonly primary: Endpoint | DnsFailure
  readonly authorities: FoundAuthorities
}

export class Places {
  readonly #options: PlaceOptions
  /** By name and by zone; they do not move while a command runs. */
  readonly #places = new Map<string, Promise<Place | DnsFailure>>()
  readonly #zones = new Map<string, Promise<Place | DnsFailure>>()

  constructor(options: PlaceOptions) {
    this.#options = options
  }

  of(name: string): Promise<Place | DnsFailure> {
    // The name itself is not asked for: a resolver would remember that it is not there yet (RFC 2308 §5).
    const owner = name.replace(/^(?:.*\.)?_[^.]*\./, '')
    return remembered(this.#places, owner, async () => {
      const found = await findZone(owner, this.#options.resolver)
      if (found.kind === 'failure') return found
      return remembered(this.#zones, found.zone, () => this.#find(found.zone))
    })
  }

  async #find(zone: string): Promise<Place | DnsFailure> {
    const { resolver, primary: configured, authoritative = [] } = this.#options
    const primary = await this.#primaryOf(zone)
    if (authoritative.length > 0 && configured !== undefined && sameName(zone, configured.zone))
      return { zone, primary, authorities: authoritiesAt(authoritative) }
    const servers = await findAuthorities(zone, resolver, this.#port())
    if (servers.kind === 'failure') return servers
    // The primary is where the configuration says, which may be another port than 53.
    const authorities = servers.authorities.map(authority =>
      'endpoint' in authority && 'host' in primary && authority.endpoint.host === primary.host
        ? { ...authority, endpoint: primary }
        : authority,
    )
    return { zone, primary, authorities: { kind: 'authorities', authorities } }
  }

  async #primaryOf(zone: string): Promise<Endpoint | DnsFailure> {
    const { resolver, primary: configured } = this.#options
    if (configured !== undefined) {
      const found = await askPrimary(configured.endpoint, zone, 'SOA', this.#timeout())
      if (found.kind === 'answer' && sameName(found.name, zone)) return configured.endpoint
      if (sameName(zone, configured.zone))
        return found.kind === 'failure'
          ? found
          : { kind: 'failure', code: 'NOTAUTH', reason: `the primary that is configured has no zone ${zone}` }
    }
    const found = await findPrimary(zone, resolver, { ...this.#port(), ...this.#timeout() })
    return found.kind === 'failure' ? found : found.primary
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
