/** `ptt certificate` beside a submission that runs: the first certificate, the next one, and nobody is disconnected. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect } from 'node:tls'
import { parseTsigKey } from '../../src/dns/tsig.ts'
import { startBind } from '../peers/bind.ts'
import { need } from '../peers/need.ts'
import { type Pebble, startPebble } from '../peers/pebble.ts'
import { run, start } from '../peers/program.ts'
import { pttCommand } from '../peers/sandbox.ts'
import { type Deployment, DOMAIN, deploy, USER } from './deployment.ts'
import { signIn } from './sign-in.ts'

const TSIG = `acme-key:hmac-sha256:${Buffer.alloc(32, 9).toString('base64')}`
const HEAD = '$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 5\n@ NS ns\nns A 127.0.0.1\n'
const NAME = `mail.${DOMAIN}`

/** A deployment whose certificate is to come from Pebble; nothing runs yet. */
async function world(t: TestContext, validitySeconds?: number): Promise<Deployment & { pebble: Pebble }> {
  const bind = await startBind({
    zones: { [DOMAIN]: HEAD, test: HEAD },
    tsigKey: parseTsigKey(TSIG),
  })
  t.after(() => bind.stop())
  const life = validitySeconds === undefined ? {} : { validitySeconds }
  const pebble = await startPebble({ dnsPort: bind.port, ...life })
  t.after(() => pebble.stop())
  const deployment = await deploy(t, {
    services: [],
    toml: {
      directory: [
        '[certificate]',
        'terms_agreed = true',
        `directory = "${pebble.directory}"`,
        'ca = "pebble.pem"',
        'tsig_key = "dns/acme.key"',
        `primary = "127.0.0.1:${bind.port}"`,
        `resolver = ["127.0.0.1:${bind.port}"]`,
        `authorities = ["127.0.0.1:${bind.port}"]`,
      ],
    },
  })
  writeFileSync(join(deployment.folder, 'dns/acme.key'), `${TSIG}\n`, { mode: 0o600 })
  copyFileSync(pebble.ca, join(deployment.folder, 'pebble.pem'))
  return { ...deployment, pebble }
}

async function startServices(deployment: Deployment): Promise<void> {
  for (const name of ['relay', 'signer', 'submission'] as const) await deployment.start(name)
  await deployment.event('key', ({ fields }) => fields.state === 'active')
}

/** Whether somebody who trusts only Pebble would send through it, and what he is shown. */
async function shown({ config, pebble }: Deployment & { pebble: Pebble }): Promise<string | undefined> {
  const { port } = config.submission.listen
  const socket = connect({ host: '127.0.0.1', port, ca: pebble.root, servername: NAME })
  await once(socket, 'secureConnect')
  const fingerprint = socket.getPeerX509Certificate()?.fingerprint256
  socket.destroy()
  return fingerprint
}

test('the first certificate and its renewals reach a submission that runs, and no session ends', async t => {
  if (!need(t, 'named', 'pebble')) return
  // Renewed when a third of 15 s is left.
  const deployment = await world(t, 15)
  await startServices(deployment)
  const { file } = deployment.config
  await assert.rejects(shown(deployment), /self-signed certificate in certificate chain|unable to/)
  const open = await signIn(t, deployment)
  await open.say(`MAIL FROM:<${USER}>`, 250)
  await open.say('RCPT TO:<bob@internet.test>', 250)
  await open.say('DATA', 354)
  open.send(`From: ${USER}\r\nSubject: Dinner\r\n\r\nHow about `)

  const certificate = start(...pttCommand('certificate', '--config', file))
  t.after(() => certificate.stop('SIGKILL'))
  const inUse = (number: number) => {
    let seen = 0
    return deployment.event('certificate', ({ fields }) => fields.state === 'in use' && ++seen === number)
  }
  await inUse(1)
  const first = await shown(deployment)
  await inUse(2)
  const second = await shown(deployment)
  assert.ok(first !== undefined && second !== undefined && first !== second)

  open.send('tonight?\r\n')
  await open.say('.', 250)
  await open.say('QUIT', 221)
  await certificate.stop()
  assert.match(certificate.output(), /"event":"stopped"/)
  assert.doesNotMatch(certificate.output(), /"event":"alarm"/)
  assert.ok(!certificate.output().includes('PRIVATE KEY'))
})

test('ptt certificate --once, status and renew', async t => {
  if (!need(t, 'named', 'pebble')) return
  const deployment = await world(t)
  await startServices(deployment)
  const ptt = (...args: string[]) =>
    run(...pttCommand('certificate', ...args, '--config', deployment.config.file))
  const before = await ptt('status')
  assert.equal(before.code, 0, 'the one of `ptt init` can be used')
  assert.match(before.output, /^wanted +another: the certificate in place is not from the CA$/m)
  assert.match(before.output, /^next attempt +now$/m)

  const once = await ptt('--once')
  assert.equal(once.code, 0, once.output)
  assert.match(once.output, /"state":"issued"/)
  await deployment.event('certificate', ({ fields }) => fields.state === 'in use')
  const first = await shown(deployment)
  const again = await ptt('--once')
  assert.equal(again.code, 0, again.output)
  assert.match(again.output, /"state":"kept","reason":"it is not time for another"/)
  assert.equal(await shown(deployment), first)

  const status = await ptt('status', '--json')
  assert.equal(status.code, 0, status.output)
  const facts = JSON.parse(status.output)
  assert.deepEqual(facts.names, [NAME])
  assert.deepEqual([facts.ca, facts.usable, facts.complaint], [deployment.pebble.directory, true, null])
  assert.deepEqual([facts.last_error, facts.failures, facts.next], [null, 0, facts.renewal])

  const renewed = await ptt('renew')
  assert.equal(renewed.code, 0, renewed.output)
  await deployment.reload('submission')
  assert.notEqual(await shown(deployment), first)

  await deployment.pebble.stop()
  const down = await ptt('renew')
  assert.equal(down.code, 1, down.output)
  assert.match(down.output, /"event":"alarm".*connection refused/)
  const after = await ptt('status')
  assert.equal(after.code, 1, after.output)
  assert.match(
    after.output,
    /^last error +\S+Z \(directory, 1 in a row\): 127\.0\.0\.1:\d+: connection refused$/m,
  )
  // What there is, is good for years: another is not asked for before its time.
  assert.match(after.output, /^renewal +20\d\d-/m)
})

test('ptt up looks after the certificate too; without any, submission starts when the first is there', async t => {
  if (!need(t, 'named', 'pebble')) return
  const deployment = await world(t)
  const { certificate, key } = deployment.config.submission
  for (const path of [certificate, key]) rmSync(path)
  const up = start(...pttCommand('up', '--config', deployment.config.file))
  t.after(() => up.stop('SIGKILL'))
  await up.said(/"service":"submission","event":"started"/)
  assert.ok((await shown(deployment)) !== undefined)
  await up.stop()
  const said = up.output()
  const order = [
    '"service":"certificate","event":"certificate","state":"issued"',
    '"service":"submission","event":"started"',
    '"service":"submission","event":"stopped"',
    '"service":"certificate","event":"stopped"',
  ]
  const places = order.map(line => said.indexOf(line))
  assert.ok(!places.includes(-1), said)
  assert.deepEqual(
    places.toSorted((one, other) => one - other),
    places,
  )
})
