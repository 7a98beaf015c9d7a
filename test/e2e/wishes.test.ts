/** What a sender asks for beside delivery, from the client's MAIL and RCPT to what the next server is told. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Listener, listen, type SessionHandler } from '../../src/net/listener.ts'
import { silent } from '../../src/observe/event.ts'
import type { Envelope, EnvelopeRecipient } from '../../src/smtp/envelope.ts'
import { LIMITS, MOST, TIMEOUTS } from '../../src/smtp/limits.ts'
import { reply } from '../../src/smtp/reply.ts'
import type { Offers } from '../../src/smtp/server.ts'
import { type Deployment, deploy, PASSWORD, USER } from './deployment.ts'
import { Dialog } from './dialog.ts'

interface Arrived {
  readonly atMs: number
  readonly envelope: Envelope
}

/** An MX with some extensions, which takes everything. */
async function startMx(t: TestContext, offers: Offers): Promise<{ port: number; arrived: Arrived[] }> {
  const arrived: Arrived[] = []
  const handler = (): SessionHandler => {
    let mail: Omit<Envelope, 'recipients'> | null = null
    let atMs = 0
    let recipients: EnvelopeRecipient[] = []
    return {
      mail(reversePath, parameters) {
        mail = { reversePath, ...parameters }
        recipients = []
        atMs = Date.now()
        return reply(250, '2.1.0', 'OK')
      },
      rcpt(recipient) {
        recipients.push(recipient)
        return reply(250, '2.1.5', 'OK')
      },
      content() {},
      async message() {
        if (mail !== null) arrived.push({ atMs, envelope: { ...mail, recipients } })
        return reply(250, '2.0.0', 'OK')
      },
      reset() {},
    }
  }
  const listener: Listener = await listen({
    address: { host: '127.0.0.1', port: 0 },
    session: {
      hostname: 'mx.internet.test',
      limits: { ...LIMITS, ...MOST },
      tls: 'none',
      tlsRequired: false,
      auth: [],
      authRequired: false,
      hop: false,
      offers,
    },
    acceptor: null,
    idleMs: TIMEOUTS.serverMs,
    maxConnections: 10,
    log: silent,
    handler,
  })
  t.after(() => listener.close(0))
  return { port: listener.port, arrived }
}

async function signIn(t: TestContext, deployment: Deployment): Promise<{ dialog: Dialog; offer: string }> {
  const tls = { ca: deployment.authority.certificate, servername: 'localhost' }
  const dialog = await Dialog.tls(deployment.config.submission.listen.port, tls)
  t.after(() => dialog.destroy())
  await dialog.expect(220)
  const offer = await dialog.say('EHLO client.test', 250)
  const secret = Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64')
  await dialog.say(`AUTH PLAIN ${secret}`, 235)
  return { dialog, offer }
}

async function sendContent(dialog: Dialog, subject: string): Promise<void> {
  await dialog.say('DATA', 354)
  dialog.send(`From: ${USER}\r\nTo: bob@internet.test\r\nSubject: ${subject}\r\n\r\nHi\r\n.\r\n`)
  await dialog.expect(250, subject)
}

const EVERYTHING: Offers = {
  dsn: true,
  limits: true,
  deliverBy: { leastSeconds: 1 },
  priority: { profile: 'MIXER' },
}

test('notifications, times and priorities arrive at the next server', async t => {
  const mx = await startMx(t, EVERYTHING)
  const deployment = await deploy(t, { smtpPort: mx.port })
  const { dialog, offer } = await signIn(t, deployment)
  for (const keyword of [
    'DSN',
    'REQUIRETLS',
    'LIMITS RCPTMAX=1000',
    'FUTURERELEASE 2592000 2',
    'DELIVERBY 60',
  ]) {
    assert.match(offer, new RegExp(`^250.${keyword}`, 'm'))
  }
  assert.match(
    await dialog.say(`MAIL FROM:<${USER}> RET=HDRS ENVID=a+20b BY=3600;NT MT-PRIORITY=3`, 250),
    // RFC 6710 §4.1: lowered, and said so.
    /^250 2\.3\.6 0 /,
  )
  await dialog.say('RCPT TO:<bob@internet.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@internet.test', 250)
  await dialog.say('RCPT TO:<carol@internet.test>', 250)
  await sendContent(dialog, 'wishes')
  await deployment.event('delivered')
  const [{ envelope } = { envelope: undefined }] = mx.arrived
  assert.ok(envelope)
  const { ret, envelopeId, deliverBy, priority, recipients, hold, requireTls, xptt } = envelope
  assert.deepEqual({ ret, envelopeId, priority }, { ret: 'HDRS', envelopeId: 'a b', priority: 0 })
  assert.ok(deliverBy !== undefined && deliverBy.seconds <= 3600 && deliverBy.mode === 'N' && deliverBy.trace)
  assert.deepEqual([hold, requireTls, xptt], [undefined, undefined, undefined])
  assert.deepEqual(recipients[0]?.notify, ['SUCCESS', 'DELAY'])
  assert.deepEqual(recipients[0]?.originalRecipient, {
    addressType: 'rfc822',
    address: 'Bob+x@internet.test',
  })
  assert.equal(recipients[1]?.notify, undefined)
})

test('a held message is not sent before its time, also when the relay is started again meanwhile', async t => {
  const mx = await startMx(t, EVERYTHING)
  const deployment = await deploy(t, { smtpPort: mx.port })
  const { dialog } = await signIn(t, deployment)
  const beganMs = Date.now()
  await dialog.say(`MAIL FROM:<${USER}> HOLDFOR=3`, 250)
  await dialog.say('RCPT TO:<bob@internet.test>', 250)
  await sendContent(dialog, 'later')
  const { fields } = await deployment.event('queued')
  assert.ok(typeof fields.held_until === 'string')
  await deployment.stop('relay')
  await deployment.start('relay')
  await deployment.event('delivered')
  const [arrived] = mx.arrived
  assert.ok(arrived !== undefined && mx.arrived.length === 1)
  assert.ok(arrived.atMs >= beganMs + 3000, `${arrived.atMs - beganMs} ms after MAIL`)
  assert.ok(arrived.atMs >= Date.parse(fields.held_until))
})

test('REQUIRETLS: not to a server that is not known to be the right one', async t => {
  const mx = await startMx(t, EVERYTHING)
  const deployment = await deploy(t, { smtpPort: mx.port })
  const { dialog } = await signIn(t, deployment)
  await dialog.say(`MAIL FROM:<${USER}> REQUIRETLS`, 250)
  await dialog.say('RCPT TO:<bob@internet.test>', 250)
  await sendContent(dialog, 'secret')
  const bounced = await deployment.event('bounced')
  assert.match(JSON.stringify(bounced.fields), /5\.7\.10/)
  assert.deepEqual(mx.arrived, [])
})

test('what cannot be had is refused at MAIL', async t => {
  const deployment = await deploy(t, { toml: { submission: ['max_hold = "1h"', 'max_transactions = 6'] } })
  const { dialog, offer } = await signIn(t, deployment)
  assert.match(offer, /^250.LIMITS RCPTMAX=1000 MAILMAX=6\r$/m)
  assert.match(offer, /^250.FUTURERELEASE 3600 /m)
  const refused = [
    ['HOLDFOR=3601', /^501 5\.5\.4 /], // RFC 4865 §4.2.7
    ['HOLDUNTIL=2001-01-01T00:00:00Z', /^501 5\.5\.4 /],
    ['HOLDFOR=3600 BY=60;R', /^501 5\.5\.4 /], // RFC 4865 §5.2.2
    ['BY=59;R', /^555 5\.5\.4 /], // RFC 2852 §3
    ['BODY=BINARYMIME', /^555 5\.6\.3 .*alter/], // RFC 3030 §3
    ['MT-PRIORITY=10', /^501 5\.5\.2 /], // RFC 6710 §4.1
    // RFC 9422 §4.1: each of them counted.
    ['MT-PRIORITY=0', /^421 4\.3\.2 /],
  ] as const
  for (const [parameters, answer] of refused) {
    assert.match(await dialog.say(`MAIL FROM:<${USER}> ${parameters}`), answer, parameters)
  }
  await dialog.closed()
})

test('what [limits] allows beyond RFC 5321 §4.5.3.1 passes all three services', async t => {
  const mx = await startMx(t, EVERYTHING)
  const deployment = await deploy(t, {
    smtpPort: mx.port,
    toml: { limits: ['local_part_size = "80 B"', 'text_line_size = "4 KiB"'] },
  })
  const { dialog } = await signIn(t, deployment)
  const localPart = 'b'.repeat(80)
  await dialog.say(`MAIL FROM:<${USER}>`, 250)
  assert.match(
    await dialog.say(`RCPT TO:<${localPart}b@internet.test>`),
    /^501 5\.1\.3 .*longer than 80 octets/,
  )
  await dialog.say(`RCPT TO:<${localPart}@internet.test>`, 250)
  await sendContent(dialog, `long\r\n\r\n${'x'.repeat(4000)}`)
  await deployment.event('delivered')
  assert.equal(mx.arrived[0]?.envelope.recipients[0]?.forwardPath.localPart, localPart)
})
