/** Real sockets on loopback. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:net'
import { type TestContext, test } from 'node:test'
import { startBlackHole } from '../../test/peers/black-hole.ts'
import { need } from '../../test/peers/need.ts'
import { freePort } from '../../test/peers/port.ts'
import { race } from './race.ts'

/** One that no connection could have: the tests need its number at another address too. */
const port = await freePort()

async function server(t: TestContext, host: string): Promise<Server> {
  const server = createServer(socket => socket.on('error', () => {}).resume())
  server.listen(port, host)
  await once(server, 'listening')
  t.after(() => once(server.close(), 'close'))
  return server
}

test('race: the best that answers is taken, the next is not begun', async t => {
  await server(t, '127.0.0.1')
  const other = await server(t, '127.0.0.2')
  let asked = 0
  other.on('connection', () => asked++)
  const targets = [
    { address: '127.0.0.1', port },
    { address: '127.0.0.2', port },
  ]
  const { winner, failures } = await race(targets, { timeoutMs: 5000, delayMs: 60_000 })
  assert.equal(winner?.target, targets[0])
  assert.equal(failures.size, 0)
  assert.equal(asked, 0)
  winner?.wire.destroy()
})

test('race: one that is refused does not make the next wait', async t => {
  await server(t, '127.0.0.2')
  const targets = [
    { address: '127.0.0.1', port },
    { address: '127.0.0.2', port },
  ]
  const { winner, failures } = await race(targets, { timeoutMs: 5000, delayMs: 60_000 })
  assert.equal(winner?.target, targets[1])
  assert.match(failures.get(targets[0] ?? { address: '', port })?.message ?? '', /refused/i)
  winner?.wire.destroy()
})

test('race: one that does not answer is overtaken, and given up', async t => {
  if (!need(t, 'python3')) return
  await server(t, '127.0.0.2')
  const hole = await startBlackHole('127.0.0.1', port)
  t.after(() => hole.stop())
  const targets = [
    { address: '127.0.0.1', port },
    { address: '127.0.0.2', port },
  ]
  const { winner, failures } = await race(targets, { timeoutMs: 60_000, delayMs: 1 })
  assert.equal(winner?.target, targets[1])
  assert.equal(failures.size, 0)
  winner?.wire.destroy()
})

test('race: nobody answers: each has its reason', async () => {
  const targets = [
    { address: '127.0.0.1', port: 1 },
    { address: '127.0.0.2', port: 1 },
  ]
  const { winner, failures } = await race(targets, { timeoutMs: 5000 })
  assert.equal(winner, null)
  assert.equal(failures.size, 2)
})

test('race: our own address is used', async t => {
  const listening = await server(t, '127.0.0.1')
  const from = once(listening, 'connection')
  const { winner } = await race([{ address: '127.0.0.1', port, localAddress: '127.0.0.3' }], {
    timeoutMs: 5000,
  })
  const [socket] = await from
  assert.equal(socket.remoteAddress, '127.0.0.3')
  winner?.wire.destroy()
})

test('race: a target that is none ends it, and leaves nothing behind', async () => {
  const timers = () => process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length
  const before = timers()
  const targets = [70_000, 25].map(port => ({ address: '127.0.0.1', port }))
  await assert.rejects(race(targets, { timeoutMs: 5000, delayMs: 60_000 }), RangeError)
  assert.equal(timers(), before)
})
