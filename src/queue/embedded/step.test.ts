/** Whatever step of an operation fails: nothing is told that is not so, nothing is left by halves, and later all is well. */

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { all, deferred, newMessage, octets } from '../contract.ts'
import type { Hold, Queue } from '../queue.ts'
import { openEmbedded } from './embedded.ts'
import { onStep, STEPS, type Step } from './step.ts'

const LARGE = 100_000
const TIMES = { sinceMs: 1, untilMs: null, reason: 'because' }
const HOLD: Hold = { ...TIMES, kind: 'sender', name: 'sender@example.org' }

interface Operation {
  readonly what: string
  /** What is there before. */
  readonly before: (queue: Queue) => Promise<unknown>
  readonly run: (queue: Queue) => Promise<unknown>
  /** Once more on a disk that is full, without a story: it may be what makes room. */
  readonly again?: true
}

const first = async (queue: Queue) => {
  const [job] = await queue.lease(1000, 1)
  return job ?? assert.fail('nothing to lease')
}

const operations: readonly Operation[] = [
  {
    what: 'put a small message',
    before: async () => {},
    run: queue => queue.put(newMessage('A', ['a@one.example', 'b@two.example']), [octets(10)]),
  },
  {
    what: 'put a large message',
    before: async () => {},
    run: queue => queue.put(newMessage('A', ['a@one.example']), [octets(LARGE)]),
  },
  {
    what: 'defer',
    again: true,
    before: queue => queue.put(newMessage('A', ['a@one.example']), [octets(LARGE)]),
    run: async queue => {
      const job = await first(queue)
      try {
        await queue.settle(job, deferred(job, 5000))
      } catch (error) {
        queue.release(job)
        throw error
      }
    },
  },
  {
    what: 'deliver',
    again: true,
    before: queue => queue.put(newMessage('A', ['a@one.example']), [octets(LARGE)]),
    run: async queue => {
      const job = await first(queue)
      try {
        await queue.settle(job, all(job, 'delivered'))
      } catch (error) {
        queue.release(job)
        throw error
      }
    },
  },
  {
    what: 'remove',
    again: true,
    before: queue => queue.put(newMessage('A', ['a@one.example']), [octets(LARGE)]),
    run: queue => queue.remove('A', 3000),
  },
  {
    what: 'retry',
    before: queue => queue.put({ ...newMessage('A', ['a@one.example']), dueMs: 5000 }, []),
    run: queue => queue.retry('A', 3000),
  },
  {
    what: 'hold',
    before: queue => queue.put(newMessage('A', ['a@one.example']), []),
    run: queue => queue.hold(HOLD),
  },
  {
    what: 'set aside what is held',
    before: async queue => {
      await queue.put(newMessage('A', ['a@one.example']), [])
      await queue.hold(HOLD)
    },
    run: queue => queue.lease(2000, 10),
  },
  {
    what: 'lift',
    before: async queue => {
      await queue.put(newMessage('A', ['a@one.example']), [])
      await queue.hold(HOLD)
      await queue.lease(2000, 10)
    },
    run: queue => queue.lift(HOLD),
  },
  {
    what: 'sweep',
    before: queue => queue.put(newMessage('A', ['a@one.example']), []),
    run: queue => queue.sweep(2_000_000_000),
  },
]

async function everything(queue: Queue) {
  return {
    messages: await queue.list({ limit: 10 }),
    holds: await queue.holds(),
    count: await queue.count(),
    nextDue: await queue.nextDue(),
    ended: (await queue.story('A'))?.ended,
  }
}

async function open(t: TestContext, { before }: Operation) {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-queue-step-'))
  const queue = await openEmbedded({ folder })
  t.after(async () => {
    onStep(null)
    await queue.close()
    rmSync(folder, { recursive: true })
  })
  await before(queue)
  // That this is who leases is settled before: nothing is due yet.
  await queue.lease(1, 1)
  return { queue, files: () => readdirSync(join(folder, 'content')) }
}

/** The steps it goes through, in order, each as often as it does. */
async function stepsOf(t: TestContext, operation: Operation): Promise<Step[]> {
  const { queue } = await open(t, operation)
  const steps: Step[] = []
  onStep(step => steps.push(step))
  await operation.run(queue)
  onStep(null)
  return steps
}

const errors = [
  ['EIO', 'io'],
  ['ENOSPC', 'full'],
  ['EMFILE', 'io'],
  ['EROFS', 'io'],
] as const

suite('an operation of which a step fails', () => {
  const met = new Set<Step>()
  for (const operation of operations) {
    test(operation.what, async t => {
      const steps = await stepsOf(t, operation)
      const { queue: other, files: itsFiles } = await open(t, operation)
      await operation.run(other)
      const after = { ...(await everything(other)), files: itsFiles().length }
      for (const [at, name] of steps.entries()) {
        met.add(name)
        if (name === 'commit done') continue
        const { queue, files } = await open(t, operation)
        const before = { ...(await everything(queue)), files: files().length }
        const possible = operation.again ? errors.filter(([code]) => code !== 'ENOSPC') : errors
        const [code, expected] = possible[at % possible.length] ?? assert.fail()
        let left = at
        onStep(() => {
          if (left-- === 0) throw Object.assign(new Error(`${code}: ${name}`), { code })
        })
        if (name === 'content remove') {
          // Nobody needs to know: a sweep removes it.
          await operation.run(queue)
          assert.equal(await queue.count(), 0)
          assert.equal(files().length, 1, name)
          onStep(null)
          await queue.sweep(5000)
        } else {
          await assert.rejects(operation.run(queue), { name: 'QueueError', code: expected }, name)
          onStep(null)
          assert.deepEqual({ ...(await everything(queue)), files: files().length }, before, name)
          await operation.run(queue)
        }
        assert.deepEqual({ ...(await everything(queue)), files: files().length }, after, name)
      }
    })
  }

  for (const operation of operations.filter(({ again, what }) => again && what !== 'defer')) {
    test(`${operation.what}: where the disk is full it goes without a story`, async t => {
      const { queue, files } = await open(t, operation)
      let failures = 1
      onStep(name => {
        if (name === 'commit write' && failures-- > 0)
          throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
      })
      await operation.run(queue)
      onStep(null)
      assert.equal(await queue.count(), 0)
      assert.equal(await queue.story('A'), null)
      assert.deepEqual(files(), [])
    })
  }

  test('every step was met', () => {
    assert.deepEqual([...met].toSorted(), STEPS.toSorted())
  })
})
