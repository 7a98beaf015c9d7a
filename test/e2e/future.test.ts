/** FUTURERELEASE, RFC 4865, the whole way: held over a restart, released in time, at once, or never. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openEmbedded } from '../../src/queue/embedded/embedded.ts'
import { need } from '../peers/need.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'
import { type Deployment, deploy } from './deployment.ts'
import { submit } from './submit.ts'

async function withSink(t: TestContext) {
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  return { sink, deployment: await deploy(t, { smtpPort: sink.port }) }
}

/** As `ptt queue` does: the spool is opened beside the relay. */
async function inSpool<T>(
  deployment: Deployment,
  use: (queue: Awaited<ReturnType<typeof openEmbedded>>) => Promise<T>,
): Promise<T> {
  const queue = await openEmbedded({ folder: deployment.config.relay.spool })
  try {
    return await use(queue)
  } finally {
    await queue.close()
  }
}

const rcpt = { 'bob@internet.test': '' }

test('HOLDFOR: not attempted before, also when the relay stops meanwhile', async t => {
  if (!need(t, 'smtp-sink')) return
  const { sink, deployment } = await withSink(t)
  const beforeMs = Date.now()
  const id = await submit(t, deployment, { mail: 'HOLDFOR=4', rcpt })
  const queued = await deployment.event('queued', ({ fields }) => fields.id === id)
  const releaseMs = Date.parse(String(queued.fields.held_until))
  assert.ok(releaseMs >= beforeMs + 4000, String(queued.fields.held_until))
  await deployment.stop('relay')
  await deployment.start('relay')
  const delivered = deployment.event('delivered')
  const attempt = await deployment.event('attempt')
  assert.ok(Date.now() >= releaseMs, 'attempted before its release')
  assert.equal(attempt.fields.id, id)
  await delivered
  assert.equal(sink.messages().length, 1)
})

test('HOLDUNTIL is what the queue shows; retry releases, remove cancels', async t => {
  if (!need(t, 'smtp-sink')) return
  const { sink, deployment } = await withSink(t)
  const until = `${new Date(Date.now() + 3_600_000).toISOString().slice(0, 19)}Z`
  const released = await submit(t, deployment, { mail: `HOLDUNTIL=${until}`, rcpt })
  const cancelled = await submit(t, deployment, { mail: `HOLDUNTIL=${until}`, rcpt })
  await inSpool(deployment, async queue => {
    for (const id of [released, cancelled]) {
      const message = await queue.get(id)
      assert.equal(message?.recipients[0]?.dueMs, Date.parse(until))
      // RFC 5321 §4.5.4.1 counts from when it may be tried.
      assert.equal(message?.expiresMs, Date.parse(until) + deployment.config.relay.expireMs)
    }
    assert.equal(await queue.remove(cancelled), true)
    assert.equal(await queue.retry(released, Date.now()), true)
  })
  const delivered = await deployment.event('delivered')
  assert.equal(delivered.fields.id, released)
  assert.equal(sink.messages().length, 1)
  assert.equal(await inSpool(deployment, queue => queue.count()), 0)
})
