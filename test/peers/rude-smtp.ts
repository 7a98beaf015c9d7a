/** An SMTP server that behaves until a certain point of the session, and then does something rude. Each connection anew. */

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

/** The replies of a session, each before it is sent. `content` is the one to the message. */
export const STATES = ['greeting', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'content'] as const
export type State = (typeof STATES)[number]

/** What is done instead of the usual reply; it may write to the socket, or end it. */
export type Rudeness = (socket: Socket, usual: string) => void

export interface RudeSmtp {
  readonly port: number
  /** Contents that were received whole. */
  readonly messages: readonly string[]
  /** How often it was connected to. */
  readonly connections: () => number
  stop(): Promise<void>
}

const USUAL: Record<State, string> = {
  greeting: '220 rude.test',
  EHLO: '250 rude.test',
  MAIL: '250 2.1.0 ok',
  RCPT: '250 2.1.5 ok',
  DATA: '354 go on',
  content: '250 2.0.0 kept',
}

/** @param times in so many connections; it behaves in those that follow */
export async function startRudeSmtp(
  state: State,
  rudeness: Rudeness,
  { times = Number.POSITIVE_INFINITY, host = '127.0.0.1', port = 0 } = {},
): Promise<RudeSmtp> {
  const messages: string[] = []
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer(socket => {
    const rude = connections++ < times
    sockets.add(socket)
    socket.on('error', () => {}).once('close', () => sockets.delete(socket))
    const say = (at: State) => {
      if (rude && at === state) rudeness(socket, USUAL[at])
      else socket.write(`${USUAL[at]}\r\n`)
    }
    let received = ''
    let inContent = false
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      received += text
      for (;;) {
        const end = received.indexOf(inContent ? '\r\n.\r\n' : '\r\n')
        if (end < 0) return
        const line = received.slice(0, end)
        received = received.slice(end + (inContent ? 5 : 2))
        if (inContent) {
          inContent = false
          messages.push(line)
          say('content')
          continue
        }
        const verb = line.slice(0, 4).toUpperCase()
        if (verb === 'QUIT') {
          socket.end('221 bye\r\n')
          return
        }
        if (verb === 'DATA') inContent = true
        if (verb === 'RSET') socket.write('250 ok\r\n')
        else say(STATES.find(known => known === verb) ?? 'EHLO')
      }
    })
    say('greeting')
  })
  server.listen(port, host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    messages,
    connections: () => connections,
    async stop() {
      server.close()
      for (const socket of sockets) socket.destroy()
      if (server.listening) await once(server, 'close')
    },
  }
}
