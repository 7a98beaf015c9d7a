/** Submission and the hops as sslscan and testssl.sh see them; and hybrid post-quantum keys, which neither knows yet. */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ConnectionOptions, connect as connectTls, createServer } from 'node:tls'
import { selfSigned } from '../../src/cli/authority.ts'
import { deploy } from '../e2e/deployment.ts'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { sslscan } from '../peers/sslscan.ts'
import { complaints, testssl } from '../peers/testssl.ts'

/** What the whole of testssl.sh says of any certificate of a CA of one's own: docs/tls.md. */
const OWN_CA = ['cert_revocation']
/** The hops know each other by names such as `signer.ptt.internal`, and not by where they are. */
const OWN_NAME = ['cert_trust']

/** `TESTSSL=whole` has all doors looked at by the whole of testssl.sh, which takes some six minutes. */
test('nothing to complain about', async t => {
  if (!need(t, 'sslscan', 'testssl')) return
  const starttls = await freePort()
  const deployment = await deploy(t, {
    toml: { submission: [`listen_starttls = "127.0.0.1:${starttls}"`] },
  })
  const { submission, signer, relay } = deployment.config
  const doors: [what: string, port: number, starttls: boolean, protocols: string[]][] = [
    ['submission, implicit TLS', submission.listen.port, false, ['tls 1.2', 'tls 1.3']],
    ['submission, STARTTLS', starttls, true, ['tls 1.2', 'tls 1.3']],
    ['the hop to the signer', signer.listen.port, true, ['tls 1.3']],
    ['the hop to the relay', relay.listen.port, true, ['tls 1.3']],
  ]
  for (const [what, port, after, protocols] of doors)
    await t.test(`sslscan: ${what}`, async () => {
      const scan = await sslscan(port, after)
      assert.deepEqual(scan.complaints, [])
      assert.deepEqual(scan.protocols, protocols)
    })
  if (process.env.TESTSSL === 'whole') {
    const wholeWithCa = join(deployment.folder, 'hop/ca.pem')
    for (const [what, port, starttls] of doors)
      await t.test(`the whole of testssl.sh: ${what}`, async () => {
        const findings = await testssl(port, { starttls, wholeWithCa })
        const known = what.startsWith('the hop') ? [...OWN_CA, ...OWN_NAME] : OWN_CA
        assert.deepEqual(complaints(findings, known), [])
      })
  }
  // It takes its time, much of which it waits; where it must find out what protocol it is, much more. The other two doors have
  // the same TLS as these.
  const slowly = doors
    .slice(1, 3)
    .map(([what, port, starttls]) => ({ what, findings: testssl(port, { starttls }) }))
  for (const { what, findings } of slowly)
    await t.test(`testssl.sh: ${what}`, async () => assert.deepEqual(complaints(await findings), []))

  for (const [what, port, after] of doors)
    await t.test(`X25519MLKEM768: ${what}`, async () => {
      // With nothing else to agree on, and by the choice of both.
      assert.equal(await keyExchange(port, after, { ecdhCurve: 'X25519MLKEM768' }), 'X25519MLKEM768')
      assert.equal(await keyExchange(port, after, {}), 'X25519MLKEM768')
      // A client that is older.
      assert.equal(await keyExchange(port, after, { ecdhCurve: 'X25519:P-256' }), 'X25519')
    })
})

test('sslscan does complain', async t => {
  if (!need(t, 'sslscan')) return
  const pair = await selfSigned(['localhost'])
  const server = createServer({
    cert: pair.certificate,
    key: pair.key,
    minVersion: 'TLSv1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  })
  server.on('tlsClientError', () => {}).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { complaints } = await sslscan((server.address() as AddressInfo).port, false)
  assert.ok(complaints.includes('tls 1.0'), complaints.join('\n'))
  assert.ok(complaints.includes('TLSv1.2 ECDHE-ECDSA-AES128-SHA: acceptable'), complaints.join('\n'))
})

async function keyExchange(port: number, starttls: boolean, options: ConnectionOptions): Promise<string> {
  const plain = connectTcp(port, '127.0.0.1')
  if (starttls) {
    for (const line of ['', 'EHLO client.test\r\n', 'STARTTLS\r\n']) {
      plain.write(line)
      const [reply] = await once(plain, 'data')
      assert.match(String(reply), /^2/)
    }
  }
  const socket = connectTls({ socket: plain, rejectUnauthorized: false, ...options })
  try {
    await once(socket, 'secureConnect')
    const key = socket.getEphemeralKeyInfo()
    return key !== null && 'name' in key ? String(key.name) : JSON.stringify(key)
  } finally {
    socket.destroy()
  }
}
