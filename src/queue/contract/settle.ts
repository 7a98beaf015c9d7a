/** What came of a job counts for each recipient, and a message that is done is gone. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RECIPIENTS_PER_JOB, type RecipientResult } from '../queue.ts'
import {
  ARRIVED,
  all,
  deferred,
  evidence,
  hold,
  leaseOne,
  type MakeEngine,
  manyAt,
  named,
  newMessage,
  octets,
} from './fixture.ts'

export function settleContract(makeEngine: MakeEngine): void {
  for (const action of ['delivered', 'failed', 'expanded'] as const) {
    test(`a message whose recipients are all ${action} is gone with its content`, async t => {
      const { queue } = await makeEngine(t)
      for (const [id, size] of [
        ['A', 10],
        ['B', 100_000],
      ] as const) {
        await queue.put(newMessage(id, ['a@one.example', 'b@two.example']), [octets(size)])
        const [first, second] = await queue.lease(ARRIVED, 2)
        assert.ok(first && second)
        await queue.settle(first, all(first, action))
        const half = await queue.get(id)
        assert.deepEqual(half?.recipients[0], {
          mailbox: { localPart: 'a', domain: 'one.example' },
          destination: 'one.example',
          state: action,
          attempts: 1,
          dueMs: ARRIVED,
          last: evidence,
        })
        assert.equal(half?.recipients[1]?.state, 'pending')
        assert.equal((await queue.content(id)).length, size)
        await queue.settle(second, all(second, action))
        assert.equal(await queue.get(id), null)
        await assert.rejects(queue.content(id), { code: 'gone' })
        assert.equal(await queue.count(), 0)
        assert.equal(await queue.nextDue(), null)
      }
    })
  }

  test('a deferred recipient is due later, with what it was told', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example']), [octets(3)])
    for (let attempt = 1; attempt <= 3; attempt++) {
      const nowMs = ARRIVED + (attempt - 1) * 100
      const job = await leaseOne(queue, nowMs)
      await queue.settle(job, deferred(job, nowMs + 100))
      assert.deepEqual(await queue.lease(nowMs + 99, 10), [])
      assert.equal(await queue.nextDue(), nowMs + 100)
      const { recipients } = (await queue.get('A')) ?? {}
      assert.deepEqual(
        recipients?.map(({ state, attempts, dueMs, last }) => ({ state, attempts, dueMs, last })),
        [{ state: 'pending', attempts: attempt, dueMs: nowMs + 100, last: evidence }],
      )
    }
  })

  test('that the sender was told of a delay is remembered', async t => {
    const { queue, reopen } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example']), [])
    const job = await leaseOne(queue, ARRIVED)
    await queue.settle(job, [{ index: 0, action: 'deferred', dueMs: 2000, delayToldMs: 1100, evidence }])
    const again = reopen ? await reopen() : queue
    const next = await leaseOne(again, 2000)
    assert.equal(next.message.recipients[0]?.delayToldMs, 1100)
    await again.settle(next, deferred(next, 3000))
    assert.equal((await again.get('A'))?.recipients[0]?.delayToldMs, 1100)
  })

  test('recipients of one destination can fare differently', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example', 'b@one.example', 'c@one.example']), [])
    const job = await leaseOne(queue, ARRIVED)
    await queue.settle(job, [
      { index: 0, action: 'deferred', dueMs: 3000, evidence },
      { index: 1, action: 'delivered', evidence },
      { index: 2, action: 'deferred', dueMs: 2000, evidence },
    ])
    assert.equal(await queue.nextDue(), 2000)
    const second = await leaseOne(queue, 2500)
    assert.deepEqual(second.recipients, [2])
    await queue.settle(second, all(second, 'failed'))
    assert.equal(await queue.nextDue(), 3000)
    const third = await leaseOne(queue, 3000)
    assert.deepEqual(third.recipients, [0])
    await queue.settle(third, all(third, 'delivered'))
    assert.equal(await queue.count(), 0)
  })

  test('a recipient without a result stays as it was', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example', 'b@one.example']), [])
    const job = await leaseOne(queue, ARRIVED)
    await queue.settle(job, [{ index: 1, action: 'delivered', evidence }])
    assert.deepEqual((await leaseOne(queue, ARRIVED)).recipients, [0])
  })

  test('a result for a recipient that is final changes nothing', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example', 'b@one.example', 'c@two.example']), [])
    const [job] = await queue.lease(ARRIVED, 1)
    assert.ok(job)
    const results: RecipientResult[] = [
      { index: 0, action: 'delivered', evidence },
      { index: 1, action: 'deferred', dueMs: 2000, evidence },
    ]
    await queue.settle(job, results)
    await queue.settle(job, all(job, 'failed'))
    const message = await queue.get('A')
    assert.deepEqual(
      message?.recipients.map(({ state }) => state),
      ['delivered', 'failed', 'pending'],
    )
  })

  test('a released job is due as before', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example']), [])
    const job = await leaseOne(queue, ARRIVED)
    queue.release(job)
    assert.equal(await queue.nextDue(), ARRIVED)
    assert.deepEqual(await leaseOne(queue, ARRIVED), job)
  })

  test('retry makes pending recipients due now', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example', 'b@two.example', 'c@three.example']), [])
    const [one, three] = await queue.lease(ARRIVED, 2)
    assert.ok(one && three)
    await queue.settle(one, deferred(one, 5000))
    await queue.settle(three, all(three, 'delivered'))
    assert.equal(await queue.retry('A', 2000), true)
    assert.deepEqual(
      (await queue.get('A'))?.recipients.map(({ dueMs, state }) => [dueMs, state]),
      [
        [2000, 'pending'],
        [ARRIVED, 'pending'],
        [ARRIVED, 'delivered'],
      ],
    )
    assert.deepEqual(named(await queue.lease(2000, 10)), ['A two.example', 'A one.example'])
    assert.equal(await queue.retry('B', 2000), false)
  })

  test('the outcome of a job counts, though its message was retried meanwhile', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example']), [])
    const job = await leaseOne(queue, ARRIVED)
    assert.equal(await queue.retry('A', 2000), true)
    assert.deepEqual(await queue.lease(2000, 10), [])
    await queue.settle(job, deferred(job, 5000))
    assert.equal(await queue.nextDue(), 5000)
  })

  test('a removed message is gone, also for the job that has it', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example', 'b@two.example']), [octets(100_000)])
    const job = await leaseOne(queue, ARRIVED)
    assert.equal(await queue.remove('A'), true)
    assert.equal(await queue.remove('A'), false)
    assert.equal(await queue.get('A'), null)
    assert.equal(await queue.count(), 0)
    assert.equal(await queue.nextDue(), null)
    await assert.rejects(queue.content('A'), { name: 'QueueError', code: 'gone' })
    await queue.settle(job, deferred(job, 5000))
    assert.equal(await queue.count(), 0)
    assert.equal(await queue.nextDue(), null)
  })

  test('a lease that is kept is settled once more', async t => {
    const { queue, reopen } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example', 'b@one.example', 'c@two.example']), [octets(3)])
    const [job, other] = await queue.lease(ARRIVED, 2)
    assert.ok(job && other)
    await queue.settle(job, all(job, 'delivered').slice(0, 1), 'keep')
    assert.deepEqual(
      (await queue.get('A'))?.recipients.map(({ state }) => state),
      ['delivered', 'pending', 'pending'],
    )
    assert.deepEqual(await queue.lease(ARRIVED, 10), [])
    await queue.settle(other, all(other, 'delivered'))
    if (reopen) {
      // After a crash who is left is tried again, and nobody else.
      const again = await reopen()
      const left = await leaseOne(again, ARRIVED)
      assert.deepEqual(left.recipients, [1])
      await again.settle(left, all(left, 'failed'))
      assert.equal(await again.count(), 0)
    } else {
      await queue.settle(job, all(job, 'failed').slice(1))
      assert.equal(await queue.count(), 0)
    }
  })

  test('what a lease that is kept has moved hides nobody', async t => {
    const { queue } = await makeEngine(t)
    await queue.put({ ...newMessage('B', ['b@one.example']), dueMs: 3000 }, [])
    await queue.put({ ...newMessage('C', ['c@two.example']), dueMs: 2500 }, [])
    await queue.put(newMessage('A', ['a@one.example']), [])
    const job = await leaseOne(queue, ARRIVED)
    assert.deepEqual(named(await queue.lease(2600, 10)), ['C two.example'])
    // It is before B in line now, and before what was looked at.
    await queue.settle(job, deferred(job, 2000), 'keep')
    assert.equal(await queue.nextDue(), 3000)
    assert.deepEqual(named(await queue.lease(3500, 10)), ['B one.example'])
    await queue.settle(job, all(job, 'delivered'))
    assert.equal(await queue.nextDue(), null)
  })

  test('which jobs of a message are due, leased or not', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(manyAt('A', RECIPIENTS_PER_JOB + 1, ['one.example', 'two.example']), [])
    const due = async (nowMs: number) =>
      (await queue.dueJobs('A', nowMs)).map(({ destination, part }) => `${destination} ${part}`).toSorted()
    assert.deepEqual(await due(ARRIVED - 1), [])
    const every = ['one.example 1', 'one.example 2', 'two.example 1', 'two.example 2']
    assert.deepEqual(await due(ARRIVED), every)
    const jobs = await queue.lease(ARRIVED, 4)
    assert.deepEqual(await due(ARRIVED), every)
    for (const job of jobs)
      await queue.settle(
        job,
        job.part === 1 ? all(job, 'failed') : deferred(job, job.destination === 'one.example' ? 2000 : 3000),
      )
    assert.deepEqual(await due(1999), [])
    assert.deepEqual(await due(2000), ['one.example 2'])
    await queue.hold(hold('message', 'A'))
    assert.deepEqual(await due(3000), [])
    assert.deepEqual(await queue.dueJobs('B', ARRIVED), [])
    await queue.put(newMessage('B', ['a@one.example']), [])
    assert.deepEqual(await queue.dueJobs('B', ARRIVED), [{ destination: 'one.example' }])
  })
}
