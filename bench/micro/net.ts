/** What a hop costs beside what is said on it: TLS records of 4 KiB, both ends, over loopback. And a resolver's memory. */

import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:tls'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { Resolver } from '../../src/net/resolver.ts'
import { silent } from '../../src/observe/event.ts'
import { startDnsServer } from '../../src/sandbox/dns-server.ts'
import { inTurn, type Operation, type Room } from './measure.ts'

const MESSAGE = Buffer.alloc(4096, 'x')
const DOMAINS = 100

export const net: Room = { name: 'net', operations }

async function operations(measured: Promise<void>): Promise<Operation[]> {
  const [client, server] = await connected(measured)
  const resolver = await filled(measured)
  const names = Array.from({ length: DOMAINS }, (_, at) => `d${at}.example.net`)
  return [
    {
      name: 'MX from the memory of the resolver',
      run: { atOnce: 16, one: inTurn(names, name => resolver.mx(name)) as () => Promise<unknown> },
    },
    {
      name: '4 KiB in TLS there, a line back',
      octets: MESSAGE.length,
      run: { atOnce: 1, one: () => roundTrip(client, server) },
    },
  ]
}

async function roundTrip(client: Socket, server: Socket): Promise<void> {
  client.write(MESSAGE)
  for (let left = MESSAGE.length; left > 0; ) {
    const [chunk] = (await once(server, 'data')) as [Buffer]
    left -= chunk.length
  }
  server.write('250 2.0.0 OK\r\n')
  await once(client, 'data')
}

async function connected(measured: Promise<void>): Promise<[client: Socket, server: Socket]> {
  const authority = await makeAuthority('micro')
  const { certificate, key } = await issue(authority, { names: ['localhost'] })
  const listener = createServer({ cert: certificate, key, minVersion: 'TLSv1.3' })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const accepted = once(listener, 'secureConnection') as Promise<[Socket]>
  const client = connect({ port, host: '127.0.0.1', ca: authority.certificate, servername: 'localhost' })
  const [[server]] = await Promise.all([accepted, once(client, 'secureConnect')])
  measured.then(() => {
    client.destroy()
    server.destroy()
    listener.close()
  })
  return [client, server]
}

/** It knows the MX of every name. */
async function filled(measured: Promise<void>): Promise<Resolver> {
  const records = Array.from({ length: DOMAINS }, (_, at) => ({
    name: `d${at}`,
    type: 'MX' as const,
    data: `10 mx${at}.example.net`,
    ttlSeconds: 3600,
  }))
  const primary = await startDnsServer({ zones: [{ origin: 'example.net', records }], log: silent })
  const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: primary.port }] })
  const answers = await Promise.all(records.map(({ name }) => resolver.mx(`${name}.example.net`)))
  await primary.close()
  measured.then(() => resolver.close())
  if (answers.some(({ kind }) => kind !== 'answer')) throw new Error('the DNS server has not answered')
  return resolver
}
