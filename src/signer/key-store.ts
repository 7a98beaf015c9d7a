/**
 * The private key: from a PEM file, or derived from a seed file. It stays in this process as a KeyObject; no message of
 * an error holds any of it. Whatever is wrong is said with the file and what to do about it, before anything is signed.
 */

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { FileError, readPem, readSecret } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import { formatKeyRecord } from '../dkim/key-record.ts'
import { deriveKey, MIN_SEED_OCTETS } from '../dkim/seed.ts'
import type { SigningKey } from '../dkim/sign.ts'
import { normalizeDomain } from '../smtp/domain.ts'

// RFC 8301 §3.2: at least 1024 bits, and they should be 2048; verifiers take up to 4096.
const MIN_BITS = 2048

export interface KeyOptions {
  readonly domain: string
  readonly signer: Pick<Config['signer'], 'selector' | 'bits' | 'key' | 'seed'>
}

export interface LoadedKey {
  readonly key: SigningKey
  /** What belongs at `<selector>._domainkey.<domain>`. */
  readonly record: string
}

/** @throws FileError */
export function loadKey({ domain, signer }: KeyOptions): LoadedKey {
  const signingDomain = normalizeDomain(domain)
  const privateKey =
    signer.seed !== undefined
      ? keyFromSeed(signer.seed, signingDomain, signer.bits)
      : signer.key !== undefined
        ? keyFromPem(signer.key)
        : missing()
  const key: SigningKey = { signingDomain, selector: signer.selector, algorithm: 'rsa-sha256', privateKey }
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

function missing(): never {
  throw new FileError(
    '[signer] has neither key nor seed: write key = "dkim.pem" or seed = "dkim.seed" in ptt.toml',
  )
}

function keyFromPem(path: string): KeyObject {
  const pem = readSecret(path)
  const complain = (what: string, todo: string): FileError => new FileError(`${path}: ${what}: ${todo}`)
  const make = `make one with openssl genrsa -out ${path} ${MIN_BITS}`
  const label = /-----BEGIN ([A-Z ]+)-----/.exec(pem)?.[1]
  if (label === undefined) throw complain('is not a private key in PEM', make)
  if (!label.endsWith('PRIVATE KEY'))
    throw complain(`holds a ${label.toLowerCase()}`, 'put the private key there')
  if (label.startsWith('ENCRYPTED') || pem.includes('Proc-Type: 4,ENCRYPTED'))
    throw complain(
      'has a passphrase',
      `nobody is there to type it; write it without by openssl pkey -in ${path}`,
    )
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    // The cause is left out: what OpenSSL says is about the octets of the key.
    throw complain('the private key in it is damaged', `put a good copy there, or ${make}`)
  }
  if (key.asymmetricKeyType !== 'rsa') throw complain(`is a key for ${key.asymmetricKeyType}, not RSA`, make)
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < MIN_BITS) throw complain(`is an RSA key of ${bits} bits, less than ${MIN_BITS} (RFC 8301)`, make)
  if (!signsWell(key)) throw complain('the private key in it is damaged', `put a good copy there, or ${make}`)
  return key
}

/** Whether its own public key verifies what it signs: a damaged PEM may still be read. */
function signsWell(key: KeyObject): boolean {
  const data = Buffer.from('ptt')
  try {
    return verify('sha256', data, createPublicKey(key), sign('sha256', data, key))
  } catch {
    return false
  }
}

/** The seed is a line of text, as `openssl rand -base64 32` prints it; the line end is not part of it. */
function keyFromSeed(path: string, signingDomain: string, bits: number): KeyObject {
  const text = readSecret(path).trim()
  const make = `make one with openssl rand -base64 ${MIN_SEED_OCTETS} > ${path}`
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new FileError(`${path}: is not one line of base64: ${make}`)
  const seed = Buffer.from(text, 'base64')
  if (seed.length < MIN_SEED_OCTETS)
    throw new FileError(`${path}: is a seed of ${seed.length} octets, less than ${MIN_SEED_OCTETS}: ${make}`)
  return deriveKey(seed, signingDomain, bits)
}
