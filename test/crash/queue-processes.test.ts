/** The relay and `ptt queue` have one spool open at the same time; and a spool on a disk that fills up. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { all, deferred, newMessage, octets } from '../../src/queue/contract.ts'
import { openEmbedded } from '../../src/queue/embedded/embedded.ts'
import { onStep } from '../../src/queue/embedded/step.ts'
import { openRemote } from './queue-remote.ts'

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-queue-processes-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}

async function openBoth(t: TestContext) {
  const folder = temporaryFolder(t)
  const relay = await openEmbedded({ folder })
  const operator = await openRemote(folder)
  t.after(async () => {
    await relay.close()
    if (operator.process.exitCode === null && operator.process.signalCode === null) await operator.close()
  })
  return { folder, relay, operator }
}

test('what another process hastens is due at once', async t => {
  const { relay, operator } = await openBoth(t)
  for (const id of ['A', 'B', 'C']) await relay.put(newMessage(id, ['a@one.example', 'b@two.example']), [])
  for (const job of await relay.lease(1000, 10)) await relay.settle(job, deferred(job, 9000))
  assert.deepEqual(await relay.lease(2000, 10), [])
  assert.equal(await relay.nextDue(), 9000)
  assert.equal(await operator.retry('B', 2000), true)
  assert.equal(await relay.nextDue(), 2000)
  const jobs = await relay.lease(2000, 10)
  assert.deepEqual(
    jobs.map(({ message, destination }) => `${message.id} ${destination}`),
    ['B one.example', 'B two.example'],
  )
  assert.equal(await operator.retry('X', 2000), false)
})

test('what another process brings is due at once, however old it is', async t => {
  const { relay, operator } = await openBoth(t)
  await relay.put(newMessage('A', ['a@one.example'], 1500), [])
  await relay.put({ ...newMessage('B', ['a@two.example']), dueMs: 1600 }, [])
  assert.equal((await relay.lease(2000, 10)).length, 2)
  const { recipients, ...message } = newMessage('C', ['a@one.example', 'b@three.example'], 1000)
  const tried = recipients.map((recipient, n) => ({ ...recipient, attempts: 3, dueMs: 1200 + n }))
  assert.equal(await operator.put({ ...message, recipients: tried }, [octets(9)]), 'queued')
  assert.equal(await operator.put(newMessage('D', ['a@four.example'], 1100), []), 'queued')
  assert.equal(await relay.nextDue(), 1100)
  const jobs = await relay.lease(2000, 10)
  assert.deepEqual(
    jobs.map(({ message, destination }) => `${message.id} ${destination}`),
    ['D four.example', 'C one.example', 'C three.example'],
  )
})

test('what another process removes is gone, also while it is being delivered', async t => {
  const { relay, operator } = await openBoth(t)
  await relay.put(newMessage('A', ['a@one.example']), [octets(100_000)])
  await relay.put(newMessage('B', ['a@one.example']), [])
  const [job] = await relay.lease(1000, 1)
  assert.ok(job)
  assert.equal(await operator.remove('A'), true)
  await assert.rejects(relay.content('A'), { code: 'gone' })
  await relay.settle(job, deferred(job, 9000))
  assert.equal(await relay.get('A'), null)
  assert.equal(await operator.remove('B'), true)
  assert.deepEqual(await relay.lease(1000, 10), [])
  assert.equal(await relay.count(), 0)
})

test('another process sees what is queued, and nothing less when it has grown much', async t => {
  const { folder, relay, operator } = await openBoth(t)
  assert.equal(await operator.count(), 0)
  const before = statSync(join(folder, 'queue.mdb')).size
  const ids = Array.from({ length: 500 }, (_, n) => `M${1000 + n}`)
  await Promise.all(ids.map((id, n) => relay.put(newMessage(id, ['a@one.example']), [octets(60_000, n + 1)])))
  assert.ok(statSync(join(folder, 'queue.mdb')).size > before + 25_000_000)
  assert.deepEqual(await operator.list({ limit: 1000 }), await relay.list({ limit: 1000 }))
  assert.equal(Buffer.compare(await operator.content('M1499'), octets(60_000, 500)), 0)
  // Both write at once.
  const jobs = await relay.lease(1000, 250)
  const removals = ids.slice(250).map(id => () => operator.remove(id))
  await Promise.all([
    ...jobs.map(job => relay.settle(job, all(job, 'delivered'))),
    removals.reduce<Promise<unknown>>((before, next) => before.then(next), Promise.resolve()),
  ])
  assert.equal(await relay.count(), 0)
  assert.equal(await operator.count(), 0)
})

test('another process changes what it means to, though the database was written anew meanwhile', async t => {
  const folder = temporaryFolder(t)
  const relay = await openEmbedded({ folder, compactAboveOctets: 1024 * 1024, mostStories: 0 })
  const operator = await openRemote(folder)
  t.after(async () => {
    onStep(null)
    await relay.close()
    await operator.close()
  })
  const ids = Array.from({ length: 100 }, (_, n) => `M${100 + n}`)
  for (let turn = 0; turn < 2; turn++) {
    const there = ids.map(id => `${id}-${turn}`)
    await Promise.all(there.map(id => relay.put(newMessage(id, ['a@one.example']), [octets(50_000)])))
    const [kept = '', removed = ''] = there
    // None of them is in the journal any more.
    assert.equal(await relay.count(), 100)
    const jobs = await relay.lease(1000, 1000)
    for (const job of jobs) {
      const { id } = job.message
      await relay.settle(job, id === kept || id === removed ? deferred(job, 9000) : all(job, 'delivered'))
    }
    // While it is copied: then it is copied another time.
    const changes: Promise<unknown>[] = []
    onStep(step => {
      if (step === 'space copy' && changes.length === 0) changes.push(operator.retry(kept, 8000))
    })
    await relay.sweep(1000)
    onStep(null)
    await Promise.all(changes)
    assert.equal(await relay.nextDue(), 8000)
    await relay.sweep(1000)
    assert.deepEqual(
      readdirSync(folder).filter(name => name.endsWith('.mdb')),
      [`queue-${turn + 2}.mdb`],
    )
    assert.equal(await operator.remove(removed), true)
    assert.equal(await operator.retry(kept, 2000), true)
    assert.equal(await relay.get(removed), null)
    assert.equal(await relay.nextDue(), 2000)
    assert.equal(await operator.count(), 1)
    assert.equal(await operator.remove(kept), true)
    assert.equal(await relay.count(), 0)
  }
})

test('a process that dies does not keep others from writing', async t => {
  const { relay, operator } = await openBoth(t)
  await relay.put(newMessage('A', ['a@one.example']), [])
  assert.equal(await operator.count(), 1)
  const ended = once(operator.process, 'exit')
  operator.process.kill('SIGKILL')
  assert.equal(await relay.put(newMessage('B', ['a@one.example']), []), 'queued')
  assert.equal(await relay.count(), 2)
  await ended
})

test('a full disk: nothing is kept of what is refused, and there is space again when mail has gone', async t => {
  const folder = temporaryFolder(t)
  // Some 4 MB to a file.
  const full = await openRemote(folder, 8192)
  t.after(() => full.process.kill('SIGKILL'))
  const kept: string[] = []
  let refused: string | null = null
  for (let n = 1000; refused === null && n < 1200; n++) {
    const id = `M${n}`
    try {
      await full.put(newMessage(id, ['a@one.example', `b@${n}.example`]), [octets(60_000, n)])
      kept.push(id)
    } catch (error) {
      // `io` when the write was cut short by the limit: a disk would have no space left then, and that would be asked.
      assert.match((error as { code: string }).code, /^(full|io)$/)
      refused = id
    }
  }
  assert.ok(refused !== null && kept.length > 10)
  assert.equal(await full.get(refused), null)
  assert.equal(await full.count(), kept.length)
  await assert.rejects(full.put(newMessage('LARGE', ['a@one.example']), [octets(6_000_000)]), {
    code: 'full',
  })
  assert.deepEqual(readdirSync(join(folder, 'content')), [])

  for (const id of kept.splice(0, 5)) assert.equal(await full.remove(id), true)
  assert.equal(await full.put(newMessage(refused, ['a@one.example']), [octets(60_000, 7)]), 'queued')
  await full.close()

  const queue = await openEmbedded({ folder })
  t.after(() => queue.close())
  assert.deepEqual(
    (await queue.list({ limit: 1000 })).map(({ id }) => id),
    [...kept, refused],
  )
  for (const id of kept)
    assert.equal(Buffer.compare(await queue.content(id), octets(60_000, Number(id.slice(1)))), 0)
  assert.equal(Buffer.compare(await queue.content(refused), octets(60_000, 7)), 0)
})
