/** What submission makes of a message (docs/submission.md), as its clients see it and as it arrives. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { endOfHeader, type Field, parseHeader } from '../../src/message/header.ts'
import { need } from '../peers/need.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { type SmtpSink, startSmtpSink } from '../peers/smtp-sink.ts'
import { sinkPart } from './arrival.ts'
import { type Deployment, DOMAIN, deploy, USER } from './deployment.ts'
import { signIn } from './sign-in.ts'

const SENDERS = [`sales@${DOMAIN}`, `*@news.${DOMAIN}`]

async function begin(t: TestContext): Promise<{ deployment: Deployment; sink: SmtpSink }> {
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  return { deployment: await deploy(t, { smtpPort: sink.port, senders: SENDERS }), sink }
}

/** The message that arrived under the id of a 250. */
async function arrived(deployment: Deployment, sink: SmtpSink, reply: string): Promise<Buffer> {
  const id = /Queued as (\w+)/.exec(reply)?.[1] ?? assert.fail(reply)
  await deployment.event('delivered', ({ fields }) => fields.id === id)
  const dump = sink.messages().find(message => message.includes(`id ${id}`)) ?? assert.fail(id)
  return sinkPart(dump)
}

/** The fields behind DKIM-Signature and our Received. */
function fieldsOf(message: Buffer): string[] {
  const octets = (field: Field) => Buffer.from(field.octets).toString().replaceAll('\r\n', '\n')
  return parseHeader(message).slice(2).map(octets)
}

const bodyOf = (message: Buffer): Buffer => message.subarray(endOfHeader(message))
const crlf = (text: string): string => text.replaceAll('\n', '\r\n')

test('fields go, fields come, the rest stays', async t => {
  if (!need(t, 'smtp-sink')) return
  const { deployment, sink } = await begin(t)

  await t.test('what nobody is to see, and what is forged, with nodemailer', async () => {
    const stays = [
      'Received: from a.test by b.test; Fri, 21 Nov 1997 09:55:06 -0600\n',
      'Authentication-Results: mx.internet.test; dkim=pass\n header.d=example.test\n',
      `from:   "Alice" (of Sales)\n\t<${USER}>\n`,
      'To: bob@internet.test\n',
      'Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=  and  spaces \n',
      'Date: 21 Nov 97 09:55:06 GMT\n',
      'Message-ID: <x.1@example.test>\n',
    ]
    const goes = [
      'Return-Path: <alice@example.test>\n',
      'BCC: carol@internet.test,\n dave@internet.test\n',
      `Authentication-Results: mail.${DOMAIN}; dkim=pass\n`,
      'Resent-Bcc: erin@internet.test\n',
      'Bcc:\n',
    ]
    const [first = '', ...others] = stays
    const body = '.\nBcc: in the body\n\n  Text. \n'
    const message = [first, ...goes, ...others, `\n${body}`].join('')
    const sent = await nodemailer(
      deployment.submission(crlf(message), ['bob@internet.test', 'carol@internet.test']),
    )
    assert.equal(sent.code, 0, sent.output)
    const there = await arrived(deployment, sink, sent.output)
    assert.deepEqual(fieldsOf(there), stays)
    assert.equal(bodyOf(there).toString(), crlf(body))
    const { fields } = await deployment.event('accepted', ({ service }) => service === 'submission')
    assert.deepEqual(fields.added, ['Received'])
    assert.deepEqual(fields.removed, ['Return-Path', 'BCC', 'Authentication-Results', 'Resent-Bcc', 'Bcc'])
  })

  await t.test('Date, Message-ID and Sender', async t => {
    const dialog = await signIn(t, deployment)
    await dialog.say(`MAIL FROM:<${USER}>`, 250)
    await dialog.say('RCPT TO:<bob@internet.test>', 250)
    await dialog.say('DATA', 354)
    const from = `From: sales@${DOMAIN}, Daily <daily@news.${DOMAIN}>\n`
    const reply = await dialog.say(crlf(`Date: today\n${from}Message-ID: 17\n\nText.\n.`), 250)
    const [date, id, sender, ...others] = fieldsOf(await arrived(deployment, sink, reply))
    assert.match(date ?? '', /^Date: \w+, \d+ \w+ \d+ [\d:]+ \+0000\n$/)
    assert.match(id ?? '', /^Message-ID: <\w{26}@example\.test>\n$/)
    assert.equal(sender, `Sender: ${USER}\n`)
    assert.deepEqual(others, [from])
  })

  await t.test('a message that is passed on in pieces', async t => {
    const dialog = await signIn(t, deployment)
    const from = `From: ${USER}\n`
    const filler = `X-Filler: ${'x'.repeat(900)}\n`.repeat(200)
    const goes = `Bcc: carol@internet.test\n${'Return-Path: <>\n'.repeat(100)}`
    const body = crlf('A line of the body, and after it more.\n'.repeat(50_000))
    const message = Buffer.from(crlf(`${goes}${from}${filler}${goes}\n`) + body)
    await dialog.say(`MAIL FROM:<${USER}>`, 250)
    await dialog.say('RCPT TO:<bob@internet.test>', 250)
    for (let at = 0; at < message.length; at += 65_521) {
      const piece = message.subarray(at, at + 65_521)
      dialog.send(`BDAT ${piece.length}\r\n`)
      dialog.send(piece)
      await dialog.expect(250, 'BDAT')
    }
    const there = await arrived(deployment, sink, await dialog.say('BDAT 0 LAST', 250))
    const [, , ...others] = fieldsOf(there)
    assert.equal(others.join(''), from + filler)
    assert.ok(bodyOf(there).equals(Buffer.from(body)))
  })

  await t.test('a message that is ASCII needs no SMTPUTF8, whatever its client says', async t => {
    const dialog = await signIn(t, deployment)
    await dialog.say(`MAIL FROM:<${USER}> SMTPUTF8 BODY=8BITMIME`, 250)
    await dialog.say('RCPT TO:<bob@internet.test>', 250)
    await dialog.say('DATA', 354)
    // smtp-sink does not offer SMTPUTF8.
    await arrived(deployment, sink, await dialog.say(crlf(`From: ${USER}\n\nText.\n.`), 250))
  })

  await t.test('a Subject in UTF-8 is not given to a server without SMTPUTF8', async t => {
    const dialog = await signIn(t, deployment)
    await dialog.say(`MAIL FROM:<${USER}>`, 250)
    await dialog.say('RCPT TO:<bob@internet.test>', 250)
    await dialog.say('DATA', 354)
    dialog.send(Buffer.from(crlf(`From: ${USER}\nSubject: grüße\n\nText.\n.\n`)))
    const id = /Queued as (\w+)/.exec(await dialog.expect(250))?.[1]
    const bounced = await deployment.event('bounced', ({ fields }) => fields.id === id)
    assert.match(JSON.stringify(bounced.fields), /5\.6\.7/)
  })
})

/** [header, reply]. */
const refused: [header: string, reply: RegExp][] = [
  ['Subject: x\n', /^554 5\.6\.0 .*no From/],
  [`From: ${USER}\nFrom: ${USER}\n`, /^554 5\.6\.0 .*more than one From/],
  [`From: carol@${DOMAIN}\n`, /^550 5\.7\.1 .*alice@example\.test may not send as carol@example\.test/],
  [`From: "ceo@bank.example" <${USER}>\n`, /^550 5\.7\.1 From shows ceo@bank\.example/],
  [`From: ${USER}, carol@${DOMAIN}\n`, /^550 5\.7\.1 .*carol@example\.test/],
  [`From: ${USER}\nSender: carol@${DOMAIN}\n`, /^550 5\.7\.1 Sender: .*carol@example\.test/],
  ['From: <>\n', /^554 5\.6\.0 .*no address/],
  ['From: Nobody:;\n', /^554 5\.6\.0 .*a group/],
  [`From : ${USER}\n`, /^554 5\.6\.0 White space/],
  [`From: ${USER}\nTo: root\n`, /^554 5\.6\.0 The To field/],
  [`From: ${USER}\nTo: root@localhost\n`, /^554 5\.6\.0 .*write the domain whole/],
  [`From: ${USER}\nTo: jörg@internet.test\n`, /^554 5\.6\.7 .*SMTPUTF8/],
  [`From: ${USER}\nSubject: \xff\n`, /^554 5\.6\.0 The Subject field/],
  [`From: ${USER}\nSubject: a\nSubject: b\n`, /^554 5\.6\.0 .*more than one Subject/],
  [`From: ${USER}\nResent-To: carol@internet.test\n`, /^554 5\.6\.0 .*Resent-From/],
  [
    `${'Received: by x.test; 21 Nov 1997 10:05:43 -0600\n'.repeat(51)}From: ${USER}\n`,
    /^554 5\.4\.6 Too many hops/,
  ],
  [
    `${`Received: by mail.${DOMAIN} id 01KAXE0000000000000000000A; 21 Nov 1997 10:05:43 -0600\n`.repeat(6)}From: ${USER}\n`,
    /^554 5\.4\.6 Mail loop/,
  ],
  [`From: ${USER}\nSubject: ${'x'.repeat(1000)}\n`, /^550 5\.6\.0 Line 2 is longer/],
]

test('what is refused, and the session goes on', async t => {
  if (!need(t, 'smtp-sink')) return
  const { deployment, sink } = await begin(t)
  const dialog = await signIn(t, deployment)
  const envelope = async () => {
    await dialog.say(`MAIL FROM:<${USER}>`, 250)
    await dialog.say('RCPT TO:<bob@internet.test>', 250)
  }
  // ö is UTF-8 in the one row, \xff is none in the other.
  const octetsOf = (header: string, body: string) =>
    Buffer.from(crlf(`${header}\n${body}`), header.includes('\xff') ? 'latin1' : 'utf8')

  for (const [header, reply] of refused) {
    await envelope()
    await dialog.say('DATA', 354)
    dialog.send(octetsOf(header, 'Text.\n.\n'))
    assert.match(await dialog.expect(), reply, header)
    await envelope()
    const content = octetsOf(header, 'Text.\n')
    dialog.send(`BDAT ${content.length} LAST\r\n`)
    dialog.send(content)
    assert.match(await dialog.expect(), reply, header)
  }

  // Too large to be held: it is refused before the signer hears of it, and drained.
  await envelope()
  await dialog.say('DATA', 354)
  dialog.send(crlf(`From: carol@${DOMAIN}\n\n${'A line, and after it more.\n'.repeat(50_000)}.\n`))
  assert.match(await dialog.expect(), /^550 5\.7\.1 .*carol@example\.test/)

  await envelope()
  await dialog.say('DATA', 354)
  await arrived(deployment, sink, await dialog.say(crlf(`From: ${USER}\n\nText.\n.`), 250))
  assert.equal(sink.messages().length, 1)
  const told = deployment.events.filter(({ service }) => service === 'signer').map(({ name }) => name)
  assert.equal(told.filter(name => name === 'signed').length, 1)
})
