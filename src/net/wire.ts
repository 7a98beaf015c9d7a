/**
 * A socket as octets to read and octets to write: the one place that knows Node's streams. What is read waits here
 * until it is asked for, and past `HIGH_WATER_OCTETS` the peer's TCP window is left to close: backpressure reaches
 * from the spool to the client without anybody counting.
 */

import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { reasonOf } from './reason.ts'
import type { TlsAcceptor } from './tls.ts'
import { settled, WireError } from './wire-error.ts'
import { channelBindingOf, factsOf, type TlsFacts } from './wire-tls.ts'

export { WireError, type WireErrorCode } from './wire-error.ts'
export type { TlsFacts } from './wire-tls.ts'

/** Where a TLS session is kept to be resumed by the next connection to the same peer (RFC 8446 §2.2). */
export interface TlsSessions {
  last(): KeptSession | undefined
  keep(session: KeptSession): void
}

export interface KeptSession {
  readonly session: Buffer
  /** Of the connection it began with: one that is resumed shows no certificate anew. */
  readonly facts: TlsFacts
}

/** Read ahead of the reader at most this much: two TLS records. Node's stream holds as much again. */
const HIGH_WATER_OCTETS = 32 * 1024

/** Written ahead of the peer at most this much: as much as a socket's buffers may hold, so that nobody waits for no reason. */
const AT_ONCE_OCTETS = 256 * 1024

/** Who waits for octets. */
interface Reader {
  resolve(octets: Buffer | null): void
  reject(error: WireError): void
}

export class Wire {
  #socket: Socket
  #chunks: Buffer[] = []
  #bufferedOctets = 0
  #tls: TlsFacts | null = null
  #ended = false
  #gathering = false
  /** Of all who wait for room: messages that share a connection are several. */
  #draining: Promise<void> | null = null
  #error: WireError | null = null
  #reader: Reader | null = null
  #timer: NodeJS.Timeout | null = null
  /** Of `#timer`. */
  #timeoutMs = 0
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localAddress: string

  constructor(socket: Socket) {
    this.#socket = socket
    this.remoteAddress = unmapped(socket.remoteAddress)
    this.remotePort = socket.remotePort ?? 0
    this.localAddress = unmapped(socket.localAddress)
    socket.setNoDelay(true)
    this.#listen()
  }

  /** @throws WireError `connect` or `timeout`. */
  static async connect(options: {
    host: string
    port: number
    localAddress?: string
    timeoutMs: number
    signal?: AbortSignal
  }): Promise<Wire> {
    const { host, port, localAddress, timeoutMs, signal } = options
    const socket = connectTcp({ host, port, ...(localAddress === undefined ? {} : { localAddress }) })
    await settled(socket, 'connect', timeoutMs, 'connect', signal)
    return new Wire(socket)
  }

  /** Neither side has ended it, as far as is known. */
  get open(): boolean {
    return !this.#ended && this.#error === null && !this.#socket.destroyed
  }

  get tls(): TlsFacts | null {
    return this.#tls
  }

  /** `tls-exporter` of this connection (RFC 9266 §2); `null` where there is none. */
  get channelBinding(): (() => Uint8Array) | null {
    return channelBindingOf(this.#socket)
  }

  /** The next octets; `null` once the peer has ended. @throws WireError `timeout`, `closed`. */
  read(timeoutMs: number): Promise<Buffer | null> {
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
      this.#serve()
      if (this.#reader !== null) this.#expect(timeoutMs)
    })
  }

  /**
   * Writes, what is large in batches; waits while the peer is not taking it. Nobody else may write before it has resolved.
   * @throws WireError `timeout`, `closed`.
   */
  async write(octets: Uint8Array | readonly Uint8Array[], timeoutMs: number): Promise<void> {
    for (const batch of batches(octets)) if (!this.put(batch)) await this.drained(timeoutMs)
  }

  /** The same in one go, however much it is. @throws WireError `timeout`, `closed`. */
  async writeWhole(octets: readonly Uint8Array[], timeoutMs: number): Promise<void> {
    if (!this.put(octets)) await this.drained(timeoutMs)
  }

  /** The same without waiting: whether there is room for more. @throws WireError `closed`. */
  put(octets: Uint8Array | readonly Uint8Array[]): boolean {
    if (this.#error !== null) throw this.#error
    const socket = this.#socket
    if (octets instanceof Uint8Array) return socket.write(octets)
    const [first, ...others] = octets
    if (first === undefined) return true
    if (others.length === 0) return socket.write(first)
    socket.cork()
    let room = true
    for (const piece of octets) room = socket.write(piece)
    socket.uncork()
    return room
  }

  /** What is put until the event loop comes round goes in one write: a record of TLS and a system call for all of it. */
  gather(): void {
    if (this.#gathering) return
    this.#gathering = true
    const socket = this.#socket
    socket.cork()
    setImmediate(() => {
      this.#gathering = false
      socket.uncork()
    })
  }

  /** There is room again. @throws WireError `timeout`, `closed`. */
  drained(timeoutMs: number): Promise<void> {
    this.#draining ??= settled(this.#socket, 'drain', timeoutMs, 'write').finally(() => {
      this.#draining = null
    })
    return this.#draining
  }

  /** STARTTLS, this side being the server (RFC 3207). @throws WireError `tls`, `timeout`. */
  async acceptTls(acceptor: TlsAcceptor): Promise<void> {
    try {
      const socket = await acceptor.accept(this.#detach())
      this.#socket = socket
      this.#secured(socket)
    } catch (error) {
      throw new WireError('tls', reasonOf(error), error)
    }
  }

  /** STARTTLS, this side being the client. @throws WireError `tls`, `timeout`. */
  async startTls(options: ConnectionOptions, timeoutMs: number, sessions?: TlsSessions): Promise<void> {
    const plain = this.#detach()
    const kept = sessions?.last()
    const resume = kept === undefined ? {} : { session: kept.session }
    const socket = connectTls({ ...options, socket: plain, ...resume })
    let early: Buffer | null = null
    // With TLS 1.3 it comes after the handshake, and may come several times (RFC 8446 §4.6.1); before that with it.
    socket.on('session', session => {
      if (this.#tls === null) early = session
      else sessions?.keep({ session, facts: this.#tls })
    })
    this.#socket = socket
    await settled(socket, 'secureConnect', timeoutMs, 'tls')
    this.#secured(socket)
    if (this.#tls === null) return
    // Whether the name is the right one Node asks only where a certificate is shown.
    const { authorized, authorizationError } = kept?.facts ?? this.#tls
    if (this.#tls.resumed) this.#tls = { ...this.#tls, authorized, authorizationError }
    if (early !== null) sessions?.keep({ session: early, facts: this.#tls })
  }

  #secured(socket: TLSSocket): void {
    this.#tls = factsOf(socket)
    this.#listen()
  }

  /** Sends what was written, then closes. */
  end(): void {
    this.#socket.end()
    // A peer that never reads must not keep the descriptor.
    const socket = this.#socket
    setTimeout(() => socket.destroy(), 5000).unref()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Gives the reader what there is for it. */
  #serve(): void {
    const reader = this.#reader
    if (reader === null) return
    const chunk = this.#chunks.shift()
    if (chunk === undefined && this.#error === null && !this.#ended) return
    this.#reader = null
    if (chunk === undefined) {
      if (this.#error === null) reader.resolve(null)
      else reader.reject(this.#error)
      return
    }
    this.#bufferedOctets -= chunk.length
    if (this.#socket.isPaused() && this.#bufferedOctets < HIGH_WATER_OCTETS) this.#socket.resume()
    reader.resolve(chunk)
  }

  /** One timer for all reads that may wait as long: a timer for each is 2 µs of each command's 20 (measured). */
  #expect(timeoutMs: number): void {
    if (this.#timer !== null && this.#timeoutMs === timeoutMs) {
      this.#timer.refresh()
      return
    }
    this.#disarm()
    this.#timeoutMs = timeoutMs
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#reader?.reject(new WireError('timeout', `nothing received in ${timeoutMs} ms`))
      this.#reader = null
    }, timeoutMs)
  }

  #disarm(): void {
    clearTimeout(this.#timer ?? undefined)
    this.#timer = null
  }

  #listen(): void {
    const socket = this.#socket
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#bufferedOctets += chunk.length
      if (this.#bufferedOctets >= HIGH_WATER_OCTETS) socket.pause()
      this.#serve()
    })
    socket.on('end', () => {
      this.#ended = true
      this.#serve()
    })
    socket.on('error', error => this.#fail(new WireError('closed', reasonOf(error), error)))
    socket.on('close', () => {
      this.#fail(new WireError('closed', 'connection closed'))
      this.#disarm()
    })
  }

  #fail(error: WireError): void {
    if (!this.#ended) this.#error ??= error
    this.#serve()
  }

  /** Takes our listeners off the plain socket before TLS reads from it. What was read in clear is dropped (RFC 3207 §4.2). */
  #detach(): Socket {
    const socket = this.#socket
    for (const event of ['data', 'end', 'error', 'close']) socket.removeAllListeners(event)
    // The TLS socket reports its own errors; the plain one below it must not bring the process down.
    socket.on('error', () => {})
    this.#chunks = []
    this.#bufferedOctets = 0
    this.#disarm()
    return socket
  }
}

type Octets = Uint8Array | readonly Uint8Array[]

/** What is written at once TLS has in memory twice more: of more than this as much at a time. */
function batches(octets: Octets): Iterable<Octets> {
  const pieces = octets instanceof Uint8Array ? [octets] : octets
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  return length <= AT_ONCE_OCTETS ? [octets] : cut(pieces)
}

function* cut(pieces: readonly Uint8Array[]): Generator<Octets, void> {
  let batch: Uint8Array[] = []
  let left = AT_ONCE_OCTETS
  for (const piece of pieces) {
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + left)
      batch.push(part)
      at += part.length
      left -= part.length
      if (left > 0) continue
      yield batch
      batch = []
      left = AT_ONCE_OCTETS
    }
  }
  if (batch.length > 0) yield batch
}

/** `::ffff:192.0.2.1`, as a dual-stack socket calls an IPv4 peer, is `192.0.2.1`. */
function unmapped(address: string | undefined): string {
  return (address ?? '').replace(/^::ffff:(?=\d+\.)/i, '')
}
