/**
 * NAME        signer (NEC): signs what submission hands it and passes it to the relay; keeps its public key in DNS.
 * STANDARDS   RFC 6376, 8301 (DKIM); RFC 2136, 8945 (UPDATE, TSIG).
 * HOLDS       the DKIM private key, the TSIG key, its hop key, a clone of the directory. Nothing of a message once it has answered.
 * REACHES     the Git remote; the primary DNS server; resolvers, for checks only; the relay.
 * NEVER       users' passwords (their verifiers are in the clone), the Internet's MXs.
 * BUGS        the signing budgets of the hour begin anew with each start.
 *             a message is held in memory whole: the signature stands before it and needs the hash of all of it.
 */

import { readPem, readSecret } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import { follow } from '../directory/repository.ts'
import { parseTsigKey } from '../dns/tsig.ts'
import { openHooks } from '../hooks/hooks.ts'
import { hopSession } from '../net/hop.ts'
import { listen } from '../net/listener.ts'
import { Budget } from '../net/message-buffer.ts'
import { Peer } from '../net/peer.ts'
import { Resolver } from '../net/resolver.ts'
import { TlsAcceptor } from '../net/tls.ts'
import type { Log } from '../observe/event.ts'
import { earlierRecords, loadKey } from './key-store.ts'
import { LifeCycle } from './life-cycle.ts'
import { publishKey } from './publish.ts'
import { SecondOpinion } from './second-opinion.ts'
import { SignerSession } from './session.ts'
import { SigningBudget } from './signing-budget.ts'

const BUDGET_OCTETS = 512 * 1024 * 1024
const MAX_CONNECTIONS = 1000
const MAX_HOP_CONNECTIONS = 32
/** Less than what submission waits for us. */
const REPLY_MS = 60_000
const HANDSHAKE_MS = 30_000
/** Neighbours keep their connections: longer than any of them is silent. */
const IDLE_MS = 24 * 3600_000
const GRACE_MS = 10_000

export async function startSigner(config: Config, log: Log) {
  const { signer, domain, directory, hop, postmaster } = config
  const hopPair = { certificate: readPem(signer.hopCertificate), key: readSecret(signer.hopKey) }
  const { key, record } = loadKey(config)
  const tsigKey = parseTsigKey(readSecret(signer.tsigKey).trim())
  const follower = await follow({ ...directory, clone: signer.clone, domain, log })
  const hooks = await openHooks(config, 'signer', () => follower.refresh(), log)
  const resolver = signer.resolver.length === 0 ? undefined : new Resolver({ servers: signer.resolver })
  const lifeCycle = new LifeCycle({
    log,
    now: Date.now,
    publish: () =>
      publishKey({
        primary: signer.primary,
        zone: signer.zone,
        tsigKey,
        name: `${signer.selector}._domainkey.${domain}`,
        record,
        ttlSeconds: signer.ttlSeconds,
        replaces: earlierRecords(config),
        ...(resolver === undefined ? {} : { resolver }),
      }),
  })
  const relay = new Peer({
    endpoint: signer.relay,
    role: 'relay',
    pair: hopPair,
    ca: readPem(hop.ca),
    hostname: `signer.${domain}`,
    waitMs: signer.hopWaitMs,
    replyMs: REPLY_MS,
    maxConnections: MAX_HOP_CONNECTIONS,
    log,
  })
  const around = {
    key,
    keyState: () => lifeCycle.state,
    expirationMs: signer.expirationMs,
    relay,
    postmaster,
    budget: new Budget(BUDGET_OCTETS),
    opinion: new SecondOpinion({
      directory: () => follower.current(),
      refresh: () => follower.refresh(),
      postmaster,
      now: Date.now,
    }),
    signingBudget: new SigningBudget(signer.budgetPerHour, Date.now, () => follower.current()),
    now: Date.now,
    random: (octets: number) => crypto.getRandomValues(new Uint8Array(octets)),
    log,
  }
  const listener = await listen({
    address: signer.listen,
    session: hopSession(`signer.${domain}`),
    acceptor: TlsAcceptor.forHop(hopPair, readPem(hop.ca), HANDSHAKE_MS),
    idleMs: IDLE_MS,
    maxConnections: MAX_CONNECTIONS,
    log,
    handler: () => new SignerSession(around),
  })
  log.event('started', {
    port: listener.port,
    hooks_port: hooks?.port,
    selector: signer.selector,
    domain,
    directory: follower.current().commit,
  })
  // Not waited for: until it is done, messages are answered 451 with the reason.
  void lifeCycle.check()
  return {
    port: listener.port,
    async reload() {
      await Promise.all([lifeCycle.check(), follower.refresh()])
      log.event('reloaded', { key: lifeCycle.state.state, directory: follower.current().commit })
    },
    async close() {
      log.event('stopping')
      await hooks?.close()
      lifeCycle.close()
      await listener.close(GRACE_MS)
      relay.close()
      resolver?.close()
      await follower.close()
      log.event('stopped')
    },
  }
}
