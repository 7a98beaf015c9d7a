import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '../observe/event.ts'
import { newMessage } from '../queue/contract/fixture.ts'
import { openMemory } from '../queue/memory/memory.ts'
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
