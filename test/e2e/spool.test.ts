/**
 * A spool that cannot be written. Nothing is acknowledged then, the operator is told, what was acknowledged before is
 * neither lost nor delivered twice, and all goes on, without a restart, when there is space again.
 */

import assert from 'node:assert/strict'
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { failingWhile } from '../crash/fail-at-steps.ts'
import { need } from '../peers/need.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { run, temporaryFolder } from '../peers/program.ts'
import { type SmtpSink, startSmtpSink } from '../peers/smtp-sink.ts'
import { type Deployment, deploy, USER } from './deployment.ts'
import { startProcess } from './service-process.ts'
import { SmallDisk, whyNoSmallDisk, withSmallDisk } from './small-disk.ts'

const TO = 'bob@internet.test'
const LINE = 'A line of a message that has many of them.\r\n'

const messageOf = (n: number, lines: number): string =>
  `From: ${USER}\r\nTo: ${TO}\r\nSubject: message ${n}\r\n\r\n${LINE.repeat(lines)}`

/** By number of message: how often it arrived. */
function arrivals(sink: SmtpSink): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const dump of sink.messages()) {
    const n = Number(/^Subject: message (\d+)$/m.exec(dump)?.[1])
    counts[n] = (counts[n] ?? 0) + 1
  }
  return counts
}

/** The id, or the refusal. */
async function submit(
  deployment: Deployment,
  message: string,
  to = TO,
): Promise<{ id?: string; output: string }> {
  const { output } = await nodemailer(deployment.submission(message, [to]))
  const id = /250 2\.0\.0 Queued as (\w+)/.exec(output)?.[1]
  return id === undefined ? { output } : { id, output }
}

const delivered = (deployment: Deployment, id: string | undefined) =>
  deployment.event('delivered', ({ fields }) => fields.id === id)

/** unshare(1) and prlimit(1) are of util-linux, which is everywhere on Linux and nowhere else. */
async function noSmallDisk(t: TestContext): Promise<boolean> {
  if (!need(t, 'unshare')) return true
  const folder = temporaryFolder('small-disk')
  const reason = await whyNoSmallDisk(join(folder.path, 'disk')).finally(() => folder.remove())
  if (reason === null) return false
  assert.notEqual(process.env.CI, 'true', `a disk that can be full cannot be had: ${reason}`)
  console.error(`SKIPPED: ${t.name}: neither root nor user namespaces: ${reason}`)
  t.skip(`SKIPPED: neither root nor user namespaces: ${reason}`)
  return true
}

async function begin(t: TestContext, wrapper: (spool: string) => string[], sinkArgs: readonly string[] = []) {
  const sink = await startSmtpSink({ args: sinkArgs })
  t.after(() => sink.stop())
  const deployment = await deploy(t, {
    services: [],
    smtpPort: sink.port,
    zones: [
      {
        origin: 'internet.test',
        records: [
          { name: '@', type: 'A', data: '127.0.0.1' },
          // Nobody listens there.
          { name: 'dead', type: 'A', data: '127.0.0.9' },
        ],
      },
    ],
    toml: { relay: ['retry = ["100ms"]'] },
  })
  const relay = startProcess(t, deployment, 'relay', wrapper(deployment.config.relay.spool))
  await relay.started
  for (const name of ['signer', 'submission'] as const) await deployment.start(name)
  return { deployment, relay, sink }
}

test('the disk of the spool is full: 451 and an alarm, until there is space again', async t => {
  if (!need(t, 'smtp-sink') || (await noSmallDisk(t))) return
  const { deployment, relay, sink } = await begin(t, spool => withSmallDisk(spool, '2m'))
  const disk = new SmallDisk(relay.pid, deployment.config.relay.spool)
  const before = await submit(deployment, messageOf(0, 10))
  await delivered(deployment, before.id)

  disk.fill()
  // A long one, which becomes a file, and short ones, which go into the database: that may have room for some of them.
  const long = await submit(deployment, messageOf(1, 5000))
  assert.match(long.output, /451 4\.3\.1/)
  const acknowledged = [0]
  for (let n = 2; ; n++) {
    const { id, output } = await submit(deployment, messageOf(n, 300))
    if (id === undefined) {
      assert.match(output, /451 4\.3\.1/)
      break
    }
    acknowledged.push(n)
    assert.ok(n < 100, 'the database never became full')
  }
  const alarm = await deployment.event('alarm', ({ fields }) => fields.code !== undefined)
  assert.deepEqual(
    [alarm.service, alarm.level, alarm.fields.about, alarm.fields.code],
    ['relay', 'error', 'spool', 'full'],
  )
  assert.match(String(alarm.fields.error), /no space left for the spool/i)
  assert.deepEqual(readdirSync(join(disk.path, 'content')), [], 'nothing is kept of what was refused')

  disk.empty()
  for (const [n, lines] of [
    [1001, 10],
    [1002, 5000],
  ] as const) {
    const { id, output } = await submit(deployment, messageOf(n, lines))
    assert.ok(id !== undefined, output)
    await delivered(deployment, id)
    acknowledged.push(n)
  }
  await relay.stop()
  assert.deepEqual(arrivals(sink), Object.fromEntries(acknowledged.map(n => [n, 1])))
})

test('no more files can be opened: 451 and an alarm, until there can', async t => {
  if (!need(t, 'smtp-sink', 'prlimit')) return
  const { deployment, relay, sink } = await begin(t, () => [])
  const limit = async (files: string) => {
    // setrlimit(2), RLIMIT_NOFILE: what is open stays open.
    const { code, output } = await run('prlimit', ['--pid', String(relay.pid), `--nofile=${files}:`])
    assert.equal(code, 0, output)
  }
  const before = await submit(deployment, messageOf(0, 10))
  await delivered(deployment, before.id)
  await limit('3')
  const refused = await submit(deployment, messageOf(1, 5000))
  assert.match(refused.output, /451 4\.3\.0/)
  const alarm = await deployment.event('alarm', ({ fields }) => fields.about === 'spool')
  assert.deepEqual([alarm.service, alarm.level, alarm.fields.code], ['relay', 'error', 'io'])
  assert.match(String(alarm.fields.error), /EMFILE/)
  // What needs no file is taken.
  const short = await submit(deployment, messageOf(2, 1))
  assert.ok(short.id !== undefined, short.output)

  await limit('1024')
  const after = await submit(deployment, messageOf(3, 5000))
  await delivered(deployment, short.id)
  await delivered(deployment, after.id)
  await relay.stop()
  assert.deepEqual(arrivals(sink), { 0: 1, 2: 1, 3: 1 })
})

for (const code of ['EIO', 'EROFS']) {
  test(`the spool fails with ${code}: 451 and an alarm, until it does not`, async t => {
    if (!need(t, 'smtp-sink')) return
    const folder = temporaryFolder('failing')
    t.after(() => folder.remove())
    const file = join(folder.path, 'code')
    const { deployment, relay, sink } = await begin(t, () => failingWhile(file))
    const waiting = await submit(deployment, messageOf(0, 1), 'bob@dead.internet.test')
    await deployment.event('deferred', ({ fields }) => fields.id === waiting.id)

    writeFileSync(file, code)
    for (const [n, lines] of [
      [1, 1],
      [2, 5000],
    ] as const)
      assert.match((await submit(deployment, messageOf(n, lines))).output, /451 4\.3\.0/)
    const alarm = await deployment.event(
      'alarm',
      ({ fields }) => fields.about === 'spool' && fields.code === 'io',
    )
    assert.deepEqual([alarm.service, alarm.level], ['relay', 'error'])
    assert.match(String(alarm.fields.error), new RegExp(`the spool cannot be written: ${code}`))
    // What comes of the message that waits cannot be written down.
    await deployment.event('alarm', ({ fields }) => fields.id === waiting.id)

    rmSync(file)
    await deployment.event('spool', ({ fields }) => fields.state === 'written again')
    for (const [n, lines] of [
      [3, 1],
      [4, 5000],
    ] as const) {
      const { id, output } = await submit(deployment, messageOf(n, lines))
      assert.ok(id !== undefined, output)
      await delivered(deployment, id)
    }
    await relay.stop()
    assert.deepEqual(arrivals(sink), { 3: 1, 4: 1 })
  })
}

test('what was delivered cannot be written down: nothing is delivered until it is', async t => {
  if (!need(t, 'smtp-sink', 'prlimit')) return
  // The reply to the message takes a second: time to take the disk away.
  const { deployment, relay, sink } = await begin(t, () => [], ['-W', '.:1'])
  const limit = async (octets: string) => {
    // setrlimit(2), RLIMIT_FSIZE: the system refuses every write of this process to a file.
    const { code, output } = await run('prlimit', ['--pid', String(relay.pid), `--fsize=${octets}:`])
    assert.equal(code, 0, output)
  }
  const waiting = await submit(deployment, messageOf(0, 1), 'bob@dead.internet.test')
  await deployment.event('deferred', ({ fields }) => fields.id === waiting.id)
  const { id } = await submit(deployment, messageOf(1, 1))
  await deployment.event('attempt', ({ fields }) => fields.id === id)
  await limit('0')

  await delivered(deployment, id)
  const alarm = await deployment.event('alarm', ({ fields }) => fields.id === id)
  assert.deepEqual([alarm.service, alarm.level, alarm.fields.about], ['relay', 'error', 'spool'])
  const refused = await submit(deployment, messageOf(2, 1))
  assert.match(refused.output, /451 4\.3\.[01]/)
  // Tried again and again; meanwhile the other message, due every 100 ms, is left alone.
  await deployment.event('alarm', ({ fields }) => fields.id === id && Number(fields.retry_ms) >= 1000)
  const since = relay.events.indexOf(alarm)
  const attempts = relay.events.slice(since).filter(({ name }) => name === 'attempt')
  assert.ok(attempts.length <= 1, 'at most the one that was under way')

  await limit('unlimited')
  await deployment.event('spool', ({ fields }) => fields.id === id && fields.state === 'written again')
  const seen = relay.events.length
  await deployment.event(
    'deferred',
    happening => happening.fields.id === waiting.id && relay.events.indexOf(happening) >= seen,
  )
  const after = await submit(deployment, messageOf(3, 1))
  await delivered(deployment, after.id)
  await relay.stop()
  assert.deepEqual(arrivals(sink), { 1: 1, 3: 1 })
})
