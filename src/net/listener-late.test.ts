/** What the listener does with answers that come late, for a handler that has several messages under way. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { silent } from '../observe/event.ts'
import { SmtpError } from '../smtp/error.ts'
import { LIMITS, TIMEOUTS } from '../smtp/limits.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import { type Listener, listen } from './listener.ts'

const OK = reply(250, '2.0.0', 'OK')
const TAKEN = (name: string) => reply(250, '2.0.0', `Taken ${name}`)
const MESSAGES_UNDER_WAY = 3

interface Late {
  readonly socket: Socket
  readonly listener: Listener
  /** Messages whose answer is owed, the oldest first. */
  readonly owed: PromiseWithResolvers<Reply>[]
  /** Resolves when so many are owed, or nobody is there any more. */
  asked(count: number): Promise<void>
  /** All that was said since the greeting. */
  said(): string
  /** Resolves when that is `text` or more. */
  saying(text: RegExp): Promise<void>
  closed: Promise<unknown>
}

/** A client that has said EHLO, and a handler that owes every answer until the test gives it. */
async function late(t: TestContext): Promise<Late> {
  const owed: PromiseWithResolvers<Reply>[] = []
  const listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    session: {
      hostname: 'mx.test',
      limits: LIMITS,
      tls: 'none',
      auth: [],
      authRequired: false,
      tlsRequired: false,
      hop: true,
    },
    acceptor: null,
    idleMs: TIMEOUTS.serverMs,
    maxConnections: 2,
    log: silent,
    handler: () => ({
      messagesUnderWay: MESSAGES_UNDER_WAY,
      mail: () => OK,
      rcpt: () => OK,
      content: () => {},
      message: () => {
        const answer = Promise.withResolvers<Reply>()
        owed.push(answer)
        return answer.promise
      },
      reset: () => {},
    }),
  })
  const socket = connect(listener.port, '127.0.0.1')
  socket.setEncoding('latin1')
  t.after(async () => {
    socket.destroy()
    await listener.close(0)
  })
  await once(socket, 'data')
  socket.write('EHLO client.test\r\n')
  await once(socket, 'data')
  let said = ''
  socket.on('data', (text: string) => {
    said += text
  })
  return {
    socket,
    listener,
    owed,
    asked: async count => {
      while (owed.length < count && !socket.closed) await new Promise(resolve => setImmediate(resolve))
    },
    said: () => said,
    saying: async text => {
      while (!text.test(said)) await once(socket, 'data')
    },
    closed: once(socket, 'close'),
  }
}

const MAIL = 'MAIL FROM:<a@b.test>\r\n'
const REST = 'RCPT TO:<c@d.test>\r\nBDAT 3 LAST\r\nx\r\n'
const MESSAGE = `${MAIL}${REST}`
const OPENED = '250 2.0.0 OK\r\n250 2.0.0 OK\r\n'

// The first two: they must not find timers of others that are not mocked.
test('who waits for an answer is not idle, and is again when he has it', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { socket, owed, asked, said, saying, closed } = await late(t)
  socket.write(MESSAGE)
  await asked(1)
  await new Promise(resolve => setImmediate(resolve))
  t.mock.timers.tick(TIMEOUTS.serverMs)
  await new Promise(resolve => setImmediate(resolve))
  t.mock.timers.tick(TIMEOUTS.serverMs - 1)
  assert.equal(said(), '')
  owed[0]?.resolve(TAKEN('it'))
  await saying(/Taken it/)
  t.mock.timers.tick(1)
  await closed
  assert.match(said(), /Taken it\r\n421 4\.4\.2 /)
})

test('who has waited for an answer until it is idle has the answer first', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { socket, owed, asked, said, closed } = await late(t)
  socket.write(MESSAGE)
  await asked(1)
  await new Promise(resolve => setImmediate(resolve))
  owed[0]?.resolve(TAKEN('it'))
  for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  t.mock.timers.tick(TIMEOUTS.serverMs)
  await closed
  assert.match(said(), /Taken it\r\n421 4\.4\.2 /)
})

test('answers come in the order of the messages, in whatever order they are decided', async t => {
  const { socket, owed, asked, said, saying } = await late(t)
  socket.write(`${MESSAGE.repeat(3)}NOOP\r\n`)
  await asked(3)
  const [first, second, third] = owed
  third?.resolve(TAKEN('3'))
  second?.resolve(TAKEN('2'))
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(said(), '')
  first?.resolve(TAKEN('1'))
  await saying(/Taken 3\r\n250 2\.0\.0 OK\r\n$/)
  const answers = ['1', '2', '3'].map(name => `${OPENED}250 2.0.0 Taken ${name}\r\n`)
  assert.equal(said(), `${answers.join('')}250 2.0.0 OK\r\n`)
})

test('no more messages are taken than may be under way', async t => {
  const { socket, owed, asked, saying } = await late(t)
  socket.write(MESSAGE.repeat(5))
  await asked(MESSAGES_UNDER_WAY)
  // All of it has been read by now: nothing but the answers keeps the others back.
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
  assert.equal(owed.length, MESSAGES_UNDER_WAY)
  owed[0]?.resolve(TAKEN('1'))
  await asked(4)
  for (const [at, answer] of owed.entries()) answer.resolve(TAKEN(String(at + 1)))
  await asked(5)
  owed[4]?.resolve(TAKEN('5'))
  await saying(/Taken 5/)
})

test('QUIT behind messages: they are answered, then it is', async t => {
  const { socket, owed, asked, said, closed } = await late(t)
  socket.write(`${MESSAGE.repeat(2)}QUIT\r\n`)
  await asked(2)
  for (const answer of owed) answer.resolve(TAKEN('it'))
  await closed
  assert.match(said(), /Taken it\r\n(250 2\.0\.0 OK\r\n){2}250 2\.0\.0 Taken it\r\n221 [^\n]*\r\n$/)
})

test('closing: messages under way are answered, whether or not the client goes on, and 421 is the last word', async t => {
  for (const more of ['', MESSAGE]) {
    const { socket, listener, owed, asked, said, closed } = await late(t)
    socket.write(MESSAGE.repeat(2))
    await asked(2)
    const gone = listener.close(10_000)
    socket.write(more)
    await new Promise(resolve => setImmediate(resolve))
    for (const answer of owed) answer.resolve(TAKEN('it'))
    if (more !== '') {
      // It may have come before the listener knew, or not: then it was not taken.
      await Promise.race([asked(3), closed])
      owed[2]?.resolve(TAKEN('it'))
    }
    await Promise.all([closed, gone])
    assert.match(said(), /Taken it\r\n(.*\r\n)*.*Taken it\r\n421 4\.3\.2 [^\n]*\r\n$/)
  }
})

test('closing: who pipelines on and on is told 421 at the next MAIL, behind what is owed to it', async t => {
  const pipelined = [
    {
      more: `${REST}${MAIL}`.repeat(3),
      lines: 4,
      answers: /^(.*OK\r\n){2}.*Taken it\r\n421 4\.3\.2 .*\r\n$/,
    },
    { more: `RSET\r\nNOOP\r\n${MAIL}`, lines: 4, answers: /^(.*OK\r\n){3}421 4\.3\.2 .*\r\n$/ },
  ]
  for (const { more, lines, answers } of pipelined) {
    const { socket, listener, owed, asked, said, saying, closed } = await late(t)
    socket.write(MAIL)
    await saying(/OK/)
    const gone = listener.close(10_000)
    socket.write(more)
    if (more.includes('BDAT')) await asked(1)
    for (const answer of owed) answer.resolve(TAKEN('it'))
    await saying(new RegExp(`(.*\r\n){${lines}}`))
    assert.match(said(), answers)
    await Promise.all([closed, gone])
  }
})

test('closing while so many answers wait that nothing more is read: 421 when they are out', async t => {
  const { socket, listener, owed, asked, said, closed } = await late(t)
  socket.write(`${MESSAGE}${'NOOP\r\n'.repeat(5000)}`)
  await asked(1)
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
  const gone = listener.close(10_000)
  owed[0]?.resolve(TAKEN('it'))
  await Promise.all([closed, gone])
  assert.match(said().slice(-100), /OK\r\n421 4\.3\.2 [^\n]*\r\n$/)
})

test('closing: behind a 421 to a message there is no other, and a slow client hears all of it', async t => {
  const { socket, listener, owed, asked, said, closed } = await late(t)
  socket.pause()
  // The answers are more than the buffers of a socket take.
  socket.write(`${MESSAGE}${'EHLO x.test\r\n'.repeat(4000)}${MESSAGE}`)
  await asked(2)
  const gone = listener.close(10_000)
  socket.write(MAIL)
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
  owed[0]?.resolve(TAKEN('it'))
  owed[1]?.resolve(reply(421, '4.3.0', 'Not now'))
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
  socket.resume()
  await Promise.all([closed, gone])
  assert.match(said().slice(-100), /421 4\.3\.0 Not now\r\n$/)
})

test('a fault of ours: those before it have their answers, it has 421, and the connection goes', async t => {
  const { socket, owed, asked, said, closed } = await late(t)
  socket.write(MESSAGE.repeat(3))
  await asked(3)
  owed[2]?.resolve(TAKEN('3'))
  owed[1]?.reject(new TypeError('a bug'))
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
  owed[0]?.resolve(TAKEN('1'))
  await closed
  assert.match(said(), /Taken 1\r\n250[^\n]*\n250[^\n]*\n421 4\.3\.0 Internal error\r\n$/)
})

test('421 to a message ends the connection', async t => {
  const { socket, owed, asked, said, closed } = await late(t)
  socket.write(MESSAGE)
  await asked(1)
  owed[0]?.resolve(reply(421, '4.3.2', 'Not now'))
  await closed
  assert.match(said(), /421 4\.3\.2 Not now\r\n$/)
})

test('421 to a message: none is taken behind it, for it would have no answer', async t => {
  const { socket, owed, asked, said, closed } = await late(t)
  socket.write(MESSAGE.repeat(5))
  await asked(MESSAGES_UNDER_WAY)
  owed[0]?.resolve(reply(421, '4.3.2', 'Not now'))
  await closed
  assert.match(said(), /^(.*OK\r\n){2}421 4\.3\.2 Not now\r\n$/)
  assert.equal(owed.length, MESSAGES_UNDER_WAY)
})

test('a client that is gone: what was decided for it goes nowhere', async t => {
  const { socket, listener, owed, asked } = await late(t)
  socket.write(MESSAGE)
  await asked(1)
  socket.destroy()
  await once(socket, 'close')
  await new Promise(resolve => setImmediate(resolve))
  owed[0]?.resolve(TAKEN('it'))
  await listener.close(0)
})

test('while an answer is owed, what is read ahead has a bound', async t => {
  const { socket, owed, asked } = await late(t)
  socket.write(MESSAGE)
  await asked(1)
  let isTaken = false
  socket.write('NOOP\r\n'.repeat(6_000_000), () => {
    isTaken = true
  })
  for (let turn = 0; turn < 5000 && !isTaken; turn++) await new Promise(resolve => setImmediate(resolve))
  assert.equal(isTaken, false)
  owed[0]?.resolve(TAKEN('it'))
})

test('a message that its handler refuses by an error of the client', async t => {
  const { socket, owed, asked, saying } = await late(t)
  socket.write(MESSAGE.repeat(2))
  await asked(2)
  owed[0]?.reject(new SmtpError(550, '5.6.0', 'No message'))
  owed[1]?.resolve(TAKEN('2'))
  await saying(/550 5\.6\.0 No message\r\n(250 2\.0\.0 OK\r\n){2}250 2\.0\.0 Taken 2\r\n$/)
})
