/** The ports of a sandbox: free ones, or five from a base on; and ptt.toml when they have to move. */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import type { Config } from '../config/schema.ts'
import { SandboxError } from './folder.ts'

export interface Ports {
  readonly submission: number
  readonly signer: number
  readonly relay: number
  readonly internet: number
  readonly dns: number
}

const NAMES = ['submission', 'signer', 'relay', 'internet', 'dns'] as const

export function portsFrom(base: number): Ports {
  return portsOf(NAMES.map((_, at) => base + at))
}

/** All at once, so that no two are the same. The DNS server listens for TCP and UDP. */
export async function freePorts(): Promise<Ports> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const servers = await Promise.all(NAMES.map(() => listening(0)))
    const ports = portsOf(servers.map(server => server?.port ?? 0))
    const free = await isFreeForUdp(ports.dns)
    await Promise.all(servers.map(server => server?.close()))
    if (free) return ports
  }
  throw new SandboxError('no port is free for both TCP and UDP')
}

export async function areFree(ports: Ports): Promise<boolean> {
  const servers = await Promise.all(NAMES.map(name => listening(ports[name])))
  const free = servers.every(server => server !== null) && (await isFreeForUdp(ports.dns))
  await Promise.all(servers.map(server => server?.close()))
  return free
}

/** Those that ptt.toml has. */
export function portsIn({ submission, signer, relay }: Config): Ports {
  return {
    submission: submission.listen.port,
    signer: signer.listen.port,
    relay: relay.listen.port,
    internet: relay.smtpPort,
    dns: signer.primary.port,
  }
}

/** ptt.toml with other ports; all else in it stays as somebody may have changed it. */
export function movePorts(toml: string, before: Ports, after: Ports): string {
  const moved = new Map(NAMES.map(name => [before[name], after[name]]))
  const move = (all: string, head: string, port: string, tail: string) => {
    const now = moved.get(Number(port))
    return now === undefined ? all : `${head}${now}${tail}`
  }
  return toml
    .replace(/^([^#\n]*\bsmtp_port\s*=\s*)(\d+)()/gm, move)
    .replace(/^[^#\n]*/gm, line => line.replace(/("127\.0\.0\.1:)(\d+)(")/g, move))
}

function portsOf(numbers: readonly number[]): Ports {
  const [submission = 0, signer = 0, relay = 0, internet = 0, dns = 0] = numbers
  return { submission, signer, relay, internet, dns }
}

/** `null`: another has it. */
async function listening(port: number): Promise<{ port: number; close(): Promise<void> } | null> {
  const server: Server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
  } catch {
    return null
  }
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    async close() {
      server.close()
      await once(server, 'close')
    },
  }
}

async function isFreeForUdp(port: number): Promise<boolean> {
  const socket = createSocket('udp4')
  const bound = await new Promise<boolean>(resolve => {
    socket.once('error', () => resolve(false))
    socket.bind(port, '127.0.0.1', () => resolve(true))
  })
  socket.close()
  return bound
}
