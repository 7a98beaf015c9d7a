/**
 * A deployment's own certificate authority: X.509 v3 certificates (RFC 5280), ECDSA on P-256 with SHA-256. The services of a
 * deployment know each other by what it signs: the role is the OU of the subject and the name `<role>.ptt.internal` (RFC
 * 9525: only subjectAltName is matched).
 *
 * HOLDS the authority's private key while `ptt init` runs.
 */

// @peculiar/x509 wants it loaded before itself.
import 'reflect-metadata'
import { createPrivateKey, KeyObject, type webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'
import { type KeyPair, type Role, roleName } from '../net/tls.ts'

/** What a certificate is for: a service of this deployment, or a server with names (and addresses) of its own. */
export type Subject = { readonly role: Role } | { readonly names: readonly [string, ...string[]] }

const DAY_MS = 86_400_000
const AUTHORITY_DAYS = 3650
/** Some clients take no certificate that is longer than 825 days, also from an authority they were told to trust. */
const DAYS = 730
/** Clocks differ: a certificate begins an hour before it is made. */
const GRACE_MS = 3_600_000

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** Its common name: at most 64 characters (RFC 5280 App. A.1). */
export function authorityName(deployment: string): string {
  return `ptt hops of ${deployment}`.slice(0, 64)
}

export async function makeAuthority(deployment: string, nowMs = Date.now()): Promise<KeyPair> {
  const keys = await makeKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: nameOf([{ O: ['ptt'] }, { CN: [authorityName(deployment)] }]),
    notBefore: new Date(nowMs - GRACE_MS),
    notAfter: new Date(nowMs + AUTHORITY_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      // It signs services, no other authority.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return pairOf(certificate, keys)
}

/** A new key pair with a certificate signed by `authority`. */
export async function issue(authority: KeyPair, subject: Subject, nowMs = Date.now()): Promise<KeyPair> {
  const issuer = new x509.X509Certificate(authority.certificate)
  // Not longer than the authority: nothing verifies after its end.
  const notAfterMs = Math.min(nowMs + DAYS * DAY_MS, issuer.notAfter.getTime())
  const signingKey = createPrivateKey(authority.key).toCryptoKey(ALGORITHM, false, ['sign'])
  return leaf(subject, nowMs, notAfterMs, {
    name: issuer.subjectName,
    publicKey: issuer.publicKey,
    signingKey,
  })
}

/** Signed by itself, for a server that proves nothing to anybody. */
export function selfSigned(names: readonly [string, ...string[]], nowMs = Date.now()): Promise<KeyPair> {
  return leaf({ names }, nowMs, nowMs + DAYS * DAY_MS)
}

interface Issuer {
  readonly name: x509.Name
  readonly publicKey: x509.PublicKey | webcrypto.CryptoKey
  readonly signingKey: webcrypto.CryptoKey
}

async function leaf(subject: Subject, nowMs: number, notAfterMs: number, issuer?: Issuer): Promise<KeyPair> {
  const keys = await makeKeys()
  const names = 'role' in subject ? [roleName(subject.role)] : subject.names
  const name = nameOf([
    { O: ['ptt'] },
    ...('role' in subject ? [{ OU: [subject.role] }] : []),
    // RFC 5280 App. A.1: a common name has at most 64 characters; nobody reads it anyway.
    { CN: [(names[0] ?? '').slice(0, 64)] },
  ])
  const { serverAuth, clientAuth } = x509.ExtendedKeyUsage
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: name,
    issuer: issuer?.name ?? name,
    notBefore: new Date(nowMs - GRACE_MS),
    notAfter: new Date(notAfterMs),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: issuer?.signingKey ?? keys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      // Each end of a hop is a server for one neighbour and a client of the other (RFC 5280 §4.2.1.12).
      new x509.ExtendedKeyUsageExtension('role' in subject ? [serverAuth, clientAuth] : [serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map(value => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer?.publicKey ?? keys.publicKey),
    ],
  })
  return pairOf(certificate, keys)
}

const makeKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])

const nameOf = (attributes: x509.JsonName): x509.Name => new x509.Name(attributes)

/** RFC 5280 §4.1.2.2: positive, at most 20 octets; here 16, unpredictable. */
function serialNumber(): string {
  const octets = crypto.getRandomValues(new Uint8Array(16))
  octets[0] = ((octets[0] ?? 0) & 0x7f) | 0x40
  return Buffer.from(octets).toString('hex')
}

function pairOf(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): KeyPair {
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString()
  return { certificate: `${certificate.toString('pem')}\n`, key }
}
