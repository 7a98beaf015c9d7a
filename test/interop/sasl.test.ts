/** Signing in with a password: other people's clients, and somebody in between. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect as connectTls, createServer, type Server, type TLSSocket } from 'node:tls'
import { issue } from '../../src/cli/authority.ts'
import { formatVerifier, makeVerifier, parseSha1Verifier } from '../../src/directory/password.ts'
import { scramCrypto } from '../../src/directory/scram.ts'
import { ConnectionError } from '../../src/net/connection.ts'
import { submit } from '../../src/net/submit.ts'
import { TIMEOUTS } from '../../src/smtp/limits.ts'
import { type Deployment, type DeployOptions, deploy, PASSWORD, USER } from '../e2e/deployment.ts'
import { Dialog } from '../e2e/dialog.ts'
import { gsasl, gsaslVerifier, type SignIn } from '../peers/gsasl.ts'
import { msmtp, scramOfMsmtp } from '../peers/msmtp.ts'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import type { Finished } from '../peers/program.ts'
import { swaks } from '../peers/swaks.ts'

const MESSAGE = `From: ${USER}\r\nSubject: SASL\r\n\r\nText.\r\n`
const TLS_1_2 = ['--priority', 'NORMAL:-VERS-TLS1.3']

/** gsasl has no implicit TLS: it comes through the second door. */
async function withStarttls(t: TestContext, more: DeployOptions = {}): Promise<[Deployment, SignIn]> {
  const port = await freePort()
  const submission = [`listen_starttls = "127.0.0.1:${port}"`, ...(more.toml?.submission ?? [])]
  const deployment = await deploy(t, { ...more, services: ['submission'], toml: { submission } })
  const ca = join(deployment.folder, 'hop/ca.pem')
  return [deployment, { port, username: USER, password: PASSWORD, ca }]
}

const signedIn = ({ events }: Deployment): unknown[] =>
  events.filter(({ name }) => name === 'authenticated').map(({ fields }) => fields.mechanism)

test('gsasl', async t => {
  if (!need(t, 'gsasl')) return
  const [deployment, signIn] = await withStarttls(t)
  const right: [extra: string[], mechanism: string][] = [
    [['--mechanism', 'SCRAM-SHA-256-PLUS'], 'SCRAM-SHA-256-PLUS'],
    // The best, by itself.
    [[], 'SCRAM-SHA-256-PLUS'],
    [['--no-cb', ...TLS_1_2], 'SCRAM-SHA-256'],
    [['--mechanism', 'SCRAM-SHA-256', '--no-cb'], 'SCRAM-SHA-256'],
    [['--mechanism', 'SCRAM-SHA-256', '--no-cb', '--authorization-id', USER], 'SCRAM-SHA-256'],
    [['--mechanism', 'SCRAM-SHA-256-PLUS', '--authorization-id', ''], 'SCRAM-SHA-256-PLUS'],
    [['--mechanism', 'PLAIN'], 'PLAIN'],
    [['--mechanism', 'LOGIN'], 'LOGIN'],
  ]
  for (const [extra, mechanism] of right)
    await t.test(`${extra.join(' ') || 'by itself'}: let in`, async () => {
      const before = signedIn(deployment).length
      const { code, output } = await gsasl(signIn, extra)
      assert.equal(code, 0, output)
      assert.match(output, /^235 2\.7\.0 /m)
      assert.deepEqual(signedIn(deployment).slice(before), [mechanism])
    })

  const guess = { ...signIn, password: 'guess' }
  const stranger = { ...signIn, username: 'nobody@example.test' }
  const wrong: [who: SignIn, extra: string[], said: RegExp][] = [
    ...[guess, stranger].flatMap(who =>
      ['SCRAM-SHA-256-PLUS', 'PLAIN', 'LOGIN'].map((mechanism): [SignIn, string[], RegExp] => [
        who,
        ['--mechanism', mechanism],
        /^535 5\.7\.8 /m,
      ]),
    ),
    [signIn, ['--authorization-id', 'bob@example.test'], /^535 5\.7\.8 /m],
    [signIn, ['--mechanism', 'SCRAM-SHA-256-PLUS', ...TLS_1_2], /^504 5\.5\.4 /m],
    [signIn, ['--mechanism', 'SCRAM-SHA-1', '--no-cb'], /^504 5\.5\.4 /m],
  ]
  for (const [who, extra, said] of wrong)
    await t.test(`${who.username} ${who.password} ${extra.join(' ')}: not let in`, async () => {
      const before = signedIn(deployment).length
      const { code, output } = await gsasl(who, extra)
      assert.notEqual(code, 0)
      assert.match(output, said)
      assert.equal(signedIn(deployment).length, before)
    })
})

test('gsasl with SCRAM-SHA-1, with the verifier that it has made', async t => {
  if (!need(t, 'gsasl')) return
  const made = await gsaslVerifier('SCRAM-SHA-1', PASSWORD, 5000)
  const [, iterations, salt, storedKey, serverKey] = /^\{SCRAM-SHA-1\}(\d+),(.+),(.+),(.+)$/.exec(made) ?? []
  const sha1 = `SCRAM-SHA-1$${iterations}:${salt}$${storedKey}:${serverKey}`
  assert.equal(parseSha1Verifier(sha1).iterations, 5000)
  const [deployment, signIn] = await withStarttls(t, {
    toml: { submission: ['auth = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "SCRAM-SHA-256"]'] },
  })
  const path = 'example.test/users/alice.toml'
  const verifier = formatVerifier(await makeVerifier(PASSWORD, { iterations: 4096 }))
  // Without a verifier for it, SCRAM-SHA-1 lets nobody in.
  const extra = ['--mechanism', 'SCRAM-SHA-1', '--no-cb']
  assert.match((await gsasl(signIn, extra)).output, /^535 5\.7\.8 /m)
  await deployment.repository.commit({ [path]: `password = ["${verifier}", "${sha1}"]\n` })
  await deployment.reload('submission')
  assert.equal((await gsasl(signIn, extra)).code, 0)
  assert.equal((await gsasl(signIn, ['--mechanism', 'SCRAM-SHA-1-PLUS'])).code, 0)
  assert.match((await gsasl({ ...signIn, password: 'guess' }, extra)).output, /^535 5\.7\.8 /m)
  assert.equal((await gsasl(signIn, ['--mechanism', 'SCRAM-SHA-256', '--no-cb'])).code, 0)
  // Not configured: not offered.
  assert.match((await gsasl(signIn, ['--mechanism', 'PLAIN'])).output, /^504 5\.5\.4 /m)
})

test('msmtp and swaks send', async t => {
  const deployment = await deploy(t)
  const submission = deployment.submission(MESSAGE, ['bob@internet.test'])
  const scram = scramOfMsmtp()
  const cases: [program: string, send: () => Promise<Finished>, mechanism: string][] = [
    // Over TLS it likes PLAIN better than SCRAM without channel binding.
    ['msmtp', () => msmtp(submission), scram === 'SCRAM-SHA-256' ? 'PLAIN' : scram],
    ['msmtp', () => msmtp(submission, [`--auth=${scram.toLowerCase()}`]), scram],
    ['msmtp', () => msmtp(submission, ['--auth=plain']), 'PLAIN'],
    ['msmtp', () => msmtp(submission, ['--auth=login']), 'LOGIN'],
    ['swaks', () => swaks(submission, ['--auth', 'PLAIN']), 'PLAIN'],
    ['swaks', () => swaks(submission, ['--auth', 'LOGIN']), 'LOGIN'],
    // A list: those it may use.
    ['swaks', () => swaks(submission, ['--auth', 'CRAM-MD5,LOGIN,PLAIN']), 'LOGIN'],
    ['swaks', () => swaks(submission, ['--auth', 'ANY']), 'LOGIN'],
  ]
  for (const [program, send, mechanism] of cases)
    await t.test(`${program}: ${mechanism}`, async t => {
      if (!need(t, program)) return
      const before = signedIn(deployment).length
      const { code, output } = await send()
      assert.equal(code, 0, output)
      assert.deepEqual(signedIn(deployment).slice(before), [mechanism], output)
    })

  await t.test('a wrong password', async t => {
    if (!need(t, 'msmtp')) return
    for (const method of [scram.toLowerCase(), 'plain', 'login']) {
      const { code, output } = await msmtp({ ...submission, password: 'guess' }, [`--auth=${method}`])
      // EX_NOPERM
      assert.equal(code, 77, output)
      assert.match(output, /535 5\.7\.8/)
    }
  })
})

/** Whoever has a certificate that the client believes sits in between, and may change what the server says. */
async function intercept(
  t: TestContext,
  deployment: Deployment,
  change: (said: string) => string = said => said,
): Promise<number> {
  const pair = await issue(deployment.authority, { names: ['localhost', '127.0.0.1'] })
  const server: Server = createServer({ cert: pair.certificate, key: pair.key }, client => {
    const { port } = deployment.config.submission.listen
    const behind: TLSSocket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    for (const socket of [client, behind]) socket.on('error', () => {})
    client.on('data', octets => behind.write(octets)).on('close', () => behind.destroy())
    behind
      .on('data', octets => client.write(change(octets.toString('latin1')), 'latin1'))
      .on('close', () => client.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : assert.fail()
}

function send(deployment: Deployment, port: number, password = PASSWORD) {
  const [sender, recipient] = [
    { localPart: 'alice', domain: 'example.test' },
    { localPart: 'bob', domain: 'internet.test' },
  ]
  const account = {
    server: { host: '127.0.0.1', port },
    username: USER,
    password,
    ca: deployment.authority.certificate,
  }
  const envelope = {
    reversePath: sender,
    recipients: [{ forwardPath: recipient }],
    body: '7BIT',
    smtputf8: false,
  } as const
  const options = { hostname: 'client.test', timeouts: TIMEOUTS, scram: scramCrypto }
  return submit(account, envelope, [Buffer.from(MESSAGE)], options)
}

const refusal = (said: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ConnectionError, String(error))
  assert.match(error.message, said)
  return true
}

test('ptt send, through somebody in between and past him', async t => {
  const deployment = await deploy(t)
  const { port } = deployment.config.submission.listen
  const lastRefusal = () => deployment.events.findLast(({ name }) => name === 'refused')?.fields

  await t.test('nobody there: SCRAM-SHA-256-PLUS', async () => {
    const { message } = await send(deployment, port)
    assert.equal(message?.code, 250)
    assert.deepEqual(signedIn(deployment), ['SCRAM-SHA-256-PLUS'])
  })

  await t.test('a wrong password', async () => {
    await assert.rejects(send(deployment, port, 'guess'), refusal(/^AUTH: 535 5\.7\.8 /))
    assert.equal(lastRefusal()?.reason, 'wrong password')
  })

  await t.test('a session that is relayed is not bound to our connection', async t => {
    await assert.rejects(send(deployment, await intercept(t, deployment)), refusal(/^AUTH: 535 5\.7\.8 /))
    assert.match(String(lastRefusal()?.reason), /^the channel bindings do not match/)
  })

  await t.test('who takes -PLUS from the offer is found out', async t => {
    const without = await intercept(t, deployment, said => said.replace('SCRAM-SHA-256-PLUS ', ''))
    await assert.rejects(send(deployment, without), refusal(/^AUTH: 535 5\.7\.8 Channel binding was offered/))
  })

  await t.test('who says 235 without a proof is not believed', async t => {
    const eager = await intercept(t, deployment, said =>
      said.startsWith('334 ') ? '235 2.7.0 Yes\r\n' : said,
    )
    await assert.rejects(send(deployment, eager), refusal(/has not proved that it knows the password/))
  })

  assert.equal(signedIn(deployment).length, 1)
})

test('an unknown user is shown what a known one is', async t => {
  const deployment = await deploy(t, { services: ['submission'] })
  const { port } = deployment.config.submission.listen
  const challenge = async (name: string): Promise<string> => {
    const dialog = await Dialog.tls(port, { ca: deployment.authority.certificate, servername: 'localhost' })
    await dialog.expect(220)
    await dialog.say('EHLO client.test', 250)
    const first = Buffer.from(`n,,n=${name},r=client`).toString('base64')
    const said = await dialog.say(`AUTH SCRAM-SHA-256 ${first}`, 334)
    dialog.destroy()
    return Buffer.from(said.slice(4), 'base64').toString()
  }
  const form = /^r=client[A-Za-z0-9+/]{24},s=([A-Za-z0-9+/]{22}==),i=\d+$/
  const saltOf = async (name: string) => form.exec(await challenge(name))?.[1] ?? assert.fail(name)
  const salts = new Map<string, string>()
  for (const name of [USER, 'alice', 'nobody', 'nobody@example.test', 'somebody'])
    salts.set(name, await saltOf(name))
  assert.equal(salts.get('alice'), salts.get(USER))
  assert.equal(salts.get('nobody'), salts.get('nobody@example.test'))
  assert.equal(new Set(salts.values()).size, 3)
  // The same tomorrow.
  await deployment.stop('submission')
  await deployment.start('submission')
  assert.equal(await saltOf('nobody'), salts.get('nobody'))
})
