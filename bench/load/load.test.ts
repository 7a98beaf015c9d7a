/** Generator and sink against each other: what one says, the other counts. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { addressOf, Load } from './load.ts'
import { outgoing, writeId } from './message.ts'

test('every message is counted once, with the time it took, and some are kept', async () => {
  const load = await Load.start()
  const port = load.sinkPort
  try {
    const order = {
      sessions: 3,
      sizeOctets: 2048,
      destinations: 2,
      seconds: 60,
      mostMessages: 50,
      rate: null,
    }
    const flow = await load.run({ host: addressOf(1), port, ca: null, credentials: null }, order)
    const { accepted, delivered, refused, again, complaints } = flow
    assert.deepEqual(
      { accepted, delivered, refused, again, complaints },
      { accepted: 50, delivered: 50, refused: 0, again: 0, complaints: [] },
    )
    assert.equal(flow.latenciesMs.length, 50)
    assert.ok(flow.latenciesMs.every((value, at) => value >= (flow.latenciesMs[at - 1] ?? 0)))
    const [sample = new Uint8Array()] = flow.samples
    assert.equal(sample.length, 2048)
    assert.ok(Buffer.from(sample).toString('latin1').includes('\r\nSubject: '))
  } finally {
    await load.stop()
  }
})

test('an end of content is found wherever the octets are cut', async () => {
  const load = await Load.start()
  const port = load.sinkPort
  try {
    const message = outgoing(600)
    writeId(message, 1, 0)
    const octets = message.head
    for (const before of [1, 2, 3, 4, 5, 6, octets.length - 200]) {
      const socket = connect({ port, host: addressOf(1), noDelay: true })
      const said = reader(socket)
      await said('220')
      socket.write('EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n')
      await said('354')
      // The last piece brings the next command with it, as RFC 2920 allows.
      socket.write(octets.subarray(0, octets.length - before))
      await new Promise(resolve => setImmediate(resolve))
      socket.write(Buffer.concat([octets.subarray(octets.length - before), Buffer.from('QUIT\r\n')]))
      await said('221')
      socket.destroy()
    }
  } finally {
    await load.stop()
  }
})

test('chunks are counted to the octet, wherever they are cut', async () => {
  const load = await Load.start()
  try {
    const message = outgoing(600)
    writeId(message, 1, 0)
    const content = message.head.subarray(0, -3)
    const group = Buffer.concat([
      Buffer.from('EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 100\r\n'),
      content.subarray(0, 100),
      Buffer.from(`BDAT ${content.length - 100} LAST\r\n`),
      content.subarray(100),
      Buffer.from('NOOP\r\nQUIT\r\n'),
    ])
    for (const at of [3, 20, 50, 60, 70, 150, 170, 180, group.length - 5]) {
      const socket = connect({ port: load.sinkPort, host: addressOf(1), noDelay: true })
      const text: Buffer[] = []
      socket.on('data', chunk => text.push(chunk))
      socket.write(group.subarray(0, at))
      await new Promise(resolve => setImmediate(resolve))
      socket.write(group.subarray(at))
      await once(socket, 'end')
      const replies = Buffer.concat(text)
        .toString('latin1')
        .match(/^\d{3} /gm)
      // Greeting, EHLO, MAIL, RCPT, two chunks, NOOP, QUIT.
      assert.deepEqual(replies?.join(''), '220 250 250 250 250 250 250 221 ', `cut at ${at}`)
    }
  } finally {
    await load.stop()
  }
})

/** Resolves when a reply line with that code has come. */
function reader(socket: ReturnType<typeof connect>): (code: string) => Promise<void> {
  let text = ''
  const news = new EventTarget()
  socket.on('data', chunk => {
    text += chunk
    news.dispatchEvent(new Event('news'))
  })
  return async code => {
    const last = new RegExp(`^${code} .*\\r\\n`, 'm')
    while (!last.test(text)) await once(news, 'news')
  }
}
