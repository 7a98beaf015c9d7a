/**
 * NAME        relay (MTI-GF): keeps signed mail on disk until it is delivered to the Internet or returned.
 * STANDARDS   RFC 5321 §3.9, §4.5.4, §5, 7505, 7435; 3461, 3464, 6522, 6533 (notices); 2852, 4865, 6710, 8689, 9422.
 * HOLDS       the spool, its hop key, a clone of the directory. No signing key, no TSIG key, no password.
 * REACHES     the Git remote, its resolvers, the Internet's MXs, the signer (with notices of its own).
 * BUGS        the content of a message is read into memory for each attempt.
 */

import { readPem, readSecret } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import { follow } from '../directory/repository.ts'
import { scramCrypto } from '../directory/scram.ts'
import { openHooks } from '../hooks/hooks.ts'
import { hopSession } from '../net/hop.ts'
import { type Listener, listen } from '../net/listener.ts'
import { Budget } from '../net/message-buffer.ts'
import { Networks, UNREACHABLE } from '../net/networks.ts'
import { Peer } from '../net/peer.ts'
import { Resolver } from '../net/resolver.ts'
import { TlsAcceptor } from '../net/tls.ts'
import type { Log } from '../observe/event.ts'
import { openEmbedded } from '../queue/embedded/embedded.ts'
import { openEmbeddedShelf } from '../queue/embedded/shelf.ts'
import { openMemory } from '../queue/memory/memory.ts'
import { openMemoryShelf } from '../queue/memory/shelf.ts'
import { TIMEOUTS } from '../smtp/limits.ts'
import { deliver, putOff } from './deliver.ts'
import { areTrusted } from './destination.ts'
import { policyFetcher } from './mta-sts/fetch.ts'
import { MtaSts } from './mta-sts/mta-sts.ts'
import { HostMemory } from './reach/host-memory.ts'
import { readRules } from './rules.ts'
import { Scheduler } from './scheduler.ts'
import { RelaySession } from './session.ts'
import { Settler } from './settle.ts'
import { SignatureCheck } from './signature-check.ts'
import { Sites } from './site/sites.ts'
import { DayCounts, Sources } from './sources.ts'
import { Suppressions } from './suppression.ts'
import { Telling } from './telling.ts'
import { reportPoster } from './tls-report/post.ts'
import { TlsReports } from './tls-report/reports.ts'
import { type Visitor, Visitors, type VisitorsOptions } from './visitors.ts'

const BUDGET_OCTETS = 512 * 1024 * 1024
const MAX_CONNECTIONS = 1000
const MAX_HOP_CONNECTIONS = 4
const REPLY_MS = 120_000
const HANDSHAKE_MS = 30_000
/** Neighbours keep their connections: longer than any of them is silent. */
const IDLE_MS = 24 * 3600_000
const GRACE_MS = 10_000

export async function startRelay(config: Config, log: Log) {
  const relay = await prepare(config, log)
  return { ...relay, port: await relay.open() }
}

/** With workers, which go to the hosts of sites (`visitors.ts`): all the rest is done here. */
export async function superviseRelay(config: Config, log: Log) {
  return prepare(config, log, options => new Visitors(options))
}

/** All but taking mail and delivering it, which `open` begins. */
async function prepare(config: Config, log: Log, others?: (options: VisitorsOptions) => Visitors) {
  const { relay, domain, directory, hop } = config
  let rules = readRules(config)
  const hopPair = { certificate: readPem(relay.hopCertificate), key: readSecret(relay.hopKey) }
  const follower = await follow({ ...directory, clone: relay.clone, domain, log })
  const hooks = await openHooks(config, 'relay', () => follower.refresh(), log)
  const queue = relay.engine === 'memory' ? openMemory() : await openEmbedded({ folder: relay.spool, log })
  const shelf = relay.engine === 'memory' ? openMemoryShelf() : await openEmbeddedShelf(relay.spool)
  const resolver = new Resolver({ servers: relay.resolver })
  const privateNetworks = new Networks(relay.privateNetworks)
  const mtaSts = new MtaSts({
    resolver,
    shelf,
    fetch: policyFetcher({ resolver, privateNetworks }),
    now: Date.now,
    random: Math.random,
    log,
  })
  const tlsReports = relay.tlsReports
    ? new TlsReports({
        domain,
        postmaster: config.postmaster,
        hostname: relay.hostname,
        shelf,
        queue,
        resolver,
        post: reportPoster({ resolver, privateNetworks }),
        now: Date.now,
        wake: () => scheduler.wake(),
        log,
      })
    : null
  const suppressions = new Suppressions(shelf, Date.now)
  const counts = await DayCounts.open(shelf, Date.now())
  const sources = new Sources(() => rules.sources, relay.hostname, counts, Date.now)
  const sites = new Sites({
    shapeOf: (destination, hosts) => rules.shapeOf(destination, hosts),
    now: Date.now,
    unpark: destination => queue.unpark(destination),
    mostIdle: relay.idleConnections,
  })
  const settler = new Settler(queue, log)
  const signer = new Peer({
    endpoint: relay.signer,
    role: 'signer',
    pair: hopPair,
    ca: readPem(hop.ca),
    hostname: relay.hostname,
    waitMs: relay.connectMs,
    replyMs: REPLY_MS,
    maxConnections: MAX_HOP_CONNECTIONS,
    log,
  })
  const visitors = others?.({ replies: () => rules.replies, tlsReports, now: Date.now })
  const scheduler = new Scheduler({
    queue,
    sites,
    work: (job, place) => deliver(job, means, place),
    fault: (job, error) => putOff(job, error, means),
    sweep: nowMs =>
      Promise.all([queue.sweep(nowMs), shelf.sweep(nowMs), relay.mtaSts && mtaSts.refresh(nowMs)]),
    paused: () => settler.failing,
    now: Date.now,
    log,
  })
  const telling = new Telling({
    queue,
    settler,
    hostname: relay.hostname,
    postmaster: config.postmaster,
    language: relay.language,
    expireMs: relay.expireMs,
    now: Date.now,
    wake: () => scheduler.wake(),
    log,
  })
  const means = {
    queue,
    telling,
    lookup: { resolver, trusted: relay.resolverValidates ?? areTrusted(relay.resolver) },
    settler,
    signer,
    suppressions,
    suppressMs: relay.suppressMs,
    ...(relay.verifySignatures ? { signatures: new SignatureCheck(resolver, Date.now, log) } : {}),
    get replies() {
      return rules.replies
    },
    get tlsLevels() {
      return rules.tlsLevels
    },
    get routes() {
      return rules.routes
    },
    sources,
    scram: scramCrypto,
    memory: new HostMemory(Date.now),
    unreachable: UNREACHABLE,
    privateNetworks,
    ...(relay.mtaSts ? { mtaSts } : {}),
    ...(tlsReports === null ? {} : { tlsReports }),
    hostname: relay.hostname,
    smtpPort: relay.smtpPort,
    connectMs: relay.connectMs,
    timeouts: { ...TIMEOUTS, ...config.timeouts },
    replyLineOctets: config.limits.replyLineOctets,
    retryMs: relay.retryMs,
    warnMs: relay.warnMs,
    now: Date.now,
    random: Math.random,
    log,
    ...(visitors === undefined ? {} : { visit: visitors.visit }),
  }
  const around = {
    queue,
    directory: () => follower.current(),
    budget: new Budget(BUDGET_OCTETS),
    expireMs: relay.expireMs,
    sources,
    suppressions,
    routes: () => rules.routes,
    now: Date.now,
    random: (octets: number) => crypto.getRandomValues(new Uint8Array(octets)),
    wake: () => scheduler.wake(),
    log,
  }
  let listener: Listener | undefined
  let draining: Promise<void> | undefined
  const drain = async () => {
    log.event('stopping')
    settler.close()
    mtaSts.close()
    visitors?.close()
    await Promise.all([hooks?.close(), listener?.close(GRACE_MS), scheduler.close(GRACE_MS)])
    await telling.close()
  }
  return {
    hooksPort: hooks?.port,
    commit: () => follower.current().commit,
    attend: (visitor: Visitor) => visitors?.attend(visitor),
    /** Resolves with the port. @param workers that visit, for the log */
    async open(workers?: number): Promise<number> {
      listener = await listen({
        address: relay.listen,
        session: hopSession(relay.hostname),
        acceptor: TlsAcceptor.forHop(hopPair, readPem(hop.ca), HANDSHAKE_MS),
        idleMs: IDLE_MS,
        maxConnections: MAX_CONNECTIONS,
        log,
        handler: () => new RelaySession(around),
      })
      scheduler.start()
      tlsReports?.start()
      log.event('started', {
        port: listener.port,
        hooks_port: hooks?.port,
        workers,
        engine: relay.engine,
        queued: await queue.count(),
        directory: follower.current().commit,
      })
      return listener.port
    },
    /**
     * SIGHUP: shaping, replies, sources and routes are read again; where one is wrong all stay as they were. What is
     * deferred stays as it is; due work is looked for at once.
     */
    async reload() {
      try {
        rules = readRules(config)
        sites.renew()
        visitors?.renew()
      } catch (error) {
        log.event('alarm', { about: 'rules', error: (error as Error).message }, 'error')
      }
      scheduler.wake()
      await follower.refresh()
      log.event('reloaded', { directory: follower.current().commit })
    },
    /** Nothing new is begun; what is under way has `GRACE_MS` to end, and is attempted again after a restart where it does not. */
    drain(): Promise<void> {
      draining ??= drain()
      return draining
    },
    async close() {
      await this.drain()
      sites.close()
      signer.close()
      resolver.close()
      await tlsReports?.close()
      await queue.close()
      await shelf.close()
      await follower.close()
      log.event('stopped')
    },
  }
}
