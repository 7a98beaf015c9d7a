import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Fields, type Log, silent } from '../observe/event.ts'
import { all as allOf, newMessage } from '../queue/contract/fixture.ts'
import { openMemory } from '../queue/memory/memory.ts'
import type { Job } from '../queue/queue.ts'
import { Scheduler } from './scheduler.ts'
import { SHAPE } from './site/shape.ts'
import { Sites } from './site/sites.ts'

test('a place at a site is free again while results are still being written', async t => {
  const queue = openMemory()
  const sites = new Sites({
    shapeOf: () => SHAPE,
    now: Date.now,
    unpark: destination => {
      queue.unpark(destination)
      scheduler.wake()
    },
  })
  let begun = 0
  const written = Promise.withResolvers<void>()
  const all = Promise.withResolvers<void>()
  const scheduler: Scheduler = new Scheduler({
    queue,
    sites,
    work: async (_, place) => {
      place.arrive(['mx.one.example'])
      if (++begun === 20) all.resolve()
      place.leave()
      await written.promise
    },
    fault: async (_, error) => all.reject(error),
    sweep: async () => {},
    paused: () => false,
    now: Date.now,
    log: silent,
  })
  t.after(async () => {
    written.resolve()
    await scheduler.close(1000)
    await queue.close()
  })
  // A site that is new takes five at a time.
  for (let i = 0; i < 20; i++) await queue.put(newMessage(`m${i}`, [`a${i}@one.example`]), [])
  scheduler.start()
  await all.promise
  assert.equal(begun, 20)
})

/** One message is due; `work` throws. */
async function world(t: TestContext, fault: (job: Job, error: unknown) => Promise<void>) {
  const queue = openMemory()
  await queue.put(newMessage('A', ['a@one.example']), [])
  const alarms: Fields[] = []
  const log: Log = { event: (name, fields = {}) => name === 'alarm' && alarms.push(fields), with: () => log }
  const worked = { times: 0 }
  const now = () => 2000
  const scheduler = new Scheduler({
    queue,
    sites: new Sites({ shapeOf: () => SHAPE, now, unpark: destination => queue.unpark(destination) }),
    async work() {
      worked.times++
      throw new TypeError('a fault of ours')
    },
    fault: (job, error) => fault(job, error).then(() => queue.settle(job, allOf(job, 'failed'))),
    sweep: async () => {},
    paused: () => false,
    now,
    log,
  })
  scheduler.start()
  t.after(() => scheduler.close(0))
  return { queue, alarms, worked }
}

test('scheduler: a job that a fault of ours breaks off is ended by who knows how', async t => {
  const told = Promise.withResolvers<unknown>()
  const { queue, alarms, worked } = await world(t, async (_, error) => told.resolve(error))
  assert.match(String(await told.promise), /a fault of ours/)
  while ((await queue.count()) > 0) await new Promise(setImmediate)
  assert.deepEqual(alarms, [])
  assert.equal(worked.times, 1)
})

test('scheduler: where that fails too, the job keeps its lease for a while and nothing spins', async t => {
  const { queue, alarms, worked } = await world(t, async () => {
    throw new RangeError('and another')
  })
  while (alarms.length === 0) await new Promise(setImmediate)
  assert.match(String(alarms[0]?.error), /and another/)
  for (let n = 0; n < 20; n++) await new Promise(setImmediate)
  assert.equal(worked.times, 1)
  assert.equal(alarms.length, 1)
  assert.equal(await queue.count(), 1)
})
