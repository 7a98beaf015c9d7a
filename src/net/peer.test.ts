import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { issue, makeAuthority } from '../cli/authority.ts'
import { silent } from '../observe/event.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import { hopSession } from './hop.ts'
import { HopSession } from './hop-session.ts'
import { listen } from './listener.ts'
import { Budget } from './message-buffer.ts'
import { Peer, type PeerOptions } from './peer.ts'
import { TlsAcceptor } from './tls.ts'

const HANDSHAKE_MS = 5000
const WAIT_MS = 300
const mailbox = { localPart: 'a', domain: 'x.test' }
const ENVELOPE: Envelope = {
  reversePath: mailbox,
  recipients: [{ forwardPath: mailbox }],
  body: '7BIT',
  smtputf8: false,
  xptt: { id: '01KAXE00000000000000000000' },
}
const CONTENT = [Buffer.from('Subject: x\r\n\r\nx\r\n')]

class Relay extends HopSession {
  readonly #answer: () => Promise<Reply>

  constructor(answer: () => Promise<Reply>) {
    super({ roles: ['signer'], budget: new Budget(1e6), now: Date.now, mint: () => 'none' })
    this.#answer = answer
  }

  protected override objection(): null {
    return null
  }

  protected override decide(): Promise<Reply> {
    return this.#answer()
  }
}

/** A relay and a signer's way to it. */
async function hop(
  t: TestContext,
  answer: (close: () => Promise<void>) => Promise<Reply>,
  more: Partial<PeerOptions> = {},
) {
  let sessions = 0
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
      sessions++
      return new Relay(() => answer(() => listener.close(0)))
    },
  })
  const peer = new Peer({
    endpoint: { host: '127.0.0.1', port: listener.port },
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
    await listener.close(0)
  })
  return { peer, listener, sessions: () => sessions }
}

const never = (): Promise<Reply> => new Promise(() => {})

test('a peer that is there answers for itself', async t => {
  const { peer } = await hop(t, async () => reply(250, '2.0.0', 'Queued'))
  assert.equal((await peer.deliver(ENVELOPE, CONTENT)).lines[0], 'Queued')
})

test('of a message that a peer never had nothing is kept', async t => {
  const { peer, listener } = await hop(t, never)
  await listener.close(0)
  const answer = await peer.deliver(ENVELOPE, CONTENT)
  assert.deepEqual([answer.code, answer.status], [451, '4.4.1'])
  assert.match(answer.lines.join(' '), /nothing was kept/)
})

test('a message whose answer was lost may have been kept', async t => {
  const { peer } = await hop(t, async close => {
    void close()
    return never()
  })
  const answer = await peer.deliver(ENVELOPE, CONTENT)
  assert.deepEqual([answer.code, answer.status], [451, '4.4.2'])
  assert.match(answer.lines.join(' '), /may have been kept/)
  assert.doesNotMatch(answer.lines.join(' '), /nothing was kept/)
})

test('the same of one in pieces, once the last of them is sent', async t => {
  const { peer } = await hop(t, async close => {
    void close()
    return never()
  })
  const outgoing = await peer.begin(ENVELOPE)
  assert.ok('finish' in outgoing)
  await outgoing.send(CONTENT)
  assert.match((await outgoing.finish(CONTENT)).lines.join(' '), /may have been kept/)
})

test('a connection is used again until its time is over: a worker that came later gets its part', async t => {
  const taken = async () => reply(250, '2.0.0', 'Taken')
  const kept = await hop(t, taken)
  for (let times = 0; times < 3; times++) assert.equal((await kept.peer.deliver(ENVELOPE, CONTENT)).code, 250)
  assert.equal(kept.sessions(), 1)
  const old = await hop(t, taken, { connectionAgeMs: 0, maxConnections: 1 })
  // Two at once: who waits for the one connection gets the next.
  const replies = await Promise.all([1, 2, 3].map(() => old.peer.deliver(ENVELOPE, CONTENT)))
  assert.deepEqual(
    replies.map(({ code }) => code),
    [250, 250, 250],
  )
  assert.equal(old.sessions(), 3)
})
