/** TLS to an MX that must be the one it says it is: RFC 8689 §4.2.1, RFC 9525, RFC 9325. */

import type { ConnectionOptions } from 'node:tls'
import { objectionToNames } from '../dns/tlsa.ts'

/** TLS 1.2 and up (RFC 9325 §3.1.1), whoever the other side is. */
export function encryptedTls(servername: string): ConnectionOptions {
  return { servername, minVersion: 'TLSv1.2', rejectUnauthorized: false }
}

/**
 * As `encryptedTls`, and the certificate must chain to a CA that Node trusts (`NODE_EXTRA_CA_CERTS`,
 * `--use-system-ca`) and name the host in its SAN.
 */
export function verifiedTls(servername: string): ConnectionOptions {
  return {
    ...encryptedTls(servername),
    rejectUnauthorized: true,
    checkServerIdentity(hostname, { raw }) {
      // Node would take the CN where there is no SAN, and a wildcard that is a part of a label.
      const why = objectionToNames(raw, [hostname])
      return why === null ? undefined : new Error(why)
    },
  }
}

/** The same with a ClientHello that fits into one packet: no post-quantum key share, which alone is 1.2 KB. */
export function reducedTls(options: ConnectionOptions): ConnectionOptions {
  return { ...options, ecdhCurve: 'X25519:P-256:P-384' }
}
