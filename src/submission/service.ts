/**
 * NAME        submission (LIPAP): takes mail from authenticated users and hands it to the signer.
 * STANDARDS   RFC 6409, 8314, 4954; RFC 5321 and its extensions by `smtp/`.
 * HOLDS       the TLS key clients see, its hop key, a clone of the directory; of those who have limits a day, how many
 *             messages they have sent; for a quarter of an hour whom the relay does not write to. Nothing else of a message
 *             once it has answered.
 * REACHES     the Git remote, the signer; where tokens are taken, the issuer's keys at an HTTPS URL.
 * NEVER       DKIM and TSIG keys, DNS, the Internet's MXs.
 * BUGS        a message over 256 KiB is passed on as it comes: should a hop break meanwhile, the client is told 451.
 *             counts of limits a day whose pages a bad disk has changed may end the process (LMDB): move the file away.
 */

import { readPem, readSecret } from '../config/file.ts'
import { PairWatch } from '../config/pair.ts'
import type { Config } from '../config/schema.ts'
import { UsageStore } from '../directory/usage/store.ts'
import type { Endpoint } from '../net/endpoint.ts'
import { type Listener, listen } from '../net/listener.ts'
import { Budget } from '../net/message-buffer.ts'
import { Peer } from '../net/peer.ts'
import { TlsAcceptor } from '../net/tls.ts'
import type { Log } from '../observe/event.ts'
import { LIMITS } from '../smtp/limits.ts'
import type { Offers } from '../smtp/server.ts'
import type { Channel } from '../workers/channel.ts'
import { Allowance } from './allowance.ts'
import { KnownSuppressed } from './known-suppressed.ts'
import { SubmissionSession } from './session.ts'
import { type Asked, openShared, reachShared, type Shared, type Told } from './shared.ts'
import { prepareSignIn } from './sign-in.ts'

/** What messages in flight may take together. Of this and the next two a worker has its part. */
const BUDGET_OCTETS = 512 * 1024 * 1024
const MAX_CONNECTIONS = 10_000
const MAX_HOP_CONNECTIONS = 32
/** The signer and the relay behind it have this long for one message; then the client is told 451. */
const REPLY_MS = 120_000
const HANDSHAKE_MS = 30_000
const GRACE_MS = 10_000

export interface Service {
  readonly port: number
  /** SIGHUP: reads again what may have changed, without dropping a session. */
  reload(): Promise<void>
  /** Finishes what is under way, then stops. */
  close(): Promise<void>
}

export async function startSubmission(config: Config, log: Log): Promise<Service> {
  return serve(config, log, await openShared(config, log))
}

/** One process of several. */
export async function startSubmissionWorker(
  config: Config,
  log: Log,
  foreman: Channel<Asked, Told>,
  workers: number,
): Promise<Service> {
  return serve(config, log, await reachShared(config, log, foreman, workers))
}

async function serve(config: Config, log: Log, shared: Shared & { hooksPort?: number | undefined }) {
  const { submission, domain, hop } = config
  const { follower, throttle, part } = shared
  const signer = new Peer({
    endpoint: submission.signer,
    role: 'signer',
    pair: { certificate: readPem(submission.hopCertificate), key: readSecret(submission.hopKey) },
    ca: readPem(hop.ca),
    hostname: submission.hostname,
    waitMs: submission.hopWaitMs,
    replyMs: REPLY_MS,
    maxConnections: part(MAX_HOP_CONNECTIONS),
    log,
  })
  const signIn = prepareSignIn(config, () => follower.current())
  // Sessions that are open keep the certificate they began with.
  const watch = new PairWatch({
    files: submission,
    renewed: pair => {
      acceptor.renew(pair)
      log.event('certificate', { state: 'in use', until: new Date(pair.notAfterMs).toISOString() })
    },
    alarm: reason => log.event('alarm', { about: 'certificate', reason }),
  })
  const acceptor = TlsAcceptor.forClients(watch.pair, HANDSHAKE_MS, signIn.clientCa(), shared.ticketKeys)
  const usage = new UsageStore(submission.state)
  const limits = {
    ...LIMITS,
    localPartOctets: config.limits.localPartOctets,
    domainOctets: config.limits.domainOctets,
    pathOctets: config.limits.pathOctets,
    commandLineOctets: config.limits.commandLineOctets,
    textLineOctets: config.limits.textLineOctets,
    messageOctets: submission.maxMessageOctets,
    recipients: submission.maxRecipients,
    transactions: submission.maxTransactions,
    recipientDomains: submission.maxRecipientDomains ?? LIMITS.recipientDomains,
    errors: submission.maxErrors,
    authFailures: submission.maxAuthFailures,
  }
  const around = {
    hostname: submission.hostname,
    domain,
    directory: () => follower.current(),
    authenticator: signIn.authenticator,
    throttle,
    allowance: new Allowance({ store: usage, now: Date.now, log }),
    signer,
    suppressed: new KnownSuppressed(Date.now),
    budget: new Budget(Math.max(part(BUDGET_OCTETS), 2 * submission.maxMessageOctets)),
    limits,
    maxPriority: submission.maxPriority,
    now: Date.now,
    random: (octets: number) => crypto.getRandomValues(new Uint8Array(octets)),
    log,
  }
  const door = (address: Endpoint, tls: 'implicit' | 'starttls'): Promise<Listener> =>
    listen({
      address,
      session: {
        hostname: submission.hostname,
        limits,
        tls,
        auth: submission.auth,
        sasl: signIn.sasl,
        authRequired: true,
        // RFC 8314 §3.3: neither a password nor a message in clear text, also on :587.
        tlsRequired: true,
        hop: false,
        offers: offersOf(submission),
      },
      acceptor,
      idleMs: submission.idleMs,
      maxConnections: part(MAX_CONNECTIONS),
      log,
      handler: () => new SubmissionSession(around),
    })
  const listener = await door(submission.listen, 'implicit')
  const { listenStarttls } = submission
  const starttls = listenStarttls === undefined ? null : await door(listenStarttls, 'starttls')
  log.event('started', {
    port: listener.port,
    hooks_port: shared.hooksPort,
    starttls_port: starttls?.port,
    directory: follower.current().commit,
  })
  return {
    port: listener.port,
    async reload() {
      watch.reload()
      acceptor.renew(watch.pair, signIn.clientCa())
      signIn.reload()
      await shared.reload()
      log.event('reloaded', { directory: follower.current().commit })
    },
    async close() {
      log.event('stopping')
      watch.close()
      await Promise.all([listener.close(GRACE_MS), starttls?.close(GRACE_MS)])
      signer.close()
      await usage.close()
      await shared.close()
      log.event('stopped')
    },
  }
}

/** What a user may ask for beside delivery: the relay honours it. All of it needs AUTH, as MAIL does. */
function offersOf({ maxHoldSeconds, minDeliverBySeconds }: Config['submission']): Offers {
  return {
    dsn: true,
    requireTls: true,
    limits: true,
    futureRelease: { longestSeconds: maxHoldSeconds, now: Date.now },
    deliverBy: { leastSeconds: minDeliverBySeconds },
    // RFC 6710 App. B: the default where none is named. We tell apart more levels than its three.
    priority: { profile: 'MIXER' },
  }
}
