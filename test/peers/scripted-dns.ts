/** A DNS server that answers what a test says, and can misbehave: for net/resolver.ts. */

import { createSocket, type RemoteInfo } from 'node:dgram'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { decodeMessage, encodeMessage, type Message, type MessageParts } from '../../src/dns/message.ts'
import { TcpFrames, tcpFrame } from '../../src/net/dns-exchange.ts'
import type { Endpoint } from '../../src/net/endpoint.ts'
import { freePort } from './port.ts'

export interface Asked {
  readonly query: Message
  readonly octets: Buffer
  readonly transport: 'udp' | 'tcp'
  /** Where a UDP query came from. */
  readonly peer: RemoteInfo | null
}

/** Replies in order; id, question and QR are filled in. Octets go as they are. Nothing: no answer. */
export type Script = (asked: Asked) => readonly (MessageParts | Buffer)[]

export interface ScriptedDns {
  readonly endpoint: Endpoint
  /** Every query that came. */
  readonly asked: Asked[]
  stop(): Promise<void>
}

export async function startScriptedDns(script: Script): Promise<ScriptedDns> {
  const port = await freePort()
  const asked: Asked[] = []
  const replies = (octets: Buffer, transport: 'udp' | 'tcp', peer: RemoteInfo | null): Buffer[] => {
    const query = decodeMessage(octets)
    const one = { query, octets, transport, peer }
    asked.push(one)
    const { id, questions } = query
    return script(one).map(reply =>
      Buffer.isBuffer(reply) ? reply : encodeMessage({ id, questions, response: true, ...reply }),
    )
  }
  const udp = createSocket('udp4')
  udp.on('message', (octets, peer) => {
    for (const reply of replies(octets, 'udp', peer)) udp.send(reply, peer.port, peer.address)
  })
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')

  const sockets = new Set<Socket>()
  const tcp = createServer(socket => {
    sockets.add(socket)
    const frames = new TcpFrames()
    socket.on('error', () => socket.destroy())
    socket.on('data', chunk => {
      for (const octets of frames.push(chunk)) {
        const answers = replies(octets, 'tcp', null)
        if (answers.length === 0) socket.end()
        // An octet at a time: TCP promises nothing about where it cuts.
        for (const octet of Buffer.concat(answers.map(tcpFrame))) socket.write(Buffer.of(octet))
      }
    })
  })
  tcp.listen(port, '127.0.0.1')
  await once(tcp, 'listening')
  return {
    endpoint: { host: '127.0.0.1', port },
    asked,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      udp.close()
      tcp.close()
      await once(tcp, 'close')
    },
  }
}
