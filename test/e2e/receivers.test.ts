/** Receivers of all kinds, good, bad and rude: what becomes of a message at each. All listen on one port, as MXs do. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ZoneRecord } from '../../src/sandbox/dns-zone.ts'
import { awaitMessages } from '../peers/maildir.ts'
import { need } from '../peers/need.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { freePort } from '../peers/port.ts'
import { needPostfix, startPostfix } from '../peers/postfix.ts'
import { type SmtpSink, startSmtpSink } from '../peers/smtp-sink.ts'
import { sentPart } from './arrival.ts'
import { deploy, type Happening, USER } from './deployment.ts'

interface Case {
  readonly name: string
  /** Of smtp-sink(1). */
  readonly args: readonly string[]
  readonly text?: string
  readonly outcome: 'delivered' | 'bounced' | 'deferred'
  /** Enhanced status code of the outcome. */
  readonly status: string
  /** Of the reply or the reason. */
  readonly reply?: RegExp
  /** What a second MX, which takes everything, has in the end; it is there only where this is said. */
  readonly second?: 'message' | 'nothing'
}

const CASES: readonly Case[] = [
  { name: 'plain', args: [], outcome: 'delivered', status: '2.0.0' },
  { name: 'without-pipelining', args: ['-p'], outcome: 'delivered', status: '2.0.0' },
  { name: 'without-status-codes', args: ['-E'], outcome: 'delivered', status: '2.0.0' },
  // RFC 5321 §3.2: HELO for a server that does not know EHLO.
  { name: 'without-ehlo', args: ['-e'], outcome: 'delivered', status: '2.0.0' },
  { name: 'ehlo-refused', args: ['-f', 'EHLO'], outcome: 'delivered', status: '2.0.0' },
  // RFC 6152 §3: what needs 8BITMIME cannot be converted without breaking its signature.
  {
    name: 'without-8bitmime',
    args: ['-8'],
    text: 'Grüße',
    outcome: 'bounced',
    status: '5.6.3',
    reply: /8BITMIME/,
  },
  { name: 'without-8bitmime-ascii', args: ['-8'], outcome: 'delivered', status: '2.0.0' },
  { name: 'quit-refused', args: ['-f', 'QUIT'], outcome: 'delivered', status: '2.0.0' },
  { name: 'quit-dropped', args: ['-q', 'QUIT'], outcome: 'delivered', status: '2.0.0' },

  // A permanent refusal before MAIL is about the host, not about the message: it may be another tomorrow.
  {
    name: 'connect-5',
    args: ['-f', 'CONNECT'],
    outcome: 'deferred',
    status: '4.3.0',
    reply: /greeting: 500/,
  },
  { name: 'helo-5', args: ['-f', 'EHLO,HELO'], outcome: 'deferred', status: '4.3.0', reply: /HELO: 500/ },
  { name: 'mail-5', args: ['-f', 'MAIL'], outcome: 'bounced', status: '5.3.0', second: 'nothing' },
  { name: 'rcpt-5', args: ['-f', 'RCPT'], outcome: 'bounced', status: '5.3.0', second: 'nothing' },
  { name: 'data-5', args: ['-f', 'DATA'], outcome: 'bounced', status: '5.3.0', second: 'nothing' },
  { name: 'dot-5', args: ['-f', '.'], outcome: 'bounced', status: '5.3.0', second: 'nothing' },

  { name: 'connect-4', args: ['-r', 'CONNECT'], outcome: 'deferred', status: '4.3.0' },
  { name: 'ehlo-4', args: ['-r', 'EHLO'], outcome: 'deferred', status: '4.3.0' },
  { name: 'mail-4', args: ['-r', 'MAIL'], outcome: 'deferred', status: '4.3.0' },
  { name: 'rcpt-4', args: ['-r', 'RCPT'], outcome: 'deferred', status: '4.3.0' },
  { name: 'data-4', args: ['-r', 'DATA'], outcome: 'deferred', status: '4.3.0' },
  { name: 'dot-4', args: ['-r', '.'], outcome: 'deferred', status: '4.3.0' },
  // RFC 5321 §5.1: with a second MX, "not now" of the first one is a reason to ask it, as long as that is about the host.
  {
    name: 'connect-4-second',
    args: ['-r', 'CONNECT'],
    outcome: 'delivered',
    status: '2.0.0',
    second: 'message',
  },
  {
    name: 'connect-5-second',
    args: ['-f', 'CONNECT'],
    outcome: 'delivered',
    status: '2.0.0',
    second: 'message',
  },
  { name: 'mail-4-second', args: ['-r', 'MAIL'], outcome: 'delivered', status: '2.0.0', second: 'message' },
  { name: 'dot-4-second', args: ['-r', '.'], outcome: 'deferred', status: '4.3.0', second: 'nothing' },

  { name: 'connect-dropped', args: ['-q', 'CONNECT'], outcome: 'deferred', status: '4.4.2' },
  { name: 'ehlo-dropped', args: ['-q', 'EHLO'], outcome: 'deferred', status: '4.4.2' },
  { name: 'mail-dropped', args: ['-q', 'MAIL'], outcome: 'deferred', status: '4.4.2' },
  { name: 'rcpt-dropped', args: ['-q', 'RCPT'], outcome: 'deferred', status: '4.4.2' },
  { name: 'data-dropped', args: ['-q', 'DATA'], outcome: 'deferred', status: '4.4.2' },
  { name: 'dot-dropped', args: ['-q', '.'], outcome: 'deferred', status: '4.4.2' },
  {
    name: 'data-dropped-second',
    args: ['-q', 'DATA'],
    outcome: 'delivered',
    status: '2.0.0',
    second: 'message',
  },
  // It may have taken the message: another host now would deliver it twice.
  { name: 'dot-dropped-second', args: ['-q', '.'], outcome: 'deferred', status: '4.4.2', second: 'nothing' },

  // RFC 5321 §3.8: 421 at any time, also while more commands wait for their replies.
  { name: 'ehlo-421', args: ['-Q', 'EHLO'], outcome: 'deferred', status: '4.0.0', reply: /421 4\.0\.0/ },
  { name: 'mail-421', args: ['-Q', 'MAIL'], outcome: 'deferred', status: '4.0.0', reply: /421 4\.0\.0/ },
  { name: 'rcpt-421', args: ['-Q', 'RCPT'], outcome: 'deferred', status: '4.0.0', reply: /421 4\.0\.0/ },
  { name: 'data-421', args: ['-Q', 'DATA'], outcome: 'deferred', status: '4.0.0', reply: /421 4\.0\.0/ },
  { name: 'dot-421', args: ['-Q', '.'], outcome: 'deferred', status: '4.0.0', reply: /421 4\.0\.0/ },
  { name: 'mail-421-second', args: ['-Q', 'MAIL'], outcome: 'delivered', status: '2.0.0', second: 'message' },
  { name: 'rcpt-421-second', args: ['-Q', 'RCPT'], outcome: 'delivered', status: '2.0.0', second: 'message' },
]

const addressOf = (n: number): string => `127.0.1.${n + 1}`
const domainOf = (name: string): string => `${name}.internet.test`

const isAbout =
  (to: string) =>
  ({ fields }: Happening): boolean =>
    Array.isArray(fields.recipients) && fields.recipients.includes(to)

test('what smtp-sink does at each stage, and what becomes of the message', async t => {
  if (!need(t, 'smtp-sink')) return
  const port = await freePort()
  const second = await startSmtpSink({ port })
  t.after(() => second.stop())
  const sinks: SmtpSink[] = []
  t.after(() => Promise.all(sinks.map(sink => sink.stop())))
  for (const [n, { args }] of CASES.entries())
    sinks.push(await startSmtpSink({ host: addressOf(n), port, args }))
  const records = CASES.flatMap(({ name, second }, n): ZoneRecord[] => [
    { name, type: 'MX', data: `10 mx.${domainOf(name)}` },
    { name: `mx.${name}`, type: 'A', data: addressOf(n) },
    ...(second === undefined ? [] : [{ name, type: 'MX', data: '20 second.internet.test' } as const]),
  ])
  records.push({ name: 'second', type: 'A', data: '127.0.0.1' })
  const deployment = await deploy(t, { smtpPort: port, zones: [{ origin: 'internet.test', records }] })

  for (const [n, { name, text = 'Text.', outcome, status, reply, second: other }] of CASES.entries()) {
    await t.test(name, async () => {
      const to = `bob@${domainOf(name)}`
      const message = `From: ${USER}\r\nTo: ${to}\r\nSubject: ${name}\r\n\r\n${text}\r\n`
      const sent = await nodemailer(deployment.submission(message, [to]))
      assert.equal(sent.code, 0, sent.output)
      const happened = await deployment.event(['delivered', 'bounced', 'deferred'], isAbout(to))
      const { fields } = happened
      assert.deepEqual([happened.name, fields.status], [outcome, status], JSON.stringify(fields))
      if (reply !== undefined) assert.match(String(fields.reply), reply)
      // (smtp-sink keeps a file for a message it has refused as long as the connection is open.)
      if (outcome === 'delivered' && other === undefined) assert.equal(sinks[n]?.messages().length, 1)
      if (other === undefined) return
      const there = second.messages().filter(dump => dump.includes(`X-Rcpt-Args: <${to}>`))
      assert.equal(there.length, other === 'message' ? 1 : 0)
    })
  }
})

test('Postfix, its TLS in order and out of order', async t => {
  if (!needPostfix(t)) return
  const names = ['good', 'no-common-cipher', 'no-certificate', 'without'] as const
  const postfix = await startPostfix({
    domains: names.map(domainOf),
    listeners: {
      // Its certificate has an EC key, this suite wants an RSA key: the handshake fails.
      '127.0.0.2': [
        'smtpd_tls_protocols=TLSv1.2',
        'smtpd_tls_ciphers=high',
        'tls_high_cipherlist=AES128-SHA256',
      ],
      // It offers STARTTLS and then answers 454 4.7.0 (RFC 3207 §4).
      '127.0.0.3': ['smtpd_tls_CAfile=/nonexistent.pem'],
      '127.0.0.4': ['smtpd_tls_security_level=none'],
    },
  })
  t.after(() => postfix.stop())
  const records = names.flatMap((name, n): ZoneRecord[] => [
    { name, type: 'MX', data: `10 mx.${domainOf(name)}` },
    { name: `mx.${name}`, type: 'A', data: `127.0.0.${n + 1}` },
  ])
  const deployment = await deploy(t, {
    smtpPort: postfix.port,
    zones: [{ origin: 'internet.test', records }],
  })

  const deliver = async (name: (typeof names)[number]) => {
    const to = `bob@${domainOf(name)}`
    const message = `From: ${USER}\r\nTo: ${to}\r\n\r\nText.\r\n`
    const sent = await nodemailer(deployment.submission(message, [to]))
    assert.equal(sent.code, 0, sent.output)
    const { name: outcome, fields } = await deployment.event(
      ['delivered', 'bounced', 'deferred'],
      isAbout(to),
    )
    assert.equal(outcome, 'delivered', JSON.stringify(fields))
    const stored = await awaitMessages(postfix.maildir, names.indexOf(name) + 1)
    const arrived = stored
      .map(({ octets }) => octets.toString())
      .find(text => text.includes(`\nDelivered-To: ${to}\n`))
    assert.ok(arrived)
    assert.ok(sentPart(arrived).toString().endsWith(message))
    const attempts = deployment.events.filter(
      event => event.name === 'attempt' && event.fields.id === fields.id,
    )
    return { arrived, attempts: attempts.map(event => event.fields) }
  }

  await t.test(
    'TLS is used where it works, though nobody vouches for the certificate (RFC 7435)',
    async () => {
      const { arrived, attempts } = await deliver('good')
      assert.equal(attempts.length, 1)
      assert.match(String(attempts[0]?.tls), /^TLSv1\.3 TLS_\w+ not verified$/)
      assert.match(arrived, /\(using TLSv1\.3 with cipher TLS_\w+ /)
      assert.match(arrived, /by mx\.internet\.test \(Postfix\) with ESMTPS id/)
    },
  )

  const broken = [
    ['no-common-cipher', 'the handshake fails', /^TLS: ssl\/tls alert handshake failure; no policy/],
    ['no-certificate', 'STARTTLS is answered 454', /^STARTTLS: 454 4\.7\.0/],
  ] as const
  for (const [name, what, because] of broken) {
    await t.test(`clear text where ${what}, and the log says so`, async () => {
      const { arrived, attempts } = await deliver(name)
      assert.equal(attempts.length, 2)
      assert.equal(attempts[0]?.tls, 'failed, now in clear text')
      assert.match(String(attempts[0]?.because), because)
      assert.equal(attempts[1]?.tls, 'none')
      assert.match(arrived, /by mx\.internet\.test \(Postfix\) with ESMTP id/)
      assert.doesNotMatch(arrived, /using TLS/)
    })
  }

  await t.test('clear text where nothing else is offered', async () => {
    const { attempts } = await deliver('without')
    assert.deepEqual(
      attempts.map(({ tls }) => tls),
      ['none'],
    )
  })
})
