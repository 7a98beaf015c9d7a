/** What the DNS starters share: a zone, a key, and waiting until a server answers for it. */

import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { TsigKey } from '../../src/dns/tsig.ts'
import { askPrimary } from '../../src/net/nsupdate.ts'
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
  /** May change TXT records anywhere in the zones, and nothing else. */
  readonly tsigKey: TsigKey
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
): Promise<DnsPeer> {
  for (let attempt = 1; ; attempt++) {
    const folder = temporaryFolder(name)
    const port = await freePort()
    const { program, args } = prepare(folder.path, port)
    const server = start(program, args, { cwd: folder.path })
    const stop = async (): Promise<void> => {
      await server.stop()
      folder.remove()
    }
    if (await answers(server, port, probe)) return { port, output: server.output, stop }
    await stop()
    assert.ok(attempt < 3 && /in use/i.test(server.output()), `${name} does not answer: ${server.output()}`)
  }
}

async function answers(server: Running, port: number, probe: Probe): Promise<boolean> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (server.process.exitCode !== null || server.process.signalCode !== null) return false
    const zone = probe === 'recursive' ? '.' : probe.zone
    const found = await askPrimary({ host: '127.0.0.1', port }, zone, 'SOA', { timeoutMs: 1000 })
    if (found.kind !== 'failure') return true
    if (probe === 'recursive' && found.code !== 'TIMEOUT' && found.code !== 'NETWORK') return true
    await pause(50)
  }
  return false
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
