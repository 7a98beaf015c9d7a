import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { dotStuff } from '../smtp/data.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { TIMEOUTS } from '../smtp/limits.ts'
import { Connection } from './connection.ts'
import { ContentError, type Source } from './content.ts'
import { deliver } from './transaction.ts'

const ENVELOPE: Envelope = {
  reversePath: null,
  recipients: [{ forwardPath: { localPart: 'bob', domain: 'example.net' } }],
  body: '7BIT',
  smtputf8: false,
}
const START = 100_000
/** Lines that begin with dots, cut everywhere; of no size that is round. */
const MESSAGE = Buffer.from('.\r\n..\r\n.a line with a dot before it\r\n'.repeat(250_001))

/** `failsAt`: from there on nothing can be read. */
function source(failsAt = MESSAGE.length): Source & { reads: number[] } {
  return {
    sizeOctets: MESSAGE.length,
    start: MESSAGE.subarray(0, START),
    reads: [],
    async read(at, target) {
      this.reads.push(target.length)
      if (at + target.length > failsAt) throw new Error('EIO: read')
      MESSAGE.copy(target, 0, at)
    },
  }
}

/**
 * A server that takes whatever comes; what it was told behind the command that content follows, until `octets` of that are there
 * or the connection is over.
 */
async function peer(t: TestContext, extensions: readonly string[], octets: number) {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets: Socket[] = []
  const heard = new Promise<string>(resolve => {
    server.on('connection', socket => {
      sockets.push(socket)
      const pieces: Buffer[] = []
      let length = 0
      let inContent = false
      socket.on('error', () => {})
      socket.on('close', () => resolve(Buffer.concat(pieces).toString('latin1')))
      socket.write('220 mx\r\n')
      socket.on('data', chunk => {
        let content = chunk
        for (let end = chunk.indexOf('\r\n'); !inContent && end >= 0; end = content.indexOf('\r\n')) {
          const line = content.toString('latin1', 0, end)
          content = content.subarray(end + 2)
          inContent = /^(DATA|BDAT)/.test(line)
          if (line.startsWith('EHLO'))
            socket.write(`${['250-mx', ...extensions].join('\r\n250-')}\r\n250 SIZE\r\n`)
          else if (line === 'DATA') socket.write('354 go\r\n')
          else if (!inContent) socket.write('250 ok\r\n')
        }
        if (!inContent) return
        pieces.push(content)
        length += content.length
        if (length < octets) return
        socket.write('250 2.0.0 kept\r\n')
        resolve(Buffer.concat(pieces).toString('latin1'))
      })
    })
  })
  const connection = await Connection.open({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    hostname: 'client.example.com',
    tls: { mode: 'none' },
    connectMs: 5000,
    timeouts: TIMEOUTS,
  })
  t.after(() => {
    connection.destroy()
    server.close()
  })
  return { connection, heard, sockets }
}

const STUFFED = Buffer.concat(dotStuff([MESSAGE])).toString('latin1')
const ways: [name: string, extensions: string[], wire: string][] = [
  ['DATA', [], STUFFED],
  ['DATA, pipelined', ['PIPELINING'], STUFFED],
  ['BDAT', ['CHUNKING'], MESSAGE.toString('latin1')],
  ['BDAT, pipelined', ['PIPELINING', 'CHUNKING'], MESSAGE.toString('latin1')],
]
for (const [name, extensions, wire] of ways) {
  test(`${name}: content that is read while it goes arrives as it is`, async t => {
    const { connection, heard } = await peer(t, extensions, wire.length)
    const from = source()
    const { message } = await deliver(connection, ENVELOPE, from)
    assert.ok((await heard) === wire)
    assert.equal(message?.code, 250)
    assert.ok(from.reads.length > 5)
    assert.equal(connection.session.outstanding, 0)
    assert.equal(connection.usable, true)
  })

  test(`${name}: a peer that does not read for a while gets no octet of what is read meanwhile`, async t => {
    const { connection, heard, sockets } = await peer(t, extensions, wire.length)
    const from = source()
    const delivered = deliver(connection, ENVELOPE, from)
    while (from.reads.length < 2) await new Promise(resolve => setImmediate(resolve))
    sockets[0]?.pause()
    for (let still = 0, seen = 0; still < 100; still++) {
      if (from.reads.length > seen) still = 0
      seen = from.reads.length
      await new Promise(resolve => setImmediate(resolve))
    }
    sockets[0]?.resume()
    assert.ok((await heard) === wire)
    await delivered
  })

  test(`${name}: content that cannot be read to its end is no message`, async t => {
    const { connection, heard } = await peer(t, extensions, wire.length)
    const failing = source(MESSAGE.length - 1)
    await assert.rejects(deliver(connection, ENVELOPE, failing), ContentError)
    assert.equal(connection.usable, false)
    const had = await heard
    assert.ok(had.length < wire.length)
    assert.ok(wire.startsWith(had))
    assert.ok(!had.includes('\r\n.\r\n') || name.startsWith('BDAT'))
  })
}

test('no piece is so small that it may wait in a socket while its memory is used again, but one that is alone', async t => {
  for (const [octets, most] of [
    [1, 1],
    [65_535, 1],
    [65_536, 1],
    [192 * 1024, 1],
    [192 * 1024 + 1, 2],
    [1_000_000, 6],
    [6 * 192 * 1024 + 1, 7],
  ] as const) {
    const { connection } = await peer(t, ['CHUNKING'], START + octets)
    const reads: number[] = []
    const from: Source = {
      sizeOctets: START + octets,
      start: MESSAGE.subarray(0, START),
      async read(_, { length }) {
        reads.push(length)
      },
    }
    await deliver(connection, ENVELOPE, from)
    assert.equal(reads.length, most)
    assert.equal(
      reads.reduce((sum, length) => sum + length, 0),
      octets,
    )
    assert.ok(
      reads.length === 1 || reads.every(length => length >= 65_536 && length <= 192 * 1024),
      String(reads),
    )
  }
})
