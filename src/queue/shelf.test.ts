import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type TestContext, test } from 'node:test'
import { openEmbeddedShelf } from './embedded/shelf.ts'
import { openMemoryShelf } from './memory/shelf.ts'
import type { Shelf } from './shelf.ts'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'ptt-shelf-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

const engines: [name: string, open: (t: TestContext) => Promise<Shelf>][] = [
  ['memory', async () => openMemoryShelf()],
  ['embedded', t => openEmbeddedShelf(folder(t))],
]

for (const [name, open] of engines) {
  suite(`shelf: ${name}`, () => {
    test('what was put is there until its time is over', async t => {
      const shelf = await open(t)
      await shelf.put('a/1', { reason: '550 no such user', times: 2 }, 1000)
      assert.deepEqual(await shelf.get('a/1', 999), {
        key: 'a/1',
        value: { reason: '550 no such user', times: 2 },
        untilMs: 1000,
      })
      assert.equal(await shelf.get('a/1', 1000), null)
      assert.equal(await shelf.get('a/2', 0), null)
      await shelf.close()
    })

    test('take', async t => {
      const shelf = await open(t)
      await shelf.put('a/1', 1, 1000)
      assert.equal(await shelf.take('a/1'), true)
      assert.equal(await shelf.take('a/1'), false)
      assert.equal(await shelf.get('a/1', 0), null)
      await shelf.close()
    })

    test('list: by prefix, in order, page by page, without what is over', async t => {
      const shelf = await open(t)
      for (const key of ['b/3', 'b/1', 'b/é', 'b/2', 'a/9', 'c/0']) await shelf.put(key, key, 1000)
      await shelf.put('b/0', 'over', 10)
      const keys = async (options: { after?: string; limit: number }) =>
        (await shelf.list('b/', { nowMs: 100, ...options })).map(({ key }) => key)
      assert.deepEqual(await keys({ limit: 10 }), ['b/1', 'b/2', 'b/3', 'b/é'])
      assert.deepEqual(await keys({ limit: 2 }), ['b/1', 'b/2'])
      assert.deepEqual(await keys({ after: 'b/2', limit: 2 }), ['b/3', 'b/é'])
      assert.deepEqual(await keys({ after: 'a', limit: 1 }), ['b/1'])
      await shelf.close()
    })

    test('add counts, also many at once', async t => {
      const shelf = await open(t)
      assert.equal(await shelf.add('n/x', 2, 1000), 2)
      await Promise.all(Array.from({ length: 50 }, () => shelf.add('n/x', 1, 1000)))
      assert.equal((await shelf.get('n/x', 0))?.value, 52)
      await shelf.close()
    })

    test('sweep removes what is over, and nothing else', async t => {
      const shelf = await open(t)
      await shelf.put('a/1', 1, 10)
      await shelf.put('a/2', 1, 20)
      assert.equal(await shelf.sweep(10), 1)
      assert.equal(await shelf.sweep(10), 0)
      assert.equal((await shelf.get('a/2', 10))?.untilMs, 20)
      await shelf.close()
    })

    test('a key is a kind and a name', async t => {
      const shelf = await open(t)
      for (const key of ['', 'a', 'a/', '/a', 'A/b', `a/${'x'.repeat(1000)}`, 'a/\0'])
        await assert.rejects(async () => shelf.put(key, 1, 1), RangeError, key)
      await shelf.close()
    })
  })
}

test('shelf: embedded: what was put is there after it was opened again, and for another process', async t => {
  const path = folder(t)
  const first = await openEmbeddedShelf(path)
  const second = await openEmbeddedShelf(path)
  await first.put('a/1', 'x', 1000)
  assert.equal((await second.get('a/1', 0))?.value, 'x')
  await first.close()
  await second.close()
  const again = await openEmbeddedShelf(path)
  assert.equal((await again.get('a/1', 0))?.value, 'x')
  await again.close()
})
