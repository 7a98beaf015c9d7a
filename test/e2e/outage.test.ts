/** Something is down: the client is told so in bounded time, nothing is lost, and all goes on when it is back. */

import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { need } from '../peers/need.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'
import { deploy, PASSWORD, USER } from './deployment.ts'
import { Dialog } from './dialog.ts'

const MESSAGE = `From: ${USER}\r\nTo: bob@internet.test\r\nSubject: outage\r\n\r\nText.\r\n`
const TO = ['bob@internet.test']

test('the signer is away: 451, then it is back', async t => {
  const deployment = await deploy(t, { toml: { submission: ['hop_wait = "200ms"'] } })
  await deployment.stop('signer')
  const refused = await nodemailer(deployment.submission(MESSAGE, TO))
  assert.match(refused.output, /451 4\.4\.1/)
  await deployment.event(
    'peer',
    ({ service, fields }) => service === 'submission' && fields.state === 'unreachable',
  )
  await deployment.start('signer')
  await deployment.event('key', ({ fields }) => fields.record === 'already')
  const sent = await nodemailer(deployment.submission(MESSAGE, TO))
  assert.equal(sent.code, 0, sent.output)
})

test('the relay is away: 451 through both hops, and nothing is queued', async t => {
  const deployment = await deploy(t, { toml: { signer: ['hop_wait = "200ms"'] } })
  await deployment.stop('relay')
  const refused = await nodemailer(deployment.submission(MESSAGE, TO))
  assert.match(refused.output, /451 4\.4\.1/)
  await deployment.start('relay')
  assert.equal(
    (await deployment.event('started', ({ fields }) => fields.queued !== undefined)).fields.queued,
    0,
  )
})

test('the relay comes back while a message waits for it: the client never knows', async t => {
  const deployment = await deploy(t)
  await deployment.stop('relay')
  const sending = nodemailer(deployment.submission(MESSAGE, TO))
  await deployment.event(
    'peer',
    ({ service, fields }) => service === 'signer' && fields.state === 'unreachable',
  )
  await deployment.start('relay')
  const sent = await sending
  assert.equal(sent.code, 0, sent.output)
})

test('the key is not in DNS: 451 and never unsigned', async t => {
  const wrong = `ptt._update.example.test:hmac-sha256:${Buffer.alloc(32, 8).toString('base64')}`
  const deployment = await deploy(t, { services: [] })
  writeFileSync(deployment.config.signer.tsigKey, wrong, { mode: 0o600 })
  for (const name of ['relay', 'signer', 'submission'] as const) await deployment.start(name)
  const alarm = await deployment.event('alarm', ({ service }) => service === 'signer')
  assert.equal(alarm.fields.code, 'BADSIG')
  const refused = await nodemailer(deployment.submission(MESSAGE, TO))
  assert.match(refused.output, /451 4\.7\.5/)
})

test('a resolver that never answers defers', async t => {
  const mute = createSocket('udp4')
  mute.bind(0, '127.0.0.1')
  await once(mute, 'listening')
  t.after(() => mute.close())
  const deployment = await deploy(t, { toml: { relay: [`resolver = ["127.0.0.1:${mute.address().port}"]`] } })
  const sent = await nodemailer(deployment.submission(MESSAGE, TO))
  assert.equal(sent.code, 0, sent.output)
  const deferred = await deployment.event('deferred')
  assert.equal(deferred.fields.status, '4.4.3')
})

test('the destination does not exist: bounced at once; it takes no mail: bounced at once', async t => {
  const zones = [{ origin: 'internet.test', records: [{ name: 'null', type: 'MX', data: '0 .' } as const] }]
  const deployment = await deploy(t, { zones })
  await nodemailer(deployment.submission(MESSAGE, ['bob@nowhere.internet.test']))
  assert.equal((await deployment.event('bounced')).fields.status, '5.1.2')
  await nodemailer(deployment.submission(MESSAGE, ['bob@null.internet.test']))
  const second = await deployment.event('bounced', ({ fields }) => fields.status === '5.1.10')
  assert.deepEqual(second.fields.recipients, ['bob@null.internet.test'])
})

test('a dead MX, then one that answers: every address is tried', async t => {
  if (!need(t, 'smtp-sink')) return
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const zones = [
    {
      origin: 'internet.test',
      records: [
        { name: '@', type: 'MX', data: '10 dead.internet.test' },
        { name: '@', type: 'MX', data: '20 alive.internet.test' },
        // smtp-sink listens on 127.0.0.1 only: the others refuse.
        { name: 'dead', type: 'A', data: '127.0.0.2' },
        { name: 'alive', type: 'AAAA', data: '::1' },
        { name: 'alive', type: 'A', data: '127.0.0.3' },
        { name: 'alive', type: 'A', data: '127.0.0.1' },
      ],
    } as const,
  ]
  const deployment = await deploy(t, { zones, smtpPort: sink.port })
  await nodemailer(deployment.submission(MESSAGE, TO))
  const delivered = await deployment.event('delivered')
  assert.equal(delivered.fields.remote, 'alive.internet.test [127.0.0.1]')
})

test('a host that goes away and comes back: deferred, then delivered', async t => {
  if (!need(t, 'smtp-sink')) return
  const away = await startSmtpSink()
  await away.stop()
  const deployment = await deploy(t, { smtpPort: away.port, toml: { relay: ['retry = ["100ms"]'] } })
  await nodemailer(deployment.submission(MESSAGE, TO))
  const deferred = await deployment.event('deferred')
  assert.equal(deferred.fields.status, '4.4.1')
  const back = await startSmtpSink({ port: away.port })
  t.after(() => back.stop())
  const delivered = await deployment.event('delivered')
  assert.equal(delivered.fields.id, deferred.fields.id)
})

test('users change by a push: without a restart, and without dropping a session', async t => {
  const deployment = await deploy(t)
  await deployment.repository.commit({ 'example.test/users/alice.toml': null })
  await deployment.reload('submission')
  const refused = await nodemailer(deployment.submission(MESSAGE, TO))
  assert.match(refused.output, /535/)
})

test('a client that goes away in the middle of a large message leaves nothing behind', async t => {
  const deployment = await deploy(t)
  const { port } = deployment.config.submission.listen
  const dialog = await Dialog.tls(port, { ca: deployment.authority.certificate, servername: 'localhost' })
  await dialog.expect(220)
  await dialog.say('EHLO client.test', 250)
  await dialog.say(`AUTH PLAIN ${Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64')}`, 235)
  await dialog.say(`MAIL FROM:<${USER}>`, 250)
  await dialog.say('RCPT TO:<bob@internet.test>', 250)
  const line = 'A line of the message.\r\n'
  const half = `From: ${USER}\r\n\r\n${line.repeat(50_000)}`
  dialog.send(`BDAT ${half.length}\r\n${half}`)
  await dialog.expect(250)
  dialog.destroy()
  // The next message goes the whole way, over whatever connections are left.
  const sent = await nodemailer(deployment.submission(MESSAGE, TO))
  assert.equal(sent.code, 0, sent.output)
  const queued = await deployment.event('queued')
  assert.equal(
    (await deployment.event('accepted', ({ service }) => service === 'submission')).fields.id,
    queued.fields.id,
  )
  assert.equal(deployment.events.filter(({ name }) => name === 'queued').length, 1)
})

test('a large message goes on as it comes, and a signer that is away is told before its end', async t => {
  const deployment = await deploy(t, { toml: { submission: ['hop_wait = "200ms"'] } })
  const large = `From: ${USER}\r\n\r\n${'A line of the message.\r\n'.repeat(50_000)}`
  const sent = await nodemailer(deployment.submission(large, TO))
  assert.equal(sent.code, 0, sent.output)
  const queued = await deployment.event('queued')
  assert.ok(Number(queued.fields.size) > large.length)
  await deployment.stop('signer')
  const refused = await nodemailer(deployment.submission(large, TO))
  assert.match(refused.output, /451 4\.4\.1/)
})
