/** Spools as ptt wrote them at some time, kept as files (`spools/`): each is read by this ptt, and nothing of it is lost. */

import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { open as openLmdb } from 'lmdb'
import { all, newMessage, octets } from '../../src/queue/contract.ts'
import { openEmbedded } from '../../src/queue/embedded/embedded.ts'

/** A copy of the spool, whose files are kept with gzip. */
function restored(t: TestContext, format: string): string {
  const kept = join(import.meta.dirname, 'spools', format)
  const folder = mkdtempSync(join(tmpdir(), 'ptt-spool-'))
  t.after(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'content'))
  for (const name of readdirSync(kept, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.gz')) continue
    writeFileSync(join(folder, name.slice(0, -3)), gunzipSync(readFileSync(join(kept, name))))
  }
  return folder
}

/**
 * Format 1: A has one recipient delivered and one deferred to 5000; B has two at one destination; C is a file; D is held by its
 * sender until 8000; E has priority 5; F has 300 recipients at one destination, 100 of them delivered and 200 deferred to 6000;
 * Z was delivered.
 */
test('a spool of format 1 is read, and delivered whole', async t => {
  const folder = restored(t, 'format-1')
  const queue = await openEmbedded({ folder })
  t.after(() => queue.close())
  const messages = await queue.list({ limit: 10 })
  assert.deepEqual(
    messages.map(({ id }) => id),
    ['A', 'B', 'C', 'D', 'E', 'F'],
  )
  const [a, , , d, e, f] = messages
  assert.deepEqual(
    a?.recipients.map(({ state, attempts, dueMs }) => [state, attempts, dueMs]),
    [
      ['delivered', 1, 1000],
      ['pending', 1, 5000],
    ],
  )
  assert.equal(a?.recipients[1]?.last?.diagnostic, '450 4.2.1 Greylisted')
  const { hold, requireTls, ret, envelopeId } = d?.envelope ?? {}
  assert.deepEqual([hold, requireTls, ret, envelopeId], [{ forSeconds: 7 }, true, 'HDRS', 'QQ314159'])
  assert.equal(e?.envelope.priority, 5)
  assert.equal(f?.recipients.filter(({ state }) => state === 'pending').length, 200)
  assert.equal(Buffer.compare(await queue.content('A'), octets(300, 1)), 0)
  assert.deepEqual(Buffer.from(await queue.content('C')), Buffer.alloc(70_000, 'x'))
  assert.equal(await queue.put(newMessage('Z', ['a@zed.example']), []), 'duplicate')
  assert.equal(await queue.nextDue(), 1000)

  const done: string[] = []
  for (let nowMs = 1000; (await queue.count()) > 0; ) {
    const jobs = await queue.lease(nowMs, 100)
    for (const job of jobs) {
      done.push(`${nowMs} ${job.message.id} ${job.destination} ${job.recipients.length}`)
      await queue.settle(job, all(job, 'delivered'))
    }
    if (jobs.length === 0) nowMs = (await queue.nextDue()) ?? assert.fail('nothing is due')
  }
  assert.deepEqual(done, [
    '1000 E two.example 1',
    '1000 B one.example 2',
    '1000 C three.example 1',
    '5000 A two.example 1',
    '6000 F one.example 100',
    '6000 F one.example 100',
    '8000 D one.example 1',
  ])
  await queue.sweep(9000)
  assert.deepEqual(readdirSync(join(folder, 'content')), [])
  assert.equal((await queue.story('A'))?.message.recipients.length, 2)
})

/**
 * Format 2: A has one recipient delivered and one deferred to 5000; B has two at one destination; C is a file; a hold keeps D
 * until 8000; E has priority 5; F has 250 recipients at one destination, three parts; Z was delivered.
 */
test('a spool of format 2 is read, and delivered whole with what comes to it', async t => {
  const folder = restored(t, 'format-2')
  const queue = await openEmbedded({ folder })
  t.after(() => queue.close())
  assert.equal(await queue.count(), 6)
  assert.deepEqual(
    (await queue.holds()).map(({ kind, name, untilMs }) => [kind, name, untilMs]),
    [['message', 'D', 8000]],
  )
  assert.deepEqual(Buffer.from(await queue.content('C')), Buffer.alloc(70_000, 'x'))
  assert.equal(await queue.put(newMessage('Z', ['a@zed.example']), []), 'duplicate')
  // In one line with what is there: after B, before A, and of a destination that had nothing.
  assert.equal(
    await queue.put(newMessage('N', ['a@one.example', 'a@two.example', 'a@five.example']), []),
    'queued',
  )
  assert.equal(await queue.nextDue(), 1000)

  const done: string[] = []
  for (let nowMs = 1000; (await queue.count()) > 0; ) {
    const [job] = await queue.lease(nowMs, 1)
    if (job === undefined) nowMs = (await queue.nextDue()) ?? assert.fail('nothing is due')
    else {
      done.push(`${nowMs} ${job.message.id} ${job.destination} ${job.recipients.length}`)
      await queue.settle(job, all(job, 'delivered'))
    }
  }
  assert.deepEqual(done, [
    '1000 E two.example 1',
    '1000 N five.example 1',
    '1000 F four.example 100',
    '1000 F four.example 100',
    '1000 F four.example 50',
    '1000 B one.example 2',
    '1000 N one.example 1',
    '1000 C three.example 1',
    '1000 N two.example 1',
    '5000 A two.example 1',
    '8000 D one.example 1',
  ])
  assert.equal((await queue.story('A'))?.attempts.length, 3)
})

/** Formats 3 and 4: A has one recipient delivered and one deferred to 5000; B has two at one destination; C is a file; Z was delivered, Y removed. */
for (const format of ['format-3', 'format-4'])
  test(`a spool of ${format} is read, and knows what was in it`, async t => {
    const folder = restored(t, format)
    const queue = await openEmbedded({ folder, retainIdsMs: 10_000, mostStories: 3 })
    t.after(() => queue.close())
    assert.equal(await queue.count(), 3)
    assert.deepEqual(Buffer.from(await queue.content('C')), Buffer.alloc(70_000, 'x'))
    const isKnown = async (id: string) =>
      (await queue.put(newMessage(id, ['a@five.example']), [])) === 'duplicate'
    for (const id of ['A', 'B', 'C', 'Y', 'Z']) assert.ok(await isKnown(id), id)
    assert.ok((await queue.story('Z'))?.ended)
    while ((await queue.count()) > 0)
      for (const job of await queue.lease(5000, 10)) await queue.settle(job, all(job, 'delivered'))
    const stories = await Promise.all(['A', 'B', 'C', 'Y', 'Z'].map(id => queue.story(id)))
    assert.equal(stories.filter(story => story !== null).length, 3)
    for (const id of ['A', 'B', 'C', 'Y', 'Z']) assert.ok(await isKnown(id), id)
    await queue.sweep(11_001)
    for (const id of ['A', 'Z']) assert.ok(!(await isKnown(id)), id)
  })

/** As format 4; and a machine that stopped left D, deferred to 6000, J, which the journal has only, and K, which was delivered since. */
test('a spool of format 5 is read, with its journal', async t => {
  const folder = restored(t, 'format-5')
  const queue = await openEmbedded({ folder })
  t.after(() => queue.close())
  const ids = async () => (await queue.list({ limit: 10 })).map(({ id }) => id).join('')
  assert.equal(await ids(), 'ABCDJ')
  assert.equal((await queue.story('K'))?.ended?.how, 'settled')
  assert.equal(Buffer.compare(await queue.content('J'), octets(20, 3)), 0)
  for (const id of ['D', 'J', 'K', 'Y', 'Z'])
    assert.equal(await queue.put(newMessage(id, ['a@four.example']), []), 'duplicate')
  assert.deepEqual(
    (await queue.lease(1002, 10)).map(({ message, destination }) => `${message.id} ${destination}`),
    ['B one.example', 'C three.example', 'J four.example'],
  )
  assert.equal(await queue.nextDue(), 5000)
  assert.equal((await queue.lease(6000, 10)).length, 2)
  // It was taken over, and there is one of our own.
  assert.deepEqual(readdirSync(folder).filter(name => name.startsWith('journal-')).length, 1)
})

test('what is put into a spool of format 1 is there beside what was', async t => {
  const folder = restored(t, 'format-1')
  const queue = await openEmbedded({ folder })
  const many = Array.from({ length: 250 }, (_, n) => `u${n}@one.example`)
  assert.equal(await queue.put(newMessage('N', many), [octets(10)]), 'queued')
  await queue.hold({ kind: 'message', name: 'B', reason: 'because', sinceMs: 1, untilMs: null })
  await queue.close()
  const again = await openEmbedded({ folder })
  t.after(() => again.close())
  assert.equal(await again.count(), 7)
  assert.deepEqual(
    (await again.lease(1000, 10)).map(({ message, recipients }) => `${message.id} ${recipients.length}`),
    ['E 1', 'N 100', 'N 100', 'N 50', 'C 1'],
  )
})

test('a spool of a later format is left alone', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-spool-'))
  t.after(() => rmSync(folder, { recursive: true }))
  await (await openEmbedded({ folder })).close()
  const database = openLmdb({ path: join(folder, 'queue.mdb'), noSubdir: true, encoding: 'binary' })
  const counters = database.openDB<Buffer>('counters', { encoding: 'binary' })
  assert.equal(counters.get('format')?.toString(), '5')
  await counters.put('format', Buffer.from('6'))
  await database.close()
  await assert.rejects(openEmbedded({ folder }), {
    code: 'io',
    message: `${folder}: a spool of format 6: this ptt reads formats 1, 2, 3, 4, 5; start the one that wrote it`,
  })
})
