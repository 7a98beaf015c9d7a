/**
 * Which destinations lead to which site, and how many jobs may be begun for each. A destination whose site is not known
 * gets one job, which finds out; the others wait on disk meanwhile.
 */

import type { Shape } from './shape.ts'
import { Site } from './site.ts'

/** MX sets seldom change; when one did, the next job learns it. */
const KNOWN_MS = 3600_000
/** Of each kind; the longest unused goes first. */
const MAX_KEPT = 20_000

export class Sites {
  readonly #shapeOf: (destination: string, hosts: readonly string[]) => Shape
  readonly #now: () => number
  readonly #sites = new Map<string, Site>()
  readonly #known = new Map<string, { readonly site: Site; readonly learnedMs: number }>()
  /** Destinations of which a job is finding out the site. */
  readonly #unknown = new Map<string, number>()

  constructor(options: {
    shapeOf: (destination: string, hosts: readonly string[]) => Shape
    now: () => number
  }) {
    this.#shapeOf = options.shapeOf
    this.#now = options.now
  }

  /** How many more jobs of the destination may be begun at this moment. */
  room(destination: string): number {
    const site = this.#siteOf(destination)
    if (site !== undefined) return site.room(this.#now())
    return 1 - (this.#unknown.get(destination) ?? 0)
  }

  /** A job of the destination begins. */
  enter(destination: string): Place {
    const site = this.#siteOf(destination) ?? null
    if (site === null) this.#unknown.set(destination, (this.#unknown.get(destination) ?? 0) + 1)
    else site.enter(this.#now())
    return new Place(this, destination, site)
  }

  /** When there is room again by time alone at a site that had none, in ms from now; null: nowhere. */
  roomInMs(): number | null {
    const nowMs = this.#now()
    let soonest: number | null = null
    for (const site of this.#sites.values()) {
      const waitMs = site.roomInMs(nowMs)
      if (waitMs > 0 && (soonest === null || waitMs < soonest)) soonest = waitMs
    }
    return soonest
  }

  close(): void {
    for (const site of this.#sites.values()) site.links.close()
  }

  /** For `Place`: the site of these hosts, which is the destination's from now on. */
  learn(destination: string, hosts: readonly string[]): Site {
    const key = siteKey(hosts)
    const shape = this.#shapeOf(destination, hosts)
    let site = this.#sites.get(key)
    // A rule for one domain does not bind the others at its hosts.
    if (site === undefined || !(site.shape === shape || sameShape(site.shape, shape))) {
      const own = `${key} (${destination})`
      site = site === undefined ? new Site(key, shape) : (this.#sites.get(own) ?? new Site(own, shape))
    }
    keep(this.#sites, site.key, site, ({ jobs, links }) => jobs === 0 && links.count === 0)
    keep(this.#known, destination, { site, learnedMs: this.#now() }, () => true)
    return site
  }

  /** For `Place`. */
  forget(destination: string): void {
    const others = (this.#unknown.get(destination) ?? 1) - 1
    if (others > 0) this.#unknown.set(destination, others)
    else this.#unknown.delete(destination)
  }

  now(): number {
    return this.#now()
  }

  #siteOf(destination: string): Site | undefined {
    const known = this.#known.get(destination)
    if (known === undefined || this.#now() - known.learnedMs >= KNOWN_MS) return undefined
    return known.site
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

  /** The destination's hosts are known. Null: their site is full; the job is to be given back, and will come again. */
  arrive(hosts: readonly string[]): Site | null {
    const site = this.#sites.learn(this.#destination, hosts)
    if (site === this.#site) return site
    const nowMs = this.#sites.now()
    if (site.room(nowMs) <= 0) return null
    this.leave()
    this.#site = site
    site.enter(nowMs)
    return site
  }

  /** The job is over. */
  leave(): void {
    if (this.#site === null) this.#sites.forget(this.#destination)
    else this.#site.leave()
  }
}

/** @param hosts names of mail hosts, or an address literal */
export function siteKey(hosts: readonly string[]): string {
  return [...new Set(hosts.map(host => host.toLowerCase()))].sort().join(',')
}

function sameShape(one: Shape, other: Shape): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
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
