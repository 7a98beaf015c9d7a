/** What is due is leased once, in order, and what has no room costs nothing. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ARRIVED, deferred, leaseOne, type MakeEngine, named, newMessage } from './fixture.ts'

export function leaseContract(makeEngine: MakeEngine): void {
  test('a job is the due recipients of one message at one destination, leased once', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example', 'b@two.example', 'c@one.example']), [])
    assert.deepEqual(await queue.lease(ARRIVED - 1, 10), [])
    const jobs = await queue.lease(ARRIVED, 10)
    assert.deepEqual(
      jobs.map(({ destination, recipients }) => [destination, recipients]),
      [
        ['one.example', [0, 2]],
        ['two.example', [1]],
      ],
    )
    const { recipients, ...whole } = (await queue.get('A')) ?? assert.fail()
    for (const { message, recipients: indices } of jobs) {
      const { recipients: there, ...fixed } = message
      assert.deepEqual(fixed, whole)
      assert.deepEqual(Object.keys(there), indices.map(String))
      for (const index of indices) assert.deepEqual(there[index], recipients[index])
    }
    assert.deepEqual(await queue.lease(ARRIVED, 10), [])
    assert.equal(await queue.nextDue(), null)
  })

  test('the most overdue are leased first, across destinations and up to the limit', async t => {
    const { queue } = await makeEngine(t)
    const arrivals: [id: string, domain: string, arrivedMs: number][] = [
      ['A', 'one.example', 1005],
      ['B', 'two.example', 1001],
      ['C', 'one.example', 1002],
      ['D', 'three.example', 1009],
      ['E', 'one.example', 1003],
      ['F', 'two.example', 1004],
    ]
    for (const [id, domain, arrivedMs] of arrivals)
      await queue.put(newMessage(id, [`a@${domain}`], arrivedMs), [])
    assert.deepEqual(await queue.lease(1008, 0), [])
    assert.equal(await queue.nextDue(), 1001)
    assert.deepEqual(named(await queue.lease(1008, 3)), ['B two.example', 'C one.example', 'E one.example'])
    assert.equal(await queue.nextDue(), 1004)
    assert.deepEqual(named(await queue.lease(1008, 3)), ['F two.example', 'A one.example'])
    assert.equal(await queue.nextDue(), 1009)
  })

  test('the higher priority is leased first, whatever is overdue: RFC 6710 §5.1', async t => {
    const { queue, reopen } = await makeEngine(t)
    const arrivals: [id: string, domain: string, arrivedMs: number, priority: number | undefined][] = [
      ['A', 'one.example', 1001, -9],
      ['B', 'two.example', 1002, undefined],
      ['C', 'one.example', 1003, 3],
      ['D', 'one.example', 1004, 0],
      ['E', 'three.example', 1005, 9],
      ['F', 'two.example', 1006, 3],
      ['G', 'one.example', 1007, -9],
      ['H', 'one.example', 5000, 9],
    ]
    for (const [id, domain, arrivedMs, priority] of arrivals) {
      const message = newMessage(id, [`a@${domain}`], arrivedMs)
      const envelope = priority === undefined ? message.envelope : { ...message.envelope, priority }
      await queue.put({ ...message, envelope }, [])
    }
    const again = reopen ? await reopen() : queue
    assert.equal(await again.nextDue(), 1001)
    const order = ['E three.example', 'C one.example', 'F two.example', 'B two.example', 'D one.example']
    assert.deepEqual(named(await again.lease(4000, 2)), order.slice(0, 2))
    assert.equal(await again.nextDue(), 1001)
    assert.deepEqual(named(await again.lease(4000, 3)), order.slice(2))
    const [job] = await again.lease(4000, 1)
    assert.ok(job)
    assert.deepEqual(named([job]), ['A one.example'])
    assert.equal(await again.nextDue(), 1007)
    await again.settle(job, deferred(job, 4500))
    assert.deepEqual(named(await again.lease(5000, 10)), ['H one.example', 'G one.example', 'A one.example'])
    assert.equal(await again.nextDue(), null)
  })

  test('a destination that is skipped at one priority is skipped at all', async t => {
    const { queue } = await makeEngine(t)
    for (const priority of [5, 0, -5]) {
      const message = newMessage(`M${priority + 5}`, ['a@one.example', 'a@two.example'])
      await queue.put({ ...message, envelope: { ...message.envelope, priority } }, [])
    }
    const asked: string[] = []
    const jobs = await queue.lease(ARRIVED, 10, destination => {
      asked.push(destination)
      return destination === 'one.example'
    })
    assert.deepEqual(named(jobs), ['M10 two.example', 'M5 two.example', 'M0 two.example'])
    assert.equal(asked.filter(destination => destination === 'one.example').length, 1)
    assert.equal(await queue.nextDue(), ARRIVED)
  })

  test('a skipped destination is passed over and stays due', async t => {
    const { queue } = await makeEngine(t)
    for (let n = 10; n < 40; n++) {
      await queue.put(newMessage(`M${n}`, [`a@${n % 3 === 0 ? 'other' : 'full'}.example`], ARRIVED + n), [])
    }
    const asked: string[] = []
    const jobs = await queue.lease(2000, 100, destination => {
      asked.push(destination)
      return destination === 'full.example'
    })
    assert.equal(jobs.length, 10)
    assert.ok(jobs.every(({ destination }) => destination === 'other.example'))
    assert.equal(asked.filter(destination => destination === 'full.example').length, 1)
    assert.equal(await queue.nextDue(), ARRIVED + 10)
    assert.equal((await queue.lease(2000, 100)).length, 20)
  })

  test('skip is asked before each job, so that it can count', async t => {
    const { queue } = await makeEngine(t)
    for (let n = 10; n < 30; n++)
      await queue.put(newMessage(`M${n}`, [`a@${n % 2}.example`], ARRIVED + n), [])
    let places = 3
    const jobs = await queue.lease(2000, 100, destination => destination === '0.example' && places-- === 0)
    assert.equal(jobs.filter(({ destination }) => destination === '0.example').length, 3)
    assert.equal(jobs.filter(({ destination }) => destination === '1.example').length, 10)
    assert.equal(await queue.nextDue(), ARRIVED + 16)
  })

  test('an error of skip leases nothing', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example', 'a@two.example']), [])
    const failing = (destination: string) => {
      if (destination === 'two.example') throw new Error('skip failed')
      return false
    }
    await assert.rejects(queue.lease(ARRIVED, 10, failing), /skip failed/)
    assert.equal((await queue.lease(ARRIVED, 10)).length, 2)
  })

  test('a destination that is parked is not asked about until it is unparked', async t => {
    const { queue } = await makeEngine(t)
    for (let n = 10; n < 30; n++)
      await queue.put(newMessage(`M${n}`, [`a@${n % 2 === 0 ? 'full' : 'other'}.example`], ARRIVED + n), [])
    const asked: string[] = []
    const lease = (limit: number) =>
      queue.lease(2000, limit, destination => {
        asked.push(destination)
        return destination === 'full.example' ? 'park' : false
      })
    assert.equal((await lease(4)).length, 4)
    assert.equal((await lease(4)).length, 4)
    assert.equal(asked.filter(destination => destination === 'full.example').length, 1)
    // What comes meanwhile is parked with it, of whatever priority.
    const late = newMessage('N', ['a@full.example'])
    await queue.put({ ...late, envelope: { ...late.envelope, priority: 3 } }, [])
    assert.equal((await lease(100)).length, 2)
    assert.equal(await queue.nextDue(), null)
    assert.deepEqual(await queue.lease(2000, 100), [])
    queue.unpark('none.example')
    assert.equal(await queue.nextDue(), null)
    queue.unpark('full.example')
    assert.equal(await queue.nextDue(), ARRIVED)
    assert.deepEqual(named(await queue.lease(2000, 2)), ['N full.example', 'M10 full.example'])
    assert.deepEqual(await lease(100), [])
    queue.unpark()
    assert.equal((await queue.lease(2000, 100)).length, 9)
  })

  test('a deferred job of a parked destination is parked too', async t => {
    const { queue } = await makeEngine(t)
    for (const id of ['A', 'B', 'C']) await queue.put(newMessage(id, ['a@one.example']), [])
    const job = await leaseOne(queue, ARRIVED)
    assert.deepEqual(await queue.lease(ARRIVED, 10, () => 'park'), [])
    await queue.settle(job, deferred(job, 1500))
    assert.equal(await queue.nextDue(), null)
    assert.deepEqual(await queue.lease(2000, 10), [])
    queue.unpark('one.example')
    assert.deepEqual(named(await queue.lease(2000, 10)), ['B one.example', 'C one.example', 'A one.example'])
  })
}
