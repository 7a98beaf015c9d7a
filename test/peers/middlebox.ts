/** Something between a relay and an MX that breaks a connection whose ClientHello is longer than it expects. */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

export interface Middlebox {
  readonly port: number
  /** The lengths of the ClientHellos that came, in octets. */
  readonly hellos: readonly number[]
  stop(): Promise<void>
}

/** In front of `port` of 127.0.0.1. */
export async function startMiddlebox(port: number, longestHello: number): Promise<Middlebox> {
  const hellos: number[] = []
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const inner = connect(port, '127.0.0.1')
    for (const [socket, other] of [
      [client, inner],
      [inner, client],
    ] as const) {
      sockets.add(socket)
      socket.on('error', () => other.destroy()).on('close', () => other.destroy())
    }
    inner.pipe(client)
    client.on('data', chunk => {
      // A record of type handshake (22) that begins with a ClientHello (1), RFC 8446 §5.1 and §4.
      if (chunk[0] === 22 && chunk[5] === 1) {
        hellos.push(chunk.length)
        if (chunk.length > longestHello) return void client.destroy()
      }
      inner.write(chunk)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    hellos,
    async stop() {
      server.close()
      for (const socket of sockets) socket.destroy()
      if (server.listening) await once(server, 'close')
    },
  }
}
