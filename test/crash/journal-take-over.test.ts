/** Who leases next takes over the journal of who leased before: also while that one is still at work, or has gone meanwhile. */

import assert from 'node:assert/strict'
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Fields, logTo } from '../../src/observe/event.ts'
import { all, newMessage, octets } from '../../src/queue/contract.ts'
import { openEmbedded } from '../../src/queue/embedded/embedded.ts'
import { disk } from '../../src/queue/embedded/files.ts'
import { AT_ONE, idsOf, leased, openLeasing } from './leasing.ts'

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

/** The octets of a journal, without a sector of what was kept second, B. */
function withoutB(path: string): Buffer {
  const journal = readFileSync(path)
  const sector = Math.ceil(journal.indexOf('"id":"B"') / 512) * 512
  assert.ok(sector > 0 && sector + 512 < journal.indexOf('"id":"C"'))
  return journal.fill(0, sector, sector + 512)
}

test('where the disk has lost a sector of what was left, what is behind it is there, and an alarm tells', async t => {
  const alarms: Fields[] = []
  const log = logTo((name, fields) => name === 'alarm' && alarms.push(fields))
  const { queue, folder, journals, another } = await openLeasing(t, { log })
  for (const id of ['A', 'B', 'C']) await queue.put(newMessage(id, AT_ONE), [octets(3000)])
  const [own = ''] = journals()
  writeFileSync(join(folder, own), withoutB(join(folder, own)))
  const next = await another()
  assert.equal(await leased(next), 'AC')
  assert.equal(Buffer.compare(await next.content('C'), octets(3000)), 0)
  const told = alarms.map(({ about, error }) => `${about} ${error}`).filter(line => line.includes(own))
  assert.equal(told.length, 1, JSON.stringify(alarms))
  assert.match(
    told[0] ?? '',
    /^spool journal-[0-9a-f]{12}: \d{4} octets cannot be read, and what is behind them can/,
  )
})

test('of a journal that is being written nothing is taken that is behind what is not whole', async t => {
  const { queue, folder, journals, another } = await openLeasing(t)
  for (const id of ['A', 'B', 'C']) await queue.put(newMessage(id, AT_ONE), [octets(3000)])
  const [own = ''] = journals()
  // As if B were on its way to the disk.
  writeFileSync(join(folder, own), withoutB(join(folder, own)))
  assert.equal(await idsOf(await another()), 'A')
  assert.equal(await idsOf(queue), 'ABC')
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

test('a journal that comes into use while it is about to be removed as unused is not', async t => {
  const { queue, folder, another, crashed } = await openLeasing(t)
  await queue.close()
  const made = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const first = await another({
    files: {
      ...disk,
      async createJournal(path, octets) {
        const file = await disk.createJournal(path, octets)
        made.resolve()
        await gate.promise
        return file
      },
    },
  })
  const beginning = first.lease(1, 1)
  await made.promise
  const isJournal = (path: string) => path.startsWith(join(folder, 'journal-'))
  let used: Promise<string> | null = null
  const use = async (path: string) => {
    if (!isJournal(path)) return
    gate.resolve()
    await beginning
    used ??= first.put(newMessage('A', AT_ONE), [])
    await used
  }
  const second = await another({
    files: {
      ...disk,
      rename: (path, newPath) => use(path).then(() => disk.rename(path, newPath)),
      remove: path => use(path).then(() => disk.remove(path)),
    },
  })
  await second.lease(1, 1)
  assert.equal(await used, 'queued')
  assert.equal(await idsOf(await crashed()), 'A')
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

test('no id is forgotten while what others have left could not be had', async t => {
  const { queue, folder, crashed } = await openLeasing(t)
  await queue.put(newMessage('A', AT_ONE), [])
  let fails = true
  const files: typeof disk = {
    ...disk,
    async rename(path, newPath) {
      if (fails) throw Object.assign(new Error('EIO'), { code: 'EIO' })
      return disk.rename(path, newPath)
    },
  }
  const next = await crashed({ files, retainIdsMs: 500 })
  assert.equal(await leased(next), '')
  // Somebody else brings it into the database, and there it is delivered from.
  const other = await openEmbedded({ folder: join(folder, '..', 'copy-0') })
  t.after(() => other.close())
  assert.equal(await other.count(), 1)
  const [a] = await next.lease(2000, 1)
  assert.ok(a)
  await next.settle(a, all(a, 'delivered'))
  await next.sweep(9000)
  fails = false
  await next.sweep(9000)
  assert.equal(await leased(next, 9000), '')
  assert.equal(await next.count(), 0)
})
