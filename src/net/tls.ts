/**
 * TLS as the services use it: a server side for what strangers reach (submission), both sides of the hops (mutual,
 * TLS 1.3, the deployment's own CA), and the client side for the Internet (opportunistic, RFC 7435).
 */

import type { Socket } from 'node:net'
import {
  type ConnectionOptions,
  createSecureContext,
  createServer,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls'

/** A certificate and its key, PEM. The key never leaves this object but into OpenSSL. */
export interface KeyPair {
  readonly certificate: string
  readonly key: string
}

/** The services of one deployment know each other by the SAN of their hop certificate. */
export type Role = 'submission' | 'signer' | 'relay'

/** The DNS name a role's hop certificate carries; `.internal` is reserved for private use and resolves nowhere. */
export const roleName = (role: Role): string => `${role}.ptt.internal`

export function rolesOf(peerNames: readonly string[]): Role[] {
  return (['submission', 'signer', 'relay'] as const).filter(role => peerNames.includes(roleName(role)))
}

/** RFC 9325 §4.2: forward secrecy and authenticated encryption, for certificates of either kind, and nothing else. */
const CIPHERS = [
  ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
  ...['ECDHE+AESGCM', 'ECDHE+CHACHA20'],
].join(':')
/** The hybrid of ML-KEM first, then the curves of everybody; none of the finite fields, of which some are of 112 bits. */
const GROUPS = 'X25519MLKEM768:X25519:P-256:P-384:P-521'
/** SSL_OP_NO_RENEGOTIATION: who has shaken hands in TLS 1.2 does not have us do so again (CVE-2011-1473; RFC 9325 §3.5). */
const NO_RENEGOTIATION = 0x4000_0000
const SERVER: TlsOptions = { ciphers: CIPHERS, ecdhCurve: GROUPS, secureOptions: NO_RENEGOTIATION }

/**
 * The server side of TLS on a socket that is already connected. Node checks client certificates only for sockets that
 * went through a `tls.Server`, so there is one here that listens to nothing and is handed each socket.
 */
export class TlsAcceptor {
  readonly #server: Server
  #options: TlsOptions
  readonly #waiting = new Map<string, { resolve(socket: TLSSocket): void; reject(error: Error): void }>()

  constructor(options: TlsOptions) {
    this.#options = options
    this.#server = createServer(options)
    this.#server.on('secureConnection', socket => this.#waiting.get(peerOf(socket))?.resolve(socket))
    this.#server.on('tlsClientError', (error, socket) => this.#waiting.get(peerOf(socket))?.reject(error))
  }

  /**
   * For the public: TLS 1.2 and up (RFC 8997 §3, RFC 9325 §3.1.1). With `clientCa` a certificate of it is asked for, so
   * that SASL EXTERNAL can be used; one that is missing or foreign does no harm. `ticketKeys`, 48 octets that several
   * processes share: a session of one can be resumed at another (RFC 8446 §4.6.1).
   */
  static forClients(
    pair: KeyPair,
    handshakeTimeout: number,
    clientCa?: string,
    ticketKeys?: Buffer,
  ): TlsAcceptor {
    return new TlsAcceptor({
      ...SERVER,
      cert: pair.certificate,
      key: pair.key,
      minVersion: 'TLSv1.2',
      handshakeTimeout,
      ...(ticketKeys === undefined ? {} : { ticketKeys }),
      ...(clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: false }),
    })
  }

  /**
   * For the hops: TLS 1.3 (RFC 9852), and a certificate of `ca` asked for. One that is missing or foreign is not refused
   * here but by the session, before MAIL and in words (RFC 3207 §4.1): the operator of the other side sees why.
   */
  static forHop(pair: KeyPair, ca: string, handshakeTimeout: number): TlsAcceptor {
    return new TlsAcceptor({
      ...SERVER,
      cert: pair.certificate,
      key: pair.key,
      ca,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout,
    })
  }

  /**
   * New certificates for the sessions to come; those that are open keep theirs.
   *
   * @throws Error what OpenSSL objects to: all stays as it was
   */
  renew(pair: KeyPair, ca = this.#options.ca): void {
    const options = { ...this.#options, ca, cert: pair.certificate, key: pair.key }
    createSecureContext(options)
    this.#options = options
    this.#server.setSecureContext(options)
  }

  /** @throws Error what OpenSSL or the peer objected to. */
  async accept(plain: Socket): Promise<TLSSocket> {
    const peer = peerOf(plain)
    const gone = () =>
      this.#waiting.get(peer)?.reject(new Error('closed by the peer during the TLS handshake'))
    try {
      return await new Promise((resolve, reject) => {
        this.#waiting.set(peer, { resolve, reject })
        plain.once('close', gone)
        this.#server.emit('connection', plain)
        if (plain.destroyed) gone()
      })
    } finally {
      plain.off('close', gone)
      this.#waiting.delete(peer)
    }
  }
}

const peerOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`

/** The client side of a hop: our certificate, their role, TLS 1.3. */
export function hopClientTls(pair: KeyPair, ca: string, role: Role): ConnectionOptions {
  return {
    cert: pair.certificate,
    key: pair.key,
    ca,
    servername: roleName(role),
    minVersion: 'TLSv1.3',
    rejectUnauthorized: true,
  }
}

/**
 * Opportunistic TLS to an MX (RFC 7435): better than clear text, whoever the other side is. Old versions are let in
 * for the same reason.
 */
export function opportunisticTls(servername: string): ConnectionOptions {
  return { servername, minVersion: 'TLSv1', rejectUnauthorized: false }
}
