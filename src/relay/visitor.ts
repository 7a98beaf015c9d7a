/**
 * NAME        a worker of the relay: goes to the hosts of sites with messages that it is given.
 * HOLDS       one message a visit, of a large one a piece at a time; open connections. No spool, no key; passwords of smart
 *             hosts where there are some.
 * REACHES     the relay's resolvers, the Internet's MXs, smart hosts.
 */

import type { RouteRule } from '../config/routes.ts'
import type { Config } from '../config/schema.ts'
import { scramCrypto } from '../directory/scram.ts'
import { Networks, UNREACHABLE } from '../net/networks.ts'
import { Resolver } from '../net/resolver.ts'
import type { Log } from '../observe/event.ts'
import type { StoredContent } from '../queue/queue.ts'
import { TIMEOUTS } from '../smtp/limits.ts'
import type { Channel } from '../workers/channel.ts'
import { areTrusted } from './destination.ts'
import { HostMemory } from './reach/host-memory.ts'
import { SignatureCheck } from './signature-check.ts'
import { Idle } from './site/idle.ts'
import { Links } from './site/links.ts'
import { type Errand, type SiteNotes, type VisitMeans, visit } from './visit.ts'
import type { Asked, Beginning, Note, Told } from './visitors.ts'

/** What is under way has so long to end. */
const GRACE_MS = 10_000
/** As many as anybody has, several times over. */
const MAX_ROUTES = 1000

/** @param workers of how many it is one */
export async function startVisitor(config: Config, log: Log, relay: Channel<Asked, Told>, workers: number) {
  const { relay: settings } = config
  const resolver = new Resolver({ servers: settings.resolver })
  const idle = new Idle(Math.ceil(settings.idleConnections / workers))
  const links = new SiteLinks(idle, (site, count) => relay.tell('links', { site, count }))
  const routes = new Map<string, RouteRule>()
  const underWay = new Set<Promise<unknown>>()
  // Asked at the end of all preparations: from now on errands may come.
  let replies = await relay.ask('replies', null)
  const means: VisitMeans = {
    lookup: { resolver, trusted: settings.resolverValidates ?? areTrusted(settings.resolver) },
    memory: new HostMemory(Date.now),
    privateNetworks: new Networks(settings.privateNetworks),
    unreachable: UNREACHABLE,
    ...(settings.verifySignatures ? { signatures: new SignatureCheck(resolver, Date.now, log) } : {}),
    ...(settings.tlsReports
      ? { tlsReports: { note: (outcome, { id }) => relay.tell('tls', { outcome, id }) } }
      : {}),
    get replies() {
      return replies
    },
    smtpPort: settings.smtpPort,
    connectMs: settings.connectMs,
    timeouts: { ...TIMEOUTS, ...config.timeouts },
    replyLineOctets: config.limits.replyLineOctets,
    scram: scramCrypto,
    now: Date.now,
    log,
  }
  relay
    .on('renew', rules => {
      replies = rules
      links.close()
    })
    .on('visit', async ({ number, errand, content }) => {
      const visiting = links.use(errand.site, own =>
        visit(
          withKnownRoutes(errand, routes),
          contentOf(relay, number, content),
          own,
          notesTo(relay, number),
          means,
        ),
      )
      underWay.add(visiting)
      try {
        return await visiting
      } finally {
        underWay.delete(visiting)
      }
    })
  log.event('started')
  return {
    reload: async () => {},
    async close() {
      log.event('stopping')
      let timer: NodeJS.Timeout | undefined
      const late = new Promise(resolve => {
        timer = setTimeout(resolve, GRACE_MS)
      })
      await Promise.race([Promise.allSettled(underWay), late])
      clearTimeout(timer)
      links.close()
      resolver.close()
      log.event('stopped')
    },
  }
}

/** The open connections of each site. */
class SiteLinks {
  readonly #idle: Idle
  readonly #changed: (site: string, count: number) => void
  readonly #sites = new Map<string, { shape: string; links: Links; visits: number }>()

  constructor(idle: Idle, changed: (site: string, count: number) => void) {
    this.#idle = idle
    this.#changed = changed
  }

  async use<T>({ key, shape }: Errand['site'], work: (links: Links) => Promise<T>): Promise<T> {
    const wanted = JSON.stringify(shape)
    let site = this.#sites.get(key)
    if (site?.shape !== wanted) {
      site?.links.close()
      site = {
        shape: wanted,
        links: new Links(shape, this.#idle, count => this.#count(key, count)),
        visits: 0,
      }
      this.#sites.set(key, site)
    }
    site.visits++
    try {
      return await work(site.links)
    } finally {
      site.visits--
      this.#count(key, site.links.count)
    }
  }

  close(): void {
    for (const { links } of this.#sites.values()) links.close()
  }

  #count(key: string, count: number): void {
    this.#changed(key, count)
    if (count === 0 && this.#sites.get(key)?.visits === 0) this.#sites.delete(key)
  }
}

/** Pieces come as they are asked for: a large message is in no process's memory. */
function contentOf(relay: Channel<Asked, Told>, number: number, beginning: Beginning): StoredContent {
  return {
    ...beginning,
    async read(at, target) {
      target.set(await relay.ask('content', { number, at, octets: target.length }))
    },
    async close() {},
  }
}

function notesTo(relay: Channel<Asked, Told>, number: number): SiteNotes {
  const tell = (note: Note) => relay.tell('note', { number, note })
  return {
    connecting: () => tell({ kind: 'connecting' }),
    succeeded: () => tell({ kind: 'succeeded' }),
    failed: reason => tell({ kind: 'failed', reason }),
    slow: said => tell({ kind: 'slow', said }),
    sent: (source, taken) => tell({ kind: 'sent', source, taken }),
  }
}

/** Connections are kept by the smart host they lead to, which must be the same object then; each errand brings a copy. */
function withKnownRoutes(errand: Errand, known: Map<string, RouteRule>): Errand {
  if (errand.hosts.every(({ route }) => route === undefined)) return errand
  const hosts = errand.hosts.map(host => {
    if (host.route === undefined) return host
    const written = JSON.stringify(host.route)
    const route = known.get(written) ?? host.route
    if (known.size >= MAX_ROUTES) known.clear()
    known.set(written, route)
    return { ...host, route }
  })
  return { ...errand, hosts }
}
