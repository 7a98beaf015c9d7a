/** What the listener does with time: idle clients (RFC 5321 §4.5.3.2.7) and shutting down. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Log, silent } from '../observe/event.ts'
import { LIMITS, TIMEOUTS } from '../smtp/limits.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import { type Listener, listen, type SessionHandler } from './listener.ts'

const OK = reply(250, '2.0.0', 'OK')

function listenWith(
  message: () => Promise<Reply>,
  more: Partial<SessionHandler> = {},
  log: Log = silent,
): Promise<Listener> {
  const handler: SessionHandler = {
    mail: () => OK,
    rcpt: () => OK,
    content: () => {},
    message,
    reset: () => {},
    ...more,
  }
  return listen({
    address: { host: '127.0.0.1', port: 0 },
    session: {
      hostname: 'mx.test',
      limits: LIMITS,
      tls: 'none',
      auth: [],
      authRequired: false,
      tlsRequired: false,
      hop: false,
    },
    acceptor: null,
    idleMs: TIMEOUTS.serverMs,
    maxConnections: 2,
    log,
    handler: () => handler,
  })
}

async function dial(t: TestContext, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  socket.setEncoding('latin1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

async function said(socket: Socket): Promise<string> {
  const [text] = (await once(socket, 'data')) as [string]
  return text
}

test('a client that stalls is told 421 after five minutes, and not a moment earlier', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const listener = await listenWith(async () => OK)
  const socket = await dial(t, listener.port)
  assert.match(await said(socket), /^220 /)
  socket.write('NOOP\r\n')
  assert.match(await said(socket), /^250 /)
  let early = ''
  socket.once('data', (text: string) => {
    early = text
  })
  t.mock.timers.tick(5 * 60_000 - 1)
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(early, '')
  const last = said(socket)
  t.mock.timers.tick(1)
  assert.match(await last, /^421 4\.4\.2 /)
  await once(socket, 'close')
  await listener.close(0)
})

test('what was told is written before a reply goes out', async t => {
  let held = 0
  const log: Log = {
    event: () => held++,
    with: () => log,
    flush: () => {
      held = 0
    },
  }
  const mail = () => {
    log.event('accepted')
    return OK
  }
  const listener = await listenWith(async () => OK, { mail }, log)
  t.after(() => listener.close(0))
  const socket = await dial(t, listener.port)
  await said(socket)
  socket.write('EHLO client.test\r\nMAIL FROM:<a@one.example>\r\n')
  assert.match(await said(socket), /\r\n250 2\.0\.0 OK\r\n$/)
  assert.equal(held, 0)
})

test('one connection too many is told 421', async t => {
  const listener = await listenWith(async () => OK)
  const first = await dial(t, listener.port)
  assert.match(await said(first), /^220 /)
  const second = await dial(t, listener.port)
  assert.match(await said(second), /^220 /)
  const third = await dial(t, listener.port)
  assert.match(await said(third), /^421 4\.3\.2 /)
  for (const socket of [first, second]) socket.destroy()
  await listener.close(0)
})

test('closing: who is idle is told 421, a message under way is answered first', async t => {
  let answer: (reply: Reply) => void = () => {}
  const asked = Promise.withResolvers<void>()
  const listener = await listenWith(() => {
    asked.resolve()
    return new Promise(resolve => {
      answer = resolve
    })
  })
  const idle = await dial(t, listener.port)
  const busy = await dial(t, listener.port)
  assert.match(await said(idle), /^220 /)
  assert.match(await said(busy), /^220 /)
  busy.write('EHLO client.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n')
  let replies = ''
  busy.on('data', (text: string) => {
    replies += text
  })
  while (!replies.includes('354 ')) await once(busy, 'data')
  busy.write('Subject: x\r\n\r\ntext\r\n.\r\n')
  await asked.promise
  const closed = listener.close(60_000)
  assert.match(await said(idle), /^421 4\.3\.2 /)
  answer(reply(250, '2.0.0', 'Kept'))
  await once(busy, 'close')
  assert.match(replies, /250 2\.0\.0 Kept\r\n421 4\.3\.2 [^\n]*\r\n$/)
  await closed
})

test('a handler that dismisses its client: 421 for the next command, whatever it is, and nothing after it', async t => {
  const goodbye = reply(421, '4.7.0', 'Not any more')
  const rows: [lines: string, first: string, then: RegExp][] = [
    ['', 'NOOP', /^421 4\.7\.0 Not any more\r\n$/],
    ['', 'EHLO client.test\r\nMAIL FROM:<a@example.test>\r\nNOOP', /^421 4\.7\.0 Not any more\r\n$/],
    ['EHLO client.test', 'MAIL FROM:<a@example.test>\r\nRSET', /^421 4\.7\.0 Not any more\r\n$/],
    ['EHLO client.test', 'no command at all', /^421 4\.7\.0 Not any more\r\n$/],
    ['EHLO client.test', 'QUIT', /^221 /],
  ]
  for (const [lines, next, answer] of rows) {
    let dismissed = false
    const listener = await listenWith(async () => OK, { dismissal: () => (dismissed ? goodbye : null) })
    const socket = await dial(t, listener.port)
    assert.match(await said(socket), /^220 /)
    if (lines !== '') {
      socket.write(`${lines}\r\n`)
      assert.match(await said(socket), /^250/)
    }
    dismissed = true
    let text = ''
    socket.on('data', octets => {
      text += octets
    })
    socket.write(`${next}\r\n`)
    await once(socket, 'close')
    assert.match(text, answer, next)
    await listener.close(0)
  }
})
