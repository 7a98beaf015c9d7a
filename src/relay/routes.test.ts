/** Mail that goes through a smart host: which, how it is spoken to, and what becomes of it when it does not answer. */

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type SmtpScript, startScriptedSmtp } from '../../test/peers/scripted-smtp.ts'
import { START, simulate } from '../../test/peers/simulated-relay.ts'
import { issue, makeAuthority } from '../cli/authority.ts'
import { ConfigError } from '../config/load.ts'
import { readRoutes } from '../config/routes.ts'

const authority = await makeAuthority('provider.test')
const SMART = await issue(authority, { names: ['smart.provider.test'] })
const OTHER = await issue(authority, { names: ['other.provider.test'] })
const GOOD: SmtpScript = { ehlo: ['STARTTLS'], ehloSecured: ['AUTH PLAIN'], tls: SMART }

function routesOf(t: TestContext, toml: string) {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-routes-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'password'), 'geheim\n', { mode: 0o600 })
  writeFileSync(join(folder, 'ca.pem'), authority.certificate)
  writeFileSync(join(folder, 'routes.toml'), toml)
  return readRoutes(join(folder, 'routes.toml'))
}

async function world(t: TestContext, script: SmtpScript, route: string) {
  const smart = await startScriptedSmtp(script)
  const mx = await startScriptedSmtp({
    host: '127.0.0.2',
    reply: line => (line.startsWith('RCPT') ? '450 4.2.1 Later' : undefined),
  })
  const relay = simulate({
    smtpPort: mx.port,
    hosts: { 'smart.provider.test': '127.0.0.1', 'mx.x.test': '127.0.0.2' },
    domains: { 'x.test': ['mx.x.test'], 'y.test': ['mx.x.test'] },
    routes: routesOf(
      t,
      `[[route]]
name = "provider"
host = "smart.provider.test:${smart.port}"
tls = "starttls"
username = "us"
password_file = "password"
ca = "ca.pem"
${route}
`,
    ),
  })
  t.after(async () => {
    relay.close()
    await smart.stop()
    await mx.stop()
  })
  return { relay, smart, mx }
}

test('routes: by the domain of the recipient, with TLS, and with our password under it', async t => {
  const { relay, smart, mx } = await world(t, GOOD, 'recipients = ["x.test"]')
  const id = await relay.put(['bob@x.test', 'ann@y.test'])
  await relay.run(START)
  assert.equal(smart.messages.length, 1)
  const lines = smart.sessions.flat()
  assert.ok(lines.indexOf('STARTTLS') < lines.findIndex(line => line.startsWith('AUTH')))
  assert.equal(
    lines.find(line => line.startsWith('AUTH')),
    `AUTH PLAIN ${Buffer.from('\0us\0geheim').toString('base64')}`,
  )
  assert.equal(mx.sessions.flat().filter(line => line.startsWith('RCPT')).length, 1)
  const states = (await relay.queue.get(id))?.recipients.map(({ state }) => state)
  assert.deepEqual(states, ['delivered', 'pending'])
})

test('routes: by the domain of the sender', async t => {
  const { relay, smart } = await world(t, GOOD, 'senders = ["elsewhere.test"]')
  await relay.put(['bob@x.test'])
  await relay.put(['bob@x.test'], {}, { localPart: 'a', domain: 'Elsewhere.test' })
  await relay.run(START)
  assert.equal(smart.messages.length, 1)
})

test('routes: after some attempts at the MX hosts', async t => {
  const { relay, smart, mx } = await world(t, GOOD, 'after_attempts = 2')
  await relay.put(['bob@x.test'])
  await relay.run(START + 3600_000)
  assert.equal(mx.sessions.flat().filter(line => line.startsWith('RCPT')).length, 2)
  assert.equal(smart.messages.length, 1)
})

const refusals: [what: string, script: SmtpScript, status: RegExp][] = [
  ['its certificate is of somebody else', { ...GOOD, tls: OTHER }, /^[45]\.7\.10$/],
  ['it has no STARTTLS', { ehlo: ['AUTH PLAIN'] }, /^[45]\.7\.10$/],
  [
    'it does not know us',
    { ...GOOD, reply: line => (line.startsWith('AUTH') ? '535 5.7.8 no' : undefined) },
    /^4\.7\.8$/,
  ],
]
for (const [what, script, status] of refusals) {
  test(`routes: the password is not given away, and nothing is sent, where ${what}`, async t => {
    const { relay, smart } = await world(t, script, '')
    await relay.put(['bob@x.test'])
    await relay.run(START)
    assert.equal(smart.messages.length, 0)
    const said = relay.events.find(({ name }) => name === 'deferred' || name === 'bounced')?.fields.status
    assert.match(String(said), status)
    if (!what.startsWith('it does not'))
      assert.equal(
        smart.sessions.flat().some(line => line.startsWith('AUTH')),
        false,
      )
  })
}

test('routes: a user without a password is told', t => {
  assert.throws(
    () => routesOf(t, '[[route]]\nname = "a"\nhost = "smart.provider.test"\nusername = "us"\n'),
    (error: unknown) => error instanceof ConfigError && /belong together/.test(error.message),
  )
})
