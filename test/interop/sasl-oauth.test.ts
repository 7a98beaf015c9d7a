/** Bearer tokens, as other people's clients show them; keys in a file, and from an HTTPS server that may be away. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import { createTransport } from 'nodemailer'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { type Deployment, deploy, USER } from '../e2e/deployment.ts'
import { Dialog } from '../e2e/dialog.ts'
import type { Client, Submission } from '../peers/client.ts'
import { curl } from '../peers/curl.ts'
import { msmtp } from '../peers/msmtp.ts'
import { need } from '../peers/need.ts'
import { run, temporaryFolder } from '../peers/program.ts'

const ISSUER = 'https://login.example.test'
const AUDIENCE = 'https://mail.example.test'
const SCOPE = 'smtp'
const ours = await generateKeyPair('ES256')
const next = await generateKeyPair('ES256')
const keySet = async (...named: [kid: string, key: typeof ours.publicKey][]): Promise<string> =>
  JSON.stringify({
    keys: await Promise.all(named.map(async ([kid, key]) => ({ ...(await exportJWK(key)), kid }))),
  })

const CLAIMS: JWTPayload = { email: USER, email_verified: true, scope: `openid ${SCOPE}` }

/** As long as those of well-known issuers are: longer than a command line. */
const tokenWith = (
  claims: JWTPayload = CLAIMS,
  { kid = 'ours', key = ours.privateKey, expires = '5m' } = {},
) =>
  new SignJWT({ ...claims, groups: Array.from({ length: 100 }, (_, n) => `group-${n}`) })
    .setProtectedHeader({ alg: 'ES256', kid, typ: 'at+jwt' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime(expires)
    .sign(key)

const oauthToml = (jwks: string): string[] => [
  '[submission.oauth]',
  `issuer = "${ISSUER}"`,
  `audience = "${AUDIENCE}"`,
  `scope = "${SCOPE}"`,
  `jwks = "${jwks}"`,
]

const MESSAGE = `From: ${USER}\r\nSubject: tokens\r\n\r\nText.\r\n`
/** What became of AUTH, in order. */
const outcomes = ({ events }: Deployment) =>
  events.filter(({ name }) => name === 'authenticated' || name === 'refused')

const nodemailer: Client = async submission => {
  const transport = createTransport({
    host: submission.host ?? '127.0.0.1',
    port: submission.port,
    secure: true,
    auth: { type: 'OAuth2', user: submission.username, accessToken: submission.password },
    tls: { ca: readFileSync(submission.ca) },
  })
  try {
    const info = await transport.sendMail({
      envelope: { from: submission.from, to: [...submission.to] },
      raw: submission.message,
    })
    return { code: 0, output: info.response }
  } catch (error) {
    return { code: 1, output: String(error) }
  } finally {
    transport.close()
  }
}

const SMTPLIB = `
import json, smtplib, ssl, sys
s = json.load(sys.stdin)
context = ssl.create_default_context(cafile=s['ca'])
with smtplib.SMTP_SSL(s['host'], s['port'], 'client.example.test', context=context) as client:
    client.set_debuglevel(1)
    client.ehlo()
    said = 'user=%s\\1auth=Bearer %s\\1\\1' % (s['username'], s['password'])
    client.auth('XOAUTH2', lambda challenge=None: said if challenge is None else '')
    client.sendmail(s['from'], s['to'], s['message'])
`

const smtplib: Client = submission =>
  run('/usr/bin/python3', ['-c', SMTPLIB], { input: JSON.stringify({ host: 'localhost', ...submission }) })

const withCurl: Client = ({ password, ...submission }) =>
  curl({ host: 'localhost', ...submission, password: '' }, [
    ...['--oauth2-bearer', password, '--login-options', 'AUTH=OAUTHBEARER'],
  ])

const clients: [what: string, client: Client, program: string | null, mechanism: string, refused: number][] =
  [
    ['nodemailer', nodemailer, null, 'XOAUTH2', 1],
    ['smtplib of Python', smtplib, '/usr/bin/python3', 'XOAUTH2', 1],
    ['curl', withCurl, 'curl', 'OAUTHBEARER', 67],
    ['msmtp', submission => msmtp(submission, ['--auth=xoauth2']), 'msmtp', 'XOAUTH2', 77],
    ['msmtp', submission => msmtp(submission, ['--auth=oauthbearer']), 'msmtp', 'OAUTHBEARER', 77],
  ]

test('clients with a token: those that are right send, the others are told', async t => {
  const folder = temporaryFolder('jwks')
  t.after(() => folder.remove())
  const jwks = join(folder.path, 'keys.json')
  writeFileSync(jwks, await keySet(['ours', ours.publicKey]))
  const deployment = await deploy(t, { toml: { submission: oauthToml(jwks) } })
  const token = await tokenWith()
  assert.ok(token.length > 1000)
  const expired = await tokenWith(CLAIMS, { expires: '1 minute ago' })
  const submission = (password: string): Submission => ({
    ...deployment.submission(MESSAGE, ['bob@internet.test']),
    host: 'localhost',
    password,
  })
  for (const [what, client, program, mechanism, refused] of clients) {
    await t.test(`${what}, ${mechanism}: a token`, async t => {
      if (program !== null && !need(t, program)) return
      const before = outcomes(deployment).length
      const { code, output } = await client(submission(token))
      assert.equal(code, 0, output)
      const [event, ...others] = outcomes(deployment).slice(before)
      assert.deepEqual(
        [event?.name, event?.fields.mechanism, event?.fields.user],
        ['authenticated', mechanism, USER],
      )
      assert.deepEqual(others, [])
    })
    await t.test(`${what}, ${mechanism}: a token that has expired`, async t => {
      if (program !== null && !need(t, program)) return
      const before = outcomes(deployment).length
      const { code, output } = await client(submission(expired))
      assert.equal(code, refused, output)
      const told = outcomes(deployment).slice(before)
      assert.match(String(told[0]?.fields.reason), /^the token is not valid: "exp"/)
      // A refusal is logged once, though it is said in two steps. nodemailer tries a second time.
      assert.equal(told.length, what === 'nodemailer' ? 2 : 1)
    })
  }

  await t.test('tokens that are none, or of others', async t => {
    const cases: [what: string, user: string, token: string, reason: RegExp][] = [
      [
        'of nobody here',
        'eve@example.org',
        await tokenWith({ ...CLAIMS, email: 'eve@example.org' }),
        /^no such user/,
      ],
      ['for somebody else', 'bob@example.test', token, /^alice@example\.test may not act for bob@/],
      ['without the scope', USER, await tokenWith({ ...CLAIMS, scope: 'imap' }), /scope smtp$/],
      ['not verified', USER, await tokenWith({ ...CLAIMS, email_verified: false }), /has not verified/],
      [
        'of another key',
        USER,
        await tokenWith(CLAIMS, { key: next.privateKey }),
        /^the token is not valid: signature/,
      ],
      [
        'of an unknown key',
        USER,
        await tokenWith(CLAIMS, { kid: 'next', key: next.privateKey }),
        /^the token is not valid/,
      ],
      ['none', USER, 'abc', /^the token is not valid/],
    ]
    for (const [what, user, bad, reason] of cases) {
      const dialog = await dial(t, deployment)
      const json = await dialog.say(
        `AUTH OAUTHBEARER ${base64(`n,a=${user},\x01auth=Bearer ${bad}\x01\x01`)}`,
        334,
      )
      assert.deepEqual(JSON.parse(Buffer.from(json.slice(4), 'base64').toString()), {
        status: 'invalid_token',
        schemes: 'bearer',
        scope: SCOPE,
      })
      assert.match(await dialog.say('AQ==', 535), /^535 5\.7\.8 /)
      assert.match(String(outcomes(deployment).at(-1)?.fields.reason), reason, what)
    }
  })

  await t.test('a token for another server', async t => {
    const dialog = await dial(t, deployment)
    const said = `n,,\x01host=imap.example.org\x01auth=Bearer ${token}\x01\x01`
    await dialog.say(`AUTH OAUTHBEARER ${base64(said)}`, 334)
    await dialog.say('AQ==', 535)
    assert.match(
      String(outcomes(deployment).at(-1)?.fields.reason),
      /meant for the server imap\.example\.org/,
    )
  })

  await t.test('new keys in the file, and a file that is none', async t => {
    writeFileSync(jwks, await keySet(['next', next.publicKey]))
    await deployment.reload('submission')
    const dialog = await dial(t, deployment)
    const fresh = await tokenWith(CLAIMS, { kid: 'next', key: next.privateKey })
    await dialog.say(`AUTH XOAUTH2 ${base64(`user=${USER}\x01auth=Bearer ${fresh}\x01\x01`)}`, 235)
    writeFileSync(jwks, '{}')
    await assert.rejects(deployment.reload('submission'), /is not a JSON Web Key Set/)
    writeFileSync(jwks, '{')
    await assert.rejects(deployment.reload('submission'), /is not JSON/)
  })

  // Whatever happened, no token is in any event.
  const log = JSON.stringify(deployment.events)
  for (const each of [token, expired]) {
    for (const part of each.split('.')) assert.ok(!log.includes(part.slice(0, 40)))
  }
})

test('keys from an HTTPS server: new ones are found, and without it the answer is 454', async t => {
  const folder = temporaryFolder('jwks')
  t.after(() => folder.remove())
  const trusted = getCACertificates('default')
  t.after(() => setDefaultCACertificates(trusted))
  let served = await keySet(['ours', ours.publicKey])
  let fetched = 0
  let status = 200
  const authority = await makeAuthority('login.example.test')
  const pair = await issue(authority, { names: ['localhost', '127.0.0.1'] })
  const server = createServer({ cert: pair.certificate, key: pair.key }, (_request, response) => {
    fetched++
    response.writeHead(status, { 'content-type': 'application/json' }).end(served)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const jwks = `https://localhost:${address.port}/jwks.json`
  const deployment = await deploy(t, { services: ['submission'], toml: { submission: oauthToml(jwks) } })
  const signIn = async (token: string): Promise<string> => {
    const dialog = await dial(t, deployment)
    const answer = await dialog.say(`AUTH XOAUTH2 ${base64(`user=${USER}\x01auth=Bearer ${token}\x01\x01`)}`)
    return answer.startsWith('334') ? dialog.say('') : answer
  }
  const lastReason = () => String(outcomes(deployment).at(-1)?.fields.reason)

  // Nobody has told us to trust it.
  assert.match(await signIn(await tokenWith()), /^454 4\.7\.0 /)
  assert.match(lastReason(), /^the keys of the issuer cannot be had: fetch failed/)
  assert.equal(fetched, 0)
  setDefaultCACertificates([...trusted, authority.certificate])

  status = 503
  assert.match(await signIn(await tokenWith()), /^454 4\.7\.0 /)
  status = 200
  served = '<html>'
  assert.match(await signIn(await tokenWith()), /^454 4\.7\.0 /)
  served = '{}'
  assert.match(await signIn(await tokenWith()), /^454 4\.7\.0 /)
  served = await keySet(['ours', ours.publicKey])
  const before = fetched
  assert.match(await signIn(await tokenWith()), /^235 2\.7\.0 /)
  assert.match(await signIn(await tokenWith()), /^235 2\.7\.0 /)
  assert.equal(fetched, before + 1, 'kept for a while')
  // A temporary failure is no guess.
  assert.match(await signIn('abc'), /^535 5\.7\.8 /)
  server.closeAllConnections()
  server.close()
  // What it has it uses.
  assert.match(await signIn(await tokenWith()), /^235 2\.7\.0 /)
})

test('without an issuer tokens are not offered', async t => {
  const deployment = await deploy(t, { services: ['submission'] })
  const dialog = await dial(t, deployment)
  assert.match(
    await dialog.say('EHLO client.test', 250),
    /AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r\n/,
  )
  assert.match(await dialog.say('AUTH XOAUTH2'), /^504 5\.5\.4 /)
})

const base64 = (text: string): string => Buffer.from(text).toString('base64')

async function dial(t: TestContext, deployment: Deployment): Promise<Dialog> {
  const { port } = deployment.config.submission.listen
  const dialog = await Dialog.tls(port, { ca: deployment.authority.certificate, servername: 'localhost' })
  t.after(() => dialog.destroy())
  await dialog.expect(220)
  await dialog.say('EHLO client.test', 250)
  return dialog
}
