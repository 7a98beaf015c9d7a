/** What the DNS starters share: a zone, a key, and waiting until a server answers for it. */

import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { encodeMessage, OPCODE } from '../../src/dns/message.ts'
import type { TsigKey } from '../../src/dns/tsig.ts'
import { exchangeUdp } from '../../src/net/dns-exchange.ts'
import type { Endpoint } from '../../src/net/endpoint.ts'
import { askPrimary } from '../../src/net/nsupdate.ts'
import { secureRandom } from '../../src/net/resolver-exchange.ts'
import { freePort } from './port.ts'
import { type Running, start, temporaryFolder } from './program.ts'

export interface DnsPeer {
  readonly port: number
  /** What it has logged. */
  output(): string
  stop(): Promise<void>
}

/** Zone name → master file (RFC 1035 §5). */
export type MasterFiles = Readonly<Record<string, string>>

export interface PrimaryPeerOptions {
  readonly zones: MasterFiles
  /** May read the zones whole, and change records of `types` anywhere in them, and nothing else. */
  readonly tsigKey: TsigKey
  /** TXT only, where nothing is said. */
  readonly types?: readonly string[]
}

export interface SecondaryPeerOptions {
  readonly zone: string
  /** The port of 127.0.0.1 where its primary is. It is asked at the start, and then after a NOTIFY only. */
  readonly primary: number
  /** With which it may transfer the zone. */
  readonly tsigKey: TsigKey
  /** One of 127.0.0.0/8: several secondaries can share a port, as those of an NS set do. */
  readonly address?: string
  readonly port?: number
}

export function secretOf(key: TsigKey): string {
  return Buffer.from(key.secret).toString('base64')
}

/** A zone the server is authoritative for; or any answer at all will do, because it is a recursive one. */
export type Probe = { readonly zone: string } | 'recursive'

/**
 * Starts a server in a folder of its own on a port of 127.0.0.1 and waits until it answers. A port that
 * another process took in the meantime is given up for another one.
 */
export async function startDnsPeer(
  name: string,
  probe: Probe,
  prepare: (folder: string, port: number) => { program: string; args: readonly string[] },
  where: { readonly address?: string; readonly port?: number } = {},
): Promise<DnsPeer> {
  for (let attempt = 1; ; attempt++) {
    const folder = temporaryFolder(name)
    const port = where.port ?? (await freePort())
    const { program, args } = prepare(folder.path, port)
    const server = start(program, args, { cwd: folder.path })
    const stop = async (): Promise<void> => {
      await server.stop()
      folder.remove()
    }
    if (await answers(server, { host: where.address ?? '127.0.0.1', port }, probe))
      return { port, output: server.output, stop }
    await stop()
    assert.ok(attempt < 3 && /in use/i.test(server.output()), `${name} does not answer: ${server.output()}`)
  }
}

async function answers(server: Running, endpoint: Endpoint, probe: Probe): Promise<boolean> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (server.process.exitCode !== null || server.process.signalCode !== null) return false
    const zone = probe === 'recursive' ? '.' : probe.zone
    const found = await askPrimary(endpoint, zone, 'SOA', { timeoutMs: 1000 })
    if (found.kind !== 'failure') return true
    if (probe === 'recursive' && found.code !== 'TIMEOUT' && found.code !== 'NETWORK') return true
    await pause(50)
  }
  return false
}

/** Tells a secondary that its zone has changed (RFC 1996), as a primary does that has `notify` switched on. */
export async function notify(secondary: Endpoint, zone: string): Promise<void> {
  const question = { name: zone, type: 'SOA', class: 'IN' } as const
  const id = Math.floor(secureRandom() * 0x10000)
  const octets = encodeMessage({ id, opcode: OPCODE.NOTIFY, authoritative: true, questions: [question] })
  const heard = await exchangeUdp(
    secondary,
    octets,
    reply => (reply.readUInt16BE(0) === id ? true : undefined),
    {
      timeoutMs: 10_000,
    },
  )
  assert.equal(heard.kind, 'reply', JSON.stringify(heard))
}

/** A server that takes connections and datagrams on its port and never answers. */
export async function startSilentServer(): Promise<DnsPeer> {
  const port = await freePort()
  const udp = createSocket('udp4')
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')
  const tcp = createServer(socket => socket.on('error', () => socket.destroy()).resume())
  tcp.listen(port, '127.0.0.1')
  await once(tcp, 'listening')
  return {
    port,
    output: () => '',
    stop: async () => {
      udp.close()
      tcp.close()
      await once(udp, 'close')
    },
  }
}
