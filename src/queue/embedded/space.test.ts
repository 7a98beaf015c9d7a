/** The database is written anew when it is mostly free: space is given back, and nothing is lost, whoever has it open. */

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { all, deferred, newMessage, octets } from '../contract.ts'
import type { Queue } from '../queue.ts'
import { openEmbedded } from './embedded.ts'
import { onStep, SPACE_STEPS, type Step } from './step.ts'

const COMPACT_ABOVE = 1024 * 1024
const MESSAGES = 80

/** A spool from which all but a few messages are gone, and who leased one of these. */
async function emptied(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-queue-space-'))
  const open = async () => {
    const queue = await openEmbedded({ folder, compactAboveOctets: COMPACT_ABOVE, mostStories: 5 })
    opened.push(queue)
    return queue
  }
  const opened: Queue[] = []
  t.after(async () => {
    onStep(null)
    for (const queue of opened) await queue.close()
    rmSync(folder, { recursive: true })
  })
  const queue = await open()
  const ids = Array.from({ length: MESSAGES }, (_, n) => `M${100 + n}`)
  await Promise.all(
    ids.map((id, n) => queue.put(newMessage(id, ['a@one.example', 'b@two.example']), [octets(50_000, n)])),
  )
  const jobs = await queue.lease(1000, 2 * MESSAGES)
  const [leased, ...others] = jobs.filter(({ message }) => message.id >= 'M175')
  assert.ok(leased)
  for (const job of others) await queue.settle(job, deferred(job, 5000))
  await Promise.all(
    jobs.filter(({ message }) => message.id < 'M175').map(job => queue.settle(job, all(job, 'delivered'))),
  )
  await queue.hold({ kind: 'message', name: 'M179', reason: 'because', sinceMs: 1, untilMs: null })
  const files = () => readdirSync(folder).filter(name => name.includes('.mdb'))
  const size = () =>
    files().reduce((sum, name) => sum + (name.endsWith('.mdb') ? statSync(join(folder, name)).size : 0), 0)
  return { folder, queue, leased, open, files, size }
}

async function everything(queue: Queue) {
  const messages = await queue.list({ limit: 100 })
  const contents = await Promise.all(messages.map(({ id }) => queue.content(id)))
  return {
    messages,
    same: contents.map((content, n) => Buffer.compare(content, octets(50_000, 75 + n)) === 0),
    holds: await queue.holds(),
    nextDue: await queue.nextDue(),
  }
}

suite('a sweep', () => {
  test('gives back the space of what is gone', async t => {
    const { folder, queue, leased, open, files, size } = await emptied(t)
    const before = await everything(queue)
    assert.deepEqual(
      before.messages.map(({ id }) => id),
      ['M175', 'M176', 'M177', 'M178', 'M179'],
    )
    assert.ok(before.same.every(Boolean))
    const was = size()
    assert.ok(was > 4 * COMPACT_ABOVE)
    // Changes that come while it is copied wait for it.
    const [, put] = await Promise.all([queue.sweep(1000), queue.put(newMessage('N', ['x@x.example']), [])])
    assert.equal(put, 'queued')
    assert.ok(size() < was / 4, `${size()} of ${was}`)
    assert.deepEqual(files().toSorted(), ['queue-2.mdb', 'queue-2.mdb-lock'])
    for (const name of files()) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name)
    assert.equal(await queue.remove('N'), true)
    assert.deepEqual(await everything(queue), before)
    // A lease is one still, and its job can be settled.
    assert.equal((await queue.lease(1000, 100)).length, 0)
    await queue.settle(leased, deferred(leased, 4000))
    assert.equal(await queue.nextDue(), 4000)
    assert.equal(await queue.put(newMessage('M100', ['a@one.example']), []), 'duplicate')
    await queue.sweep(1000)
    assert.deepEqual(files().toSorted(), ['queue-2.mdb', 'queue-2.mdb-lock'], 'there is no more to give')
    await queue.close()
    const again = await open()
    assert.equal(await again.nextDue(), 4000)
    assert.equal(await again.count(), 5)
  })

  test('leaves alone a database that is small, or mostly in use', async t => {
    const { queue, files, size } = await emptied(t)
    await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        queue.put(newMessage(`N${n}`, ['a@one.example']), [octets(50_000)]),
      ),
    )
    // None of them is in the journal any more.
    assert.equal(await queue.count(), 65)
    const was = size()
    await queue.sweep(1000)
    assert.equal(size(), was)
    assert.deepEqual(files().toSorted(), ['queue.mdb', 'queue.mdb-lock'])
  })

  test('of a spool whose files somebody has moved away makes no other one', async t => {
    const { folder, queue, files } = await emptied(t)
    const before = await everything(queue)
    for (const name of files()) rmSync(join(folder, name))
    assert.equal(await queue.put(newMessage('N', ['x@x.example']), []), 'queued')
    await queue.sweep(1000)
    assert.equal(await queue.remove('N'), true)
    assert.deepEqual(await everything(queue), before)
    assert.deepEqual(files(), [])
  })

  for (const failing of SPACE_STEPS) {
    test(`that fails at "${failing}" changes nothing, and the next one does it`, async t => {
      const { queue, files, size } = await emptied(t)
      const before = await everything(queue)
      const was = size()
      const met: Step[] = []
      onStep(step => {
        met.push(step)
        if (step === failing) throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
      })
      if (failing === 'space remove') await queue.sweep(1000)
      else await assert.rejects(queue.sweep(1000), { name: 'QueueError', code: 'full' })
      onStep(null)
      assert.ok(met.includes(failing))
      assert.deepEqual(await everything(queue), before)
      assert.equal(await queue.put(newMessage('N', ['x@x.example']), []), 'queued')
      assert.equal(await queue.remove('N'), true)
      if (failing !== 'space remove') assert.equal(files().length, 2, String(files()))
      await queue.sweep(1000)
      assert.ok(size() < was / 4)
      assert.deepEqual(files().toSorted(), ['queue-2.mdb', 'queue-2.mdb-lock'])
      assert.deepEqual(await everything(queue), before)
    })
  }
})
