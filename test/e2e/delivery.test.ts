/** A message goes the whole way, and what is told about it on the way. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Peer } from '../../src/net/peer.ts'
import { silent } from '../../src/observe/event.ts'
import { need } from '../peers/need.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'
import { deploy, pairOf, USER } from './deployment.ts'

const MESSAGE = [
  `From: ${USER}`,
  'To: bob@internet.test',
  'Subject: the whole way',
  '',
  'A line.',
  '.a dot at its start',
  '..two',
  '',
].join('\r\n')

test('one id from submission to delivery', async t => {
  if (!need(t, 'smtp-sink')) return
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const deployment = await deploy(t, { smtpPort: sink.port })
  const commit = await deployment.repository.git('rev-parse', 'main')

  const sent = await nodemailer(deployment.submission(MESSAGE, ['bob@internet.test']))
  assert.equal(sent.code, 0, sent.output)
  const delivered = await deployment.event('delivered')
  const id = delivered.fields.id
  const told = deployment.events
    .filter(({ fields }) => fields.id === id)
    .map(({ service, name }) => `${service} ${name}`)
  // `accepted` comes when the relay's 250 is back, which may be after the delivery began.
  assert.deepEqual(
    told.filter(line => line !== 'submission accepted'),
    ['signer signed', 'relay queued', 'relay verified', 'relay attempt', 'relay delivered'],
  )
  const accepted = await deployment.event('accepted', ({ service }) => service === 'submission')
  assert.equal(accepted.fields.id, id)
  assert.equal(accepted.fields.commit, commit)
  assert.equal((await deployment.event('queued')).fields.commit, commit)

  const [received] = sink.messages()
  assert.ok(received)
  assert.match(received, /^DKIM-Signature: v=1; a=rsa-sha256;/m)
  assert.match(
    received,
    new RegExp(`^Received: from .*id ${id}\\s+\\(commit ${commit.slice(0, 12)}\\)`, 'ms'),
  )
  assert.equal(received.match(/^Received:/gm)?.length, 2, 'one of submission, one of smtp-sink')
  assert.match(received, /^Date: /m)
  assert.match(received, /^Message-ID: <.*@example\.test>$/m)
  assert.ok(
    received.endsWith('\nA line.\n.a dot at its start\n..two\n\n') || received.endsWith('..two\n'),
    received,
  )
})

test('a failure comes back as a notice, signed like any mail', async t => {
  if (!need(t, 'smtp-sink')) return
  // 550 to RCPT for anybody but the one who is to get the notice is not what smtp-sink can do: two of them can.
  const refusing = await startSmtpSink({ args: ['-f', 'RCPT'] })
  t.after(() => refusing.stop())
  const deployment = await deploy(t, { smtpPort: refusing.port })
  const sent = await nodemailer(deployment.submission(MESSAGE, ['bob@internet.test', 'carol@internet.test']))
  assert.equal(sent.code, 0, sent.output)
  const bounced = await deployment.event('bounced')
  assert.deepEqual(bounced.fields.recipients, ['bob@internet.test', 'carol@internet.test'])
  const notice = await deployment.event('notice')
  assert.equal(notice.fields.about, bounced.fields.id)
  const signed = await deployment.event('signed', ({ fields }) => fields.id === notice.fields.id)
  assert.ok(signed)
  const queued = await deployment.event('queued', ({ fields }) => fields.id === notice.fields.id)
  assert.equal(queued.fields.reverse_path, '<>')
})

test('an id seen before is acknowledged and not queued twice', async t => {
  if (!need(t, 'smtp-sink')) return
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const deployment = await deploy(t, { smtpPort: sink.port })
  const relay = new Peer({
    endpoint: deployment.config.relay.listen,
    role: 'relay',
    pair: await pairOf(deployment, 'signer'),
    ca: deployment.authority.certificate,
    hostname: 'signer.example.test',
    waitMs: 10_000,
    replyMs: 10_000,
    maxConnections: 1,
    log: silent,
  })
  t.after(() => relay.close())
  const envelope = {
    reversePath: { localPart: 'alice', domain: 'example.test' },
    recipients: [{ forwardPath: { localPart: 'bob', domain: 'internet.test' } }],
    body: '7BIT',
    smtputf8: false,
    xptt: { id: '01KAXE0000000000000000000A' },
  } as const
  const content = [Buffer.from(MESSAGE)]
  assert.equal((await relay.deliver(envelope, content)).code, 250)
  await deployment.event('delivered')
  assert.equal((await relay.deliver(envelope, content)).code, 250)
  await deployment.event('duplicate')
  assert.equal(sink.messages().length, 1)
})
