/** Many recipients are many jobs, and messages of one destination take turns. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Job, RECIPIENTS_PER_JOB } from '../queue.ts'
import { ARRIVED, all, deferred, leaseOne, type MakeEngine, manyAt, newMessage, octets } from './fixture.ts'

export function turnsContract(makeEngine: MakeEngine): void {
  test('many recipients at one destination are several jobs, and others have their turn', async t => {
    const { queue, reopen } = await makeEngine(t)
    const count = 2 * RECIPIENTS_PER_JOB + 1
    await queue.put(manyAt('A', count, ['one.example', 'two.example']), [octets(9)])
    for (const id of ['B', 'C', 'D']) await queue.put(newMessage(id, ['a@one.example'], ARRIVED + 1), [])
    const lengths = (jobs: readonly Job[]) =>
      jobs.map(({ message, recipients }) => `${message.id} ${recipients.length}`)
    const there = async (limit: number) =>
      queue.lease(2000, limit, destination => destination !== 'one.example')
    const first = await there(1)
    assert.deepEqual(lengths(first), ['A 100'])
    const rest = await there(100)
    assert.deepEqual(lengths(rest), ['B 1', 'A 100', 'C 1', 'A 1', 'D 1'])
    const jobs = [...first, ...rest, ...(await queue.lease(2000, 100))]
    const indices = jobs.filter(({ message }) => message.id === 'A').flatMap(({ recipients }) => recipients)
    assert.deepEqual(
      indices.toSorted((one, other) => one - other),
      Array.from({ length: 2 * count }, (_, n) => n),
    )
    for (const job of jobs.slice(1)) await queue.settle(job, all(job, 'delivered'))
    const again = reopen ? await reopen() : queue
    if (first[0] && !reopen) again.release(first[0])
    const message = await again.get('A')
    assert.equal(message?.recipients.length, 2 * count)
    assert.equal(message?.recipients.filter(({ state }) => state === 'pending').length, 100)
    const last = await leaseOne(again, 2000)
    assert.deepEqual(last.recipients, first[0]?.recipients)
    await again.settle(last, all(last, 'delivered'))
    assert.equal(await again.count(), 0)
    assert.equal(await again.nextDue(), null)
  })

  test('turns are taken also where one job at a time has a place', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(manyAt('A', 5 * RECIPIENTS_PER_JOB, ['one.example']), [])
    await queue.put(manyAt('B', 3 * RECIPIENTS_PER_JOB, ['one.example'], ARRIVED + 1), [])
    for (let n = 0; n < 4; n++) await queue.put(newMessage(`C${n}`, ['a@one.example'], ARRIVED + 2), [])
    const order: string[] = []
    for (let n = 0; n < 12; n++) {
      const job = await leaseOne(queue, 2000)
      order.push(job.message.id)
      // One is deferred and does not come back in between.
      await queue.settle(job, n === 2 ? deferred(job, 9000) : all(job, 'delivered'))
    }
    assert.equal(order.join(' '), 'A B C0 A C1 B C2 A C3 B A A')
    assert.equal(await queue.nextDue(), 9000)
  })

  test('turns are taken by a message of which one job was deferred and hastened', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(manyAt('A', 3 * RECIPIENTS_PER_JOB, ['one.example']), [])
    const [first, second, third] = await queue.lease(ARRIVED, 3)
    assert.ok(first && second && third)
    await queue.settle(second, deferred(second, 5000))
    for (const job of [first, third]) queue.release(job)
    assert.equal(await queue.retry('A', ARRIVED), true)
    for (const id of ['B', 'C', 'D']) await queue.put(newMessage(id, ['a@one.example'], ARRIVED + 1), [])
    const jobs = await queue.lease(2000, 10)
    assert.deepEqual(
      jobs.map(({ message, part }) => `${message.id}${part ?? ''}`),
      ['A1', 'B', 'A2', 'C', 'A3', 'D'],
    )
  })

  test('of more messages than take turns none is forgotten', async t => {
    const { queue } = await makeEngine(t)
    const ids = Array.from({ length: 70 }, (_, n) => `M${n + 100}`)
    await Promise.all(ids.map(id => queue.put(manyAt(id, RECIPIENTS_PER_JOB + 1, ['one.example']), [])))
    const order: string[] = []
    for (let job = await leaseOne(queue, 2000); order.push(job.message.id) < 2 * ids.length; ) {
      await queue.settle(job, all(job, 'delivered'))
      job = await leaseOne(queue, 2000)
    }
    // The first ones had to give up their turns, and are the most overdue again.
    assert.deepEqual(order.slice(0, 64), ids.slice(0, 64))
    assert.deepEqual(order.toSorted(), [...ids, ...ids].toSorted())
  })

  test('parts of a message can fare differently, be hastened and be removed', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(manyAt('A', RECIPIENTS_PER_JOB + 20, ['one.example']), [])
    const [first, second] = await queue.lease(ARRIVED, 2)
    assert.ok(first && second)
    await queue.settle(first, deferred(first, 5000))
    assert.equal(await queue.nextDue(), 5000)
    await queue.settle(second, deferred(second, 6000))
    assert.equal(await queue.retry('A', 2000), true)
    assert.equal((await queue.lease(2000, 10)).length, 2)
    assert.equal(await queue.remove('A'), true)
    assert.equal(await queue.nextDue(), null)
    assert.equal(await queue.count(), 0)
  })

  test('many at a time', async t => {
    const { queue } = await makeEngine(t)
    const ids = Array.from({ length: 200 }, (_, n) => `M${n + 1000}`)
    await Promise.all(
      ids.map((id, n) => queue.put(newMessage(id, ['a@one.example', `b@${n}.example`]), [octets(n)])),
    )
    assert.equal(await queue.count(), 200)
    const jobs = await queue.lease(ARRIVED, 1000)
    assert.equal(jobs.length, 400)
    await Promise.all(jobs.map(job => queue.settle(job, all(job, 'delivered'))))
    assert.equal(await queue.count(), 0)
  })

  test('a message for a thousand destinations', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(
      newMessage(
        'A',
        Array.from({ length: 1000 }, (_, n) => `a@${n}.example`),
      ),
      [],
    )
    const jobs = await queue.lease(ARRIVED, 10_000)
    assert.equal(jobs.length, 1000)
    const last = jobs.pop()
    assert.ok(last)
    await Promise.all(jobs.map(job => queue.settle(job, all(job, 'delivered'))))
    assert.equal((await queue.get('A'))?.recipients.filter(({ state }) => state === 'pending').length, 1)
    await queue.settle(last, all(last, 'failed'))
    assert.equal(await queue.get('A'), null)
  })
}
