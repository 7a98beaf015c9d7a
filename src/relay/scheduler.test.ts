import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Fields, logTo } from '../observe/event.ts'
import { all, newMessage } from '../queue/contract/fixture.ts'
import { openMemory } from '../queue/memory/memory.ts'
import type { Job } from '../queue/queue.ts'
import { Scheduler } from './scheduler.ts'
import { SHAPE } from './site/shape.ts'
import { Sites } from './site/sites.ts'

/** One message is due; `work` throws. */
async function world(t: TestContext, fault: (job: Job, error: unknown) => Promise<void>) {
  const queue = openMemory()
  await queue.put(newMessage('A', ['a@one.example']), [])
  const alarms: Fields[] = []
  const log = logTo((name, fields) => name === 'alarm' && alarms.push(fields))
  const worked = { times: 0 }
  const now = () => 2000
  const scheduler = new Scheduler({
    queue,
    sites: new Sites({ shapeOf: () => SHAPE, now, unpark: destination => queue.unpark(destination) }),
    async work() {
      worked.times++
      throw new TypeError('a fault of ours')
    },
    fault: (job, error) => fault(job, error).then(() => queue.settle(job, all(job, 'failed'))),
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
