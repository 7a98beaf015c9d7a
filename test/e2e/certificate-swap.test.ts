/** The certificate mail programs see is replaced on disk while they are connected. */

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect } from 'node:tls'
import { issue } from '../../src/cli/authority.ts'
import { need } from '../peers/need.ts'
import { run } from '../peers/program.ts'
import { type Deployment, DOMAIN, deploy, USER } from './deployment.ts'
import { signIn } from './sign-in.ts'

const NAMES = ['mail.example.test', 'localhost'] as const
const DAY_MS = 86_400_000

function put(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** What a mail program that connects now is shown. */
async function shown({ config, authority }: Deployment): Promise<string | undefined> {
  const { port } = config.submission.listen
  const socket = connect({ host: '127.0.0.1', port, ca: authority.certificate, servername: 'localhost' })
  await once(socket, 'secureConnect')
  const fingerprint = socket.getPeerX509Certificate()?.fingerprint256
  socket.destroy()
  return fingerprint
}

const fingerprintOf = ({ certificate }: { certificate: string }) =>
  new X509Certificate(certificate).fingerprint256

test('a new pair is for sessions to come, and drops none that is open', async t => {
  const deployment = await deploy(t)
  const { certificate, key } = deployment.config.submission
  const before = await shown(deployment)
  const open = await signIn(t, deployment)
  await open.say(`MAIL FROM:<${USER}>`, 250)
  await open.say('RCPT TO:<bob@internet.test>', 250)
  await open.say('DATA', 354)
  open.send(`From: ${USER}\r\nSubject: Dinner\r\n\r\nHow about `)

  const next = await issue(deployment.authority, { names: NAMES })
  put(key, next.key)
  put(certificate, next.certificate)
  await deployment.event('certificate', ({ fields }) => fields.state === 'in use')
  assert.equal(await shown(deployment), fingerprintOf(next))
  assert.notEqual(fingerprintOf(next), before)

  open.send('tonight?\r\n')
  await open.say('.', 250)
  await open.say('QUIT', 221)
})

test('a pair that is broken is told, and the old one stays', async t => {
  const deployment = await deploy(t)
  const { certificate, key } = deployment.config.submission
  const before = await shown(deployment)
  const other = await issue(deployment.authority, { names: NAMES })
  put(key, other.key)
  const mismatch = await deployment.event('alarm', ({ fields }) => fields.about === 'certificate')
  assert.match(
    String(mismatch.fields.reason),
    /submission\.key: is not the key of the certificate .* stays in use/,
  )
  assert.equal(await shown(deployment), before)
  await assert.rejects(deployment.reload('submission'), /is not the key of the certificate/)
  assert.equal(await shown(deployment), before)

  const expired = await issue(deployment.authority, { names: NAMES }, Date.now() - 800 * DAY_MS)
  put(key, expired.key)
  put(certificate, expired.certificate)
  await deployment.event('alarm', ({ fields }) => /expired on .* stays in use/.test(String(fields.reason)))
  assert.equal(await shown(deployment), before)

  put(key, other.key)
  put(certificate, other.certificate)
  await deployment.event('certificate', ({ fields }) => fields.state === 'in use')
  assert.equal(await shown(deployment), fingerprintOf(other))
  await deployment.reload('submission')
  assert.equal(await shown(deployment), fingerprintOf(other))
})

test('a pair that fits together and that TLS does not take: the old one stays', async t => {
  if (!need(t, 'openssl')) return
  const deployment = await deploy(t)
  const { certificate, key } = deployment.config.submission
  const before = await shown(deployment)
  // RFC 9325 §4.5: 2048 bits at least; OpenSSL holds it at its usual security level.
  const weak = join(deployment.folder, 'weak')
  const subject = ['-subj', '/CN=weak', '-addext', 'subjectAltName=DNS:localhost', '-days', '30']
  const args = [
    'req',
    '-x509',
    '-newkey',
    'rsa:1024',
    '-nodes',
    '-keyout',
    `${weak}.key`,
    '-out',
    `${weak}.pem`,
  ]
  const { code, output } = await run('openssl', [...args, ...subject])
  assert.equal(code, 0, output)
  put(key, readFileSync(`${weak}.key`, 'utf8'))
  put(certificate, readFileSync(`${weak}.pem`, 'utf8'))
  const { fields } = await deployment.event('alarm', ({ fields }) => fields.about === 'certificate')
  assert.match(String(fields.reason), /key too small.*: the certificate in use stays in use/)
  assert.equal(await shown(deployment), before)
})

test('a certificate that has expired is an alarm at the start', async t => {
  const deployment = await deploy(t, { services: [] })
  const { certificate, key } = deployment.config.submission
  const expired = await issue(deployment.authority, { names: [`mail.${DOMAIN}`] }, Date.now() - 800 * DAY_MS)
  put(key, expired.key)
  put(certificate, expired.certificate)
  await deployment.start('submission')
  const { fields } = await deployment.event('alarm', ({ fields }) => fields.about === 'certificate')
  assert.match(
    String(fields.reason),
    /submission\.pem: expired on .*, and mail programs refuse it: put a new one/,
  )
})
