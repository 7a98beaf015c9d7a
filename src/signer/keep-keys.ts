/** Puts together what looks after the keys: folder, keyring, DNS, keeper; from ptt.toml. */

import { generateKeyPair, type KeyObject } from 'node:crypto'
import { FileError, readSecret } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import type { Directory } from '../directory/directory.ts'
import type { Algorithm } from '../dkim/signature.ts'
import { parseTsigKey } from '../dns/tsig.ts'
import { formatEndpoint } from '../net/endpoint.ts'
import { Resolver } from '../net/resolver.ts'
import type { Log } from '../observe/event.ts'
import { KeyKeeper } from './keeper.ts'
import { KeyFolder } from './key-folder.ts'
import { earlierRecords, keysFromPem, keysFromSeed, namesKeys } from './key-store.ts'
import { Keyring } from './keyring.ts'
import type { Settings } from './life-cycle.ts'
import { type Look, lookAt, type NamedResolver } from './look.ts'
import { placeOf } from './place.ts'
import { forgetAnswers, openRequests } from './request.ts'
import type { SignatureOptions } from './session.ts'
import type { DomainRules } from './signing-view.ts'

/** Of the command line, beside what is in ptt.toml: both in seconds since 1970. */
export interface SignerOverrides {
  /** t= of every signature. */
  readonly timestampSeconds?: number
  /** x= of every signature. */
  readonly expirationSeconds?: number
}

/**
 * A host that has taken a message on the last day tries for four or five days itself (RFC 5321 §4.5.4.1), before it is
 * verified where it was to go.
 */
const ONWARD_MS = 5 * 86_400_000

/** After how long signatures expire (x= is RECOMMENDED, RFC 6376 §3.5); undefined: they do not. */
function expirationOf(config: Config): number | undefined {
  const { expirationMs = queueAgeOf(config) + ONWARD_MS } = config.signer
  return expirationMs ?? undefined
}

/** @throws FileError for an x= that would end while messages are still queued */
export function signatureOptions(config: Config, overrides: SignerOverrides): SignatureOptions {
  const { fields, canonicalization } = config.signer
  const expirationMs = expirationOf(config)
  const queueAgeMs = queueAgeOf(config)
  if (expirationMs !== undefined && overrides.expirationSeconds === undefined && expirationMs <= queueAgeMs)
    throw new FileError(
      `signatures would expire after ${hours(expirationMs)}, and the relay tries for ${hours(queueAgeMs)}: write a longer one, "never", or leave it out`,
    )
  return {
    queueAgeMs,
    canonicalization: HALVES[canonicalization],
    ...(fields === undefined ? {} : { fields }),
    ...(expirationMs === undefined ? {} : { expirationMs }),
    ...overrides,
  }
}

const HALVES = {
  'relaxed/relaxed': ['relaxed', 'relaxed'],
  'relaxed/simple': ['relaxed', 'simple'],
  'simple/relaxed': ['simple', 'relaxed'],
  'simple/simple': ['simple', 'simple'],
} as const

export function lifeSettings(config: Config): Settings {
  const { rotateMs, revokedForMs } = config.signer
  const lifetimeMs = queueAgeOf(config) + (expirationOf(config) ?? 0)
  return { rotateMs, lifetimeMs, revokedMs: revokedForMs }
}

function queueAgeOf({ signer, relay }: Config): number {
  return signer.queueAgeMs ?? relay.expireMs
}

function hours(ms: number): string {
  return `${Math.round(ms / 360_000) / 10} h`
}

/**
 * @param changed what can be signed with may be another than before
 * @throws FileError for a key, a seed or a state that cannot be read
 */
export function keepKeys(config: Config, directory: () => Directory, log: Log, changed?: () => void) {
  const { signer, domain } = config
  const tsigKey = parseTsigKey(readSecret(signer.tsigKey).trim())
  const settings = lifeSettings(config)
  prepareFolder(signer, log)
  const keyring = new Keyring({
    folder: new KeyFolder(signer.state, domain),
    settings,
    domain,
    rules: () => rulesOf(directory()),
    selector: signer.selector,
    selectorTemplate: signer.selectorTemplate,
    algorithms: signer.algorithms,
    configured: namesKeys(signer) ? { keys: keysFromPem(config), derive: keysFromSeed(config) } : null,
    earlier: earlierRecords(config),
    log,
    now: Date.now,
    random: octets => crypto.getRandomValues(new Uint8Array(octets)),
    ...(changed === undefined ? {} : { changed }),
  })
  const resolvers: NamedResolver[] = signer.resolver.map(endpoint => ({
    name: formatEndpoint(endpoint),
    resolver: new Resolver({ servers: [endpoint] }),
  }))
  const resolver = signer.resolver.length === 0 ? undefined : new Resolver({ servers: signer.resolver })
  const ending = new AbortController()
  const keeper = new KeyKeeper({
    keyring,
    settings,
    folder: signer.state,
    bits: signer.bits,
    async look(key, target, onStale): Promise<Look> {
      const { signal } = ending
      const place = await placeOf(key.domain, { ...signer, resolver, signal })
      if (!('zone' in place)) {
        const { code, reason } = place
        return { outcome: 'failure', code, observation: { kind: 'unknown', reason } }
      }
      const { ttlSeconds } = signer
      // Only of what is to sign must it be known how long others believe that it is not there.
      const stale = target === 'key' ? { onStale } : {}
      return lookAt(key, target, { place, tsigKey, ttlSeconds, resolvers, signal, ...stale })
    },
    makeKey,
    log,
    now: Date.now,
  })
  return {
    keyring,
    keeper,
    async close(): Promise<void> {
      // Who stops does not wait for a server that is silent.
      ending.abort()
      resolver?.close()
      for (const each of resolvers) each.resolver.close()
      await keeper.close()
    },
  }
}

/**
 * Keys of ptt.toml can do without: what is known of them is then found out anew at each start.
 * @throws FileError where the signer is to make keys, and could not keep them
 */
function prepareFolder(signer: Config['signer'], log: Log): void {
  const { state } = signer
  try {
    openRequests(state)
    forgetAnswers(state)
  } catch (error) {
    const reason = `${state}: cannot be written: ${(error as Error).message}: it is [signer] state`
    if (!namesKeys(signer)) throw new FileError(reason, { cause: error })
    log.event('alarm', { about: 'key state', reason }, 'error')
  }
}

/** In a process that signs, and leaves the keys to another, whose snapshots it takes. */
export function followKeys(config: Config, directory: () => Directory, log: Log): Keyring {
  const { signer, domain } = config
  const elsewhere = () => {
    throw new Error('this process does not look after the keys')
  }
  return new Keyring({
    folder: {
      load: () => [],
      hasPrivate: () => false,
      save: elsewhere,
      readPrivate: elsewhere,
      writePrivate: elsewhere,
      destroyPrivate: elsewhere,
    },
    settings: lifeSettings(config),
    domain,
    rules: () => rulesOf(directory()),
    selector: signer.selector,
    selectorTemplate: signer.selectorTemplate,
    algorithms: signer.algorithms,
    configured: namesKeys(signer) ? { keys: [], derive: () => [] } : null,
    earlier: [],
    log,
    now: Date.now,
    random: octets => crypto.getRandomValues(new Uint8Array(octets)),
  })
}

const NO_RULES: DomainRules['signing'] = new Map()

function rulesOf({ commit, domains, signing }: Directory): DomainRules {
  return { commit, domains, signing: signing ?? NO_RULES }
}

/** On the thread pool: an RSA key takes some tenths of a second, one of 4096 bits some seconds. */
export function makeKey(algorithm: Algorithm, bits: number): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    const made = (error: Error | null, _publicKey: KeyObject, privateKey: KeyObject): void => {
      if (error) reject(error)
      else resolve(privateKey)
    }
    if (algorithm === 'rsa-sha256') generateKeyPair('rsa', { modulusLength: bits }, made)
    else generateKeyPair('ed25519', undefined, made)
  })
}
