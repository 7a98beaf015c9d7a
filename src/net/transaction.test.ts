import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Envelope } from '../smtp/envelope.ts'
import { TIMEOUTS } from '../smtp/limits.ts'
import { PiecewiseDelivery } from './chunks.ts'
import { Connection } from './connection.ts'
import { deliver, deliverBeside } from './transaction.ts'

const ENVELOPE: Envelope = {
  reversePath: { localPart: 'alice', domain: 'example.com' },
  recipients: [
    { forwardPath: { localPart: 'bob', domain: 'example.net' } },
    { forwardPath: { localPart: 'carol', domain: 'example.net' } },
  ],
  body: '7BIT',
  smtputf8: false,
}
const CHUNK = Buffer.from('0123456789')
/** As much as goes in a chunk of its own where content comes in pieces. */
const PIECE = Buffer.alloc(64 * 1024, 'x')

/** A server that answers nothing by itself after EHLO, and the connection to it. */
async function connected(t: TestContext): Promise<{ connection: Connection; socket: Socket }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const opening = Connection.open({
    host: '127.0.0.1',
    port,
    hostname: 'client.example.com',
    tls: { mode: 'none' },
    connectMs: 5000,
    timeouts: TIMEOUTS,
  })
  const [socket] = await accepted
  socket.on('error', () => {})
  socket.once('data', () => socket.write('250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n'))
  socket.write('220 mx\r\n')
  const connection = await opening
  t.after(() => {
    connection.destroy()
    server.close()
  })
  return { connection, socket }
}

/** Two messages that share a connection: the peer has heard both, and has answered neither. */
async function sentBeside(t: TestContext) {
  const { connection, socket } = await connected(t)
  let heard = ''
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text
  })
  const first = deliverBeside(connection, ENVELOPE, [CHUNK])
  const second = deliverBeside(connection, ENVELOPE, [CHUNK])
  while (heard.split('LAST').length < 3) await once(socket, 'data')
  return { connection, socket, first, second }
}

// The first: it must not find timers of others that are not mocked.
test('an answer that came too late is not taken for that to the next message', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { socket, first, second } = await sentBeside(t)
  const answers = Promise.allSettled([first, second])
  t.mock.timers.tick(TIMEOUTS.dataTerminationMs)
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
  socket.write('250 mail\r\n250 bob\r\n250 carol\r\n250 first\r\n')
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
  socket.destroy()
  assert.deepEqual(
    (await answers).map(({ status }) => status),
    ['rejected', 'rejected'],
  )
})

test('replies are read while content goes out, and no more is sent ahead of them than a window', async t => {
  const { connection, socket } = await connected(t)
  let heard = ''
  let chunks = 0
  socket.setEncoding('latin1').on('data', (text: string) => {
    heard += text
    chunks = heard.split('BDAT').length - 1
    socket.emit('heard')
  })
  const delivery = await PiecewiseDelivery.begin(connection, ENVELOPE)
  let sent = 0
  const sending = (async () => {
    for (; sent < 200; sent++) await delivery.send([PIECE])
  })()
  // What could be sent without a reply was sent when another connection has been opened.
  await connected(t)
  const ahead = sent
  assert.ok(ahead < 100, `${ahead} chunks were sent without a reply`)
  while (chunks < ahead) await once(socket, 'heard')
  socket.write(`250 mail\r\n250 bob\r\n250 carol\r\n${'250 chunk\r\n'.repeat(chunks)}`)
  let answered = chunks
  socket.on('heard', () => {
    for (; answered < chunks; answered++) socket.write('250 2.0.0 taken\r\n')
  })
  await sending
  const { mail, recipients, message } = await delivery.finish([])
  assert.equal(mail.lines[0], 'mail')
  assert.deepEqual(
    recipients.map(({ lines }) => lines[0]),
    ['bob', 'carol'],
  )
  assert.deepEqual(message, { code: 250, status: '2.0.0', lines: ['taken'] })
  assert.equal(connection.session.outstanding, 0)
})

test('the first chunk that is refused is the answer', async t => {
  const { connection, socket } = await connected(t)
  const delivery = await PiecewiseDelivery.begin(connection, ENVELOPE)
  socket.write(
    '250 mail\r\n250 bob\r\n250 carol\r\n250 chunk\r\n452 4.3.1 full\r\n503 5.5.1 no transaction\r\n',
  )
  // Less than a chunk waits for more.
  await delivery.send([PIECE, CHUNK])
  await delivery.send([PIECE])
  const { message } = await delivery.finish([])
  assert.deepEqual(message, { code: 452, status: '4.3.1', lines: ['full'] })
})

/** What the peer is told until `end`, after which it says `replies`. */
async function told(socket: Socket, end: string, replies: string): Promise<string> {
  let heard = ''
  socket.setEncoding('latin1')
  while (!heard.endsWith(end)) heard += (await once(socket, 'data'))[0]
  socket.write(replies)
  return heard
}

test('a peer that has taken a message over this connection is told the next in one go', async t => {
  const { connection, socket } = await connected(t)
  const first = deliver(connection, ENVELOPE, [CHUNK])
  const group = await told(socket, 'RCPT TO:<carol@example.net>\r\n', '250 mail\r\n250 bob\r\n250 carol\r\n')
  assert.ok(!group.includes('BDAT'), 'of a stranger it is asked first whether it wants the message')
  await told(socket, CHUNK.toString(), '250 2.0.0 taken\r\n')
  assert.equal((await first).message?.code, 250)

  const second = deliver(connection, ENVELOPE, [CHUNK])
  const whole = await told(
    socket,
    `BDAT 10 LAST\r\n${CHUNK}`,
    '250 mail\r\n550 5.1.1 bob\r\n250 carol\r\n250 2.0.0 taken\r\n',
  )
  assert.match(whole, /^MAIL .*\r\nRCPT .*\r\nRCPT .*\r\nBDAT 10 LAST\r\n/)
  const { recipients, message } = await second
  assert.deepEqual(
    recipients.map(({ code }) => code),
    [550, 250],
  )
  assert.equal(message?.code, 250)
  assert.equal(connection.session.outstanding, 0)
})

test('what is said to content that nobody was to get is not an answer to the message', async t => {
  const { connection, socket } = await connected(t)
  const first = deliver(connection, ENVELOPE, [CHUNK])
  await told(socket, 'carol@example.net>\r\n', '250 mail\r\n250 bob\r\n250 carol\r\n')
  await told(socket, CHUNK.toString(), '250 2.0.0 taken\r\n')
  await first
  for (const replies of [
    '250 mail\r\n450 4.2.0 bob\r\n550 5.1.1 carol\r\n554 5.5.1 no recipients\r\n',
    '451 4.7.1 mail\r\n503 bob\r\n503 carol\r\n503 bdat\r\n',
  ]) {
    const delivered = deliver(connection, ENVELOPE, [CHUNK])
    await told(socket, CHUNK.toString(), replies)
    assert.equal((await delivered).message, null)
    assert.equal(connection.usable, true)
  }
  const large = deliver(connection, ENVELOPE, [Buffer.alloc(256 * 1024, 'x')])
  await told(socket, 'carol@example.net>\r\n', '250 mail\r\n550 bob\r\n550 carol\r\n')
  assert.equal((await large).message, null, 'a large one is not sent for nothing')
})

test('a connection that breaks when all was sent may have delivered it', async t => {
  const { connection, socket } = await connected(t)
  const first = deliver(connection, ENVELOPE, [CHUNK])
  await told(socket, 'carol@example.net>\r\n', '250 mail\r\n250 bob\r\n250 carol\r\n')
  await told(socket, CHUNK.toString(), '250 2.0.0 taken\r\n')
  await first
  const second = deliver(connection, ENVELOPE, [CHUNK])
  await told(socket, CHUNK.toString(), '250 mail\r\n')
  socket.destroy()
  await assert.rejects(second, { phase: 'message' })
})

test('answers that a 421 comes behind are answers', async t => {
  const { connection, socket, first, second } = await sentBeside(t)
  const opened = '250 mail\r\n250 bob\r\n250 carol\r\n'
  socket.write(`${opened}250 first\r\n${opened}250 second\r\n421 closing\r\n`)
  assert.deepEqual(
    (await Promise.all([first, second])).map(({ message }) => message?.lines[0]),
    ['first', 'second'],
  )
  assert.equal(connection.usable, false)
})
