/** What is held stays, and is not leased. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hold } from '../queue.ts'
import { ARRIVED, all, deferred, hold, type MakeEngine, named, newMessage, octets } from './fixture.ts'

export function holdContract(makeEngine: MakeEngine): void {
  for (const [kind, name] of [
    ['message', 'A'],
    ['sender', 'a@x.example'],
    ['sender', '@x.example'],
    ['destination', 'one.example'],
  ] as const) {
    test(`a hold of a ${kind} (${name}) keeps what it names until it is lifted`, async t => {
      const { queue, reopen } = await makeEngine(t)
      const from = (id: string, localPart: string, domain: string, to: string) => {
        const message = newMessage(id, [`b@${to}`])
        return { ...message, envelope: { ...message.envelope, reversePath: { localPart, domain } } }
      }
      await queue.put(from('A', 'A', 'X.example', 'one.example'), [])
      await queue.put(from('B', 'b', 'y.example', 'two.example'), [])
      await queue.hold(hold(kind, name))
      assert.deepEqual(named(await queue.lease(2000, 10)), ['B two.example'])
      assert.equal(await queue.nextDue(), null)
      assert.deepEqual(await queue.holds(), [hold(kind, name)])
      const { held } = (await queue.get('A')) ?? {}
      assert.deepEqual(held, kind === 'destination' ? undefined : { kind, name })
      // Also what comes later, and after a restart.
      if (kind !== 'message') await queue.put(from('C', 'a', 'x.EXAMPLE', 'one.example'), [])
      const again = reopen ? await reopen() : queue
      assert.deepEqual(
        (await again.lease(2000, 10)).filter(({ message }) => message.id !== 'B'),
        [],
      )
      assert.equal(await again.retry('A', 3000), true)
      assert.deepEqual(await again.lease(3000, 10), [])
      assert.equal(await again.lift({ kind, name: 'other' }), false)
      assert.equal(await again.lift({ kind, name }), true)
      assert.equal(await again.lift({ kind, name }), false)
      assert.equal(await again.nextDue(), ARRIVED)
      const jobs = await again.lease(3000, 10)
      const expected = kind === 'message' ? ['A one.example'] : ['A one.example', 'C one.example']
      assert.deepEqual(named(jobs), expected)
      assert.equal((await again.get('A'))?.held, undefined)
      for (const job of jobs) await again.settle(job, all(job, 'delivered'))
      assert.equal(await again.get('A'), null)
    })

    test(`a hold of a ${kind} (${name}) ends by itself`, async t => {
      const { queue } = await makeEngine(t)
      const message = newMessage('A', ['b@one.example', 'b@one.example'])
      const reversePath = { localPart: 'a', domain: 'x.example' }
      await queue.put({ ...message, envelope: { ...message.envelope, reversePath } }, [])
      await queue.hold(hold(kind, name, 5000))
      assert.deepEqual(await queue.lease(4999, 10), [])
      assert.equal(await queue.nextDue(), 5000)
      assert.equal((await queue.lease(5000, 10)).length, 1)
      assert.deepEqual(await queue.holds(), [])
    })
  }

  test('a hold of a domain keeps all of its destinations, a hold of one of them only that', async t => {
    const { queue } = await makeEngine(t)
    const destinations = [
      'one.example',
      'one.example@pool',
      'one.example via route',
      'one.example-x',
      'one.examples',
    ]
    for (const [n, destination] of destinations.entries()) {
      const { recipients, ...message } = newMessage(`M${n}`, ['a@one.example'], ARRIVED + n)
      await queue.put({ ...message, recipients: recipients.map(each => ({ ...each, destination })) }, [])
    }
    const ids = async (domain: string) =>
      (await queue.list({ limit: 9, filter: { destination: domain } })).map(({ id }) => id)
    assert.deepEqual(await ids('one.example'), ['M0', 'M1', 'M2'])
    assert.deepEqual(await ids('one.example@pool'), ['M1'])
    await queue.hold(hold('destination', 'one.example@pool'))
    assert.equal((await queue.lease(ARRIVED + 1, 9)).length, 1)
    await queue.hold(hold('destination', 'one.example', 8000))
    const jobs = await queue.lease(5000, 9)
    assert.deepEqual(named(jobs), ['M3 one.example-x', 'M4 one.examples'])
    for (const job of jobs) await queue.settle(job, all(job, 'delivered'))
    assert.equal(await queue.nextDue(), 8000)
    assert.deepEqual(named(await queue.lease(8000, 9)), ['M2 one.example via route'])
    assert.equal(await queue.lift({ kind: 'destination', name: 'one.example@pool' }), true)
    assert.deepEqual(named(await queue.lease(8000, 9)), ['M1 one.example@pool'])
  })

  test('a message that is held while it is on its way is not tried again', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example', 'b@two.example']), [octets(100_000)])
    const [first, second] = await queue.lease(ARRIVED, 2)
    assert.ok(first && second)
    await queue.hold(hold('message', 'A'))
    await queue.settle(first, deferred(first, 2000))
    assert.deepEqual(await queue.lease(9000, 10), [])
    assert.equal(await queue.nextDue(), null)
    await queue.settle(second, all(second, 'delivered'))
    assert.equal(await queue.lift({ kind: 'message', name: 'A' }), true)
    assert.equal(await queue.nextDue(), 2000)
    assert.equal((await queue.lease(2000, 10)).length, 1)
  })

  test('what was held when the queue was opened goes by its priority when it is lifted', async t => {
    const { queue, reopen } = await makeEngine(t)
    const urgent = newMessage('A', ['a@one.example'], ARRIVED + 1)
    await queue.put({ ...urgent, envelope: { ...urgent.envelope, priority: 4 } }, [])
    await queue.hold(hold('message', 'A'))
    const again = reopen ? await reopen() : queue
    await again.put(newMessage('B', ['a@one.example']), [])
    await again.put(newMessage('C', ['a@one.example']), [])
    assert.deepEqual(named(await again.lease(2000, 1)), ['B one.example'])
    assert.equal(await again.lift({ kind: 'message', name: 'A' }), true)
    assert.equal(await again.nextDue(), ARRIVED)
    assert.deepEqual(named(await again.lease(2000, 9)), ['A one.example', 'C one.example'])
  })

  test('what is held can be removed, and a site is held by the scheduler', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example']), [])
    await queue.hold(hold('message', 'A'))
    assert.equal(await queue.remove('A'), true)
    assert.equal(await queue.put(newMessage('B', ['a@one.example']), []), 'queued')
    await queue.hold(hold('site', 'mx.one.example', 5000))
    assert.deepEqual(
      (await queue.holds()).map(({ kind, name }) => `${kind} ${name}`),
      ['message A', 'site mx.one.example'],
    )
    assert.equal(await queue.lift({ kind: 'message', name: 'A' }), true)
    assert.equal((await queue.lease(ARRIVED, 10)).length, 1)
  })

  const noHolds: [what: string, hold: Hold][] = [
    ['no name', hold('sender', '')],
    ['a name that is too long', hold('sender', 'x'.repeat(1025))],
    ['a time that is none', hold('message', 'A', Number.NaN)],
  ]
  for (const [what, wrong] of noHolds) {
    test(`a hold with ${what} is refused`, async t => {
      const { queue } = await makeEngine(t)
      await assert.rejects(queue.hold(wrong), RangeError)
      assert.deepEqual(await queue.holds(), [])
    })
  }
}
