/** The journal or the database cannot be written, or neither: nothing acknowledged is lost, and nothing refused is kept. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { logTo } from '../../src/observe/event.ts'
import { all, deferred, newMessage, octets } from '../../src/queue/contract.ts'
import { disk } from '../../src/queue/embedded/files.ts'
import { onStep } from '../../src/queue/embedded/step.ts'
import type { Queue } from '../../src/queue/queue.ts'
import { AT_ONE, countCommits, failing, idsOf, leased, openLeasing } from './leasing.ts'

test('what may have been written by a write that failed is not kept when the database cannot be written either', async t => {
  let fails = false
  const files: typeof disk = {
    ...disk,
    async createJournal(path, octets) {
      const file = await disk.createJournal(path, octets)
      const write: typeof file.write = async (pieces, at) => {
        await file.write(pieces, at)
        if (fails) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      }
      return { ...file, write }
    },
  }
  const { queue, crashed } = await openLeasing(t, { files })
  await queue.put(newMessage('A', AT_ONE), [])
  fails = true
  failing('commit begin')
  // They share a write.
  const puts = ['B', 'C', 'D'].map(id => queue.put(newMessage(id, AT_ONE), []))
  for (const put of puts) await assert.rejects(put, { name: 'QueueError', code: 'io' })
  onStep(null)
  const next = await crashed()
  assert.equal(await idsOf(next), 'A')
  assert.equal(await leased(next), 'A')
  assert.equal(await leased(queue), 'A')
})

test('what another process cannot bring into the database keeps it from nothing else', async t => {
  const { queue, crashed } = await openLeasing(t)
  await queue.put(newMessage('A', ['a@one.example', 'a@two.example']), [octets(20)])
  await queue.put(newMessage('B', AT_ONE), [])
  const other = await crashed()
  failing('commit begin')
  assert.equal(await idsOf(other), 'A')
  assert.equal(await other.count(), 1)
  assert.equal((await other.story('A'))?.ended, null)
  assert.equal((await other.content('A')).length, 20)
  // Nobody is told that there is no such message.
  const error = { name: 'QueueError', code: 'io' }
  await assert.rejects(other.get('B'), error)
  await assert.rejects(other.story('B'), error)
  await assert.rejects(other.content('B'), error)
  onStep(null)
  assert.equal(await idsOf(other), 'AB')
})

test('on a full disk another process removes what it wants to', async t => {
  const { queue, crashed } = await openLeasing(t)
  await queue.put(newMessage('A', ['a@one.example', 'a@two.example']), [octets(20)])
  await queue.put(newMessage('B', AT_ONE), [])
  const other = await crashed()
  let failures = 3
  onStep(step => {
    if (step === 'commit write' && failures-- > 0)
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
  })
  assert.equal(await other.remove('A'), true)
  onStep(null)
  assert.equal(await idsOf(other), 'B')
})

test('what a commit that fails should have brought into the database is young still', async t => {
  const { queue } = await openLeasing(t)
  await queue.put(newMessage('A', AT_ONE), [])
  failing('commit write')
  await queue.list({ limit: 1 })
  onStep(null)
  assert.equal(await queue.put(newMessage('B', ['b@one.example', 'b@two.example']), []), 'queued')
  assert.equal(await leased(queue), 'ABB')
  assert.equal(await idsOf(queue), 'AB')
})

test('while the database cannot be written nothing new goes into the journal', async t => {
  const told = Promise.withResolvers<void>()
  const log = logTo((name, fields) => {
    if (name === 'alarm' && String(fields.error).includes('the journal')) told.resolve()
  })
  const { queue } = await openLeasing(t, { log })
  failing('commit begin')
  assert.equal(await queue.put(newMessage('A', AT_ONE), []), 'queued')
  const [a] = await queue.lease(2000, 1)
  assert.ok(a)
  await queue.settle(a, all(a, 'delivered'))
  await told.promise
  await assert.rejects(queue.put(newMessage('B', AT_ONE), []), { name: 'QueueError', code: 'io' })
  onStep(null)
  assert.equal((await queue.story('A'))?.ended?.how, 'settled')
})

test('a journal that cannot be written is given up: the database has what it has, and all else', async t => {
  const { queue, journals, crashed } = await openLeasing(t)
  for (const id of ['A', 'B']) await queue.put(newMessage(id, AT_ONE), [octets(20)])
  const [first = ''] = journals()
  const [a, b] = await queue.lease(2000, 2)
  assert.ok(a && b)
  failing('journal write')
  await queue.settle(a, all(a, 'delivered'))
  assert.equal(await queue.put(newMessage('C', AT_ONE), [octets(20)]), 'queued')
  assert.equal(await idsOf(await crashed()), 'BC')
  onStep(null)
  await queue.settle(b, deferred(b, 5000))
  assert.equal(await leased(queue), 'C')
  await queue.sweep(3000)
  const [second = ''] = journals()
  assert.equal(journals().length, 1)
  assert.notEqual(second, first)
  const commits = countCommits()
  await queue.put(newMessage('D', AT_ONE), [])
  assert.equal(commits(), 0)
  assert.equal(await leased(await crashed()), 'CD')
})

test('while nothing can be written a put keeps nothing, and a settle gives nothing back', async t => {
  const { queue, crashed } = await openLeasing(t)
  for (const id of ['A', 'B']) await queue.put(newMessage(id, AT_ONE), [octets(20)])
  const [a] = await queue.lease(2000, 1)
  assert.ok(a)
  failing('journal write', 'commit begin')
  await assert.rejects(queue.settle(a, all(a, 'delivered')), { name: 'QueueError', code: 'io' })
  await assert.rejects(queue.put(newMessage('C', AT_ONE), []), { name: 'QueueError', code: 'io' })
  assert.equal(await leased(queue), 'B')
  onStep(null)
  assert.equal(await idsOf(await crashed()), 'AB')
  queue.release(a)
  assert.equal(await leased(queue), 'A')
  await queue.settle(a, all(a, 'delivered'))
  await queue.sweep(3000)
  assert.equal(await idsOf(queue), 'B')
  assert.equal(await queue.put(newMessage('C', AT_ONE), []), 'queued')
  assert.equal(await leased(await crashed()), 'BC')
})

test('where there is no room for a journal there is none', async t => {
  const files: typeof disk = {
    ...disk,
    createJournal: async () => {
      throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
    },
  }
  const { queue, journals, crashed } = await openLeasing(t, { files })
  assert.equal(await queue.put(newMessage('A', AT_ONE), []), 'queued')
  assert.deepEqual(journals(), [])
  assert.equal(await leased(await crashed()), 'A')
})

const TWO = ['a@one.example', 'a@two.example']
const SMALL = Array.from({ length: 20 }, (_, n) => `S${10 + n}`)

/** What a crash left: the first of the small ones was delivered, the large ones are in the database, or gone from it. */
async function leftBehind(t: TestContext, large: 'there' | 'gone'): Promise<Queue> {
  const { queue, crashed } = await openLeasing(t)
  for (let n = 0; n < 20; n++) await queue.put(newMessage(`L${n}`, TWO, 1900), [octets(60_000)])
  if (large === 'gone')
    for (const job of await queue.lease(2000, 100)) await queue.settle(job, all(job, 'delivered'))
  for (const id of SMALL) await queue.put(newMessage(id, AT_ONE), [octets(20)])
  const [first] = await queue.lease(2000, 1)
  assert.ok(first)
  await queue.settle(first, all(first, 'delivered'))
  const next = await crashed()
  await queue.close()
  return next
}

/** Only the third commit has room: neither all at once, which is tried twice, nor what comes after the first piece. */
function fillUp(): void {
  let tries = 0
  onStep(step => {
    if (step === 'commit write' && tries++ !== 2)
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
  })
}

test('of what was left on a full disk as much is taken over as there is room for, and the rest later', async t => {
  const next = await leftBehind(t, 'gone')
  fillUp()
  const jobs = await next.lease(2000, 100)
  onStep(null)
  assert.deepEqual(
    jobs.map(({ message }) => message.id),
    SMALL.slice(1, 16),
  )
  for (const job of jobs) await next.settle(job, all(job, 'delivered'))
  await next.sweep(3000)
  assert.equal(await leased(next), SMALL.slice(16).join(''))
  assert.equal(await next.count(), 4)
})

test('a full database is not filled with what was left, for outcomes need room', async t => {
  const next = await leftBehind(t, 'there')
  fillUp()
  const jobs = await next.lease(2000, 100)
  onStep(null)
  assert.equal(jobs.length, 40)
  assert.ok(jobs.every(({ message }) => message.id.startsWith('L')))
  await next.sweep(3000)
  assert.equal(await leased(next), SMALL.slice(1).join(''))
})
