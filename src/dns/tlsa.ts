/**
 * DANE for SMTP, RFC 7672 (with RFC 6698 and 7671): which TLSA records can be used, and whether the chain a server has shown
 * matches one of them. No I/O: time is an argument.
 */

import { createHash, type KeyObject, X509Certificate } from 'node:crypto'
import { parseAddress } from './address.ts'
import { pathLength } from './path-length.ts'
import type { Tlsa } from './rdata.ts'

/** RFC 6698 §7.2, with the names of RFC 7218. */
const DANE_TA = 2
const DANE_EE = 3
/** id-kp-serverAuth and anyExtendedKeyUsage. */
const SERVER = '1.3.6.1.5.5.7.3.1'
const ANY = '2.5.29.37.0'
const FULL = 0
const HASHES: Readonly<Record<number, { readonly name: string; readonly octets: number }>> = {
  1: { name: 'sha256', octets: 32 },
  2: { name: 'sha512', octets: 64 },
}

/**
 * Those that say how to verify an SMTP server: usages 0 and 1 do not (RFC 7672 §3.1.3), nor what is malformed or unknown.
 * Of each usage and selector only the strongest hash is left, and what is given in full (RFC 7671 §9).
 */
export function usableTlsa(records: readonly Tlsa[]): Tlsa[] {
  const usable = records.filter(isUsable)
  return usable.filter(
    ({ usage, selector, matchingType }) =>
      matchingType === FULL ||
      !usable.some(
        other => other.usage === usage && other.selector === selector && other.matchingType > matchingType,
      ),
  )
}

function isUsable({ usage, selector, matchingType, certificate }: Tlsa): boolean {
  if ((usage !== DANE_TA && usage !== DANE_EE) || selector > 1) return false
  if (matchingType === FULL) return certificate.length > 0 && (selector === 1 || parse(certificate) !== null)
  return certificate.length === HASHES[matchingType]?.octets
}

export type ChainVerdict =
  | { readonly kind: 'match'; readonly record: Tlsa }
  | { readonly kind: 'mismatch'; readonly reason: string }

/**
 * @param records that are usable
 * @param chain certificates in DER as the server has shown them, its own first
 * @param names reference identifiers: the TLSA base domain and the next-hop domain (RFC 7672 §3.2.2)
 */
export function verifyChain(
  records: readonly Tlsa[],
  chain: readonly Uint8Array[],
  names: readonly string[],
  nowMs: number,
): ChainVerdict {
  const certificates = chain.flatMap(der => parse(der) ?? [])
  const [leaf] = certificates
  if (leaf === undefined) return { kind: 'mismatch', reason: 'the server has shown no certificate' }
  // RFC 7672 §3.1.1: with DANE-EE neither names nor dates count: the record says it all.
  const exact = records.find(record => record.usage === DANE_EE && matches(record, leaf))
  if (exact !== undefined) return { kind: 'match', record: exact }
  let reason = 'no TLSA record matches the certificate that the server has shown'
  for (const record of records) {
    if (record.usage !== DANE_TA) continue
    const trouble = verifyTo(record, certificates, names, nowMs)
    if (trouble === null) return { kind: 'match', record }
    reason = trouble
  }
  return { kind: 'mismatch', reason }
}

/** RFC 7672 §3.1.2: a trust anchor that the record names, and below it a chain that is valid, to a name that is the host's. */
function verifyTo(
  record: Tlsa,
  chain: readonly X509Certificate[],
  names: readonly string[],
  nowMs: number,
): string | null {
  // A full certificate in the record need not be shown by the server (RFC 7671 §5.2.1).
  const given = record.matchingType === FULL && record.selector === 0 ? parse(record.certificate) : null
  const shown = [...chain, ...(given === null ? [] : [given])]
  const [leaf] = chain
  if (leaf === undefined) return 'the server has shown no certificate'
  const path = [leaf]
  for (let current = leaf; ; ) {
    const issuer = shown.find(
      candidate => candidate !== current && candidate.ca && isIssuedBy(current, candidate),
    )
    if (issuer === undefined || path.includes(issuer))
      return 'no TLSA record matches an issuer in the chain that the server has shown'
    path.push(issuer)
    if (matches(record, issuer)) break
    current = issuer
  }
  // RFC 5280 §4.2.1.9 (RFC 7671 §5.2.1): CAs that sign themselves do not count.
  const tooFar = path.find(({ raw }, n) => {
    const between = path.slice(1, n).filter(({ subject, issuer }) => subject !== issuer).length
    return n > 0 && between > (pathLength(raw) ?? between)
  })
  if (tooFar !== undefined) return 'a CA of the chain may not have as many CAs below it'
  const expired = path.find(({ validFromDate, validToDate }) => {
    return nowMs < validFromDate.getTime() || nowMs > validToDate.getTime()
  })
  if (expired !== undefined)
    return `a certificate of the chain is not valid at this time (until ${expired.validToDate.toISOString()})`
  // RFC 5280 §4.2.1.12: where a certificate says what it is for, it is for nothing else. (Node calls that keyUsage.)
  if (leaf.keyUsage !== undefined && !leaf.keyUsage.some(purpose => purpose === SERVER || purpose === ANY))
    return 'the certificate is not for servers'
  return objectionToNames(leaf.raw, names)
}

/**
 * Why a certificate is for none of these hosts; null: it is for one of them. RFC 9525 §6.3: never the CN, and a wildcard is a
 * whole label (RFC 7672 §3.2.3).
 * @param names host names, or IP addresses
 * @throws Error it is no certificate
 */
export function objectionToNames(der: Uint8Array, names: readonly string[]): string | null {
  const certificate = new X509Certificate(der)
  const wanted = [...new Set(names)].join(' or ')
  const shown = certificate.subjectAltName
  if (shown === undefined) return `the certificate names no host (it has no SAN), so it is not for ${wanted}`
  const how = { subject: 'never', partialWildcards: false } as const
  const found = names.some(name =>
    parseAddress(name) === null ? certificate.checkHost(name, how) : certificate.checkIP(name),
  )
  return found ? null : `the certificate is for ${shown}, not for ${wanted}`
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  const key = keyOf(issuer)
  return key !== null && certificate.checkIssued(issuer) && certificate.verify(key)
}

/** `null`: a key of a kind that OpenSSL does not know, or malformed. A server may show whatever it likes behind its own. */
function keyOf(certificate: X509Certificate): KeyObject | null {
  try {
    return certificate.publicKey
  } catch {
    return null
  }
}

function matches({ selector, matchingType, certificate }: Tlsa, shown: X509Certificate): boolean {
  const selected = selector === 0 ? shown.raw : keyOf(shown)?.export({ type: 'spki', format: 'der' })
  if (selected === undefined) return false
  const hash = HASHES[matchingType]
  const compared = hash === undefined ? selected : createHash(hash.name).update(selected).digest()
  return Buffer.compare(compared, certificate) === 0
}

function parse(der: Uint8Array): X509Certificate | null {
  try {
    return new X509Certificate(der)
  } catch {
    return null
  }
}

/** `3 1 1 ab12…`, as in a zone file. */
export function formatTlsa({ usage, selector, matchingType, certificate }: Tlsa): string {
  const hex = Buffer.from(certificate).toString('hex')
  return `${usage} ${selector} ${matchingType} ${hex.length > 32 ? `${hex.slice(0, 32)}…` : hex}`
}
