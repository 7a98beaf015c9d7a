/**
 * The keys that the signer makes: both algorithms, all domains of the directory, replaced and revoked by command while mail
 * goes on, each verified with what DNS has; and the commands that do it, as processes beside the signer.
 */

import assert from 'node:assert/strict'
import { Resolver } from 'node:dns/promises'
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { dkimVerify } from 'mailauth/lib/dkim/verify.js'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { need } from '../peers/need.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { run, start } from '../peers/program.ts'
import { pttCommand } from '../peers/sandbox.ts'
import { type SmtpSink, startSmtpSink } from '../peers/smtp-sink.ts'
import { sinkPart } from './arrival.ts'
import { type Deployment, type DeployOptions, DOMAIN, deploy, PASSWORD, USER } from './deployment.ts'

const TO = ['bob@internet.test']
/** The signer makes its keys; what is replaced goes fast. */
const MANAGED = ['key = []', 'queue_age = "1s"', 'expiration = "never"', 'revoked_for = "1s"', 'bits = 2048']

async function begin(
  t: TestContext,
  options: DeployOptions = {},
): Promise<{ deployment: Deployment; sink: SmtpSink }> {
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const deployment = await deploy(t, {
    toml: { signer: MANAGED },
    ...options,
    smtpPort: sink.port,
    services: [],
  })
  // The key that other tests have: here the signer makes its own.
  rmSync(deployment.config.signer.state, { recursive: true })
  for (const name of ['relay', 'signer', 'submission'] as const) await deployment.start(name)
  for (const algorithm of ['rsa-sha256', 'ed25519-sha256'])
    await deployment.event('key', ({ fields }) => fields.state === 'active' && fields.algorithm === algorithm)
  return { deployment, sink }
}

/** Sends a message, and tells which signatures of what arrived are good: `d=`, `s=` and the result of each. */
async function send(deployment: Deployment, sink: SmtpSink, from = USER): Promise<string[]> {
  const subject = `${from} ${sink.messages().length}`
  const message = `From: ${from}\r\nTo: ${TO[0]}\r\nSubject: ${subject}\r\n\r\nText.\r\n`
  const sent = await nodemailer({ ...deployment.submission(message, TO), username: from, from })
  assert.equal(sent.code, 0, sent.output)
  const id = /Queued as (\w+)/.exec(sent.output)?.[1]
  await deployment.event('delivered', ({ fields }) => fields.id === id)
  const dump =
    sink.messages().find(each => each.includes(`Subject: ${subject}\n`)) ?? assert.fail('not there')
  if (!dump.includes('DKIM-Signature:')) return []
  const dns = new Resolver()
  dns.setServers([`127.0.0.1:${deployment.dns.port}`])
  const { results } = await dkimVerify(sinkPart(dump), { resolver: name => dns.resolveTxt(name) })
  return results.map(({ signingDomain, selector, status }) => `${signingDomain} ${selector} ${status.result}`)
}

/** Selector → record, of a domain. */
function records(deployment: Deployment, domain = DOMAIN): Record<string, string> {
  const zone = deployment.dns.zones().find(({ origin }) => origin === domain)
  const found = zone?.records.filter(({ name }) => name.endsWith('._domainkey')) ?? []
  return Object.fromEntries(found.map(({ name, data }) => [name.replace('._domainkey', ''), data]))
}

async function ptt(deployment: Deployment, ...args: string[]): Promise<{ code: number; output: string }> {
  return run(...pttCommand('key', ...args, '--config', deployment.config.file))
}

test('both algorithms sign; new keys take the place of old ones, and nothing is unsigned meanwhile', async t => {
  if (!need(t, 'smtp-sink')) return
  const { deployment, sink } = await begin(t)
  const { state } = deployment.config.signer
  assert.equal(statSync(state).mode & 0o077, 0)
  const files = readdirSync(state).filter(name => name.endsWith('.pem'))
  assert.equal(files.length, 2)
  for (const name of files) assert.equal(statSync(join(state, name)).mode & 0o777, 0o600)

  const first = await send(deployment, sink)
  const old = Object.keys(records(deployment))
  assert.deepEqual(first.toSorted(), old.map(selector => `${DOMAIN} ${selector} pass`).toSorted())
  for (const selector of old) assert.match(selector, /^ptt-\d{8}-[0-9a-z]{5}-(rsa|ed25519)$/)

  const rotated = await ptt(deployment, 'rotate')
  assert.equal(rotated.code, 0, rotated.output)
  assert.match(rotated.output, /^example\.test: made ptt-\S+-rsa and ptt-\S+-ed25519; signing begins when/)
  const states = ['retiring', 'revoked', 'removed']
  for (const selector of old)
    for (const wanted of states)
      await deployment.event(
        'key',
        ({ fields }) => fields.selector === selector && fields.state === wanted && fields.from !== undefined,
      )
  const now = Object.keys(records(deployment))
  assert.equal(now.filter(selector => old.includes(selector)).length, 0)
  assert.deepEqual(
    (await send(deployment, sink)).toSorted(),
    now.map(selector => `${DOMAIN} ${selector} pass`).toSorted(),
  )
  assert.equal(
    readdirSync(state).filter(name => name.endsWith('.pem')).length,
    2,
    'old private keys are gone',
  )

  const listed = await ptt(deployment, 'list', '--json')
  const keys = listed.output
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(
    keys.map(({ selector, state }) => [selector, state]).toSorted(),
    now.map(selector => [selector, 'active']).toSorted(),
  )
  assert.match(
    (await ptt(deployment, 'list', '--all')).output,
    /^DOMAIN +SELECTOR +KEY +STATE.*\n(?:.*\n)*.*removed/,
  )

  // Another start goes on with the same keys, at once.
  await deployment.stop('signer')
  await deployment.start('signer')
  const started = deployment.events.findLast(
    ({ name, service }) => name === 'started' && service === 'signer',
  )
  assert.ok(Array.isArray(started?.fields.keys) && started.fields.keys.length === 2)
  assert.equal((await send(deployment, sink)).filter(result => result.endsWith('pass')).length, 2)
})

test('a key that somebody else may have is revoked: it signs no more, and another is made', async t => {
  if (!need(t, 'smtp-sink')) return
  const { deployment, sink } = await begin(t)
  const selector = Object.keys(records(deployment)).find(name => name.endsWith('rsa')) ?? assert.fail()
  const revoked = await ptt(deployment, 'revoke', selector, '--reason', 'the backup was stolen')
  assert.equal(revoked.code, 0, revoked.output)
  assert.match(revoked.output, /is revoked: nothing it has signed is to be believed any more/)
  await deployment.event('key', ({ fields }) => fields.selector === selector && fields.state === 'removed')
  assert.equal(records(deployment)[selector], undefined)
  await deployment.event(
    'key',
    ({ fields }) =>
      fields.algorithm === 'rsa-sha256' && fields.state === 'active' && fields.selector !== selector,
  )
  const results = await send(deployment, sink)
  assert.equal(results.filter(result => result.endsWith('pass')).length, 2, results.join())
  const again = await ptt(deployment, 'revoke', selector)
  assert.match(again.output, new RegExp(`ptt key: ${selector}\\..* is removed already: its record is gone`))
  assert.equal(again.code, 1)
  assert.match(
    (await ptt(deployment, 'revoke', 'nobody')).output,
    /there is no key nobody\._domainkey\.example\.test/,
  )
})

test('every domain of the directory: its own keys, no signature where it says so, a selector as it says', async t => {
  if (!need(t, 'smtp-sink')) return
  const verifier = formatVerifier(await makeVerifier(PASSWORD, { iterations: 4096 }))
  const user = `password = "${verifier}"\n`
  const { deployment, sink } = await begin(t, {
    zones: [
      { origin: 'second.test', records: [] },
      {
        origin: 'internet.test',
        records: [
          { name: '@', type: 'MX', data: '10 mx.internet.test' },
          { name: 'mx', type: 'A', data: '127.0.0.1' },
        ],
      },
    ],
    files: {
      'second.test/domain.toml': 'selector = "m.{number}-{algorithm}"\n',
      'second.test/users/bob.toml': user,
      'quiet.test/domain.toml': 'sign = "never"\n',
      'quiet.test/users/carol.toml': user,
      'elsewhere.test/users/dora.toml': user,
    },
    toml: { signer: MANAGED },
  })
  await deployment.event('key', ({ fields }) => fields.domain === 'second.test' && fields.state === 'active')
  await deployment.event(
    'key',
    ({ fields }) => fields.selector === 'm.1-ed25519' && fields.state === 'active',
  )
  assert.deepEqual(Object.keys(records(deployment, 'second.test')).toSorted(), ['m.1-ed25519', 'm.1-rsa'])
  assert.deepEqual((await send(deployment, sink, 'bob@second.test')).toSorted(), [
    'second.test m.1-ed25519 pass',
    'second.test m.1-rsa pass',
  ])
  assert.deepEqual(await send(deployment, sink, 'carol@quiet.test'), [])
  assert.equal((await send(deployment, sink)).length, 2)

  // Nobody has a zone of it that we may write: its mail waits, that of others goes.
  const message = `From: dora@elsewhere.test\r\nTo: ${TO[0]}\r\n\r\nText.\r\n`
  const dora = { username: 'dora@elsewhere.test', from: 'dora@elsewhere.test' }
  const waiting = await nodemailer({ ...deployment.submission(message, TO), ...dora })
  assert.match(waiting.output, /451 4\.7\.5 .*elsewhere\.test.* has no zone that elsewhere\.test is in/)

  const status = await ptt(deployment, 'status')
  assert.equal(status.code, 1, status.output)
  assert.match(status.output, /^example\.test: signed with ptt-\S+ and ptt-\S+$/m)
  assert.match(status.output, /^elsewhere\.test: NOT SIGNED, so not sent: .*has no zone/m)
  const one = await ptt(deployment, 'status', '--now', '--domain', 'second.test', '--json')
  assert.equal(one.code, 0, one.output)
  assert.equal((JSON.parse(one.output) as { signs: boolean }).signs, true)
})

test('the public keys, as a zone file has them, as text, as PEM', async t => {
  if (!need(t, 'smtp-sink')) return
  const { deployment } = await begin(t)
  const zone = await ptt(deployment, 'export-public')
  assert.match(
    zone.output,
    /^ptt-\S+-rsa\._domainkey\.example\.test\. 3600 IN TXT "v=DKIM1; k=rsa; p=[^"]+" "[^"]+"$/m,
  )
  const [selector = '', record = ''] =
    Object.entries(records(deployment)).find(([name]) => name.endsWith('ed25519')) ?? []
  assert.equal((await ptt(deployment, 'export-public', selector, '--format', 'text')).output, `${record}\n`)
  const pem = await ptt(deployment, 'export-public', selector, '--format', 'pem')
  assert.match(pem.output, /^-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA/)
  for (const { output } of [zone, pem]) assert.doesNotMatch(output, /PRIVATE/)
})

test("a key of today's deployments goes on, and is replaced in time", async t => {
  if (!need(t, 'smtp-sink')) return
  // The folder has dkim/ptt.pem, as `ptt init` used to write it.
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const deployment = await deploy(t, { toml: { signer: MANAGED }, smtpPort: sink.port, services: [] })
  for (const name of ['relay', 'signer', 'submission'] as const) await deployment.start(name)
  await deployment.event('key', ({ fields }) => fields.selector === 'ptt' && fields.state === 'active')
  await deployment.event(
    'key',
    ({ fields }) => fields.algorithm === 'ed25519-sha256' && fields.state === 'active',
  )
  assert.ok((await send(deployment, sink)).includes(`${DOMAIN} ptt pass`))
  assert.equal((await ptt(deployment, 'rotate', '--algorithm', 'rsa')).code, 0)
  await deployment.event('key', ({ fields }) => fields.selector === 'ptt' && fields.state === 'removed')
  assert.equal(readdirSync(deployment.config.signer.state).includes('ptt.pem'), false)
  assert.equal(records(deployment).ptt, undefined)
  assert.equal((await send(deployment, sink)).filter(result => result.endsWith('pass')).length, 2)
})

test('keys of ptt.toml: RSA and Ed25519 from a seed; only the operator replaces them', async t => {
  if (!need(t, 'smtp-sink')) return
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const toml = ['key = []', 'seed = "seed"', 'queue_age = "1s"', 'expiration = "never"', 'revoked_for = "1s"']
  const deployment = await deploy(t, { toml: { signer: toml }, smtpPort: sink.port, services: [] })
  writeFileSync(join(deployment.folder, 'seed'), Buffer.alloc(32, 5).toString('base64'), { mode: 0o600 })
  for (const name of ['relay', 'signer', 'submission'] as const) await deployment.start(name)
  for (const selector of ['ptt', 'ptt-ed25519'])
    await deployment.event('key', ({ fields }) => fields.selector === selector && fields.state === 'active')
  assert.deepEqual((await send(deployment, sink)).toSorted(), [
    `${DOMAIN} ptt pass`,
    `${DOMAIN} ptt-ed25519 pass`,
  ])
  const refused = await ptt(deployment, 'rotate')
  assert.equal(refused.code, 1)
  assert.match(refused.output, /its keys are those of ptt\.toml: put another there with another selector/)
  // The signer may make one beside them.
  const made = await ptt(deployment, 'generate', '--algorithm', 'ed25519', '--selector', 'extra')
  assert.equal(made.code, 0, made.output)
  await deployment.event('key', ({ fields }) => fields.selector === 'extra' && fields.state === 'active')
  assert.ok((await send(deployment, sink)).includes(`${DOMAIN} extra pass`))
  // Revoked is revoked: also at the next start, though ptt.toml names it still.
  assert.equal((await ptt(deployment, 'revoke', 'ptt-ed25519')).code, 0)
  await deployment.event(
    'key',
    ({ fields }) => fields.selector === 'ptt-ed25519' && fields.state === 'removed',
  )
  await deployment.stop('signer')
  await deployment.start('signer')
  assert.deepEqual((await send(deployment, sink)).toSorted(), [`${DOMAIN} extra pass`, `${DOMAIN} ptt pass`])
})

test("the original's options of the signer stand above ptt.toml", async t => {
  if (!need(t, 'smtp-sink')) return
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const deployment = await deploy(t, { smtpPort: sink.port, services: ['relay', 'submission'] })
  const seed = Buffer.alloc(32, 9).toString('base64')
  const expiration = Math.floor(Date.now() / 1000) + 30 * 86_400
  const command = [
    'signer',
    '--config',
    deployment.config.file,
    '--seed',
    seed,
    '--algorithm',
    'rsa',
    '--bits',
    '3072',
  ]
  const options = [
    '--selector',
    'orig',
    '--fields',
    'Subject',
    '--timestamp',
    '1000000000',
    '--expiration',
    String(expiration),
  ]
  const signer = start(...pttCommand(...command, ...options))
  t.after(() => signer.stop())
  await signer.said(/"state":"active"/)
  assert.match(signer.output(), /--seed: a secret on the command line is seen by every user of this machine/)
  assert.ok(!signer.output().includes(seed))
  assert.deepEqual(await send(deployment, sink), [`${DOMAIN} orig pass`])
  const [dump = ''] = sink.messages()
  assert.match(
    dump.replaceAll(/\n\s+/g, ' '),
    new RegExp(`s=orig; .*t=1000000000; x=${expiration}; h=From:From:Subject:Subject;`),
  )
  // The configuration has not changed: what is above it is still above it.
  signer.process.kill('SIGHUP')
  await signer.said(/"event":"reloaded"/)
  assert.doesNotMatch(signer.output(), /the configuration has changed/)
})
