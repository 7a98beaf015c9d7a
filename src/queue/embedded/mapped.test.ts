import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { all, deferred, newMessage, octets, runQueueContract } from '../contract.ts'
import type { Queue } from '../queue.ts'
import { openEmbedded } from './embedded.ts'
import { type MappedLimit, mappedOctets } from './mapped.ts'

const MIB = 1024 * 1024
/** After each commit. */
const ALWAYS: MappedLimit = { octets: 0, everyMs: 0 }

async function openSpool(t: TestContext, mapped: MappedLimit, retained = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-queue-'))
  const opened: Queue[] = []
  const open = async () => {
    const queue = await openEmbedded({ folder, mapped, ...retained })
    opened.push(queue)
    return queue
  }
  t.after(async () => {
    for (const queue of opened) await queue.close()
    rmSync(folder, { recursive: true })
  })
  return { queue: await open(), open }
}

runQueueContract(
  'embedded, unmapped after each commit',
  async (t, options) => {
    const { queue, open } = await openSpool(t, ALWAYS, options)
    return {
      queue,
      async reopen() {
        await queue.close()
        const again = await open()
        t.after(() => again.close())
        return again
      },
    }
  },
  'messages',
)

test('what was looked at is unmapped when it is much', {
  skip: existsSync('/proc/self/status') ? false : 'this system does not tell what is mapped',
}, async t => {
  const content = octets(60_000)
  const ids = Array.from({ length: 600 }, (_, n) => `M${n + 1000}`)
  const folder = mkdtempSync(join(tmpdir(), 'ptt-queue-'))
  t.after(() => rmSync(folder, { recursive: true }))
  // Without a limit: who unmaps meanwhile does it next when there is more.
  const filled = await openEmbedded({ folder })
  await Promise.all(ids.map(id => filled.put(newMessage(id, ['a@one.example']), [content])))
  await filled.close()
  const before = mappedOctets()
  const queue = await openEmbedded({ folder, mapped: { octets: before + 8 * MIB, everyMs: 0 } })
  t.after(() => queue.close())
  for (const id of ids) assert.equal((await queue.content(id)).length, content.length)
  assert.ok(mappedOctets() > before + 30 * MIB, 'reading maps it')
  // The first is answered before its turn, the second is put after it.
  for (const id of ['Y', 'Z']) await queue.put(newMessage(id, ['a@one.example']), [])
  assert.ok(mappedOctets() < before + 16 * MIB, `${(mappedOctets() - before) / MIB} MiB are mapped`)
  assert.equal(Buffer.compare(await queue.content('M1000'), content), 0)
})

test('everybody goes on while it is unmapped again and again', async t => {
  const { queue } = await openSpool(t, ALWAYS)
  const ids = Array.from({ length: 300 }, (_, n) => `M${n + 1000}`)
  let left = ids.length
  const putting = Promise.all(
    ids.map(async (id, n) => {
      await queue.put(newMessage(id, [`a@${n % 7}.example`]), [octets(n * 10)])
      assert.equal((await queue.content(id)).length, n * 10)
    }),
  )
  const working = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (left > 0) {
        const [job] = await queue.lease(2000, 1)
        await queue.nextDue()
        await queue.list({ limit: 3 })
        if (job === undefined) await new Promise(resolve => setImmediate(resolve))
        else if ((job.message.recipients[0]?.attempts ?? 0) > 0) {
          await queue.settle(job, all(job, 'delivered'))
          left--
        } else await queue.settle(job, deferred(job, 1500))
      }
    }),
  )
  await Promise.all([putting, working])
  assert.equal(await queue.count(), 0)
})
