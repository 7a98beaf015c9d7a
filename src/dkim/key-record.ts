/** The key record at `<selector>._domainkey.<domain>`, RFC 6376 §3.6.1. */

import { createPublicKey, type KeyObject } from 'node:crypto'
import { formatTagList, parseTagList } from './tag-list.ts'

export interface KeyRecord {
  readonly keyType: 'rsa'
  /** DER of the SubjectPublicKeyInfo, base64 without white space; empty: the key was revoked. */
  readonly publicKey: string
  /** t=y: the domain is testing DKIM. */
  readonly testing: boolean
}

/** The name the record is found at. */
export function keyRecordName(selector: string, signingDomain: string): string {
  return `${selector}._domainkey.${signingDomain}`
}

/** `v=DKIM1; k=rsa; p=…` for a public or private key. How it is cut into strings of 255 octets is DNS's business. */
export function formatKeyRecord(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  if (publicKey.asymmetricKeyType !== 'rsa')
    throw new RangeError(`not an RSA key: ${publicKey.asymmetricKeyType}`)
  const der = publicKey.export({ type: 'spki', format: 'der' })
  return formatTagList([
    ['v', 'DKIM1'],
    ['k', 'rsa'],
    ['p', der.toString('base64')],
  ])
}

/** `null` when a verifier would not take this for an rsa-sha256 key of an email domain. */
export function parseKeyRecord(text: string): KeyRecord | null {
  const tags = parseTagList(text)
  // v= is optional, but where it stands it is DKIM1 and the first tag.
  if (!tags || (tags.has('v') && (tags.get('v') !== 'DKIM1' || tags.keys().next().value !== 'v'))) return null
  const publicKey = tags.get('p')?.replace(/[ \t\r\n]/g, '')
  if (publicKey === undefined || !/^[A-Za-z0-9+/]*={0,2}$/.test(publicKey)) return null
  if ((tags.get('k') ?? 'rsa') !== 'rsa') return null
  if (!list(tags.get('h') ?? 'sha256').includes('sha256')) return null
  const services = list(tags.get('s') ?? '*')
  if (!services.includes('*') && !services.includes('email')) return null
  return { keyType: 'rsa', publicKey, testing: list(tags.get('t') ?? '').includes('y') }
}

/** Whether both texts are records of the same key, however they are written. */
export function sameKey(one: string, other: string): boolean {
  const a = parseKeyRecord(one)
  const b = parseKeyRecord(other)
  return a !== null && b !== null && a.publicKey !== '' && a.publicKey === b.publicKey
}

function list(value: string): string[] {
  return value.split(':').map(item => item.replace(/[ \t\r\n]/g, ''))
}
