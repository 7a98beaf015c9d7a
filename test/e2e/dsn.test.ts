/** Delivery status notifications the whole way: a peer that has the extension (Postfix), and one that has not (smtp-sink -N). */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { awaitMessages } from '../peers/maildir.ts'
import { need } from '../peers/need.ts'
import { needPostfix, startPostfix } from '../peers/postfix.ts'
import { type SmtpSink, startSmtpSink } from '../peers/smtp-sink.ts'
import { type DeployOptions, DOMAIN, deploy, USER } from './deployment.ts'
import { submit } from './submit.ts'

/** Notices go to an MX of our own domain. */
const OWN_MX = [
  { name: '@', type: 'MX', data: `10 mx.${DOMAIN}` },
  { name: 'mx', type: 'A', data: '127.0.0.2' },
] as const

/** The Internet on 127.0.0.1, and on 127.0.0.2 who gets the notices. */
async function withSinks(
  t: TestContext,
  args: readonly string[],
  options: Partial<DeployOptions> = {},
): Promise<{ internet: SmtpSink; own: SmtpSink; deployment: Awaited<ReturnType<typeof deploy>> }> {
  const internet = await startSmtpSink({ args })
  t.after(() => internet.stop())
  const own = await startSmtpSink({ host: '127.0.0.2', port: internet.port })
  t.after(() => own.stop())
  const deployment = await deploy(t, { smtpPort: internet.port, records: OWN_MX, ...options })
  return { internet, own, deployment }
}

/** LF line ends, without folds. */
const unfolded = (text: string) => text.replace(/\r\n/g, '\n').replace(/\n[ \t]+/g, ' ')

test('Postfix has DSN: it is told all of it, and reports delivery itself', async t => {
  if (!needPostfix(t)) return
  const postfix = await startPostfix({ domains: ['internet.test', DOMAIN] })
  t.after(() => postfix.stop())
  const deployment = await deploy(t, {
    smtpPort: postfix.port,
    records: [{ name: '@', type: 'MX', data: '10 mx' }],
  })
  await submit(t, deployment, {
    mail: 'RET=HDRS ENVID=QQ314159',
    rcpt: {
      'bob@internet.test': 'NOTIFY=SUCCESS ORCPT=rfc822;Bob+2B1@Internet.test',
      'carol@internet.test': 'NOTIFY=NEVER',
    },
  })
  // Two copies, and what Postfix has to say of the first.
  const messages = (await awaitMessages(postfix.maildir, 3)).map(({ octets }) =>
    unfolded(Buffer.from(octets).toString('latin1')),
  )
  const [report, ...others] = messages.filter(text => /^Content-Type: multipart\/report/m.test(text))
  assert.deepEqual(others, [])
  for (const line of [
    /^Delivered-To: alice@example\.test$/m,
    /^Reporting-MTA: dns; mx\.internet\.test$/m,
    /^Original-Envelope-Id: QQ314159$/m,
    /^Final-Recipient: rfc822; bob@internet\.test$/m,
    /^Original-Recipient: rfc822; ?Bob\+1@Internet\.test$/m,
    /^Action: delivered$/m,
  ])
    assert.match(report ?? '', line)
  assert.deepEqual(
    deployment.events.filter(({ name }) => name === 'notice'),
    [],
  )
})

test('RFC 3461 §10.2: the parameters as the next server gets them', async t => {
  if (!need(t, 'smtp-sink')) return
  const { internet, deployment } = await withSinks(t, [])
  await submit(t, deployment, {
    mail: 'RET=HDRS ENVID=QQ314159',
    rcpt: { 'Bob@internet.test': 'NOTIFY=SUCCESS ORCPT=rfc822;Bob@Example.COM', 'carol@internet.test': '' },
  })
  await deployment.event('delivered')
  const [message = ''] = internet.messages()
  assert.match(message, /^X-Mail-Args: <alice@example\.test> .*RET=HDRS ENVID=QQ314159$/m)
  assert.match(message, /^X-Rcpt-Args: <Bob@internet\.test> NOTIFY=SUCCESS ORCPT=rfc822;Bob@Example\.COM$/m)
  assert.match(message, /^X-Rcpt-Args: <carol@internet\.test> ORCPT=rfc822;carol@internet\.test$/m)
})

test('success at a server without DSN comes back as "relayed", signed', async t => {
  if (!need(t, 'smtp-sink')) return
  const { internet, own, deployment } = await withSinks(t, ['-N'])
  const id = await submit(t, deployment, {
    mail: 'RET=FULL ENVID=a+20b',
    rcpt: {
      'bob@internet.test': 'NOTIFY=SUCCESS,DELAY',
      'carol@internet.test': '',
      'dave@internet.test': 'NOTIFY=NEVER',
    },
  })
  const notice = await deployment.event('notice')
  assert.deepEqual([notice.fields.about, notice.fields.kind, notice.fields.recipients], [id, 'relayed', 1])
  await deployment.event('delivered', ({ fields }) => fields.id === notice.fields.id)
  assert.doesNotMatch(internet.messages().join(''), /^X-(Mail|Rcpt)-Args:.*(RET|ENVID|NOTIFY|ORCPT)=/m)
  const [dump = '', ...others] = own.messages()
  assert.deepEqual(others, [])
  const text = unfolded(dump)
  assert.match(text, /^X-Mail-Args: <>/m)
  assert.match(text, new RegExp(`^X-Rcpt-Args: <${USER}>`, 'm'))
  assert.match(text, /^DKIM-Signature: v=1; a=rsa-sha256;.* d=example\.test;/m)
  for (const line of [
    /^Original-Envelope-Id: a b$/m,
    /^Final-Recipient: rfc822; bob@internet\.test$/m,
    /^Action: relayed$/m,
    /^Status: 2\.0\.0$/m,
    /^Remote-MTA: dns; mx\.internet\.test$/m,
    /^Content-Type: text\/rfc822-headers$/m,
    /^Subject: Passed on: Dinner$/m,
  ])
    assert.match(text, line)
  assert.doesNotMatch(text, /Original-Recipient|carol|dave@internet\.test>?$/m)
})

test('failure: FAILURE and nothing asked are told, with the whole message where RET=FULL; NEVER and SUCCESS are not', async t => {
  if (!need(t, 'smtp-sink')) return
  const { own, deployment } = await withSinks(t, ['-f', 'RCPT'])
  const body = `${'A long line of a message that is larger than what comes back unasked.\r\n'.repeat(1000)}`
  await submit(t, deployment, {
    mail: 'RET=FULL',
    rcpt: {
      'a@internet.test': 'NOTIFY=FAILURE',
      'b@internet.test': '',
      'c@internet.test': 'NOTIFY=NEVER',
      'd@internet.test': 'NOTIFY=SUCCESS',
    },
    body,
  })
  const notice = await deployment.event('notice')
  await deployment.event('delivered', ({ fields }) => fields.id === notice.fields.id)
  const [text = '', ...others] = own.messages().map(unfolded)
  assert.deepEqual(others, [])
  assert.deepEqual(text.match(/^Final-Recipient: .*$/gm), [
    'Final-Recipient: rfc822; a@internet.test',
    'Final-Recipient: rfc822; b@internet.test',
  ])
  assert.deepEqual(text.match(/^Action: .*$/gm), ['Action: failed', 'Action: failed'])
  assert.match(text, /^Content-Type: message\/rfc822$/m)
  assert.ok(text.includes(body.replaceAll('\r\n', '\n').slice(0, -1)))
  const bounced = deployment.events.filter(({ name }) => name === 'bounced')
  assert.deepEqual(
    bounced.flatMap(({ fields }) => fields.recipients),
    ['a@internet.test', 'b@internet.test', 'c@internet.test', 'd@internet.test'],
  )
})

test('delay is told once, to who wants to know', async t => {
  if (!need(t, 'smtp-sink')) return
  const { own, deployment } = await withSinks(t, ['-r', 'RCPT'], {
    toml: { relay: ['warn = "100ms"', 'retry = ["100ms"]'] },
  })
  await submit(t, deployment, {
    rcpt: { 'a@internet.test': '', 'b@internet.test': 'NOTIFY=DELAY', 'c@internet.test': 'NOTIFY=FAILURE' },
  })
  const notice = await deployment.event('notice')
  assert.equal(notice.fields.kind, 'delayed')
  await deployment.event('delivered', ({ fields }) => fields.id === notice.fields.id)
  // Some attempts later there is still the one.
  const deferred = () => deployment.events.filter(({ name }) => name === 'deferred').length
  const until = deferred() + 3
  await deployment.event('deferred', () => deferred() >= until)
  assert.equal(deployment.events.filter(({ name }) => name === 'notice').length, 1)
  const [text = '', ...others] = own.messages().map(unfolded)
  assert.deepEqual(others, [])
  assert.deepEqual(text.match(/^Final-Recipient: .*$/gm), [
    'Final-Recipient: rfc822; a@internet.test',
    'Final-Recipient: rfc822; b@internet.test',
  ])
  assert.match(text, /^Action: delayed$/m)
  assert.match(text, /^Will-Retry-Until: /m)
  assert.match(text, /^Subject: Delayed: Dinner$/m)
})

test('RFC 2852: R comes back in time from a world without DELIVERBY, N goes on and is told', async t => {
  if (!need(t, 'smtp-sink')) return
  const { internet, own, deployment } = await withSinks(t, ['-N'])
  await submit(t, deployment, { mail: 'BY=600;R', rcpt: { 'a@internet.test': '' } })
  const failed = await deployment.event('bounced')
  assert.equal(failed.fields.status, '5.3.3')
  assert.equal(internet.messages().length, 0)
  await submit(t, deployment, { mail: 'BY=600;N', rcpt: { 'b@internet.test': '' } })
  const relayed = await deployment.event('notice', ({ fields }) => fields.kind === 'relayed')
  await deployment.event('delivered', ({ fields }) => fields.id === relayed.fields.id)
  const texts = own.messages().map(unfolded)
  assert.equal(texts.length, 2)
  for (const text of texts) assert.match(text, /^Deliver-By-Date: /m)
})
