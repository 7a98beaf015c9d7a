import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '../observe/event.ts'
import { LifeCycle, pauseMs } from './life-cycle.ts'
import type { PublishOutcome } from './publish.ts'

const FAILURE: PublishOutcome = { kind: 'failure', code: 'TIMEOUT', reason: 'time-out' }

test('pauses double up to a minute', () => {
  assert.deepEqual([1, 2, 3, 6, 7, 50].map(pauseMs), [1000, 2000, 4000, 32_000, 60_000, 60_000])
})

test('pending until published; tried again until then', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const outcomes: PublishOutcome[] = [FAILURE, FAILURE, { kind: 'published' }]
  let asked = 0
  const lifeCycle = new LifeCycle({
    publish: async () => outcomes[asked++] ?? FAILURE,
    log: silent,
    now: () => 0,
  })
  assert.equal(lifeCycle.state.state, 'pending')
  await lifeCycle.check()
  assert.deepEqual(lifeCycle.state, { state: 'pending', reason: 'time-out' })
  for (const wait of [1000, 2000]) {
    t.mock.timers.tick(wait - 1)
    const before = asked
    t.mock.timers.tick(1)
    assert.equal(asked, before + 1)
    // The attempt the timer began.
    await lifeCycle.check()
  }
  assert.equal(lifeCycle.state.state, 'active')
  lifeCycle.close()
})

test('an active key outlives a primary that cannot be asked, not one that holds another key', async () => {
  const conflict: PublishOutcome = { kind: 'conflict', found: [], explanation: 'another key' }
  const outcomes: PublishOutcome[] = [{ kind: 'already' }, FAILURE, conflict]
  const lifeCycle = new LifeCycle({
    publish: async () => outcomes.shift() ?? FAILURE,
    log: silent,
    now: () => 0,
  })
  await lifeCycle.check()
  await lifeCycle.check()
  assert.equal(lifeCycle.state.state, 'active')
  await lifeCycle.check()
  assert.deepEqual(lifeCycle.state, { state: 'pending', reason: 'another key' })
  lifeCycle.close()
})
