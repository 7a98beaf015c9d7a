/** Every file operation of a put can fail: then nothing is kept, the error says which kind it is, and later all is well. */

import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { type Log, logTo } from '../../observe/event.ts'
import { all, newMessage, octets } from '../contract.ts'
import { type QueueErrorCode, WHOLE_OCTETS } from '../queue.ts'
import { openEmbedded } from './embedded.ts'
import { disk, type Files } from './files.ts'

const LARGE = 100_000

/** A disk where the operation that `failing` names fails. */
function faultyDisk(): Files & { failing: string | null; code: string } {
  const fail = async (operation: string) => {
    if (files.failing !== operation) return
    throw Object.assign(new Error(`${files.code}: ${operation}`), { code: files.code })
  }
  const files: Files & { failing: string | null; code: string } = {
    ...disk,
    failing: null,
    code: 'EIO',
    async create(path) {
      await fail('create')
      const file = await disk.create(path)
      return {
        async write(content) {
          // Half of it is written, as when the disk fills up on the way.
          const half = content.map(piece => piece.subarray(0, piece.length / 2))
          await file.write(files.failing === 'write' ? half : content)
          await fail('write')
        },
        sync: () => fail('sync').then(file.sync),
        close: () => file.close().then(() => fail('close')),
      }
    },
    rename: (path, newPath) => fail('rename').then(() => disk.rename(path, newPath)),
    syncFolder: path => fail('syncFolder').then(() => disk.syncFolder(path)),
    async open(path) {
      await fail('open')
      const file = await disk.open(path)
      return {
        sizeOctets: () => fail('stat').then(file.sizeOctets),
        read: (target, at) => fail('read').then(() => file.read(target, at)),
        close: file.close,
      }
    },
    remove: path => fail('remove').then(() => disk.remove(path)),
  }
  return files
}

async function openFaulty(t: TestContext, log?: Log) {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-queue-faults-'))
  const files = faultyDisk()
  const queue = await openEmbedded({ folder, files, ...(log ? { log } : {}) })
  t.after(async () => {
    await queue.close()
    rmSync(folder, { recursive: true })
  })
  return { queue, files, names: () => readdirSync(join(folder, 'content')), folder }
}

suite('a put whose file operations fail', () => {
  const errors: [code: string, expected: QueueErrorCode][] = [
    ['EIO', 'io'],
    ['ENOSPC', 'full'],
    ['EDQUOT', 'full'],
    ['EROFS', 'io'],
  ]
  for (const operation of ['create', 'write', 'sync', 'close', 'rename', 'syncFolder']) {
    for (const [code, expected] of errors) {
      test(`${operation} fails with ${code}: ${expected}`, async t => {
        const { queue, files, names } = await openFaulty(t)
        files.failing = operation
        files.code = code
        await assert.rejects(queue.put(newMessage('A', ['a@one.example']), [octets(LARGE)]), {
          name: 'QueueError',
          code: expected,
        })
        assert.deepEqual(names(), [])
        assert.equal(await queue.get('A'), null)
        assert.equal(await queue.count(), 0)
        assert.equal(await queue.nextDue(), null)
        files.failing = null
        // Not a duplicate: nothing of it was kept.
        assert.equal(await queue.put(newMessage('A', ['a@one.example']), [octets(LARGE)]), 'queued')
        assert.equal(Buffer.compare(await queue.content('A'), octets(LARGE)), 0)
      })
    }
  }

  test('a file has its name, on the disk, before a message has the file', async t => {
    const { queue, files } = await openFaulty(t)
    const steps: string[] = []
    const step =
      <A extends unknown[], R>(name: string, operation: (...args: A) => Promise<R>) =>
      async (...args: A): Promise<R> => {
        assert.equal(await queue.get('A'), null, name)
        const result = await operation(...args)
        steps.push(name)
        return result
      }
    const { create, rename, syncFolder } = files
    files.create = step('create', async path => {
      const { write, sync, close } = await create(path)
      return { write: step('write', write), sync: step('sync', sync), close: step('close', close) }
    })
    files.rename = step('rename', rename)
    files.syncFolder = step('sync folder', syncFolder)
    await queue.put(newMessage('A', ['a@one.example']), [octets(LARGE)])
    assert.deepEqual(steps, ['create', 'write', 'sync', 'close', 'rename', 'sync folder'])
  })

  test('small messages go on while files cannot be written', async t => {
    const { queue, files } = await openFaulty(t)
    files.failing = 'create'
    assert.equal(await queue.put(newMessage('A', ['a@one.example']), [octets(1000)]), 'queued')
  })
})

suite('content files', () => {
  test('one that cannot be read is an error of the spool, not a message that is gone', async t => {
    const { queue, files } = await openFaulty(t)
    await queue.put(newMessage('A', ['a@one.example']), [octets(LARGE)])
    for (const operation of ['open', 'stat', 'read']) {
      files.failing = operation
      await assert.rejects(queue.content('A'), { code: 'io' })
      await assert.rejects(queue.openContent('A'), { code: 'io' })
    }
    files.failing = null
    assert.equal((await queue.content('A')).length, LARGE)
  })

  test('one that was cut short is not delivered', async t => {
    const { queue, names, folder } = await openFaulty(t)
    await queue.put(newMessage('A', ['a@one.example']), [octets(LARGE)])
    for (const length of [LARGE - 1, LARGE + 1]) {
      writeFileSync(join(folder, 'content', names()[0] ?? ''), octets(length))
      await assert.rejects(queue.content('A'), { code: 'io' })
    }
  })

  test('one that cannot be read to its end, or ends before it, is an error of the spool', async t => {
    const { queue, files, names, folder } = await openFaulty(t)
    const size = 3 * WHOLE_OCTETS
    const at = size - LARGE
    await queue.put(newMessage('A', ['a@one.example']), [octets(size)])
    const content = await queue.openContent('A')
    t.after(() => content.close())
    const rest = new Uint8Array(LARGE)
    files.failing = 'read'
    await assert.rejects(content.read(at, rest), { name: 'QueueError', code: 'io' })
    files.failing = null
    await content.read(at, rest)
    assert.equal(Buffer.compare(rest, octets(size).subarray(at)), 0)
    truncateSync(join(folder, 'content', names()[0] ?? ''), size - 1)
    await assert.rejects(content.read(at, rest), { name: 'QueueError', code: 'io' })
  })

  test('what is open is closed in the end, also where it could not be read', async t => {
    const { queue, files } = await openFaulty(t)
    await queue.put(newMessage('A', ['a@one.example']), [octets(LARGE)])
    let open = 0
    const { open: openFile } = files
    files.open = async path => {
      const file = await openFile(path)
      open++
      return { ...file, close: () => file.close().then(() => void open--) }
    }
    for (const operation of [null, 'stat', 'read']) {
      files.failing = operation
      await queue.content('A').catch(() => {})
      assert.equal(open, 0, String(operation))
    }
  })

  test('one that stays because it cannot be removed is swept later', async t => {
    const swept: unknown[] = []
    const log = logTo((name, fields) => swept.push([name, fields]))
    const { queue, files, names } = await openFaulty(t, log)
    for (const id of ['A', 'B', 'C']) await queue.put(newMessage(id, ['a@one.example']), [octets(LARGE)])
    files.failing = 'remove'
    const [job] = await queue.lease(2000, 1)
    assert.ok(job)
    await queue.settle(job, all(job, 'delivered'))
    assert.equal(await queue.remove('B'), true)
    assert.equal(names().length, 3)
    await assert.rejects(queue.sweep(2000), { code: 'io' })
    files.failing = null
    await queue.sweep(2000)
    assert.equal(names().length, 1)
    assert.deepEqual(swept, [['spool', { orphans_removed: 2 }]])
    assert.equal((await queue.content('C')).length, LARGE)
  })

  test('sweep leaves alone what is being written and what is not ours', async t => {
    const { queue, files, names, folder } = await openFaulty(t)
    const foreign = ['README', 'A', 'A-0123456789AB', 'A-0123456789ab.tmp']
    const orphans = ['A-0123456789ab', 'B-0123456789ab.part']
    for (const name of [...foreign, ...orphans]) writeFileSync(join(folder, 'content', name), '')
    // The sweep runs between each two operations of a put.
    const { create, rename, syncFolder } = files
    const swept = () => queue.sweep(2000)
    files.create = async path => {
      const file = await create(path)
      await swept()
      return { ...file, sync: () => swept().then(file.sync) }
    }
    files.rename = (path, newPath) => swept().then(() => rename(path, newPath))
    files.syncFolder = path => swept().then(() => syncFolder(path))
    await queue.put(newMessage('A', ['a@one.example']), [octets(LARGE)])
    await swept()
    assert.equal(Buffer.compare(await queue.content('A'), octets(LARGE)), 0)
    assert.deepEqual(
      names()
        .filter(name => foreign.includes(name))
        .toSorted(),
      foreign.toSorted(),
    )
    assert.equal(names().length, foreign.length + 1)
  })
})
