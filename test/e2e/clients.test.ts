/** Mail programs as they are: each submits a message, and it is delivered and signed. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Client } from '../peers/client.ts'
import { curl } from '../peers/curl.ts'
import { verifyWithMailauth } from '../peers/mailauth.ts'
import { need } from '../peers/need.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'
import { smtplib } from '../peers/smtplib.ts'
import { swaks } from '../peers/swaks.ts'
import { sinkPart } from './arrival.ts'
import { DOMAIN, deploy, USER } from './deployment.ts'

interface Case {
  readonly what: string
  readonly client: Client
  readonly programs?: readonly string[]
  /** Said in the dialog, as far as the client shows it. */
  readonly said?: RegExp
}

const PYTHON = '/usr/bin/python3'

const CASES: readonly Case[] = [
  { what: 'swaks', client: swaks, programs: ['swaks'], said: /^ ~> AUTH PLAIN .*\n<~ {2}235 2\.7\.0/m },
  {
    what: 'swaks with AUTH LOGIN',
    client: submission => swaks(submission, ['--auth', 'LOGIN']),
    programs: ['swaks'],
    // "Username:" and "Password:", which draft-murchison-sasl-login says and clients look for.
    said: /^ ~> AUTH LOGIN\n<~ {2}334 VXNlcm5hbWU6\n.*\n<~ {2}334 UGFzc3dvcmQ6\n.*\n<~ {2}235 2\.7\.0/m,
  },
  {
    what: 'swaks with pipelining',
    client: submission => swaks(submission, ['--pipeline']),
    programs: ['swaks'],
    // MAIL, RCPT and DATA leave before any of them is answered.
    said: /^ ~> MAIL.*\n ~> RCPT.*\n ~> RCPT.*\n ~> DATA\n<~ {2}250.*\n<~ {2}250.*\n<~ {2}250.*\n<~ {2}354/m,
  },
  { what: 'curl', client: curl, programs: ['curl'], said: /^< 250 2\.0\.0/m },
  {
    what: 'curl with AUTH LOGIN',
    client: submission => curl(submission, ['--login-options', 'AUTH=LOGIN']),
    programs: ['curl'],
    said: /^> AUTH LOGIN/m,
  },
  { what: 'nodemailer', client: nodemailer, said: /^250 2\.0\.0/ },
  { what: 'smtplib of Python', client: smtplib, programs: [PYTHON], said: /^reply: b'235 2\.7\.0/m },
]

test('mail programs submit; what they sent is delivered and signed', async t => {
  if (!need(t, 'smtp-sink')) return
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const deployment = await deploy(t, { smtpPort: sink.port })

  for (const [n, { what, client, programs = [], said }] of CASES.entries()) {
    await t.test(what, async t => {
      if (!need(t, ...programs)) return
      const to = [`bob+${n}@internet.test`, `carol+${n}@internet.test`]
      const header = [`From: Alice <${USER}>`, `To: ${to.join(', ')}`, `Subject: sent with ${what}`]
      const message = [...header, '', 'Text.', '.a dot', '', 'The end.', ''].join('\r\n')
      const sent = await client(deployment.submission(message, to))
      assert.equal(sent.code, 0, sent.output)
      if (said !== undefined) assert.match(sent.output, said)

      const { fields } = await deployment.event('delivered', ({ fields }) =>
        (fields.recipients as readonly string[]).includes(to[0] ?? ''),
      )
      assert.deepEqual(fields.recipients, to)
      const dump = sink.messages().find(text => text.includes(`\nX-Rcpt-Args: <${to[0]}>`)) ?? ''
      assert.match(dump, new RegExp(`^X-Mail-Args: <${USER}>`, 'm'))
      const arrived = sinkPart(dump)
      assert.ok(arrived.toString().includes(message.replace(/\r\n$/, '')), arrived.toString())
      assert.deepEqual(await verifyWithMailauth([arrived], DOMAIN, deployment.dns.port), ['pass'])
    })
  }
})

test('a wrong password, as the programs tell it', async t => {
  const deployment = await deploy(t)
  const cases: [what: string, client: Client, code: number, programs: readonly string[]][] = [
    ['swaks', swaks, 28, ['swaks']],
    ['swaks LOGIN', submission => swaks(submission, ['--auth', 'LOGIN']), 28, ['swaks']],
    ['curl', curl, 67, ['curl']],
    ['nodemailer', nodemailer, 1, []],
    ['smtplib', smtplib, 1, [PYTHON]],
  ]
  for (const [what, client, code, programs] of cases) {
    await t.test(what, async t => {
      if (!need(t, ...programs)) return
      const message = `From: ${USER}\r\n\r\nText.\r\n`
      const submission = { ...deployment.submission(message, ['bob@internet.test']), password: 'guess' }
      const sent = await client(submission)
      assert.equal(sent.code, code, sent.output)
      assert.match(sent.output, /535\W+(b')?5\.7\.8/)
    })
  }
  assert.ok(!deployment.events.some(({ name }) => name === 'authenticated' || name === 'queued'))
})
