/** The key record at `<selector>._domainkey.<domain>`, RFC 6376 §3.6.1. */

import { createPublicKey, type KeyObject } from 'node:crypto'
import { formatTagList, parseTagList } from './tag-list.ts'

/** k=, RFC 6376 §3.6.1 and RFC 8463 §4.2. */
export type KeyType = 'rsa' | 'ed25519'

export interface KeyRecord {
  readonly keyType: KeyType
  /**
   * p=, base64 without white space. RSA: DER of the SubjectPublicKeyInfo, as everybody writes it; Ed25519: the 32 octets
   * (RFC 8463 §4.2). Empty: the key was revoked.
   */
  readonly publicKey: string
  readonly revoked: boolean
  /** t=y: the domain is testing DKIM. */
  readonly testing: boolean
  /** t=s: i= must be of the very domain of d=, not of one below it. */
  readonly strict: boolean
  /** n=, as it is written there (qp-section); for people. */
  readonly notes: string
}

/** The name the record is found at. */
export function keyRecordName(selector: string, signingDomain: string): string {
  return `${selector}._domainkey.${signingDomain}`
}

/**
 * `v=DKIM1; k=rsa; p=…` or `v=DKIM1; k=ed25519; p=…` for a public or private key. How it is cut into strings of 255 octets
 * is DNS's business (dns/rdata, `txtStrings`).
 * @throws RangeError for a key that is neither
 */
export function formatKeyRecord(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const { asymmetricKeyType } = publicKey
  if (asymmetricKeyType === 'rsa')
    return format('rsa', publicKey.export({ type: 'spki', format: 'der' }).toString('base64'))
  if (asymmetricKeyType !== 'ed25519')
    throw new RangeError(`neither an RSA nor an Ed25519 key: ${asymmetricKeyType ?? publicKey.type}`)
  const { x = '' } = publicKey.export({ format: 'jwk' })
  return format('ed25519', Buffer.from(x, 'base64url').toString('base64'))
}

/** `v=DKIM1; k=…; p=`: the selector is known, and nothing that it signed is to be believed any more. */
export function formatRevokedRecord(keyType: KeyType): string {
  return format(keyType, '')
}

function format(keyType: KeyType, publicKey: string): string {
  return formatTagList([
    ['v', 'DKIM1'],
    ['k', keyType],
    ['p', publicKey],
  ])
}

/** `null` when a verifier would take this for no key of an email domain with which a SHA-256 hash is signed. */
export function parseKeyRecord(text: string): KeyRecord | null {
  const tags = parseTagList(text)
  // v= is optional, but where it stands it is DKIM1 and the first tag.
  if (!tags || (tags.has('v') && (tags.get('v') !== 'DKIM1' || tags.keys().next().value !== 'v'))) return null
  const publicKey = tags.get('p')?.replace(/[ \t\r\n]/g, '')
  const keyType = tags.get('k') ?? 'rsa'
  if (publicKey === undefined || (keyType !== 'rsa' && keyType !== 'ed25519')) return null
  if (publicKey !== '' && !PUBLIC_KEY[keyType].test(publicKey)) return null
  if (!list(tags.get('h') ?? 'sha256').includes('sha256')) return null
  const services = list(tags.get('s') ?? '*')
  if (!services.includes('*') && !services.includes('email')) return null
  const flags = list(tags.get('t') ?? '')
  return {
    keyType,
    publicKey,
    revoked: publicKey === '',
    testing: flags.includes('y'),
    strict: flags.includes('s'),
    notes: tags.get('n') ?? '',
  }
}

/** 32 octets are 43 characters and a `=`. */
const PUBLIC_KEY: Readonly<Record<KeyType, RegExp>> = {
  rsa: /^[A-Za-z0-9+/]+={0,2}$/,
  ed25519: /^[A-Za-z0-9+/]{43}=$/,
}

/** Whether both texts are records of the same key, however they are written. */
export function sameKey(one: string, other: string): boolean {
  const a = parseKeyRecord(one)
  const b = parseKeyRecord(other)
  if (a === null || b === null || a.revoked) return false
  return a.keyType === b.keyType && a.publicKey === b.publicKey
}

function list(value: string): string[] {
  return value.split(':').map(item => item.replace(/[ \t\r\n]/g, ''))
}
