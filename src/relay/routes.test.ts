/** Mail that goes through a smart host: which, how it is spoken to, and what becomes of it when it does not answer. */

import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type SmtpScript, startScriptedSmtp } from '../../test/peers/scripted-smtp.ts'
import { START, simulate } from '../../test/peers/simulated-relay.ts'
import { issue, makeAuthority, selfSigned } from '../cli/authority.ts'
import { ConfigError } from '../config/load.ts'
import { readRoutes } from '../config/routes.ts'
import type { Tlsa } from '../dns/rdata.ts'

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

interface Dns {
  readonly authenticated: boolean
  readonly tlsa: (port: number) => Readonly<Record<string, readonly Tlsa[]>>
}

async function world(t: TestContext, script: SmtpScript, route: string, dns?: Dns) {
  const smart = await startScriptedSmtp(script)
  const mx = await startScriptedSmtp({
    host: '127.0.0.2',
    reply: line => (line.startsWith('RCPT') ? '450 4.2.1 Later' : undefined),
  })
  const relay = simulate({
    smtpPort: mx.port,
    hosts: { 'smart.provider.test': '127.0.0.1', 'mx.x.test': '127.0.0.2' },
    domains: { 'x.test': ['mx.x.test'], 'y.test': ['mx.x.test'] },
    ...(dns === undefined ? {} : { authenticated: dns.authenticated, tlsa: dns.tlsa(smart.port) }),
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

const sha256 = (pem: string) => createHash('sha256').update(new X509Certificate(pem).raw).digest()
const record = (usage: number, pem: string): Tlsa => ({
  usage,
  selector: 0,
  matchingType: 1,
  certificate: sha256(pem),
})
/** Of the time that the simulation has: a chain that a record names is only as good as its dates (RFC 7672 §3.1.2). */
const CA = await makeAuthority('provider.test', START)
const chained = async (name: string) => {
  const pair = await issue(CA, { names: [name] }, START)
  return { ...pair, certificate: `${pair.certificate}\n${CA.certificate}` }
}
const CHAIN = await chained('smart.provider.test')
const FOR_RECIPIENT = await chained('x.test')
const STRANGE = await selfSigned(['else.test'])
/** Its certificate is of no CA that everybody knows: with no TLSA record that says otherwise it will not do. */
const dane: [
  what: string,
  tlsa: readonly Tlsa[] | 'bogus',
  pair: typeof SMART,
  trusted: boolean,
  outcome: string,
][] = [
  ['a record that matches', [record(3, SMART.certificate)], SMART, true, 'delivered by DANE'],
  ['a record that matches, any name', [record(3, STRANGE.certificate)], STRANGE, true, 'delivered by DANE'],
  ['its CA in a record', [record(2, CA.certificate)], CHAIN, true, 'delivered by DANE'],
  [
    "its CA in a record, a certificate for the recipient's domain",
    [record(2, CA.certificate)],
    FOR_RECIPIENT,
    true,
    '4.7.10',
  ],
  ['a record of another certificate', [record(3, OTHER.certificate)], SMART, true, '4.7.10'],
  ['records that cannot be used', [record(1, SMART.certificate)], SMART, true, '4.7.10'],
  ['no record', [], SMART, true, '4.7.10'],
  ['bogus records', 'bogus', SMART, true, '4.7.5'],
  ['a record, and a resolver that is not trusted', [record(3, SMART.certificate)], SMART, false, '4.7.10'],
]
for (const tls of ['starttls', 'implicit'] as const)
  for (const [what, tlsa, pair, trusted, outcome] of dane)
    test(`routes: DANE (RFC 7672 §2.2.2), ${tls}: ${what}: ${outcome}`, async t => {
      const implicit = tls === 'implicit'
      const smart = await startScriptedSmtp({
        ...GOOD,
        tls: pair,
        ...(implicit ? { implicit, ehlo: ['AUTH PLAIN'] } : {}),
      })
      const routes = routesOf(
        t,
        `[[route]]\nname = "provider"\nhost = "smart.provider.test:${smart.port}"\ntls = "${tls}"\nusername = "us"\npassword_file = "password"\n`,
      )
      const relay = simulate({
        // The smart host's port counts, and not that of the MX hosts.
        smtpPort: 25,
        hosts: { 'smart.provider.test': '127.0.0.1' },
        domains: {},
        routes,
        authenticated: true,
        trusted,
        tlsa: { [`_${smart.port}._tcp.smart.provider.test`]: tlsa },
      })
      t.after(async () => {
        relay.close()
        await smart.stop()
      })
      const id = await relay.put(['bob@x.test'])
      await relay.run(START)
      const delivered = relay.events.find(({ name }) => name === 'delivered')?.fields
      const last = (await relay.queue.get(id))?.recipients[0]?.last
      const how =
        delivered === undefined ? last?.status : `delivered ${String(delivered.tls).split('verified ')[1]}`
      assert.equal(how, outcome, last?.diagnostic)
      if (pair === FOR_RECIPIENT) assert.match(last?.diagnostic ?? '', /is for DNS:x\.test, not for smart/)
      // Whom we do not trust does not get our password.
      const asked = smart.sessions.flat().some(line => line.startsWith('AUTH'))
      assert.equal(asked, outcome.startsWith('delivered'))
      assert.deepEqual(relay.outcomes, [], "a smart host is the operator's own affair")
    })

test('routes: a CA of the operator counts, and no TLSA record', async t => {
  const { relay, smart } = await world(t, GOOD, '', {
    authenticated: true,
    tlsa: (port: number) => ({ [`_${port}._tcp.smart.provider.test`]: [record(3, OTHER.certificate)] }),
  })
  await relay.put(['bob@x.test'])
  await relay.run(START)
  assert.equal(smart.messages.length, 1)
})

test('routes: a user without a password is told', t => {
  assert.throws(
    () => routesOf(t, '[[route]]\nname = "a"\nhost = "smart.provider.test"\nusername = "us"\n'),
    (error: unknown) => error instanceof ConfigError && /belong together/.test(error.message),
  )
})
