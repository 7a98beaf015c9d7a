/**
 * NAME        signer (NEC): signs what submission hands it and passes it to the relay; keeps its public keys in DNS.
 * STANDARDS   RFC 6376, 8301, 8463 (DKIM); RFC 2136, 8945 (UPDATE, TSIG).
 * HOLDS       the DKIM private keys, the TSIG key, its hop key, a clone of the directory; on disk, in its state folder, the keys it
 *             has made and what it knows of all keys. Nothing of a message once it has answered.
 * REACHES     the Git remote; the primary DNS server; authoritative servers and resolvers, for checks only; the relay.
 * NEVER       users' passwords (their verifiers are in the clone), the Internet's MXs.
 * BUGS        the signing budgets of the hour begin anew with each start.
 *             a message is held in memory whole: the signature stands before it and needs the hash of all of it.
 *             nothing keeps a second signer off the same state folder: give each its own.
 */

import { readPem, readSecret } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import type { Follower } from '../directory/directory.ts'
import { hopSession } from '../net/hop.ts'
import { listen } from '../net/listener.ts'
import { Budget } from '../net/message-buffer.ts'
import { Peer } from '../net/peer.ts'
import { TlsAcceptor } from '../net/tls.ts'
import type { Log } from '../observe/event.ts'
import type { Channel } from '../workers/channel.ts'
import { type SignerOverrides, signatureOptions } from './keep-keys.ts'
import { SecondOpinion } from './second-opinion.ts'
import { type SignatureOptions, SignerSession } from './session.ts'
import { type Asked, openShared, reachShared, type Shared, type Told } from './shared.ts'

/** What messages in flight may take together. Of this and the next two a worker has its part. */
const BUDGET_OCTETS = 512 * 1024 * 1024
/** Two or three of the largest, however many workers there are. */
const LEAST_OCTETS = 64 * 1024 * 1024
const MAX_CONNECTIONS = 1000
const MAX_HOP_CONNECTIONS = 32
/** Less than what submission waits for us. */
const REPLY_MS = 60_000
const HANDSHAKE_MS = 30_000
/** Neighbours keep their connections: longer than any of them is silent. */
const IDLE_MS = 24 * 3600_000
const GRACE_MS = 10_000
/** Messages make us fetch this often at most. */
const FETCH_PAUSE_MS = 1000

export type { SignerOverrides } from './keep-keys.ts'

export async function startSigner(config: Config, log: Log, overrides: SignerOverrides = {}) {
  // What is wrong with it is said before anything else is begun.
  const signatures = signatureOptions(config, overrides)
  return serve(config, log, await openShared(config, log), signatures)
}

/** One process of several. */
export async function startSignerWorker(
  config: Config,
  log: Log,
  foreman: Channel<Asked, Told>,
  workers: number,
  overrides: SignerOverrides = {},
) {
  const signatures = signatureOptions(config, overrides)
  return serve(config, log, await reachShared(config, log, foreman, workers), signatures)
}

async function serve(config: Config, log: Log, shared: Shared, signatures: SignatureOptions) {
  const { signer, domain, hop, postmaster } = config
  const { follower, keys, signingBudget, part } = shared
  const hopPair = { certificate: readPem(signer.hopCertificate), key: readSecret(signer.hopKey) }
  const relay = new Peer({
    endpoint: signer.relay,
    role: 'relay',
    pair: hopPair,
    ca: readPem(hop.ca),
    hostname: `signer.${domain}`,
    waitMs: signer.hopWaitMs,
    replyMs: REPLY_MS,
    maxConnections: part(MAX_HOP_CONNECTIONS),
    log,
  })
  const around = {
    domain,
    keys,
    signatures,
    catchUp: catchUp(follower),
    relay,
    postmaster,
    budget: new Budget(Math.max(part(BUDGET_OCTETS), LEAST_OCTETS)),
    opinion: new SecondOpinion({
      directory: () => follower.current(),
      refresh: () => follower.refresh(),
      postmaster,
      now: Date.now,
    }),
    signingBudget,
    now: Date.now,
    random: (octets: number) => crypto.getRandomValues(new Uint8Array(octets)),
    log,
  }
  const listener = await listen({
    address: signer.listen,
    session: hopSession(`signer.${domain}`),
    acceptor: TlsAcceptor.forHop(hopPair, readPem(hop.ca), HANDSHAKE_MS),
    idleMs: IDLE_MS,
    maxConnections: part(MAX_CONNECTIONS),
    log,
    handler: () => new SignerSession(around),
  })
  log.event('started', {
    port: listener.port,
    hooks_port: shared.hooksPort,
    keys: shared.active(),
    domain,
    directory: follower.current().commit,
  })
  // Not waited for: until it is done, messages are answered 451 with the reason.
  void shared.check?.()
  return {
    port: listener.port,
    async reload() {
      await shared.reload()
      log.event('reloaded', { keys: shared.active(), directory: follower.current().commit })
    },
    async close() {
      log.event('stopping')
      await listener.close(GRACE_MS)
      relay.close()
      await shared.close()
      log.event('stopped')
    },
  }
}

/** Submission may know a commit that we do not know yet. */
function catchUp(follower: Follower): (commit: string | undefined) => Promise<boolean> {
  let fetchedMs = Number.NEGATIVE_INFINITY
  return async commit => {
    const isKnown = (): boolean => commit === undefined || commit === follower.current().commit
    if (!isKnown() && Date.now() >= fetchedMs + FETCH_PAUSE_MS) {
      fetchedMs = Date.now()
      await follower.refresh()
    }
    return isKnown()
  }
}
