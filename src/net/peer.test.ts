import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { randoms } from '../../test/crash/queue-model.ts'
import { issue, makeAuthority } from '../cli/authority.ts'
import { silent } from '../observe/event.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import { hopSession } from './hop.ts'
import { type HopMessage, HopSession } from './hop-session.ts'
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
  readonly #answer: (message: HopMessage) => Promise<Reply>

  constructor(answer: (message: HopMessage) => Promise<Reply>) {
    super({ roles: ['signer'], budget: new Budget(1e6), now: Date.now, mint: () => 'none' })
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

/** A relay and a signer's way to it. */
async function hop(
  t: TestContext,
  answer: (message: HopMessage, breakOff: () => void) => Promise<Reply>,
  more: Partial<PeerOptions> = {},
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
      sessions++
      return new Relay(message => answer(message, breakOff))
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
  const { peer } = await hop(t, async (_, breakOff) => {
    breakOff()
    return never()
  })
  const answer = await peer.deliver(ENVELOPE, CONTENT)
  assert.deepEqual([answer.code, answer.status], [451, '4.4.2'])
  assert.match(answer.lines.join(' '), /may have been kept/)
  assert.doesNotMatch(answer.lines.join(' '), /nothing was kept/)
})

test('the same of one in pieces, once the last of them is sent', async t => {
  const { peer } = await hop(t, async (_, breakOff) => {
    breakOff()
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
  for (let times = 0; times < 3; times++) assert.equal((await old.peer.deliver(ENVELOPE, CONTENT)).code, 250)
  assert.equal(old.sessions(), 3)
})

test('small messages share a connection, each with the answer that is its own, in whatever order they are decided', async t => {
  const orders = randoms(7)
  const decisions: (() => void)[] = []
  const { peer, sessions } = await hop(
    t,
    ({ xptt }) =>
      new Promise(resolve => {
        decisions.push(() => resolve(reply(250, '2.0.0', xptt.id)))
      }),
  )
  const ids = Array.from({ length: 40 }, (_, n) => `01KAXE000000000000000000${String(n).padStart(2, '0')}`)
  const answers = Promise.all(ids.map(id => peer.deliver({ ...ENVELOPE, xptt: { id } }, CONTENT)))
  let decided = 0
  // 16 at a time on each of two connections: the last eight wait until one of them has room.
  while (decided < ids.length) {
    while (decisions.length === 0) await new Promise(resolve => setImmediate(resolve))
    const [decide] = decisions.splice(Math.floor(orders.next().value * decisions.length), 1)
    decide?.()
    decided++
  }
  assert.deepEqual(
    (await answers).map(({ lines }) => lines[0]),
    ids,
  )
  assert.equal(sessions(), 2)
})

test('a refusal is the answer to one message, and those around it have theirs', async t => {
  const refusals: Reply[] = [
    reply(550, '5.7.1', 'Refused'),
    reply(451, '4.7.5', 'Deferred'),
    reply(452, '4.3.1', 'Full'),
  ]
  let decided = 0
  const { peer, sessions } = await hop(t, async () => {
    const at = decided++
    return (at % 2 === 1 ? refusals[(at - 1) / 2] : undefined) ?? reply(250, '2.0.0', `Taken ${at}`)
  })
  const answers = await Promise.all(Array.from({ length: 7 }, () => peer.deliver(ENVELOPE, CONTENT)))
  assert.deepEqual(
    answers.map(({ lines }) => lines[0]),
    ['Taken 0', 'Refused', 'Taken 2', 'Deferred', 'Taken 4', 'Full', 'Taken 6'],
  )
  // What a hop cannot read of an envelope is refused in the middle of the others as well.
  const tooLong = {
    ...ENVELOPE,
    recipients: [{ forwardPath: { localPart: 'a'.repeat(5000), domain: 'x.test' } }],
  }
  const mixed = await Promise.all([ENVELOPE, tooLong, ENVELOPE].map(each => peer.deliver(each, CONTENT)))
  assert.deepEqual(
    mixed.map(({ code }) => Math.floor(code / 100)),
    [2, 5, 2],
  )
  assert.equal(sessions(), 1)
})

test('when a connection breaks, all that were under way over it are sent again: those the peer has kept too', async t => {
  const seen: string[] = []
  let broken = false
  const { peer, sessions } = await hop(t, ({ xptt }, breakOff) => {
    seen.push(xptt.id)
    if (broken || seen.length < 5) return broken ? Promise.resolve(reply(250, '2.0.0', xptt.id)) : never()
    broken = true
    breakOff()
    return never()
  })
  const ids = ['0A', '0B', '0C', '0D', '0E'].map(end => `01KAXE000000000000000000${end}`)
  const answers = await Promise.all(ids.map(id => peer.deliver({ ...ENVELOPE, xptt: { id } }, CONTENT)))
  assert.deepEqual(
    answers.map(({ lines }) => lines[0]),
    ids,
  )
  assert.deepEqual(seen.toSorted(), [...ids, ...ids].toSorted())
  assert.equal(sessions(), 2)
})

test('a message that is large has a connection to itself, and gets one before those that come after it', async t => {
  let underWay = 0
  let most = 0
  const release: (() => void)[] = []
  const { peer } = await hop(
    t,
    async ({ sizeOctets }) => {
      if (sizeOctets > 64 * 1024) most = Math.max(most, underWay)
      underWay++
      await new Promise<void>(resolve => release.push(resolve))
      underWay--
      return reply(250, '2.0.0', 'Taken')
    },
    { maxConnections: 1 },
  )
  const large = [Buffer.alloc(64 * 1024 + 1, 'x'), Buffer.from('\r\n')]
  const small = (count: number) => Array.from({ length: count }, () => peer.deliver(ENVELOPE, CONTENT))
  const all = [...small(3), peer.deliver(ENVELOPE, large), ...small(3)]
  const answers = Promise.all(all)
  for (let done = 0; done < all.length; done++) {
    while (release.length === 0) await new Promise(resolve => setImmediate(resolve))
    release.shift()?.()
  }
  assert.ok((await answers).every(({ code }) => code === 250))
  assert.equal(most, 0)
})
