/** A hop between two services of ours: a relay that decides as a test wants, and the signer's way to it, which can break. */

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { hopSession } from '../../src/net/hop.ts'
import { type HopMessage, HopSession } from '../../src/net/hop-session.ts'
import { listen } from '../../src/net/listener.ts'
import { Budget } from '../../src/net/message-buffer.ts'
import { Peer, type PeerOptions } from '../../src/net/peer.ts'
import { TlsAcceptor } from '../../src/net/tls.ts'
import { silent } from '../../src/observe/event.ts'
import type { Envelope } from '../../src/smtp/envelope.ts'
import type { Reply } from '../../src/smtp/reply.ts'

const HANDSHAKE_MS = 5000
const WAIT_MS = 300
const mailbox = { localPart: 'a', domain: 'x.test' }
export const ENVELOPE: Envelope = {
  reversePath: mailbox,
  recipients: [{ forwardPath: mailbox }],
  body: '7BIT',
  smtputf8: false,
  xptt: { id: '01KAXE00000000000000000000' },
}
export const CONTENT = [Buffer.from('Subject: x\r\n\r\nx\r\n')]

class Relay extends HopSession {
  readonly #answer: (message: HopMessage) => Promise<Reply>

  constructor(answer: (message: HopMessage) => Promise<Reply>, budget: Budget) {
    super({ roles: ['signer'], budget, now: Date.now, mint: () => 'none' })
    this.#answer = answer
  }

  protected override objection(): null {
    return null
  }

  protected override decide(message: HopMessage): Promise<Reply> {
    return this.#answer(message)
  }
}

/** What lies between two hosts, and can break. */
async function wireTo(port: number) {
  const sockets: Socket[] = []
  const server = createServer(near => {
    const far = connect(port, '127.0.0.1')
    for (const socket of [near, far]) socket.on('error', () => {})
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
    near.pipe(far).pipe(near)
    sockets.push(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    breakOff: () => {
      for (const socket of sockets.splice(0)) socket.destroy()
    },
    close: () => server.close(),
  }
}

/**
 * A relay that decides by `answer`, and a signer's way to it. `breakOff` breaks the connections there are, `session` counts them from 1:
 * the one that the message came over.
 */
export async function hop(
  t: TestContext,
  answer: (message: HopMessage, breakOff: () => void, session: number) => Promise<Reply>,
  { budget = new Budget(1e7), ...more }: Partial<PeerOptions> & { readonly budget?: Budget } = {},
) {
  let sessions = 0
  const breakOff = () => between.breakOff()
  const authority = await makeAuthority('ptt.test')
  const ca = authority.certificate
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    session: hopSession('relay.test'),
    acceptor: TlsAcceptor.forHop(await issue(authority, { role: 'relay' }), ca, HANDSHAKE_MS),
    idleMs: 5000,
    maxConnections: 10,
    log: silent,
    handler: () => {
      const session = ++sessions
      return new Relay(message => answer(message, breakOff, session), budget)
    },
  })
  const between = await wireTo(listener.port)
  const peer = new Peer({
    endpoint: { host: '127.0.0.1', port: between.port },
    role: 'relay',
    pair: await issue(authority, { role: 'signer' }),
    ca,
    hostname: 'signer.test',
    waitMs: WAIT_MS,
    replyMs: 5000,
    maxConnections: 2,
    log: silent,
    ...more,
  })
  t.after(async () => {
    peer.close()
    between.close()
    await listener.close(0)
  })
  return { peer, listener, sessions: () => sessions }
}
