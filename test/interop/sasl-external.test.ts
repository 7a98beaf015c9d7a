/** EXTERNAL: who a client is, its certificate says. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { KeyPair } from '../../src/net/tls.ts'
import { type Deployment, deploy, PASSWORD, USER } from '../e2e/deployment.ts'
import { Dialog } from '../e2e/dialog.ts'
import { gsasl } from '../peers/gsasl.ts'
import { msmtp } from '../peers/msmtp.ts'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { temporaryFolder } from '../peers/program.ts'
import { type ClientCa, makeClientCa } from './client-certificate.ts'

interface World {
  readonly deployment: Deployment
  readonly ours: ClientCa
  /** Where certificates are written for programs. */
  at(name: string): string
}

async function prepare(t: TestContext, more: { starttls?: number; all?: boolean } = {}): Promise<World> {
  const folder = temporaryFolder('certificates')
  t.after(() => folder.remove())
  const at = (name: string) => join(folder.path, name)
  const ours = await makeClientCa('clients of example.test')
  writeFileSync(at('ca.pem'), ours.certificate)
  const submission = [`client_ca = "${at('ca.pem')}"`]
  if (more.starttls !== undefined) submission.push(`listen_starttls = "127.0.0.1:${more.starttls}"`)
  const services = more.all === true ? {} : { services: ['submission' as const] }
  return { deployment: await deploy(t, { ...services, toml: { submission } }), ours, at }
}

const optionsOf = (deployment: Deployment, pair: KeyPair | null): ConnectionOptions => ({
  ca: deployment.authority.certificate,
  servername: 'localhost',
  ...(pair === null ? {} : { cert: pair.certificate, key: pair.key }),
})

async function dial(t: TestContext, deployment: Deployment, options: ConnectionOptions) {
  const dialog = await Dialog.tls(deployment.config.submission.listen.port, options)
  t.after(() => dialog.destroy())
  await dialog.expect(220)
  const offer = await dialog.say('EHLO client.test', 250)
  return { dialog, external: /AUTH .*\bEXTERNAL\b/.test(offer) }
}

test('certificates, and what can be done with them', async t => {
  const { deployment, ours } = await prepare(t)
  const theirs = await makeClientCa('clients of elsewhere')
  const BOB = 'bob@example.test'
  const verifier =
    'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU='
  await deployment.repository.commit({ 'example.test/users/bob.toml': `password = "${verifier}"\n` })
  await deployment.reload('submission')

  const cases: [what: string, pair: KeyPair | null, response: string, said: RegExp, offered: boolean][] = [
    ['of a user', await ours.issue({ email: [USER] }), '=', /^235 2\.7\.0 /, true],
    ['of a user, by his name', await ours.issue({ email: [USER] }), base64(USER), /^235 2\.7\.0 /, true],
    [
      'of a user, in another case',
      await ours.issue({ email: ['Alice@Example.TEST'] }),
      '=',
      /^235 2\.7\.0 /,
      true,
    ],
    ['of a user, for another', await ours.issue({ email: [USER] }), base64(BOB), /^535 5\.7\.8 /, true],
    ['of two, not chosen', await ours.issue({ email: [USER, BOB] }), '=', /^535 5\.7\.8 /, true],
    ['of two, chosen', await ours.issue({ email: [USER, BOB] }), base64(BOB), /^235 2\.7\.0 /, true],
    ['of nobody here', await ours.issue({ email: ['eve@example.org'] }), '=', /^535 5\.7\.8 /, true],
    // One name that could be read as two.
    [
      'of a trickster',
      await ours.issue({ email: [`eve@example.org, email:${USER}`] }),
      '=',
      /^535 5\.7\.8 /,
      true,
    ],
    // The common name says alice@example.test, and is not looked at.
    ['of a machine', await ours.issue({ dns: ['laptop.example.test'] }), '=', /^504 5\.5\.4 /, false],
    ['of a machine with a name like a user', await ours.issue({ dns: [USER] }), '=', /^504 5\.5\.4 /, false],
    ['of another CA', await theirs.issue({ email: [USER] }), '=', /^504 5\.5\.4 /, false],
    ['none', null, '=', /^504 5\.5\.4 /, false],
  ]
  for (const [what, pair, response, said, offered] of cases)
    await t.test(`a certificate ${what}`, async t => {
      for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
        const { dialog, external } = await dial(t, deployment, { ...optionsOf(deployment, pair), maxVersion })
        assert.equal(external, offered)
        assert.match(await dialog.say(`AUTH EXTERNAL ${response}`), said)
        // Nobody is kept from signing in another way.
        const plain = `AUTH PLAIN ${base64(`\0${USER}\0${PASSWORD}`)}`
        if (!said.test('235 2.7.0 ')) assert.match(await dialog.say(plain), /^235 2\.7\.0 /)
      }
    })

  await t.test('who he is comes with his mail', async t => {
    const { dialog } = await dial(t, deployment, optionsOf(deployment, await ours.issue({ email: [USER] })))
    await dialog.say('AUTH EXTERNAL =', 235)
    await dialog.say(`MAIL FROM:<${USER}>`, 250)
    await dialog.say('RSET', 250)
    await dialog.say(`MAIL FROM:<${BOB}>`, 550)
    const { fields } = deployment.events.findLast(({ name }) => name === 'authenticated') ?? assert.fail()
    assert.deepEqual([fields.mechanism, fields.user], ['EXTERNAL', USER])
  })
})

test('a session that is resumed is not more than it was', async t => {
  const { deployment, ours } = await prepare(t)
  const theirs = await makeClientCa('clients of elsewhere')
  const { port } = deployment.config.submission.listen
  const cases: [what: string, pair: KeyPair | null, offered: boolean][] = [
    ['ours', await ours.issue({ email: [USER] }), true],
    ['theirs', await theirs.issue({ email: [USER] }), false],
    ['none', null, false],
  ]
  for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const)
    for (const [what, pair, offered] of cases)
      await t.test(`${what}, ${maxVersion}`, async t => {
        const options = { ...optionsOf(deployment, pair), maxVersion }
        const first: TLSSocket = connect({ host: '127.0.0.1', port, ...options })
        t.after(() => first.destroy())
        const [session] = (await once(first, 'session')) as [Buffer]
        const again: TLSSocket = connect({ host: '127.0.0.1', port, ...options, session })
        await once(again, 'secureConnect')
        assert.ok(again.isSessionReused())
        const dialog = new Dialog(again)
        t.after(() => dialog.destroy())
        await dialog.expect(220)
        const offer = await dialog.say('EHLO client.test', 250)
        assert.equal(/\bEXTERNAL\b/.test(offer), offered)
        assert.match(await dialog.say('AUTH EXTERNAL ='), offered ? /^235 / : /^504 /)
      })
})

test('a new CA after a reload', async t => {
  const { deployment, ours, at } = await prepare(t)
  const next = await makeClientCa('the next')
  const [old, young] = [await ours.issue({ email: [USER] }), await next.issue({ email: [USER] })]
  assert.equal((await dial(t, deployment, optionsOf(deployment, old))).external, true)
  assert.equal((await dial(t, deployment, optionsOf(deployment, young))).external, false)
  const { port } = deployment.config.submission.listen
  const before: TLSSocket = connect({ host: '127.0.0.1', port, ...optionsOf(deployment, old) })
  t.after(() => before.destroy())
  const [session] = (await once(before, 'session')) as [Buffer]
  writeFileSync(at('ca.pem'), next.certificate)
  await deployment.reload('submission')
  assert.equal((await dial(t, deployment, optionsOf(deployment, old))).external, false)
  // Nor by resuming what the old one has opened.
  assert.equal((await dial(t, deployment, { ...optionsOf(deployment, old), session })).external, false)
  assert.equal((await dial(t, deployment, optionsOf(deployment, young))).external, true)
})

test('without a CA no certificate is asked for', async t => {
  const deployment = await deploy(t, { services: ['submission'] })
  const ours = await makeClientCa('clients')
  const { external } = await dial(t, deployment, optionsOf(deployment, await ours.issue({ email: [USER] })))
  assert.equal(external, false)
})

test('gsasl and msmtp with a certificate', async t => {
  const port = await freePort()
  const { deployment, ours, at } = await prepare(t, { starttls: port, all: true })
  const pair = await ours.issue({ email: [USER] })
  writeFileSync(at('alice.pem'), pair.certificate)
  writeFileSync(at('alice.key'), pair.key, { mode: 0o600 })
  const ca = join(deployment.folder, 'hop/ca.pem')
  await t.test('gsasl', async t => {
    if (!need(t, 'gsasl')) return
    const { code, output } = await gsasl({ port, username: '', password: '', ca }, [
      ...['--mechanism', 'EXTERNAL', '--authorization-id', USER],
      ...['--x509-cert-file', at('alice.pem'), '--x509-key-file', at('alice.key')],
    ])
    assert.equal(code, 0, output)
  })
  await t.test('msmtp', async t => {
    if (!need(t, 'msmtp')) return
    const message = `From: ${USER}\r\nSubject: a certificate\r\n\r\nText.\r\n`
    const { code, output } = await msmtp(deployment.submission(message, ['bob@internet.test']), [
      ...['--auth=external', `--tls-cert-file=${at('alice.pem')}`, `--tls-key-file=${at('alice.key')}`],
    ])
    assert.equal(code, 0, output)
  })
  const mechanisms = deployment.events
    .filter(({ name }) => name === 'authenticated')
    .map(({ fields }) => fields.mechanism)
  assert.ok(mechanisms.every(mechanism => mechanism === 'EXTERNAL'))
})

const base64 = (text: string): string => Buffer.from(text).toString('base64')
