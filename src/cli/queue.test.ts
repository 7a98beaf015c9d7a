/** `ptt queue` as a process of its own, at a spool that is open here too. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { suite, type TestContext, test } from 'node:test'
import { all, deferred, newMessage, octets } from '../queue/contract.ts'
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
  return { queue, ptt, folder }
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
    assert.equal(lines[4], '3 messages, of which these are the first 2; the next: --after B')
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

  test('lists what matches, in pages', async t => {
    const { queue, ptt } = await withMessages(t, ['A', 'B', 'C'])
    await queue.put(newMessage('D', ['x@three.example'], Date.now()), [])
    const ids = async (...args: string[]) =>
      (await ptt('list', '--json', ...args)).stdout
        .trimEnd()
        .split('\n')
        .map(line => line && JSON.parse(line).id)
        .join('')
    assert.equal(await ids('--state', 'due'), 'D')
    assert.equal(await ids('--domain', 'ONE.example', '--after', 'A', '--limit', '1'), 'B')
    assert.equal(await ids('--newer-than', '1h'), 'D')
    assert.match(
      (await ptt('list', '--recipient', '@one.example', '-n', '1')).stdout,
      /\nA .*\n\n1 of the 4 messages in the queue; perhaps more: --after A\n$/,
    )
    assert.equal(
      (await ptt('list', '--sender', 'nobody@example.org')).stdout,
      'Nothing of that kind among the 4 messages in the queue.\n',
    )
    assert.equal((await ptt('retry', '--domain', 'one.example')).stdout, '3 messages are due now\n')
    assert.equal((await ptt('remove', '--state', 'deferred')).stdout, '')
    assert.equal(
      (await ptt('remove', '--json', '--domain', 'three.example')).stdout,
      '{"id":"D","done":"removed"}\n',
    )
    assert.equal(await queue.count(), 3)
  })

  test('holds and releases, also while another process leases', async t => {
    const { queue, ptt } = await withMessages(t, ['A', 'B'])
    const now = Date.now()
    for (const id of ['A', 'B']) await queue.retry(id, now)
    assert.deepEqual(await ptt('hold', 'A', 'X', '--reason', 'asked by Ann'), {
      code: 1,
      stdout: 'message A is held\n',
      stderr:
        'ptt queue: no message X in the queue: it was delivered, returned or removed, or it was never here\n',
    })
    assert.equal(
      (await ptt('hold', '--domain', 'Two.example', '--reason', 'they move', '--for', '2h')).code,
      0,
    )
    const leased = await queue.lease(now, 10)
    assert.deepEqual(
      leased.map(({ message, destination }) => `${message.id} ${destination}`),
      ['B one.example'],
    )
    assert.match((await ptt('list', '--state', 'held')).stdout, /\nA .* held {2}.*\nB /)
    assert.match(
      (await ptt('why', 'A')).stdout,
      /the end of a hold \(message A\): asked by Ann; since .*, until it is released\n/,
    )
    const holds = (await ptt('holds', '--json')).stdout
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    assert.deepEqual(
      holds.map(({ kind, name, reason }) => [kind, name, reason]),
      [
        ['destination', 'two.example', 'they move'],
        ['message', 'A', 'asked by Ann'],
      ],
    )
    assert.match((await ptt('holds')).stdout, /^destination two\.example: they move; since .*, until .*\n/)
    assert.match((await ptt('release', 'B')).stderr, /message B is not held, but destination two\.example is/)
    assert.equal(
      (await ptt('release', 'A', '--json')).stdout,
      '{"done":"released","kind":"message","name":"A"}\n',
    )
    assert.equal(
      (await ptt('release', '--domain', 'two.example')).stdout,
      'destination two.example is released\n',
    )
    assert.equal((await queue.lease(now, 10)).length, 3)
    assert.equal((await ptt('holds')).stdout, 'Nothing is held.\n')
  })

  test('tells why, also of what is gone', async t => {
    const { queue, ptt } = await withMessages(t, ['A', 'B'])
    const { stdout } = await ptt('why', 'A')
    assert.match(stdout, /\n {2}Allowed +by commit 0123456789abcdef/)
    assert.match(
      stdout,
      /: deferred: a@one\.example\n {6}mx \[::1\] for one\.example\n {6}450 4\.2\.1 Greylisted\n/,
    )
    assert.match(stdout, /another attempt 2100-01-01 00:00:00 UTC/)
    assert.equal((await ptt('remove', 'B', '--json')).stdout, '{"id":"B","done":"removed"}\n')
    assert.equal(await queue.get('B'), null)
    const gone = JSON.parse((await ptt('why', 'B', '--json')).stdout)
    assert.equal(gone.ended.how, 'removed')
    assert.equal(gone.attempts.length, 2)
    const never = await ptt('why', 'C')
    assert.deepEqual(
      [never.code, never.stderr],
      [1, 'ptt queue: nothing is known of C: it left the queue days ago, or was never here\n'],
    )
  })

  test('moves messages to another spool, once', async t => {
    const { queue, ptt, folder } = await withMessages(t, ['A', 'B', 'C'])
    const other = deployment(t)
    const [job] = await queue.lease(LATER, 1)
    assert.ok(job)
    await queue.settle(job, all(job, 'delivered'))
    await queue.hold({ kind: 'message', name: 'C', reason: 'because', sinceMs: 1, untilMs: null })
    const moved = join(folder, 'moved')
    assert.deepEqual(await ptt('export', moved, '--all', '--remove'), {
      code: 0,
      stdout: 'A is exported\nB is exported\nC is exported\n',
      stderr: '',
    })
    assert.equal(await queue.count(), 0)
    assert.deepEqual(await queue.holds(), [])
    assert.deepEqual(readdirSync(moved), ['A.eml', 'A.json', 'B.eml', 'B.json', 'C.eml', 'C.json'])
    truncateSync(join(moved, 'B.eml'), 9)
    writeFileSync(join(moved, 'D.json'), '{}')
    assert.deepEqual(await other.ptt('import', moved), {
      code: 1,
      stdout: 'A is queued\nC is queued\n',
      stderr:
        'ptt queue: B is not queued: B.eml has 9 octets, and B.json says 10\n' +
        'ptt queue: D is not queued: D.json is not of `ptt queue export`\n',
    })
    assert.match((await other.ptt('import', moved)).stderr, /: A is not queued: it was here before\n/)
    const imported = await openEmbedded({ folder: join(other.folder, 'spool') })
    t.after(() => imported.close())
    const message = await imported.get('A')
    assert.equal(message?.recipients.length, 1)
    assert.deepEqual(message.recipients[0], job.destination === 'one.example' ? await recipientOf('b') : null)
    assert.equal(Buffer.compare(await imported.content('A'), octets(10)), 0)
    assert.equal((await imported.get('C'))?.held, undefined)
    assert.deepEqual(
      (await imported.lease(LATER, 10)).map(({ message }) => message.id),
      ['A'],
    )
    assert.deepEqual((await imported.get('C'))?.held, { kind: 'message', name: 'C' })

    async function recipientOf(localPart: string) {
      const story = await queue.story('A')
      return story?.message.recipients.find(({ mailbox }) => mailbox.localPart === localPart)
    }
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
    [['remove'], /name the messages, or write --all/],
    [['remove', 'A', '--domain', 'one.example'], /name the messages, or write --all/],
    [['show'], /missing required argument 'id'/],
    [['why'], /missing required argument 'id'/],
    [['hold', '--reason', 'x'], /name the messages, or write --sender, --domain or --site/],
    [['hold', 'A'], /required option '--reason <text>' not specified/],
    [['hold', 'A', '--reason', 'x', '--for', '2w'], /Write a number and s, m, h or d/],
    [['list', '--limit', '0'], /Write a number from 1/],
    [['list', '--sender', 'alice'], /Write alice@example\.com or @example\.com/],
    [['list', '--state', 'lost'], /Allowed choices are due, deferred, scheduled, held/],
    [['export'], /missing required argument 'folder'/],
    [['list', '-c', 'other.toml'], /other\.toml.*: there is no such file/],
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
