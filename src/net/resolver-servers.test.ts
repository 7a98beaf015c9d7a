import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Gate, ServerOrder } from './resolver-servers.ts'

const [a, b, c] = [1, 2, 3].map(last => ({ host: `192.0.2.${last}`, port: 53 }))

test('servers: as configured, the silent ones last for a while', () => {
  assert.ok(a && b && c)
  const servers = new ServerOrder([a, b, c])
  assert.deepEqual(servers.order(0), [a, b, c])
  servers.silent(a, 0)
  assert.deepEqual(servers.order(1), [b, c, a])
  servers.silent(b, 1)
  assert.deepEqual(servers.order(2), [c, a, b])
  servers.answered(a)
  assert.deepEqual(servers.order(2), [a, c, b])
  // RFC 2308 §7.2: not for longer than five minutes.
  assert.deepEqual(servers.order(300_000), [a, b, c])
})

test('gate: no more than so many at a time, and all in the end, also after failures', async () => {
  const gate = new Gate(3)
  let running = 0
  let most = 0
  const done: number[] = []
  const task = async (index: number): Promise<void> => {
    most = Math.max(most, ++running)
    await new Promise(resolve => setImmediate(resolve))
    running--
    done.push(index)
    if (index % 2 === 1) throw new Error('odd')
  }
  const outcomes = await Promise.allSettled(
    Array.from({ length: 20 }, (_, index) => gate.run(() => task(index))),
  )
  assert.equal(most, 3)
  assert.equal(running, 0)
  assert.equal(done.length, 20)
  assert.equal(outcomes.filter(outcome => outcome.status === 'rejected').length, 10)
})
