/** Notices of several jobs in one, and what becomes of a job that a fault of ours breaks off. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startScriptedSmtp } from '../../test/peers/scripted-smtp.ts'
import {
  ALICE,
  EXPIRE_MS,
  HOUR_MS,
  recipient,
  type Simulation,
  type SimulationOptions,
  START,
  simulate,
} from '../../test/peers/simulated-relay.ts'
import { silent } from '../observe/event.ts'
import { openMemory } from '../queue/memory/memory.ts'
import { type Queue, QueueError } from '../queue/queue.ts'
import { Settler } from './settle.ts'
import { Telling } from './telling.ts'

async function world(t: TestContext, options: Partial<SimulationOptions> = {}) {
  const server = await startScriptedSmtp({
    reply: line => (line.startsWith('RCPT TO:<bad') ? '550 5.1.1 No such user' : undefined),
  })
  const relay = simulate({
    smtpPort: server.port,
    hosts: { 'mx.x.test': '127.0.0.1' },
    domains: { 'x.test': ['mx.x.test'] },
    ...options,
  })
  t.after(async () => {
    relay.close()
    await server.stop()
  })
  return { relay, server }
}

const many = (count: number, name: (n: number) => string) => Array.from({ length: count }, (_, n) => name(n))

/** As the queue cuts them: a hundred to a part. */
const told = ({ notices }: Simulation) =>
  notices.map(({ text }) => [
    (text.match(/^Final-Recipient:/gm) ?? []).length,
    new Set(text.match(/^Action: .*$/gm)).size,
  ])

test('telling: a thousand recipients of a domain that does not exist are one notice', async t => {
  const { relay } = await world(t)
  await relay.put(many(1000, n => `u${n}@nowhere.test`))
  await relay.run(START)
  assert.deepEqual(told(relay), [[1000, 1]])
  assert.equal(await relay.queue.count(), 0)
  const text = relay.notices[0]?.text ?? ''
  const order = [...text.matchAll(/^Final-Recipient: rfc822;\s*u(\d+)@/gm)].map(([, n]) => Number(n))
  assert.deepEqual(order, many(1000, n => String(n)).map(Number))
})

test('telling: a notice has no more than a thousand recipients', async t => {
  const { relay } = await world(t)
  await relay.put(many(1950, n => `u${n}@nowhere.test`))
  await relay.run(START)
  assert.deepEqual(told(relay), [
    [1000, 1],
    [950, 1],
  ])
  assert.equal(await relay.queue.count(), 0)
})

test('telling: dead domains of one message are one notice, and another message has its own', async t => {
  const { relay } = await world(t)
  await relay.put(many(20, n => `u@nowhere${n}.test`))
  await relay.put(['u@nowhere0.test'])
  await relay.run(START)
  assert.deepEqual(told(relay).toSorted(), [
    [1, 1],
    [20, 1],
  ])
})

test('telling: who is refused waits for the other jobs; who has the message is not sent it again', async t => {
  const { relay, server } = await world(t)
  const id = await relay.put([
    ...many(300, n => `${n % 3 === 0 ? 'bad' : 'good'}${n}@x.test`),
    recipient('relayed@x.test', { notify: ['SUCCESS'] }),
  ])
  await relay.run(START)
  const refused = relay.notices.filter(({ text }) => /^Action: failed/m.test(text))
  assert.equal(refused.length, 1)
  assert.deepEqual(told(relay).toSorted(), [
    [1, 1],
    [100, 1],
  ])
  assert.equal(await relay.queue.get(id), null)
  const given = server.sessions.flat().filter(line => line.startsWith('RCPT TO:<good'))
  assert.equal(given.length, 200)
})

/** A queue that fails where the test wants it. */
function failing(queue: Queue, faults: Partial<Queue>): Queue {
  return new Proxy(queue, {
    get(target, name) {
      const value = Reflect.get(faults, name) ?? Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

test('telling: who could not be told of is tried again, and nobody else', async t => {
  let broken = true
  const { relay, server } = await world(t, {
    around: queue =>
      failing(queue, {
        async put(message, content) {
          if (broken && message.id.endsWith('-notice')) throw new TypeError('a fault of ours')
          return queue.put(message, content)
        },
      }),
  })
  const id = await relay.put(many(150, n => `${n % 2 === 0 ? 'bad' : 'good'}${n}@x.test`))
  await relay.run(START)
  const left = (await relay.queue.get(id))?.recipients.filter(({ state }) => state === 'pending')
  assert.equal(left?.length, 75)
  broken = false
  await relay.run(START + HOUR_MS)
  assert.equal(await relay.queue.get(id), null)
  assert.equal(
    told(relay).reduce((sum, [count = 0]) => sum + count, 0),
    75,
  )
  assert.equal(server.sessions.flat().filter(line => line.startsWith('RCPT TO:<good')).length, 75)
})

for (const [what, go] of [
  ['for half a minute', (t: TestContext) => t.mock.timers.tick(30_000)],
  ['until the relay stops', (_: TestContext, telling: Telling) => telling.close()],
] as const) {
  test(`telling: it waits for the other jobs ${what}`, async t => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const queue = openMemory()
    const arrivedMs = START
    const recipients = ['a@x.test', 'b@y.test'].map(text => recipient(text))
    const envelope = { reversePath: ALICE, body: '7BIT', smtputf8: false, recipients: [] } as const
    const id = '01KAXE00000000000000000000'
    await queue.put({ id, arrivedMs, expiresMs: START + 1, recipients, envelope }, [Buffer.from('x: y\r\n')])
    const telling = new Telling({
      queue,
      settler: new Settler(queue, silent),
      hostname: 'mail.example.org',
      postmaster: 'postmaster@example.org',
      language: 'en',
      expireMs: EXPIRE_MS,
      now: () => START,
      wake: () => {},
      log: silent,
    })
    const [job] = await queue.lease(START, 1)
    assert.ok(job)
    const evidence = { atMs: START, status: '5.1.1', diagnostic: '550 5.1.1 No' }
    assert.equal(await telling.isOneOfSeveral(job), true)
    await telling.add({
      job,
      notices: [{ kind: 'failed', reports: [{ index: 0, evidence }] }],
      results: [{ index: 0, action: 'failed', evidence }],
      fault: async error => assert.fail(String(error)),
    })
    await telling.ended(job)
    assert.equal(await queue.count(), 1)
    await go(t, telling)
    while ((await queue.get(id))?.recipients[0]?.state !== 'failed') await new Promise(setImmediate)
    assert.equal(await queue.count(), 2)
  })
}

test('fault: a job that an error of ours breaks off waits ever longer, is told of, and expires', async t => {
  const { relay } = await world(t, {
    around: queue => {
      const check = (id: string) => {
        if (!id.endsWith('-notice')) throw new QueueError('io', 'a page of it is damaged')
      }
      return failing(queue, {
        async content(id) {
          check(id)
          return queue.content(id)
        },
        async openContent(id) {
          check(id)
          return queue.openContent(id)
        },
      })
    },
  })
  const id = await relay.put(['bob@x.test'])
  await relay.run(START)
  const [waiting] = (await relay.queue.get(id))?.recipients ?? []
  assert.equal(waiting?.state, 'pending')
  assert.equal(waiting?.dueMs, START + 5 * 60_000)
  assert.equal(waiting?.last?.status, '4.3.0')
  assert.match(waiting?.last?.diagnostic ?? '', /error of our own/)
  const alarms = () =>
    relay.events.filter(({ name, fields }) => name === 'alarm' && fields.about === 'delivery')
  assert.equal(alarms().length, 1)
  assert.match(String(alarms()[0]?.fields.error), /a page of it is damaged/)
  await relay.run()
  assert.equal(await relay.queue.get(id), null)
  assert.ok(relay.nowMs >= START + EXPIRE_MS)
  assert.ok(alarms().length < 50, `${alarms().length} attempts`)
  // The sender hears of it, though there is nothing to return.
  const [last] = relay.notices.slice(-1)
  assert.match(last?.text ?? '', /^Action: failed\r$/m)
  assert.match(last?.text ?? '', /^Status: 5\.4\.7\r$/m)
})
