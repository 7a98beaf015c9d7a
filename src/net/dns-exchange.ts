/** One question to one DNS server, over UDP or TCP: octets out, the first acceptable octets back. */

import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { type Endpoint, formatEndpoint } from './endpoint.ts'
import { reasonOf } from './reason.ts'

export type Exchange<T> =
  | { readonly kind: 'reply'; readonly value: T }
  | { readonly kind: 'failure'; readonly code: ExchangeFailureCode; readonly reason: string }

/** NOROUTE: this machine cannot reach any address of that kind, as where it has no IPv6. */
export type ExchangeFailureCode = 'TIMEOUT' | 'NETWORK' | 'NOROUTE' | 'CLOSED'

export interface ExchangeOptions {
  /** For the whole exchange. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** `undefined`: these octets are not the answer (another id, a forgery): go on waiting. */
export type Accept<T> = (octets: Buffer) => T | undefined

/**
 * A new socket, so a new source port, for each question (RFC 5452 §9.2). It is connected: the system drops
 * what comes from any other address or port, and tells of an ICMP "port unreachable".
 */
export function exchangeUdp<T>(
  server: Endpoint,
  octets: Uint8Array,
  accept: Accept<T>,
  options: ExchangeOptions,
): Promise<Exchange<T>> {
  const socket = createSocket(server.host.includes(':') ? 'udp6' : 'udp4')
  return exchange(
    server,
    options,
    () => socket.close(),
    settle => {
      socket.on('error', error => settle(networkFailure(server, error)))
      socket.on('message', reply => {
        const value = accept(reply)
        if (value !== undefined) settle({ kind: 'reply', value })
      })
      // Not as a callback of connect(), which would be called with an error as well as without.
      socket.once('connect', () => {
        socket.send(octets, error => {
          if (error) settle(networkFailure(server, error))
        })
      })
      socket.connect(server.port, server.host)
    },
  )
}

/** RFC 1035 §4.2.2, RFC 7766: two octets of length, then the message, in one write. */
export function exchangeTcp<T>(
  server: Endpoint,
  octets: Uint8Array,
  accept: Accept<T>,
  options: ExchangeOptions,
): Promise<Exchange<T>> {
  const socket = connect({ host: server.host, port: server.port, noDelay: true })
  const frames = new TcpFrames()
  return exchange(
    server,
    options,
    () => socket.destroy(),
    settle => {
      socket.on('error', error => settle(networkFailure(server, error)))
      socket.on('close', () =>
        settle(networkFailure(server, new Error('the connection was closed without an answer'))),
      )
      socket.on('data', chunk => {
        for (const reply of frames.push(chunk)) {
          const value = accept(reply)
          if (value !== undefined) return settle({ kind: 'reply', value })
        }
      })
      socket.write(tcpFrame(octets))
    },
  )
}

export function tcpFrame(octets: Uint8Array): Buffer {
  const framed = Buffer.alloc(2 + octets.length)
  framed.writeUInt16BE(octets.length)
  framed.set(octets, 2)
  return framed
}

/** Cuts a TCP stream into messages; holds at most one message of 65,535 octets. */
export class TcpFrames {
  #pending: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<Buffer> {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    while (this.#pending.length >= 2) {
      const end = 2 + this.#pending.readUInt16BE(0)
      if (this.#pending.length < end) return
      const message = this.#pending.subarray(2, end)
      this.#pending = this.#pending.subarray(end)
      yield message
    }
  }
}

/** Settles once: by the exchange itself, by time, or by the signal; then lets go of the socket. */
function exchange<T>(
  server: Endpoint,
  options: ExchangeOptions,
  release: () => void,
  start: (settle: (outcome: Exchange<T>) => void) => void,
): Promise<Exchange<T>> {
  return new Promise(resolve => {
    let settled = false
    const settle = (outcome: Exchange<T>): void => {
      if (settled) return
      settled = true
      clearTimeout(timer)
      options.signal?.removeEventListener('abort', closed)
      release()
      resolve(outcome)
    }
    const closed = (): void =>
      settle({ kind: 'failure', code: 'CLOSED', reason: 'closed before an answer came' })
    const timer = setTimeout(() => {
      const reason = `${formatEndpoint(server)} did not answer within ${options.timeoutMs} ms`
      settle({ kind: 'failure', code: 'TIMEOUT', reason })
    }, options.timeoutMs)
    options.signal?.addEventListener('abort', closed)
    start(settle)
    if (options.signal?.aborted) closed()
  })
}

/** There is no network, or no address of ours, for an address of that kind. */
const NO_ROUTE = new Set(['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT'])

function networkFailure(server: Endpoint, error: NodeJS.ErrnoException): Exchange<never> {
  const code = NO_ROUTE.has(error.code ?? '') ? 'NOROUTE' : 'NETWORK'
  return { kind: 'failure', code, reason: `${formatEndpoint(server)}: ${reasonOf(error)}` }
}
