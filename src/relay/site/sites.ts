/**
 * Which destinations lead to which site, and what may be begun for each. A destination whose site is not known gets one
 * job, which finds out; the others wait on disk meanwhile. One without room is parked in the queue, so that it costs
 * nothing however much waits for it, and taken out again when there is room.
 */

import type { Hold, Skip } from '../../queue/queue.ts'
import { domainOf } from '../destination.ts'
import { Idle } from './idle.ts'
import type { Shape } from './shape.ts'
import { Site } from './site.ts'

/** MX sets seldom change; when one did, the next job learns it. */
const KNOWN_MS = 3600_000
/** Of each kind; the longest unused goes first. */
const MAX_KEPT = 20_000

export interface SitesOptions {
  readonly shapeOf: (destination: string, hosts: readonly string[]) => Shape
  readonly now: () => number
  /** There may be room again for a destination that was parked. */
  readonly unpark: (destination: string) => void
  /** Open connections that wait for work, of all sites together. */
  readonly mostIdle?: number
}

const MOST_IDLE = 500

export class Sites {
  readonly #options: SitesOptions
  readonly #idle: Idle
  readonly #sites = new Map<string, Site>()
  readonly #known = new Map<string, { readonly site: Site; readonly learnedMs: number }>()
  /** Destinations of which a job is finding out the site, by `unknownKey`. */
  readonly #unknown = new Set<string>()
  /** Destinations without room, by the key of their site; those that are not known yet, by `unknownKey`. */
  readonly #parked = new Map<string, Set<string>>()
  /** Destinations of which a job found no room at a site that is not theirs, and the key of that site. */
  readonly #astray = new Map<string, string>()
  #held: ReadonlyMap<string, Hold> = new Map()

  constructor(options: SitesOptions) {
    this.#options = options
    this.#idle = new Idle(options.mostIdle ?? MOST_IDLE)
  }

  /** For one lease: asked before each job is taken, so it counts what it gives. */
  round(): (destination: string) => Skip {
    const nowMs = this.#options.now()
    const taken = new Map<string, number>()
    return destination => {
      const site = this.#waitedFor(destination, nowMs) ?? this.#siteOf(destination, nowMs)
      const key = site?.key ?? unknownKey(destination)
      const before = taken.get(key) ?? 0
      const room = site === undefined ? (this.#unknown.has(key) ? 0 : 1) : this.#roomAt(site, nowMs)
      if (before < room) {
        taken.set(key, before + 1)
        return false
      }
      const parked = this.#parked.get(key)
      if (parked === undefined) this.#parked.set(key, new Set([destination]))
      else parked.add(destination)
      return 'park'
    }
  }

  /** A job of the destination begins. */
  enter(destination: string): Place {
    const nowMs = this.#options.now()
    const site = this.#siteOf(destination, nowMs) ?? null
    if (site === null) this.#unknown.add(unknownKey(destination))
    else site.enter(nowMs)
    return new Place(this, destination, site)
  }

  /** What an operator holds: nothing is begun there. */
  hold(holds: readonly Hold[]): void {
    const held = new Map(holds.filter(({ kind }) => kind === 'site').map(hold => [hold.name, hold]))
    const lifted = [...this.#held.keys()].filter(key => !held.has(key))
    this.#held = held
    for (const key of lifted) this.#release(key, Number.POSITIVE_INFINITY)
  }

  /**
   * Time has passed: who waited for no more than that may go on.
   * @returns when there may be room again by time alone, in ms from now: 0, some may go on now; null: for nobody
   */
  tick(): number | null {
    const nowMs = this.#options.now()
    let soonest: number | null = null
    for (const key of this.#parked.keys()) {
      const site = this.#sites.get(key)
      if (site === undefined) {
        if (this.#unknown.has(key)) continue
        this.#release(key, Number.POSITIVE_INFINITY)
        soonest = 0
        continue
      }
      const room = this.#roomAt(site, nowMs)
      const waitMs = site.roomInMs(nowMs)
      if (room > 0) {
        this.#release(key, room)
        soonest = 0
      } else if (waitMs > 0 && waitMs < (soonest ?? Number.POSITIVE_INFINITY)) soonest = waitMs
    }
    return soonest
  }

  /** The rules have changed: sites are made anew. What is under way ends as it began. */
  renew(): void {
    this.close()
    this.#sites.clear()
    this.#known.clear()
    for (const key of [...this.#parked.keys()]) this.#release(key, Number.POSITIVE_INFINITY)
  }

  close(): void {
    for (const site of this.#sites.values()) site.links.close()
  }

  /** For `Place`: the site of these hosts, which is the destination's from now on. */
  learn(destination: string, hosts: readonly string[], pool: string): Site {
    const site = this.find(destination, hosts, pool)
    keep(this.#known, destination, { site, learnedMs: this.#options.now() }, () => true)
    return site
  }

  /** For `Place`: the site of these hosts. */
  find(destination: string, hosts: readonly string[], pool: string): Site {
    const shape = this.#options.shapeOf(domainOf(destination), hosts)
    const key = pool === '' ? siteKey(hosts) : `${siteKey(hosts)} from ${pool}`
    let site = this.#sites.get(key)
    // A rule for one domain does not bind the others at its hosts.
    if (site !== undefined && site.shape !== shape) site = this.#sites.get(`${key} (${destination})`)
    if (site === undefined)
      site = new Site(this.#sites.has(key) ? `${key} (${destination})` : key, shape, this.#idle)
    keep(this.#sites, site.key, site, ({ jobs, links }) => jobs === 0 && links.count === 0)
    return site
  }

  /** For `Place`: the next job of the destination waits until there is room at the site, which is not its own. */
  waitFor(destination: string, site: Site): void {
    this.#astray.set(destination, site.key)
  }

  /** For `Place`: a job has left, or never came that far. */
  left(destination: string, site: Site | null): void {
    if (site === null) {
      const key = unknownKey(destination)
      this.#unknown.delete(key)
      this.#release(key, Number.POSITIVE_INFINITY)
    } else this.#release(site.key, this.#roomAt(site, this.#options.now()))
  }

  /** For `Place`. */
  hasRoom(site: Site): boolean {
    return this.#roomAt(site, this.#options.now()) > 0
  }

  now(): number {
    return this.#options.now()
  }

  #roomAt(site: Site, nowMs: number): number {
    const hold = this.#held.get(site.key)
    if (hold !== undefined && (hold.untilMs === null || nowMs < hold.untilMs)) return 0
    return site.room(nowMs)
  }

  #release(key: string, most: number): void {
    const parked = this.#parked.get(key)
    if (parked === undefined) return
    let left = most
    for (const destination of parked) {
      if (left-- <= 0) return
      // What is looked at again and parked again comes last: destinations of a site take turns.
      parked.delete(destination)
      this.#options.unpark(destination)
    }
    this.#parked.delete(key)
  }

  #waitedFor(destination: string, nowMs: number): Site | undefined {
    const key = this.#astray.get(destination)
    const site = key === undefined ? undefined : this.#sites.get(key)
    if (site !== undefined && this.#roomAt(site, nowMs) <= 0) return site
    this.#astray.delete(destination)
    return undefined
  }

  #siteOf(destination: string, nowMs: number): Site | undefined {
    const known = this.#known.get(destination)
    return known === undefined || nowMs - known.learnedMs >= KNOWN_MS ? undefined : known.site
  }
}

/** One job's place: at its destination while the site is not known, then at the site. */
export class Place {
  readonly #sites: Sites
  readonly #destination: string
  #site: Site | null

  constructor(sites: Sites, destination: string, site: Site | null) {
    this.#sites = sites
    this.#destination = destination
    this.#site = site
  }

  /**
   * The destination's hosts are known. Null: their site is full; the job is to be given back, and will come again.
   * @param pool of the addresses we send from; '' where there is one for all
   */
  arrive(hosts: readonly string[], pool = ''): Site | null {
    return this.#goTo(this.#sites.learn(this.#destination, hosts, pool))
  }

  /** The same where the hosts are not those of the destination: another job of it goes where it went before. */
  stray(hosts: readonly string[], pool = ''): Site | null {
    const site = this.#sites.find(this.#destination, hosts, pool)
    const arrived = this.#goTo(site)
    if (arrived === null) this.#sites.waitFor(this.#destination, site)
    return arrived
  }

  #goTo(site: Site): Site | null {
    if (site === this.#site) return site
    if (!this.#sites.hasRoom(site)) return null
    this.leave()
    this.#site = site
    site.enter(this.#sites.now())
    return site
  }

  /** The job is over. */
  leave(): void {
    this.#site?.leave()
    this.#sites.left(this.#destination, this.#site)
  }
}

/** @param hosts names of mail hosts, or an address literal */
export function siteKey(hosts: readonly string[]): string {
  return [...new Set(hosts.map(host => host.toLowerCase()))].sort().join(',')
}

/** A domain without MX records is called like the site of its one host: who waits for the one must not be let go by the other. */
function unknownKey(destination: string): string {
  return `? ${destination}`
}

/** Puts it last, and takes out the first that may go when there are too many. */
function keep<T>(map: Map<string, T>, key: string, value: T, mayGo: (value: T) => boolean): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= MAX_KEPT) return
  for (const [oldest, kept] of map) {
    if (!mayGo(kept)) continue
    map.delete(oldest)
    return
  }
}
