import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { need } from '../../test/peers/need.ts'
import type { KeyPair } from '../net/tls.ts'
import { issue, makeAuthority, selfSigned } from './authority.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptt-authority-'))
after(() => rmSync(folder, { recursive: true }))

const authority = await makeAuthority('example.com')

test('a certificate carries its role as OU and as name, and its key is its own', async () => {
  const { certificate, key } = await issue(authority, { role: 'signer' })
  const parsed = new X509Certificate(certificate)
  assert.equal(parsed.subjectAltName, 'DNS:signer.ptt.internal')
  assert.match(parsed.subject, /^OU=signer$/m)
  assert.equal(parsed.ca, false)
  assert.ok(parsed.checkPrivateKey(createPrivateKey(key)))
  assert.ok(parsed.checkIssued(new X509Certificate(authority.certificate)))
  assert.ok(parsed.verify(new X509Certificate(authority.certificate).publicKey))
  assert.notEqual(
    parsed.serialNumber,
    new X509Certificate((await issue(authority, { role: 'signer' })).certificate).serialNumber,
  )
})

test('names and addresses', async () => {
  const names = ['mail.example.com', 'localhost', '127.0.0.1', '::1', '2001:db8:0:1::a:b'] as const
  const parsed = new X509Certificate((await issue(authority, { names })).certificate)
  assert.equal(parsed.checkHost('mail.example.com'), 'mail.example.com')
  assert.equal(parsed.checkHost('mail.example.net'), undefined)
  for (const address of names.slice(2)) assert.equal(parsed.checkIP(address), address)
  assert.equal(parsed.checkIP('2001:db8::1:0:a:b'), undefined)
})

test('validity: from an hour ago; years past 2049 too (RFC 5280 §4.1.2.5)', async () => {
  for (const [nowMs, from, to] of [
    [Date.UTC(2025, 0, 1), 'Dec 31 23:00:00 2024 GMT', 'Jan  1 00:00:00 2027 GMT'],
    [Date.UTC(2049, 0, 1), 'Dec 31 23:00:00 2048 GMT', 'Jan  1 00:00:00 2051 GMT'],
  ] as const) {
    const of = await makeAuthority('example.com', nowMs)
    const { validFrom, validTo } = new X509Certificate(
      (await issue(of, { role: 'relay' }, nowMs)).certificate,
    )
    assert.deepEqual([validFrom, validTo], [from, to])
  }
})

test('openssl finds nothing wrong, also strictly', async t => {
  if (!need(t, 'openssl')) return
  const write = (name: string, { certificate }: KeyPair) => {
    writeFileSync(join(folder, name), certificate)
    return join(folder, name)
  }
  const ca = write('ca.pem', authority)
  const verify = (...args: string[]) =>
    execFileSync('openssl', ['verify', '-x509_strict', '-CAfile', ca, ...args], {
      encoding: 'utf8',
      stdio: 'pipe',
    })
  const relay = write('relay.pem', await issue(authority, { role: 'relay' }))
  for (const purpose of ['sslserver', 'sslclient']) assert.match(verify('-purpose', purpose, relay), /: OK/)
  const mail = write('mail.pem', await issue(authority, { names: ['mail.example.com'] }))
  assert.match(verify('-purpose', 'sslserver', '-verify_hostname', 'mail.example.com', mail), /: OK/)
  assert.throws(() => verify('-purpose', 'sslclient', mail), /purpose/)
  const other = await issue(await makeAuthority('example.com'), { role: 'relay' })
  assert.throws(() => verify(write('other.pem', other)), /signature failure|unable to get local issuer/)
  assert.match(
    execFileSync(
      'openssl',
      [
        'verify',
        '-CAfile',
        write('self.pem', await selfSigned(['mx.example.net'])),
        join(folder, 'self.pem'),
      ],
      { encoding: 'utf8' },
    ),
    /: OK/,
  )
})

test('mutual TLS 1.3 with them; a foreign authority is refused', async () => {
  const ca = authority.certificate
  const signer = await issue(authority, { role: 'signer' })
  const server = createServer({
    cert: signer.certificate,
    key: signer.key,
    ca,
    requestCert: true,
    minVersion: 'TLSv1.3',
  })
  const accepted: string[] = []
  server.on('secureConnection', (socket: TLSSocket) => {
    accepted.push(socket.getPeerCertificate().subjectaltname ?? '')
    socket.end('x')
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const dial = (pair: KeyPair, servername = 'signer.ptt.internal') =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({
        port: address.port,
        host: '127.0.0.1',
        servername,
        cert: pair.certificate,
        key: pair.key,
        ca,
      })
      // TLS 1.3: the server's refusal of our certificate comes after our own handshake is done.
      socket
        .on('data', () => resolve('accepted'))
        .on('error', reject)
        .on('close', () => reject(new Error('closed')))
    })
  assert.equal(await dial(await issue(authority, { role: 'submission' })), 'accepted')
  assert.deepEqual(accepted, ['DNS:submission.ptt.internal'])
  await assert.rejects(dial(await issue(await makeAuthority('example.com'), { role: 'submission' })))
  await assert.rejects(dial(signer, 'relay.ptt.internal'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' })
  assert.equal(accepted.length, 1)
  server.close()
})
