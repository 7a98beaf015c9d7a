/** Programs people send with, and mail servers with a provider: each signs in by either door, each knows what 535 is. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Client } from '../peers/client.ts'
import { curl } from '../peers/curl.ts'
import { eximClient } from '../peers/exim-client.ts'
import { needExim } from '../peers/exim-program.ts'
import { verifyWithMailauth } from '../peers/mailauth.ts'
import { msmtp, scramOfMsmtp } from '../peers/msmtp.ts'
import type { Wishes } from '../peers/mta.ts'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { needPostfix } from '../peers/postfix.ts'
import { postfixClient } from '../peers/postfix-client.ts'
import { sNail, sNailStarttls } from '../peers/s-nail.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'
import { swaks } from '../peers/swaks.ts'
import { sinkPart } from './arrival.ts'
import { type Deployment, DOMAIN, deploy, USER } from './deployment.ts'
import { signIn } from './sign-in.ts'

type Need = (t: TestContext) => boolean

/** TLS from the first octet, or STARTTLS on the second port. */
type Door = 'TLS' | 'STARTTLS'

interface Case {
  readonly what: string
  readonly needs: Need
  readonly door: Door
  readonly client: Client
  /** As the `authenticated` event has it. */
  readonly mechanism: string
  /** Of its dialog or log. */
  readonly said?: RegExp
  /** It writes the header itself. */
  readonly composes?: true
  /** It passes WISHES on. */
  readonly wishes?: true
}

const WISHES: Wishes = { mail: 'RET=HDRS ENVID=QQ314159', rcpt: 'NOTIFY=SUCCESS,DELAY' }

const program =
  (name: string): Need =>
  t =>
    need(t, name)

const nail =
  (send: typeof sNail, mechanism: string): Client =>
  submission =>
    send(submission, ['-S', `smtp-auth=${mechanism}`])
const mail =
  (...extra: string[]): Client =>
  submission =>
    msmtp(submission, extra)

/** MAIL, RCPT and DATA leave before any of them is answered. */
const PIPELINED =
  /^ ~> MAIL.*\n ~> RCPT.*\n ~> RCPT.*\n ~> DATA\n<~ {2}250.*\n<~ {2}250.*\n<~ {2}250.*\n<~ {2}354/m
const STARTTLS = '--tls-starttls=on'
const SCRAM = 'SCRAM-SHA-256'
const MSMTP_SCRAM = scramOfMsmtp()
const msmtpScram = (...extra: string[]): Client => mail(`--auth=${MSMTP_SCRAM.toLowerCase()}`, ...extra)
const VERIFIED = /Verified TLS connection established to localhost.* TLSv1\.3 /
/** `L`: PIPELINING was used, `K`: CHUNKING. */
const CHUNKED = (mechanism: string): RegExp =>
  new RegExp(` CV=yes .* A=${mechanism} L K C="250 2\\.0\\.0 Queued`)

const CASES: readonly Case[] = [
  ...(
    [
      ['TLS', nail(sNail, 'plain'), 'PLAIN'],
      ['TLS', nail(sNail, 'login'), 'LOGIN'],
      ['STARTTLS', nail(sNailStarttls, 'plain'), 'PLAIN'],
      ['STARTTLS', nail(sNailStarttls, 'login'), 'LOGIN'],
    ] as const
  ).map(([door, client, mechanism]): Case => {
    const said = /^s-nail: >>> SERVER: 235 2\.7\.0/m
    return { what: 's-nail', needs: program('s-nail'), door, client, mechanism, said, composes: true }
  }),
  ...(
    [
      ['TLS', mail('--auth=plain'), 'PLAIN'],
      ['TLS', mail('--auth=login'), 'LOGIN'],
      ['TLS', msmtpScram(), MSMTP_SCRAM],
      ['STARTTLS', mail('--auth=plain', STARTTLS), 'PLAIN'],
      ['STARTTLS', msmtpScram(STARTTLS), MSMTP_SCRAM],
    ] as const
  ).map(([door, client, mechanism]): Case => {
    return { what: 'msmtp', needs: program('msmtp'), door, client, mechanism, said: /^<-- 235 2\.7\.0/m }
  }),
  ...(
    [
      // Left alone it takes the best of what Cyrus SASL has.
      ['TLS', {}, SCRAM],
      ['TLS', { mechanisms: 'login' }, 'LOGIN'],
      ['STARTTLS', { starttls: true }, SCRAM],
      ['STARTTLS', { starttls: true, mechanisms: 'plain' }, 'PLAIN'],
    ] as const
  ).map(([door, options, mechanism]): Case => {
    const client: Client = submission => postfixClient(submission, { ...options, wishes: WISHES })
    return { what: 'Postfix', needs: needPostfix, door, client, mechanism, said: VERIFIED, wishes: true }
  }),
  ...(
    [
      ['TLS', 'PLAIN'],
      ['TLS', 'LOGIN'],
      ['STARTTLS', 'PLAIN'],
    ] as const
  ).map(([door, mechanism]): Case => {
    const options = { starttls: door === 'STARTTLS', mechanisms: [mechanism], wishes: WISHES }
    const client: Client = submission => eximClient(submission, options)
    const said = CHUNKED(mechanism)
    return { what: 'Exim', needs: needExim, door, client, mechanism, said, wishes: true }
  }),
  {
    what: 'swaks --pipeline --auth PLAIN,LOGIN',
    needs: program('swaks'),
    door: 'TLS',
    client: submission => swaks(submission, ['--pipeline', '--auth', 'PLAIN,LOGIN']),
    mechanism: 'PLAIN',
    said: PIPELINED,
  },
]

async function withTwoDoors(t: TestContext, smtpPort?: number): Promise<[Deployment, Record<Door, number>]> {
  const port = await freePort()
  const deployment = await deploy(t, {
    ...(smtpPort === undefined ? {} : { smtpPort }),
    toml: { submission: [`listen_starttls = "127.0.0.1:${port}"`] },
  })
  return [deployment, { TLS: deployment.config.submission.listen.port, STARTTLS: port }]
}

const signedIn = ({ events }: Deployment): unknown[] =>
  events.filter(({ name }) => name === 'authenticated').map(({ fields }) => fields.mechanism)

test('clients and servers sign in and send; what they sent is delivered and signed', async t => {
  if (!need(t, 'smtp-sink')) return
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const [deployment, ports] = await withTwoDoors(t, sink.port)

  for (const [n, { what, needs, door, client, mechanism, said, composes, wishes }] of CASES.entries()) {
    await t.test(`${what}, ${door}, ${mechanism}`, async t => {
      if (!needs(t)) return
      const before = signedIn(deployment).length
      const to = [`bob+${n}@internet.test`, `carol+${n}@internet.test`]
      const header = [`From: Alice <${USER}>`, `To: ${to.join(', ')}`, `Subject: sent with ${what}`]
      const body = ['Text.', '.a dot', '', 'The end.', ''].join('\r\n')
      const message = [...header, '', body].join('\r\n')
      const submission = { ...deployment.submission(message, to), host: 'localhost', port: ports[door] }
      const sent = await client(submission)
      assert.equal(sent.code, 0, sent.output)
      if (said !== undefined) assert.match(sent.output, said)
      assert.deepEqual(signedIn(deployment).slice(before), [mechanism])

      await deployment.event('delivered', ({ fields }) =>
        (fields.recipients as readonly string[]).includes(to[0] ?? ''),
      )
      const dump = sink.messages().find(text => text.includes(`\nX-Rcpt-Args: <${to[0]}>`)) ?? ''
      const [reversePath, ...forwardPaths] = dump.match(/^X-(Mail|Rcpt)-Args: .*$/gm) ?? []
      if (wishes) assert.equal(reversePath, `X-Mail-Args: <${USER}> ${WISHES.mail}`)
      else assert.equal(reversePath, `X-Mail-Args: <${USER}>`)
      assert.equal(forwardPaths.length, to.length)
      for (const [i, forwardPath] of forwardPaths.entries()) {
        const asked = wishes ? ` ${WISHES.rcpt}` : ''
        // RFC 3461 §5.2.1: who has no original recipient gets one.
        assert.equal(
          forwardPath,
          `X-Rcpt-Args: <${to[i]}>${asked} ORCPT=rfc822;${to[i]?.replace('+', '+2B')}`,
        )
      }
      const arrived = sinkPart(dump)
      const text = arrived.toString()
      // msmtp 1.8.28 says SMTPUTF8 with MAIL where it is offered.
      assert.match(
        text,
        /^Received: from \S+ \(\[127\.0\.0\.1\]\) by mail\.example\.test\s+with (ES|UTF8S)MTPSA\s+id /m,
      )
      assert.ok(text.includes(body.replace(/\r\n$/, '')), text)
      if (!composes) for (const field of header) assert.ok(text.includes(`\r\n${field}\r\n`), text)
      assert.deepEqual(await verifyWithMailauth([arrived], DOMAIN, deployment.dns.port), ['pass'])
    })
  }
})

test('curl takes the best mechanism that it was built with', async t => {
  if (!need(t, 'curl')) return
  const [deployment] = await withTwoDoors(t)
  const sent = await curl(deployment.submission(`From: ${USER}\r\n\r\nText.\r\n`, ['bob@internet.test']))
  assert.equal(sent.code, 0, sent.output)
  // With GNU SASL it has SCRAM.
  const [, mechanism] = /^> AUTH (\S+)/m.exec(sent.output) ?? []
  assert.match(mechanism ?? '', /^(PLAIN|SCRAM-SHA-256)$/)
  assert.deepEqual(signedIn(deployment), [mechanism])
})

test('a wrong password, as they tell it; nobody is let in', async t => {
  const [deployment, ports] = await withTwoDoors(t)
  const deferred = /status=deferred \(SASL authentication failed; server localhost\S+ said: 535 5\.7\.8 /
  const defer =
    / PLAIN authenticator failed H=localhost \S+ 535 5\.7\.8 .* == bob@internet\.test .* defer \(-42\)/s
  const answer = /535 5\.7\.8/
  const nailed = /^s-nail: \.\.\. message not sent/m
  // EX_NOPERM of sysexits.h; s-nail sets the bit 4.
  const rows: [what: string, needs: Need, door: Door, client: Client, code: number, said: RegExp][] = [
    ['s-nail plain', program('s-nail'), 'TLS', nail(sNail, 'plain'), 4, nailed],
    ['s-nail login', program('s-nail'), 'STARTTLS', nail(sNailStarttls, 'login'), 4, nailed],
    ['msmtp', program('msmtp'), 'STARTTLS', mail('--auth=plain', STARTTLS), 77, answer],
    ['msmtp SCRAM', program('msmtp'), 'STARTTLS', msmtpScram(STARTTLS), 77, answer],
    ['Postfix', needPostfix, 'TLS', postfixClient, 1, deferred],
    [
      'Postfix plain',
      needPostfix,
      'STARTTLS',
      submission => postfixClient(submission, { starttls: true, mechanisms: 'plain' }),
      1,
      deferred,
    ],
    ['Exim', needExim, 'TLS', eximClient, 1, defer],
    ['Exim', needExim, 'STARTTLS', submission => eximClient(submission, { starttls: true }), 1, defer],
    [
      'swaks',
      program('swaks'),
      'TLS',
      submission => swaks(submission, ['--pipeline', '--auth', 'PLAIN,LOGIN']),
      28,
      answer,
    ],
    ['curl', program('curl'), 'TLS', curl, 67, answer],
  ]
  let ours = 0
  for (const [what, needs, door, client, code, said] of rows) {
    await t.test(`${what}, ${door}`, async t => {
      if (!needs(t)) return
      // The right password, so that the guesses of others are forgotten.
      const before = await signIn(t, deployment)
      before.destroy()
      ours++
      const message = `From: ${USER}\r\nTo: bob@internet.test\r\n\r\nText.\r\n`
      const submission = deployment.submission(message, ['bob@internet.test'])
      const sent = await client({ ...submission, host: 'localhost', port: ports[door], password: 'guess' })
      assert.equal(sent.code, code, sent.output)
      assert.match(sent.output, said)
      assert.match(sent.output, answer)
    })
  }
  assert.equal(signedIn(deployment).length, ours)
  assert.ok(!deployment.events.some(({ name }) => name === 'queued'))
})
