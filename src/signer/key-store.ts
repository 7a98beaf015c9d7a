/**
 * The private keys that ptt.toml names: from PEM, or derived from a seed. They stay in this process as KeyObjects; no
 * message of an error holds any of them. Whatever is wrong is said with where and what to do about it, before anything is
 * signed.
 */

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { FileError, readPem } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import { formatKeyRecord } from '../dkim/key-record.ts'
import { deriveEd25519Key, deriveKey, MIN_SEED_OCTETS } from '../dkim/seed.ts'
import type { SigningKey } from '../dkim/sign.ts'
import type { Algorithm } from '../dkim/signature.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import { readSource, readSources, type SecretText } from './key-source.ts'

// RFC 8301 §3.2: at least 1024 bits, and they should be 2048; verifiers take up to 4096.
const MIN_BITS = 2048

export interface KeyOptions {
  readonly domain: string
  readonly signer: Pick<Config['signer'], 'selector' | 'bits' | 'algorithms' | 'key' | 'seed' | 'seedFor'>
}

export interface LoadedKey {
  readonly key: SigningKey
  /** What belongs at `<selector>._domainkey.<domain>`. */
  readonly record: string
}

/** Whether ptt.toml names keys; otherwise the signer makes its own. */
export function namesKeys({ key, seed }: KeyOptions['signer']): boolean {
  return key.length > 0 || seed !== undefined
}

/**
 * Those of `key`, whatever domain they are for; none with a seed, or where the signer makes its own.
 * @throws FileError
 */
export function keysFromPem({ domain, signer }: KeyOptions): LoadedKey[] {
  const texts = signer.key.flatMap(readSources)
  const read = texts.map(text => ({ ...text, privateKey: keyFromPem(text) }))
  const kinds = new Set(read.map(({ privateKey }) => algorithmOf(privateKey)))
  const loaded = read.map(text => {
    const algorithm = algorithmOf(text.privateKey)
    const selector = text.selector ?? selectorFor(signer.selector, algorithm, kinds.size > 1)
    return load(text.domain ?? domain, selector, algorithm, text.privateKey)
  })
  for (const [at, { key }] of loaded.entries()) {
    const first = loaded.findIndex(
      other => other.key.selector === key.selector && other.key.signingDomain === key.signingDomain,
    )
    if (first === at) continue
    const names = `${read[first]?.name} and ${read[at]?.name}`
    throw new FileError(
      `${names}: are both for the selector ${key.selector}: put them in a folder as <selector>.pem, and write key = the folder`,
    )
  }
  return loaded
}

/** Reads the seed; what comes back derives the keys of a domain, which takes some tenths of a second. @throws FileError */
export function keysFromSeed({ signer }: KeyOptions): (domain: string) => LoadedKey[] {
  if (signer.seed === undefined) return () => []
  const seed = parseSeed(readSource(signer.seed))
  const several = signer.algorithms.length > 1
  return domain =>
    signer.algorithms.map(algorithm => {
      const signingDomain = normalizeDomain(domain)
      const selector = selectorFor(signer.selector, algorithm, several)
      const derivedFor = signer.seedFor === 'selector' ? selector : undefined
      const privateKey =
        algorithm === 'rsa-sha256'
          ? deriveKey(seed, signingDomain, signer.bits, derivedFor)
          : deriveEd25519Key(seed, signingDomain, derivedFor)
      return load(domain, selector, algorithm, privateKey)
    })
}

/** Two keys of one domain cannot have one name: RSA, which every verifier knows, keeps the plain one. */
function selectorFor(selector: string, algorithm: Algorithm, several: boolean): string {
  return several && algorithm === 'ed25519-sha256' ? `${selector}-ed25519` : selector
}

function load(domain: string, selector: string, algorithm: Algorithm, privateKey: KeyObject): LoadedKey {
  const key: SigningKey = { signingDomain: normalizeDomain(domain), selector, algorithm, privateKey }
  return { key, record: formatKeyRecord(privateKey) }
}

/** What the keys we had before were published as: records of ours, that may be replaced. @throws FileError */
export function earlierRecords({ signer }: { signer: Pick<Config['signer'], 'earlierKeys'> }): string[] {
  return signer.earlierKeys.map(path => {
    const pem = readPem(path)
    try {
      return formatKeyRecord(createPublicKey(pem))
    } catch {
      // Nothing of what OpenSSL says: the file may hold a private key.
      throw new FileError(
        `${path}: holds no key that can be read: put the earlier key there, private or public`,
      )
    }
  })
}

/** @throws FileError */
export function keyFromPem({ name, text }: Pick<SecretText, 'name' | 'text'>): KeyObject {
  const complain = (what: string, todo: string): FileError => new FileError(`${name}: ${what}: ${todo}`)
  const make = `make one with openssl genrsa -out ${name} ${MIN_BITS}`
  const label = /-----BEGIN ([A-Z ]+)-----/.exec(text)?.[1]
  if (label === undefined) throw complain('is not a private key in PEM', make)
  if (!label.endsWith('PRIVATE KEY'))
    throw complain(`holds a ${label.toLowerCase()}`, 'put the private key there')
  if (label.startsWith('ENCRYPTED') || text.includes('Proc-Type: 4,ENCRYPTED'))
    throw complain(
      'has a passphrase',
      `nobody is there to type it; write it without by openssl pkey -in ${name}`,
    )
  let key: KeyObject
  try {
    key = createPrivateKey(text)
  } catch {
    // The cause is left out: what OpenSSL says is about the octets of the key.
    throw complain('the private key in it is damaged', `put a good copy there, or ${make}`)
  }
  const kind = key.asymmetricKeyType
  if (kind !== 'rsa' && kind !== 'ed25519')
    throw complain(`is a key for ${kind}, neither RSA nor Ed25519`, make)
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (kind === 'rsa' && bits < MIN_BITS)
    throw complain(`is an RSA key of ${bits} bits, less than ${MIN_BITS} (RFC 8301)`, make)
  if (!signsWell(key)) throw complain('the private key in it is damaged', `put a good copy there, or ${make}`)
  return key
}

export function algorithmOf(key: KeyObject): Algorithm {
  return key.asymmetricKeyType === 'ed25519' ? 'ed25519-sha256' : 'rsa-sha256'
}

/** Whether its own public key verifies what it signs: a damaged PEM may still be read. */
function signsWell(key: KeyObject): boolean {
  const data = Buffer.from('ptt')
  const digest = key.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  try {
    return verify(digest, data, createPublicKey(key), sign(digest, data, key))
  } catch {
    return false
  }
}

/** The seed is a line of text, as `openssl rand -base64 32` prints it; the line end is not part of it. */
function parseSeed({ name, text: written }: SecretText): Buffer {
  const text = written.trim()
  const make = `make one with openssl rand -base64 ${MIN_SEED_OCTETS} > ${name}`
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new FileError(`${name}: is not one line of base64: ${make}`)
  const seed = Buffer.from(text, 'base64')
  if (seed.length < MIN_SEED_OCTETS)
    throw new FileError(`${name}: is a seed of ${seed.length} octets, less than ${MIN_SEED_OCTETS}: ${make}`)
  return seed
}
