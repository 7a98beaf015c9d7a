/** Small mail by the journal: what is there after a crash, what another process sees, and what becomes of it when a disk fails. */

import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Log } from '../../observe/event.ts'
import { all, deferred, newMessage, octets } from '../contract.ts'
import type { Hold, Queue } from '../queue.ts'
import { type EmbeddedOptions, openEmbedded } from './embedded.ts'
import { disk } from './files.ts'
import { onStep } from './step.ts'

const AT_ONE = ['a@one.example']
const HOLD: Hold = {
  kind: 'sender',
  name: 'sender@example.org',
  reason: 'because',
  sinceMs: 1,
  untilMs: null,
}

/** A spool whose queue leases; more of the same folder, or of a copy of it as a crash would leave it now. */
async function openLeasing(t: TestContext, options: Partial<EmbeddedOptions> = {}) {
  const above = mkdtempSync(join(tmpdir(), 'ptt-queue-arrivals-'))
  const opened: Queue[] = []
  t.after(async () => {
    onStep(null)
    for (const queue of opened) await queue.close()
    rmSync(above, { recursive: true })
  })
  const folder = join(above, 'spool')
  const open = async (path: string, with_: Partial<EmbeddedOptions> = {}) => {
    const queue = await openEmbedded({ folder: path, ...options, ...with_ })
    opened.push(queue)
    return queue
  }
  const queue = await open(folder)
  assert.deepEqual(await queue.lease(1, 1), [])
  let copies = 0
  return {
    queue,
    folder,
    another: (with_: Partial<EmbeddedOptions> = {}) => open(folder, with_),
    async crashed(with_: Partial<EmbeddedOptions> = {}) {
      const copy = join(above, `copy-${copies++}`)
      cpSync(folder, copy, { recursive: true })
      return open(copy, { files: disk, ...with_ })
    },
    journals: () => readdirSync(folder).filter(name => name.startsWith('journal-')),
  }
}

/** How often the database is written, which is how often something waits for it. */
function countCommits(): () => number {
  let commits = 0
  onStep(step => {
    if (step === 'commit begin') commits++
  })
  return () => commits
}

function failing(...names: string[]): void {
  onStep(step => {
    if (names.includes(step)) throw Object.assign(new Error(`EIO: ${step}`), { code: 'EIO' })
  })
}

const idsOf = async (queue: Queue) => (await queue.list({ limit: 100 })).map(({ id }) => id).join('')

async function leased(queue: Queue, nowMs = 2000): Promise<string> {
  return (await queue.lease(nowMs, 100)).map(({ message }) => message.id).join('')
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

test('who leases next takes over, and of who leased before nothing is lost', async t => {
  const { queue, another, journals } = await openLeasing(t)
  await queue.put(newMessage('A', AT_ONE), [])
  const next = await another()
  assert.equal(await leased(next), 'A')
  assert.equal(journals().length, 2 - 1)
  // It has not heard of that yet.
  for (const id of ['B', 'C']) assert.equal(await queue.put(newMessage(id, AT_ONE), [octets(20)]), 'queued')
  assert.equal(await leased(next), 'BC')
  assert.equal(Buffer.compare(await next.content('B'), octets(20)), 0)
  await queue.close()
  assert.equal(await idsOf(next), 'ABC')
  assert.equal(journals().length, 1)
})

test('who leases next is told of what comes to the one before, whatever it is', async t => {
  const { queue, another } = await openLeasing(t)
  const next = await another()
  assert.equal(await leased(next), '')
  assert.equal(await queue.put(newMessage('A', AT_ONE), [octets(100_000)]), 'queued')
  assert.equal(await next.nextDue(), 1000)
  assert.equal(await leased(next), 'A')
})

test('who was taken over sees what the next one has, and loses nothing of its own', async t => {
  const { queue, another, crashed } = await openLeasing(t)
  await queue.put(newMessage('A', AT_ONE), [])
  const next = await another()
  assert.deepEqual(await next.lease(1, 1), [])
  await next.put(newMessage('B', AT_ONE), [])
  assert.equal(await idsOf(queue), 'AB')
  assert.equal(await leased(await crashed()), 'AB')
})

test('a queue that is closed leaves no journal, and all of it in the database', async t => {
  const { queue, another, journals } = await openLeasing(t)
  for (const id of ['A', 'B']) await queue.put(newMessage(id, AT_ONE), [octets(20)])
  const [a] = await queue.lease(2000, 1)
  assert.ok(a)
  await queue.settle(a, all(a, 'delivered'))
  await queue.close()
  assert.deepEqual(journals(), [])
  assert.equal(await idsOf(await another()), 'B')
})

test('a journal of another database is let alone', async t => {
  const { queue, folder, another, journals } = await openLeasing(t)
  const [own = ''] = journals()
  await queue.put(newMessage('A', AT_ONE), [])
  cpSync(join(folder, own), join(folder, 'kept'))
  await queue.close()
  for (const name of ['queue.mdb', 'queue.mdb-lock']) rmSync(join(folder, name))
  renameSync(join(folder, 'kept'), join(folder, own))
  const other = await another()
  assert.equal(await other.count(), 0)
  assert.equal(await leased(other), '')
})

test('who leases finds what was left beside a journal that goes away meanwhile', async t => {
  const { queue, folder, crashed } = await openLeasing(t)
  await queue.put(newMessage('A', AT_ONE), [])
  await queue.close()
  const gone = 'journal-000000000000'
  const files: typeof disk = {
    ...disk,
    async rename(path, newPath) {
      if (path.endsWith(gone)) rmSync(path)
      return disk.rename(path, newPath)
    },
  }
  const first = await openEmbedded({ folder })
  t.after(() => first.close())
  await first.lease(1, 1)
  await first.put(newMessage('B', AT_ONE), [])
  writeFileSync(join(folder, gone), '')
  assert.equal(await leased(await crashed({ files })), 'AB')
})

test('two that begin to lease at the same time lose nothing of each other', async t => {
  const { queue, folder, another, crashed } = await openLeasing(t)
  await queue.close()
  const second = await another()
  const files: typeof disk = {
    ...disk,
    async createJournal(path, octets) {
      const file = await disk.createJournal(path, octets)
      await second.lease(1, 1)
      return file
    },
  }
  const first = await openEmbedded({ folder, files })
  t.after(() => first.close())
  await first.lease(1, 1)
  assert.equal(await first.put(newMessage('A', AT_ONE), []), 'queued')
  assert.equal(await second.put(newMessage('B', AT_ONE), []), 'queued')
  assert.equal(await idsOf(await crashed()), 'AB')
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

test('what others have left is counted while it is taken over', async t => {
  const { queue, crashed } = await openLeasing(t)
  await queue.put(newMessage('A', AT_ONE), [])
  const next = await crashed()
  const [jobs, count] = await Promise.all([next.lease(2000, 10), next.count()])
  assert.deepEqual([jobs.length, count], [1, 1])
})

test('what is in a journal is seen while it is taken over', async t => {
  const { queue, folder, another } = await openLeasing(t)
  await queue.put(newMessage('A', AT_ONE), [])
  const files: typeof disk = {
    ...disk,
    async *names(path) {
      for await (const name of disk.names(path)) {
        if (path === folder && name.startsWith('journal-'))
          renameSync(join(path, name), join(path, `${name}.old`))
        yield name
      }
    },
  }
  const other = await another({ files })
  assert.equal(await idsOf(other), 'A')
})

test('what others have left is looked for again when it could not be had', async t => {
  const { queue, crashed } = await openLeasing(t)
  await queue.put(newMessage('A', AT_ONE), [])
  let failures = 1
  const files: typeof disk = {
    ...disk,
    async rename(path, newPath) {
      if (failures-- > 0) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      return disk.rename(path, newPath)
    },
  }
  const next = await crashed({ files })
  assert.equal(await leased(next), '')
  await next.sweep(2000)
  assert.equal(await leased(next), 'A')
})

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
  await assert.rejects(queue.put(newMessage('B', AT_ONE), []), { name: 'QueueError', code: 'io' })
  onStep(null)
  assert.equal(await idsOf(await crashed()), 'A')
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
  const log: Log = {
    event: (name, fields) => {
      if (name === 'alarm' && String(fields?.error).includes('the journal')) told.resolve()
    },
    with: () => log,
  }
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
