/** `ptt queue` as a process of its own, at a spool that is open here too. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { suite, type TestContext, test } from 'node:test'
import { deferred, newMessage, octets } from '../queue/contract.ts'
import { openEmbedded } from '../queue/embedded/embedded.ts'

const LATER = Date.UTC(2100)

/** A folder with ptt.toml, `relay` in its table, and the command to run there. */
function deployment(t: TestContext, relay = '') {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-queue-cli-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'ptt.toml'), `domain = "example.com"\n[relay]\nspool = "spool"\n${relay}\n`)
  const ptt = async (...args: string[]) => {
    const script = join(import.meta.dirname, 'main.ts')
    const child = spawn(process.execPath, [script, 'queue', ...args], { cwd: folder, stdio: 'pipe' })
    const [stdout, stderr, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close'),
    ])
    return { code, stdout, stderr }
  }
  return { folder, ptt }
}

async function withMessages(t: TestContext, ids: readonly string[]) {
  const { folder, ptt } = deployment(t)
  const queue = await openEmbedded({ folder: join(folder, 'spool') })
  t.after(() => queue.close())
  for (const id of ids) await queue.put(newMessage(id, ['a@one.example', 'b@two.example']), [octets(10)])
  for (const job of await queue.lease(1000, 100)) await queue.settle(job, deferred(job, LATER))
  return { queue, ptt }
}

suite('ptt queue', () => {
  test('lists for people, the first of many', async t => {
    const { ptt } = await withMessages(t, ['A', 'B', 'C'])
    const { code, stdout, stderr } = await ptt('list', '--limit', '2')
    assert.deepEqual([code, stderr], [0, ''])
    const lines = stdout.split('\n')
    assert.deepEqual(
      lines.map(line => line.split(' ')[0]),
      ['ID', 'A', 'B', '', '3', ''],
    )
    assert.match(lines[1] ?? '', /sender@example\.org {2}a@one\.example and 1 more {2}in \d+ d/)
  })

  test('lists for programs, all of it', async t => {
    const ids = Array.from({ length: 1100 }, (_, n) => `M${10_000 + n}`)
    const { ptt } = await withMessages(t, ids)
    const { code, stdout } = await ptt('list', '--json')
    assert.equal(code, 0)
    const messages = stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.deepEqual(
      messages.map(({ id }) => id),
      ids,
    )
    assert.equal(messages[0].recipients[1].recipient, 'b@two.example')
  })

  test('releases what is held when it is named, and not with all the others', async t => {
    const { queue, ptt } = await withMessages(t, ['A'])
    for (const id of ['B', 'C']) {
      const message = newMessage(id, ['a@one.example'], Date.now())
      const envelope = { ...message.envelope, hold: { untilMs: LATER } }
      await queue.put({ ...message, envelope, dueMs: LATER }, [])
    }
    assert.match((await ptt('list')).stdout, /\nB .* held until 2100-01-01 00:00:00 UTC/)
    assert.match((await ptt('show', 'B')).stdout, /\n {6}held until 2100-01-01 00:00:00 UTC, /)
    assert.equal((await ptt('retry', '--all')).stdout, '1 message is due now\n')
    assert.equal((await queue.get('B'))?.recipients[0]?.dueMs, LATER)
    assert.equal((await ptt('retry', 'B')).code, 0)
    const jobs = await queue.lease(Date.now(), 10)
    assert.deepEqual(new Set(jobs.map(({ message }) => message.id)), new Set(['A', 'B']))
    assert.equal((await ptt('remove', 'C')).code, 0)
    assert.equal(await queue.get('C'), null)
  })

  test('shows a message', async t => {
    const { ptt } = await withMessages(t, ['A'])
    const { code, stdout } = await ptt('show', 'A')
    assert.equal(code, 0)
    assert.match(stdout, /^A\n {2}Sender +<sender@example\.org>\n/)
    assert.match(stdout, / {4}b@two\.example\n {6}pending after 1 attempt, next 2100-01-01 00:00:00 UTC, /)
    const json = await ptt('show', 'A', '--json')
    assert.equal(JSON.parse(json.stdout).recipients[0].due, '2100-01-01T00:00:00.000Z')
  })

  test('makes some due, and tells which are not there', async t => {
    const { queue, ptt } = await withMessages(t, ['A', 'B', 'C'])
    assert.equal(await queue.nextDue(), LATER)
    const before = Date.now()
    assert.deepEqual(await ptt('retry', 'B', 'X', 'C'), {
      code: 1,
      stdout: 'B is due now\nC is due now\n',
      stderr:
        'ptt queue: no message X in the queue: it was delivered, returned or removed, or it was never here\n',
    })
    const due = await queue.nextDue()
    assert.ok(due !== null && due >= before && due <= Date.now())
    const jobs = await queue.lease(Date.now(), 10)
    assert.deepEqual([...new Set(jobs.map(({ message }) => message.id))], ['B', 'C'])
  })

  test('makes all due', async t => {
    const { queue, ptt } = await withMessages(t, ['A', 'B', 'C'])
    assert.deepEqual(await ptt('retry', '--all'), { code: 0, stdout: '3 messages are due now\n', stderr: '' })
    assert.equal((await queue.lease(Date.now(), 10)).length, 6)
  })

  test('removes', async t => {
    const { queue, ptt } = await withMessages(t, ['A', 'B'])
    assert.deepEqual(await ptt('remove', 'A'), { code: 0, stdout: 'A is removed\n', stderr: '' })
    assert.equal(await queue.get('A'), null)
    assert.equal(await queue.count(), 1)
    assert.equal((await ptt('remove', 'A')).code, 1)
  })

  test('an empty queue', async t => {
    const { ptt } = await withMessages(t, [])
    assert.deepEqual(await ptt('list'), { code: 0, stdout: 'The queue is empty.\n', stderr: '' })
    assert.deepEqual(await ptt('list', '--json'), { code: 0, stdout: '', stderr: '' })
  })
})

suite('ptt queue says what is wrong', () => {
  test('there is no spool, and none is made', async t => {
    const { folder, ptt } = deployment(t)
    const spool = join(folder, 'spool')
    assert.deepEqual(await ptt('list'), {
      code: 1,
      stdout: '',
      stderr: `ptt queue: there is no spool in ${spool}: the relay makes it when it starts (relay.spool)\n`,
    })
    assert.equal(existsSync(spool), false)
  })

  test('the engine has none', async t => {
    const { ptt } = deployment(t, 'engine = "memory"')
    const { code, stderr } = await ptt('list')
    assert.equal(code, 1)
    assert.match(stderr, /^ptt queue: the queue is in the memory of the relay/)
  })

  test('no such message', async t => {
    const { ptt } = await withMessages(t, ['A'])
    const { code, stdout, stderr } = await ptt('show', 'B')
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^ptt queue: no message B in the queue: /)
  })

  const wrong: [args: string[], expected: RegExp][] = [
    [['retry'], /name the messages, or write --all/],
    [['retry', '--all', 'A'], /name the messages, or write --all/],
    [['remove'], /missing required argument 'ids'/],
    [['show'], /missing required argument 'id'/],
    [['list', '--limit', '0'], /Write a number from 1/],
    [['list', '-c', 'other.toml'], /other\.toml:1: there is no such file/],
  ]
  for (const [args, expected] of wrong) {
    test(args.join(' '), async t => {
      const { ptt } = deployment(t)
      const { code, stderr } = await ptt(...args)
      assert.equal(code, 1)
      assert.match(stderr, expected)
    })
  }
})
