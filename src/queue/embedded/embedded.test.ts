import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { newMessage, octets, runQueueContract } from '../contract.ts'
import type { Queue } from '../queue.ts'
import { type EmbeddedOptions, hasSpool, openEmbedded } from './embedded.ts'
import { disk } from './files.ts'

/** What is opened of a test is closed before its folders are removed. */
const opened = new WeakMap<TestContext, Queue[]>()

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-queue-'))
  t.after(async () => {
    for (const queue of opened.get(t) ?? []) await queue.close()
    rmSync(folder, { recursive: true })
  })
  return folder
}

async function openSpool(t: TestContext, options: EmbeddedOptions) {
  const queue = await openEmbedded(options)
  opened.set(t, [...(opened.get(t) ?? []), queue])
  return queue
}

runQueueContract(
  'embedded',
  async (t, options) => {
    const folder = join(temporaryFolder(t), 'spool')
    const queue = await openSpool(t, { folder, ...options })
    return {
      queue,
      async reopen() {
        await queue.close()
        return openSpool(t, { folder, ...options })
      },
    }
  },
  'messages',
)

test('the spool is for its owner only', async t => {
  const above = temporaryFolder(t)
  const folder = join(above, 'var/spool.d')
  assert.equal(hasSpool(folder), false)
  const queue = await openSpool(t, { folder })
  assert.equal(hasSpool(folder), true)
  await queue.put(newMessage('A', ['a@one.example']), [octets(100_000)])
  const modes = readdirSync(above, { recursive: true, encoding: 'utf8' }).map(path => {
    const status = statSync(join(above, path))
    return [path.replace(/-[0-9a-f]{12}$/, '-nonce'), (status.mode & 0o777).toString(8)]
  })
  assert.deepEqual(modes.toSorted(), [
    ['var', '700'],
    ['var/spool.d', '700'],
    ['var/spool.d/content', '700'],
    ['var/spool.d/content/A-nonce', '600'],
    ['var/spool.d/queue.mdb', '600'],
    ['var/spool.d/queue.mdb-lock', '600'],
  ])
})

const damaged: [what: string, content: string | Uint8Array][] = [
  ['text', 'not a database, but longer than its header would be '.repeat(200)],
  ['a few octets', 'short'],
  ['zeros', new Uint8Array(8192)],
]
for (const [what, content] of damaged) {
  test(`a database file that has ${what} is told of, not opened`, async t => {
    const folder = temporaryFolder(t)
    writeFileSync(join(folder, 'queue.mdb'), content)
    await assert.rejects(openEmbedded({ folder }), {
      code: 'io',
      message: `${folder}: queue.mdb is damaged, or not a spool: move it away, or restore it from a backup`,
    })
  })
}

test('an empty database file is a new one', async t => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'queue.mdb'), '')
  const queue = await openSpool(t, { folder })
  assert.equal(await queue.put(newMessage('A', ['a@one.example']), []), 'queued')
})

test('no spool is made where there is no space', async t => {
  const folder = temporaryFolder(t)
  const files = { ...disk, freeOctets: async () => 100_000 }
  await assert.rejects(openEmbedded({ folder, files }), { code: 'full' })
  const queue = await openSpool(t, { folder })
  await queue.close()
  // Once it is there, opening it needs none.
  await openSpool(t, { folder, files })
})

test('of messages that are gone the latest stories are kept', async t => {
  const queue = await openSpool(t, { folder: temporaryFolder(t), mostStories: 2 })
  const kept = async () => {
    const stories = await Promise.all(['A', 'B', 'C', 'D'].map(id => queue.story(id)))
    return stories.map(story => story?.message.id ?? '-').join('')
  }
  for (const id of ['A', 'B', 'C', 'D']) await queue.put(newMessage(id, ['a@one.example']), [])
  assert.equal(await queue.remove('B', 2000), true)
  assert.equal(await queue.remove('A', 3000), true)
  assert.equal(await kept(), 'ABCD')
  assert.equal(await queue.remove('C', 4000), true)
  assert.equal(await kept(), 'A-CD')
  // Several at once.
  await Promise.all([queue.remove('D', 5000), queue.put(newMessage('E', ['a@one.example']), [])])
  assert.equal(await kept(), '--CD')
})

for (const mostStories of [0, 1, 10]) {
  test(`an id is known as long as it should be, with ${mostStories} stories at most`, async t => {
    const queue = await openSpool(t, { folder: temporaryFolder(t), mostStories, retainIdsMs: 500 })
    const ids = ['A', 'B', 'C']
    for (const [n, id] of ids.entries()) {
      await queue.put(newMessage(id, ['a@one.example'], 1000 + n), [])
      await queue.remove(id, 2000 + n)
    }
    const known = async () => {
      const outcomes: string[] = []
      for (const [n, id] of ids.entries()) {
        const outcome = await queue.put(newMessage(id, ['a@one.example'], 1000 + n), [])
        outcomes.push(outcome === 'duplicate' ? id : '-')
      }
      return outcomes.join('')
    }
    assert.equal(await known(), 'ABC')
    await queue.sweep(1501)
    assert.equal(await known(), '-BC')
    // What was forgotten and put again is known while it is queued, and until the next sweep after that.
    assert.equal(await known(), 'ABC')
    await queue.remove('A', 3000)
    assert.equal(await known(), 'ABC')
    await queue.sweep(1501)
    assert.equal(await known(), '-BC')
  })
}
