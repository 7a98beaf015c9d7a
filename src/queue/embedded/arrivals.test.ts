/** Small mail by the journal: what is there after a crash, and what another process sees of it and changes. */

import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { AT_ONE, countCommits, idsOf, leased, openLeasing } from '../../../test/crash/leasing.ts'
import type { Log } from '../../observe/event.ts'
import { all, deferred, newMessage, octets } from '../contract.ts'
import type { Hold } from '../queue.ts'
import { disk, type Files } from './files.ts'
import { onStep } from './step.ts'

const HOLD: Hold = {
  kind: 'sender',
  name: 'sender@example.org',
  reason: 'because',
  sinceMs: 1,
  untilMs: null,
}

test('a message is put, leased, read and settled without the database', async t => {
  const { queue, crashed } = await openLeasing(t)
  const commits = countCommits()
  assert.equal(await queue.put(newMessage('A', AT_ONE), [octets(500), octets(20, 2)]), 'queued')
  assert.equal(await queue.nextDue(), 1000)
  const [job] = await queue.lease(2000, 10)
  assert.ok(job)
  const content = Buffer.concat([octets(500), octets(20, 2)])
  assert.equal(Buffer.compare(await queue.content('A'), content), 0)
  await queue.settle(job, all(job, 'delivered'))
  await assert.rejects(queue.content('A'), { code: 'gone' })
  assert.deepEqual([await queue.nextDue(), await queue.lease(2000, 10)], [null, []])
  assert.equal(await queue.put(newMessage('A', AT_ONE), []), 'duplicate')
  assert.equal(commits(), 0)
  const again = await crashed()
  assert.equal(await again.count(), 0)
  assert.equal((await again.story('A'))?.message.recipients[0]?.state, 'delivered')
  assert.equal(await again.put(newMessage('A', AT_ONE), []), 'duplicate')
  assert.deepEqual((await queue.story('A'))?.attempts, (await again.story('A'))?.attempts)
})

test('what was told is written before the disk has what came of it', async t => {
  const order: string[] = []
  const log: Log = { event: () => {}, with: () => log, flush: () => order.push('told') }
  const files: Files = {
    ...disk,
    async createJournal(path, octets) {
      const file = await disk.createJournal(path, octets)
      return { ...file, write: (pieces, at) => file.write(pieces, at).then(() => void order.push('journal')) }
    },
  }
  const { queue } = await openLeasing(t, { log, files })
  onStep(step => step === 'commit done' && order.push('database'))
  order.length = 0
  for (const id of ['A', 'B']) await queue.put(newMessage(id, AT_ONE), [octets(50)])
  const [a, b] = await queue.lease(2000, 2)
  assert.ok(a && b)
  await queue.settle(a, all(a, 'delivered'))
  assert.deepEqual(order, Array(3).fill(['told', 'journal']).flat())
  await queue.settle(b, deferred(b, 5000))
  assert.deepEqual(order.slice(6), ['told', 'database'])
})

test('after a crash each message is as it was when it was last told of', async t => {
  const { queue, crashed } = await openLeasing(t)
  for (const id of ['A', 'B', 'C', 'D']) await queue.put(newMessage(id, AT_ONE), [octets(50)])
  const [a, b, c] = await queue.lease(2000, 3)
  assert.ok(a && b && c)
  await queue.settle(a, all(a, 'failed'))
  await queue.settle(b, deferred(b, 5000))
  const again = await crashed()
  assert.equal(await leased(again), 'CD')
  assert.equal(await again.nextDue(), 5000)
  assert.equal((await again.story('A'))?.ended?.how, 'settled')
})

test('what others read of the journal is theirs to change, also while it is being delivered', async t => {
  const { queue, another } = await openLeasing(t)
  for (const id of ['A', 'B', 'C', 'D', 'E']) await queue.put(newMessage(id, AT_ONE), [octets(50)])
  const [a, b, c] = await queue.lease(2000, 3)
  assert.ok(a && b && c)
  const other = await another()
  assert.equal(await idsOf(other), 'ABCDE')
  assert.equal(Buffer.compare(await other.content('D'), octets(50)), 0)
  assert.equal(await other.remove('B'), true)
  assert.equal(await other.remove('D'), true)
  await queue.settle(a, all(a, 'delivered'))
  await queue.settle(b, deferred(b, 5000))
  await queue.settle(c, deferred(c, 5000))
  assert.equal(await leased(queue), 'E')
  assert.equal(await idsOf(queue), 'CE')
  assert.equal(await idsOf(other), 'CE')
  assert.equal((await other.story('A'))?.message.recipients[0]?.state, 'delivered')
})

test('what another process has read is not leased twice', async t => {
  const { queue, another } = await openLeasing(t)
  for (const id of ['A', 'B']) await queue.put(newMessage(id, AT_ONE), [])
  const [a] = await queue.lease(2000, 1)
  assert.ok(a)
  const other = await another()
  // Both are in its database now, and in the lines there.
  assert.equal(await other.count(), 2)
  assert.equal(await leased(queue), 'B')
  queue.release(a)
  assert.equal(await leased(queue), 'A')
})

test('what was settled while another process read of it is not delivered again', async t => {
  const { queue, another } = await openLeasing(t)
  await queue.put(newMessage('A', AT_ONE), [])
  const [a] = await queue.lease(2000, 1)
  assert.ok(a)
  const other = await another()
  assert.equal(await other.count(), 1)
  await queue.settle(a, all(a, 'delivered'))
  await queue.put(newMessage('B', AT_ONE, 1001), [])
  // Nor is anything else kept from its turn.
  assert.equal(await leased(queue), 'B')
  assert.equal(await queue.nextDue(), null)
  assert.equal(await queue.count(), 1)
  assert.equal(await other.count(), 1)
  assert.equal(await leased(queue), '')
  assert.equal(await queue.nextDue(), null)
})

test('what another process holds is let go by who delivers it', async t => {
  const { queue, another } = await openLeasing(t)
  await queue.put(newMessage('A', AT_ONE), [])
  const [a] = await queue.lease(2000, 1)
  assert.ok(a)
  const other = await another()
  await other.hold({ ...HOLD, kind: 'message', name: 'A', untilMs: 8000 })
  await queue.settle(a, all(a, 'delivered'))
  assert.equal(await queue.count(), 0)
  assert.equal(await queue.nextDue(), null)
})

test('an id that came long ago and is put again is known as long as it should be', async t => {
  const { queue } = await openLeasing(t, { retainIdsMs: 500 })
  await queue.sweep(3000)
  await queue.put(newMessage('A', AT_ONE), [])
  const [a] = await queue.lease(2000, 1)
  assert.ok(a)
  await queue.settle(a, all(a, 'delivered'))
  assert.equal(await queue.put(newMessage('A', AT_ONE), []), 'duplicate')
  assert.equal(await queue.count(), 0)
  assert.equal(await queue.put(newMessage('A', AT_ONE), []), 'duplicate')
  await queue.sweep(3000)
  assert.equal(await queue.put(newMessage('A', AT_ONE), []), 'queued')
})

test('what was delivered later is not there again once its id is forgotten', async t => {
  const { queue, crashed } = await openLeasing(t, { retainIdsMs: 500 })
  await queue.put(newMessage('A', AT_ONE), [])
  const [first] = await queue.lease(2000, 1)
  assert.ok(first)
  await queue.settle(first, deferred(first, 5000))
  const [second] = await queue.lease(6000, 1)
  assert.ok(second)
  await queue.settle(second, all(second, 'delivered'))
  await queue.sweep(9000)
  const again = await crashed()
  assert.equal(await again.count(), 0)
  assert.equal(await leased(again, 9000), '')
})

test('a hold keeps what is young, and what comes later', async t => {
  const { queue, another } = await openLeasing(t)
  await queue.put(newMessage('A', AT_ONE), [])
  const other = await another()
  await other.hold(HOLD)
  await queue.put(newMessage('B', AT_ONE), [])
  assert.equal(await leased(queue), '')
  assert.equal(await queue.nextDue(), null)
  assert.deepEqual((await queue.get('B'))?.held, { kind: 'sender', name: 'sender@example.org' })
  await other.lift(HOLD)
  assert.equal(await leased(queue), 'AB')
})

test('a hold of a destination that ends by itself gives back what is young', async t => {
  const { queue } = await openLeasing(t)
  await queue.hold({ ...HOLD, kind: 'destination', name: 'one.example', untilMs: 3000 })
  await queue.put(newMessage('A', AT_ONE), [])
  assert.equal(await leased(queue), '')
  assert.equal(await queue.nextDue(), 3000)
  assert.equal(await leased(queue, 3000), 'A')
})

test('what another process has read and ended before the write was over is not young', async t => {
  let gate: Promise<void> | null = null
  const files: typeof disk = {
    ...disk,
    async createJournal(path, octets) {
      const file = await disk.createJournal(path, octets)
      return { ...file, write: (pieces, at) => file.write(pieces, at).then(() => gate ?? undefined) }
    },
  }
  const { queue, another } = await openLeasing(t, { files })
  const other = await another()
  const written = Promise.withResolvers<void>()
  gate = written.promise
  const putting = queue.put(newMessage('A', AT_ONE), [])
  while ((await other.count()) === 0) await new Promise(setImmediate)
  assert.equal(await other.remove('A'), true)
  written.resolve()
  assert.equal(await putting, 'queued')
  assert.equal(await leased(queue), '')
})

test('the same message put twice at once is queued once', async t => {
  const { queue } = await openLeasing(t)
  const put = () => queue.put(newMessage('A', AT_ONE), [octets(20)])
  assert.deepEqual((await Promise.all([put(), put(), put()])).toSorted(), [
    'duplicate',
    'duplicate',
    'queued',
  ])
  assert.equal(await leased(queue), 'A')
})

test('more than the journal has room for is kept, and all of it is there after a crash', async t => {
  const { queue, folder, journals, crashed } = await openLeasing(t, { journalOctets: 64 * 1024 })
  assert.equal(statSync(join(folder, journals()[0] ?? '')).size, 64 * 1024)
  const ids = Array.from({ length: 300 }, (_, n) => `M${100 + n}`)
  for (let at = 0; at < ids.length; at += 30) {
    await Promise.all(
      ids.slice(at, at + 30).map((id, n) => queue.put(newMessage(id, AT_ONE), [octets(300 * n, at + n + 1)])),
    )
    for (const job of (await queue.lease(2000, 20)).slice(0, 10))
      await queue.settle(job, all(job, 'delivered'))
    const again = await crashed()
    const there = await again.list({ limit: 1000 })
    assert.equal(there.length, (at / 30 + 1) * 20)
    for (const { id } of there) {
      const n = ids.indexOf(id)
      assert.equal(Buffer.compare(await again.content(id), octets(300 * (n % 30), n + 1)), 0, id)
    }
    await again.close()
  }
})
