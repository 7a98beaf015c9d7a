/** REQUIRETLS, RFC 8689, the whole way: to a server that has it, and to a Postfix that has not. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { awaitMessages } from '../peers/maildir.ts'
import { needPostfix, startPostfix } from '../peers/postfix.ts'
import { startScriptedSmtp } from '../peers/scripted-smtp.ts'
import { DOMAIN, deploy } from './deployment.ts'
import { submit } from './submit.ts'

/** The services are in this process: they trust what it trusts. */
function trust(certificate: string): void {
  setDefaultCACertificates([...getCACertificates('default'), certificate])
}

/** Without MX: its certificate is for the domain itself, and nothing hangs on DNSSEC (RFC 8689 §4.2.1). */
const SECURE = { origin: 'secure.test', records: [{ name: '@', type: 'A', data: '127.0.0.1' }] } as const

test('to a server that is verified and offers it', async t => {
  const authority = await makeAuthority('secure.test')
  trust(authority.certificate)
  const server = await startScriptedSmtp({
    ehlo: ['STARTTLS'],
    ehloSecured: ['REQUIRETLS'],
    tls: await issue(authority, { names: ['secure.test'] }),
  })
  t.after(() => server.stop())
  const deployment = await deploy(t, { smtpPort: server.port, zones: [SECURE] })
  await submit(t, deployment, { mail: 'REQUIRETLS', rcpt: { 'bob@secure.test': '' } })
  const attempt = await deployment.event('attempt')
  assert.deepEqual(
    [attempt.fields.policy, attempt.fields.because],
    ['verified', 'the sender asked for REQUIRETLS'],
  )
  await deployment.event('delivered')
  assert.match(server.sessions.flat().join('\n'), /^MAIL FROM:<alice@example\.test> REQUIRETLS$/m)
})

test('a Postfix without it gets nothing; the notice goes by TLS, and has no body', async t => {
  if (!needPostfix(t)) return
  const postfix = await startPostfix({ hostname: 'secure.test', domains: ['secure.test', DOMAIN] })
  t.after(() => postfix.stop())
  trust(readFileSync(postfix.certificate, 'utf8'))
  const deployment = await deploy(t, {
    smtpPort: postfix.port,
    zones: [SECURE],
    records: [{ name: '@', type: 'MX', data: '10 secure.test' }],
  })
  await submit(t, deployment, { mail: 'RET=FULL REQUIRETLS', rcpt: { 'bob@secure.test': '' } })
  const bounced = await deployment.event('bounced')
  assert.deepEqual([bounced.fields.status, bounced.fields.remote], ['5.7.30', 'secure.test [127.0.0.1]'])
  const [notice] = await awaitMessages(postfix.maildir, 1)
  const text = Buffer.from(notice?.octets ?? '').toString('latin1')
  assert.match(text, /^Return-Path: <>$/m)
  assert.match(text, /\(using TLSv1\.3 /)
  assert.match(text, /^Status: 5\.7\.30$/m)
  assert.match(text, /^Content-Type: text\/rfc822-headers$/m)
  assert.doesNotMatch(text, /How about tonight/)
  const { id } = (await deployment.event('notice')).fields
  // Not the one by which it was handed to the signer.
  const attempt = await deployment.event(
    'attempt',
    ({ fields }) => fields.id === id && fields.policy !== undefined,
  )
  assert.equal(attempt.fields.policy, 'encrypted')
})
