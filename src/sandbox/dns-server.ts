/**
 * NAME
 *   A small authoritative server: the primary that ptt's signer publishes to when there is no other, and
 *   the DNS of the pretend Internet in `npm start` and in tests.
 * STANDARDS
 *   RFC 1035, 2136, 2308, 4592, 6891, 7766, 8945.
 * HOLDS
 *   One TSIG key.
 * BUGS
 *   No zone transfers, no DNSSEC, no delegations. A message whose time is inside the fudge can be repeated
 *   (RFC 8945 §5.2.3 has a server remember the last time); prerequisites make that harmless for ptt's own
 *   updates.
 */

import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { TsigKey } from '../dns/tsig.ts'
import { TcpFrames, tcpFrame } from '../net/dns-exchange.ts'
import type { Log } from '../observe/event.ts'
import { Primary } from './dns-primary.ts'
import { loadState, saveState } from './dns-state.ts'
import { Zone, type ZoneData } from './dns-zone.ts'

export interface DnsServerOptions {
  readonly zones: readonly ZoneData[]
  /** Who may change TXT and SRV records; nobody without it. */
  readonly tsigKey?: TsigKey
  /** Default 0: any free one. */
  readonly port?: number
  readonly address?: string
  readonly log: Log
  /** What updates changed is kept here, and put over `zones` at the next start. */
  readonly stateFile?: string
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export interface DnsServer {
  readonly port: number
  /** What is served now. */
  zones(): ZoneData[]
  close(): Promise<void>
}

/** RFC 7766 §6.2.3: an idle connection is given up. */
const TCP_IDLE_MS = 10_000

export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const { log, stateFile } = options
  const address = options.address ?? '127.0.0.1'
  const configured = options.zones.map(Zone.parse)
  const primary = new Primary({
    zones: stateFile === undefined ? configured : loadState(stateFile, configured),
    tsigKey: options.tsigKey ?? null,
    now: options.now ?? Date.now,
    commit: zones => {
      if (stateFile !== undefined) saveState(stateFile, configured, zones)
    },
    log,
  })
  const { tcp, udp } = await bind(address, options.port ?? 0)
  const connections = new Set<Socket>()
  tcp.on('connection', socket => {
    connections.add(socket)
    socket.once('close', () => connections.delete(socket))
    serveTcp(socket, primary)
  })
  udp.on('message', (octets, peer) => {
    const reply = primary.answer(octets, 'udp')
    if (reply !== null) udp.send(reply, peer.port, peer.address)
  })
  udp.on('error', error => log.event('failed', { server: 'dns', reason: error.message }, 'error'))

  const { port } = tcp.address() as AddressInfo
  log.event('started', { server: 'dns', address, port, zones: configured.map(zone => zone.origin) })
  return {
    port,
    zones: () => primary.zones.map(zone => zone.export()),
    close: async () => {
      for (const socket of connections) socket.destroy()
      const closed = Promise.all([once(tcp, 'close'), once(udp, 'close')])
      tcp.close()
      udp.close()
      await closed
      log.event('stopped', { server: 'dns', port })
    },
  }
}

/** The same port for both: one that is free for TCP may be taken for UDP, then another is tried. */
async function bind(address: string, port: number): Promise<{ tcp: Server; udp: UdpSocket }> {
  for (let attempt = 1; ; attempt++) {
    const tcp = createServer()
    tcp.listen(port, address)
    await once(tcp, 'listening')
    const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    try {
      udp.bind((tcp.address() as AddressInfo).port, address)
      await once(udp, 'listening')
      return { tcp, udp }
    } catch (error) {
      udp.close()
      tcp.close()
      await once(tcp, 'close')
      if (port !== 0 || attempt === 10) throw error
    }
  }
}

function serveTcp(socket: Socket, primary: Primary): void {
  const frames = new TcpFrames()
  socket.setTimeout(TCP_IDLE_MS, () => socket.destroy())
  // The peer going away is its own affair.
  socket.on('error', () => socket.destroy())
  socket.on('data', chunk => {
    for (const octets of frames.push(chunk)) {
      const reply = primary.answer(octets, 'tcp')
      if (reply !== null) socket.write(tcpFrame(reply))
    }
  })
}
