/** What is left after `close`, and after a crash. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ARRIVED,
  all,
  deferred,
  hold,
  leaseOne,
  type MakeEngine,
  named,
  newMessage,
  octets,
} from './fixture.ts'

export function restartContract(makeEngine: MakeEngine, keeps: 'messages' | 'nothing'): void {
  test('a closed queue says so', async t => {
    const { queue } = await makeEngine(t)
    await queue.put(newMessage('A', ['a@one.example']), [])
    const job = await leaseOne(queue, ARRIVED)
    await queue.close()
    const calls: (() => Promise<unknown>)[] = [
      () => queue.put(newMessage('B', ['a@one.example']), []),
      () => queue.put(newMessage('B', ['a@one.example']), [octets(100_000)]),
      () => queue.lease(ARRIVED, 1),
      () => queue.settle(job, all(job, 'delivered')),
      () => queue.nextDue(),
      () => queue.content('A'),
      () => queue.openContent('A'),
      () => queue.get('A'),
      () => queue.list({ limit: 1 }),
      () => queue.story('A'),
      () => queue.hold(hold('message', 'A')),
      () => queue.lift({ kind: 'message', name: 'A' }),
      () => queue.holds(),
      () => queue.retry('A', ARRIVED),
      () => queue.remove('A'),
      () => queue.count(),
      () => queue.sweep(ARRIVED),
    ]
    for (const call of calls) await assert.rejects(call, { name: 'QueueError', code: 'closed' }, String(call))
    queue.release(job)
    await queue.close()
  })

  if (keeps === 'messages') {
    test('what was put and settled survives; leases do not', async t => {
      const { queue, reopen } = await makeEngine(t)
      assert.ok(reopen)
      await queue.put(newMessage('A', ['a@one.example', 'b@two.example']), [octets(10)])
      await queue.put(newMessage('B', ['a@one.example']), [octets(100_000)])
      await queue.put(newMessage('C', ['a@one.example']), [octets(100_000)])
      const [job, other, third] = await queue.lease(ARRIVED, 3)
      assert.ok(job && other && third)
      assert.deepEqual(named([job, other, third]), ['A one.example', 'B one.example', 'C one.example'])
      await queue.settle(job, deferred(job, 2000))
      await queue.settle(other, all(other, 'delivered'))
      const messages = await queue.list({ limit: 10 })
      const again = await reopen()
      assert.deepEqual(await again.list({ limit: 10 }), messages)
      assert.deepEqual(
        messages.map(({ id }) => id),
        ['A', 'C'],
      )
      assert.deepEqual(named(await again.lease(ARRIVED, 10)), ['C one.example', 'A two.example'])
      assert.equal(await again.nextDue(), 2000)
      assert.equal(await again.put(newMessage('B', ['a@one.example']), []), 'duplicate')
      assert.equal(Buffer.compare(await again.content('C'), octets(100_000)), 0)
    })
  }
}
