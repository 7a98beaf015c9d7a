/**
 * A deployment's own certificate authority: X.509 v3 certificates (RFC 5280), ECDSA on P-256 with SHA-256 (RFC 5758
 * §3.2). The services of a deployment know each other by what it signs: the role is the OU of the subject and the name
 * `<role>.ptt.internal` (RFC 9525: only subjectAltName is matched).
 *
 * HOLDS the authority's private key while `ptt init` runs.
 */

import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto'
import { isIP } from 'node:net'
import { type KeyPair, type Role, roleName } from '../net/tls.ts'

/** What a certificate is for: a service of this deployment, or a server with names (and addresses) of its own. */
export type Subject = { readonly role: Role } | { readonly names: readonly [string, ...string[]] }

const DAY_MS = 86_400_000
const AUTHORITY_DAYS = 3650
/** Some clients take no certificate that is longer than 825 days, also from an authority they were told to trust. */
const DAYS = 730
/** Clocks differ: a certificate begins an hour before it is made. */
const GRACE_MS = 3_600_000

/** Its common name: at most 64 characters (RFC 5280 App. A.1). */
export function authorityName(deployment: string): string {
  return `ptt hops of ${deployment}`.slice(0, 64)
}

export function makeAuthority(deployment: string, nowMs = Date.now()): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const name = distinguishedName([
    [OID.organization, 'ptt'],
    [OID.commonName, authorityName(deployment)],
  ])
  const certificate = encodeCertificate({
    issuer: name,
    subject: name,
    publicKey,
    signer: privateKey,
    notBeforeMs: nowMs - GRACE_MS,
    notAfterMs: nowMs + AUTHORITY_DAYS * DAY_MS,
    extensions: [
      // cA, pathLenConstraint 0: it signs services, no other authority.
      extension(OID.basicConstraints, true, sequence(BOOLEAN_TRUE, integer(Buffer.of(0)))),
      // keyCertSign, cRLSign.
      extension(OID.keyUsage, true, tlv(0x03, Buffer.of(1, 0b0000_0110))),
      extension(OID.subjectKeyIdentifier, false, octetString(keyIdentifier(publicKey))),
    ],
  })
  return { certificate, key: pem(privateKey) }
}

/** A new key pair with a certificate signed by `authority`. */
export function issue(authority: KeyPair, subject: Subject, nowMs = Date.now()): KeyPair {
  const { raw, publicKey, validToDate } = new X509Certificate(authority.certificate)
  // Not longer than the authority: nothing verifies after its end.
  const notAfterMs = Math.min(nowMs + DAYS * DAY_MS, validToDate.getTime())
  const privateKey = createPrivateKey(authority.key)
  return leaf(subject, nowMs, notAfterMs, { name: subjectOf(raw), publicKey, privateKey })
}

/** Signed by itself, for a server that proves nothing to anybody. */
export function selfSigned(names: readonly [string, ...string[]], nowMs = Date.now()): KeyPair {
  return leaf({ names }, nowMs, nowMs + DAYS * DAY_MS)
}

interface Issuer {
  readonly name: Buffer
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

function leaf(subject: Subject, nowMs: number, notAfterMs: number, issuer?: Issuer): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const names = 'role' in subject ? [roleName(subject.role)] : subject.names
  const name = distinguishedName([
    [OID.organization, 'ptt'],
    ...('role' in subject ? [[OID.organizationalUnit, subject.role] as const] : []),
    // RFC 5280 App. A.1: a common name has at most 64 characters; nobody reads it anyway.
    [OID.commonName, (names[0] ?? '').slice(0, 64)],
  ])
  // Each end of a hop is a server for one neighbour and a client of the other (RFC 5280 §4.2.1.12).
  const usages = 'role' in subject ? [OID.serverAuth, OID.clientAuth] : [OID.serverAuth]
  const certificate = encodeCertificate({
    issuer: issuer?.name ?? name,
    subject: name,
    publicKey,
    signer: issuer?.privateKey ?? privateKey,
    notBeforeMs: nowMs - GRACE_MS,
    notAfterMs,
    extensions: [
      extension(OID.basicConstraints, true, sequence()),
      // digitalSignature.
      extension(OID.keyUsage, true, tlv(0x03, Buffer.of(7, 0b1000_0000))),
      extension(OID.extendedKeyUsage, false, sequence(...usages.map(objectIdentifier))),
      extension(OID.subjectAltName, false, sequence(...names.map(generalName))),
      extension(OID.subjectKeyIdentifier, false, octetString(keyIdentifier(publicKey))),
      extension(
        OID.authorityKeyIdentifier,
        false,
        sequence(tlv(0x80, keyIdentifier(issuer?.publicKey ?? publicKey))),
      ),
    ],
  })
  return { certificate, key: pem(privateKey) }
}

// Certificate, RFC 5280 §4.1.

const OID = {
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
} as const

interface CertificateFields {
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly extensions: readonly Buffer[]
}

function encodeCertificate(fields: CertificateFields): string {
  const algorithm = sequence(objectIdentifier(OID.ecdsaWithSha256))
  const serial = randomBytes(16)
  // RFC 5280 §4.1.2.2: positive, and here always of 16 octets.
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  const tbsCertificate = sequence(
    tlv(0xa0, integer(Buffer.of(2))), // v3
    integer(serial),
    algorithm,
    fields.issuer,
    sequence(time(fields.notBeforeMs), time(fields.notAfterMs)),
    fields.subject,
    spki(fields.publicKey),
    tlv(0xa3, sequence(...fields.extensions)),
  )
  const signature = sign('sha256', tbsCertificate, fields.signer)
  const der = sequence(tbsCertificate, algorithm, tlv(0x03, Buffer.of(0), signature))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
}

/** Each attribute a set of its own, as UTF8String (RFC 5280 §4.1.2.4). */
function distinguishedName(attributes: readonly (readonly [type: string, value: string])[]): Buffer {
  return sequence(
    ...attributes.map(([type, value]) =>
      tlv(0x31, sequence(objectIdentifier(type), tlv(0x0c, Buffer.from(value, 'utf8')))),
    ),
  )
}

/** The subject as it is encoded in a certificate: what its signatures must name as issuer, octet for octet. */
function subjectOf(certificate: Buffer): Buffer {
  const [tbsCertificate] = elements(contentOf(certificate))
  // version, serialNumber, signature, issuer, validity, subject.
  const subject = tbsCertificate && elements(contentOf(tbsCertificate))[5]
  if (subject === undefined) throw new Error("the authority's certificate has no subject")
  return subject
}

function extension(type: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectIdentifier(type), ...(critical ? [BOOLEAN_TRUE] : []), octetString(value))
}

/** GeneralName, RFC 5280 §4.2.1.6: iPAddress [7] or dNSName [2]. */
function generalName(name: string): Buffer {
  return isIP(name) === 0 ? tlv(0x82, Buffer.from(name, 'latin1')) : tlv(0x87, addressOctets(name))
}

function addressOctets(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number))
  // URL gives the form of RFC 5952, with at most one "::" and no dotted end.
  const [head = '', tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split('::')
  const groups = (text: string) =>
    text === '' ? [] : text.split(':').map(group => Number.parseInt(group, 16))
  const before = groups(head)
  const after = groups(tail ?? '')
  const octets = Buffer.alloc(16)
  for (const [at, group] of before.entries()) octets.writeUInt16BE(group, at * 2)
  for (const [at, group] of after.entries()) octets.writeUInt16BE(group, 16 - (after.length - at) * 2)
  return octets
}

/** RFC 5280 §4.2.1.2 method (1), of the key as it is encoded. */
function keyIdentifier(publicKey: KeyObject): Buffer {
  const [, subjectPublicKey] = elements(contentOf(spki(publicKey)))
  // The first octet of a BIT STRING counts its unused bits.
  return createHash('sha1')
    .update(contentOf(subjectPublicKey ?? Buffer.alloc(2)).subarray(1))
    .digest()
}

function spki(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' })
}

function pem(privateKey: KeyObject): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

// DER, X.690 §8 and §10.

const BOOLEAN_TRUE = Buffer.of(0x01, 0x01, 0xff)

function tlv(tag: number, ...content: readonly Buffer[]): Buffer {
  const value = Buffer.concat(content)
  return Buffer.concat([Buffer.of(tag), encodedLength(value.length), value])
}

function encodedLength(length: number): Buffer {
  if (length < 0x80) return Buffer.of(length)
  return length < 0x100 ? Buffer.of(0x81, length) : Buffer.of(0x82, length >> 8, length & 0xff)
}

function sequence(...elements: readonly Buffer[]): Buffer {
  return tlv(0x30, ...elements)
}

function octetString(content: Buffer): Buffer {
  return tlv(0x04, content)
}

/** `octets` big-endian, its first bit clear. */
function integer(octets: Buffer): Buffer {
  return tlv(0x02, octets)
}

function objectIdentifier(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return tlv(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(arc: number): number[] {
  const high = Math.floor(arc / 128)
  return [...(high === 0 ? [] : base128(high).map(octet => octet | 0x80)), arc % 128]
}

/** RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050. */
function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')
  const late = Number(digits.slice(0, 4)) >= 2050
  return late ? tlv(0x18, Buffer.from(digits)) : tlv(0x17, Buffer.from(digits.slice(2)))
}

/** The value of the one element that `der` is. */
function contentOf(der: Buffer): Buffer {
  const [start, end] = extent(der)
  return der.subarray(start, end)
}

function elements(content: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at < content.length; ) {
    const [, end] = extent(content.subarray(at))
    found.push(content.subarray(at, at + end))
    at += end
  }
  return found
}

/** Where the value of the first element begins and ends. */
function extent(der: Buffer): [start: number, end: number] {
  const short = der[1] ?? 0
  const octets = short < 0x80 ? 0 : short & 0x7f
  const length = octets === 0 ? short : der.readUIntBE(2, octets)
  return [2 + octets, 2 + octets + length]
}
