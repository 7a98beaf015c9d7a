import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { newMessage } from '../contract.ts'
import { newParts } from '../slot.ts'
import { disk } from './files.ts'
import { recordOf } from './message.ts'
import { Store } from './store.ts'

async function openStore(t: TestContext): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-queue-store-'))
  const store = await Store.open(folder, disk)
  t.after(async () => {
    await store.close()
    rmSync(folder, { recursive: true })
  })
  return store
}

function addYoung({ young }: Store, id: string): void {
  const message = newMessage(id, ['a@one.example'])
  young.add({ id, at: 0, record: recordOf(message, newParts(message), 0, null), content: Buffer.alloc(0) })
}

test('what may be late is not waited for by what is not', async t => {
  const store = await openStore(t)
  await store.commit(() => {})
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const order: string[] = []
  const late = store.commit(() => order.push('late'), 'later')
  await store.commit(() => order.push('now'))
  await late
  // One transaction, in the order in which they came.
  assert.deepEqual(order, ['late', 'now'])
})

test('of changes that share a commit only the one that throws moves nothing', async t => {
  const store = await openStore(t)
  for (const id of ['A', 'B', 'C']) addYoung(store, id)
  const move = (id: string, fails = false) =>
    store.commit(tables => {
      tables.young.moves(id)
      if (fails) throw new Error('cannot be done')
    })
  const [first, second, third] = await Promise.allSettled([move('A'), move('B', true), move('C')])
  assert.deepEqual([first.status, second.status, third.status], ['fulfilled', 'rejected', 'fulfilled'])
  assert.deepEqual(
    Array.from(store.young.all(), ({ id }) => id),
    ['B'],
  )
  assert.equal(store.young.isMoving('B'), false)
})
