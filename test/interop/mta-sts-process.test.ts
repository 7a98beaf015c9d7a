/**
 * MTA-STS in a relay that is a process of its own, with everything where it is on the Internet: BIND has the record and the
 * address of mta-sts.<domain>, the policy is fetched from port 443 of it, Postfix is the MX. RFC 8461 §3.3, §4.2 and §5.1.
 */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { issue, makeAuthority, selfSigned } from '../../src/cli/authority.ts'
import { txtStrings } from '../../src/dns/rdata.ts'
import { parseTsigKey } from '../../src/dns/tsig.ts'
import { sendUpdate } from '../../src/net/nsupdate.ts'
import type { KeyPair } from '../../src/net/tls.ts'
import { deploy, TSIG } from '../e2e/deployment.ts'
import { startProcess } from '../e2e/service-process.ts'
import { submit } from '../e2e/submit.ts'
import { startBind } from '../peers/bind.ts'
import { startHttpsServer } from '../peers/https-server.ts'
import { need, needRoot } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { type Postfix, startPostfix } from '../peers/postfix.ts'

const DOMAIN = 'sts.test'
/** Where nobody else listens on port 443. */
const WEB_SERVER = '127.43.0.1'
const ZONE = `$TTL 1
@ SOA ns hostmaster 1 3600 600 86400 1
@ NS ns
ns A 127.0.0.1
@ MX 10 mx
mx A 127.0.0.1
mta-sts A ${WEB_SERVER}
_mta-sts TXT "v=STSv1; id=1"
`
const POLICY = `version: STSv1\r\nmode: enforce\r\nmx: mx.${DOMAIN}\r\nmax_age: 604800\r\n`

/** An MX that shows `pair`, on `port`. */
async function startMx(t: TestContext, folder: string, pair: KeyPair, port: number): Promise<Postfix> {
  const file = join(folder, `mx-${port}.pem`)
  writeFileSync(file, `${pair.key}\n${pair.certificate}`, { mode: 0o600 })
  const postfix = await startPostfix({ port, domains: [DOMAIN], parameters: { smtpd_tls_chain_files: file } })
  let running = true
  const stop = async () => {
    if (running) await postfix.stop()
    running = false
  }
  t.after(stop)
  return { ...postfix, stop }
}

test('a policy is fetched from port 443, held to, and in force over restarts when nobody serves it any more', async t => {
  if (!need(t, 'named', 'postfix') || !needRoot(t, 'listen on port 443 and start a Postfix')) return
  const root = await makeAuthority('root.test')
  const key = parseTsigKey(TSIG)
  const dns = await startBind({ zones: { [DOMAIN]: ZONE }, tsigKey: key })
  t.after(() => dns.stop())
  const web = await startHttpsServer(await issue(root, { names: [`mta-sts.${DOMAIN}`] }), {
    script: { body: POLICY },
    address: WEB_SERVER,
    port: 443,
  })
  let served = true
  t.after(() => (served ? web.stop() : undefined))
  const smtpPort = await freePort()
  const deployment = await deploy(t, {
    smtpPort,
    services: ['signer', 'submission'],
    toml: {
      relay: [
        `resolver = ["127.0.0.1:${dns.port}"]`,
        'resolver_validates = false',
        // Our own zone is not in this DNS.
        'verify_signatures = false',
        'retry = ["1h"]',
      ],
    },
  })
  const { folder } = deployment
  writeFileSync(join(folder, 'root.pem'), root.certificate)
  const startRelay = async () => {
    const relay = startProcess(t, deployment, 'relay', [
      'env',
      `NODE_EXTRA_CA_CERTS=${join(folder, 'root.pem')}`,
    ])
    await relay.started
    return relay
  }
  const of = (id: string) => (happening: { readonly fields: { readonly id?: unknown } }) =>
    happening.fields.id === id
  const send = (to: string) => submit(t, deployment, { rcpt: { [`${to}@${DOMAIN}`]: '' } })
  const postfix = await startMx(t, folder, await issue(root, { names: [`mx.${DOMAIN}`] }), smtpPort)

  let relay = await startRelay()
  const first = await send('first')
  const delivered = await deployment.event(['delivered', 'deferred'], of(first))
  assert.match(String(delivered.fields.tls), /^TLSv1\.3 .* verified by its name$/)
  assert.deepEqual(web.requests, [`GET mta-sts.${DOMAIN} /.well-known/mta-sts.txt`])
  const attempted = await deployment.event('attempt', of(first))
  assert.equal(attempted.fields.because, `MTA-STS: ${DOMAIN} enforces policy 1`)

  // Another policy is announced, nobody serves it, and the relay knows only what is on its disk.
  served = false
  await web.stop()
  const name = `_mta-sts.${DOMAIN}`
  const data = txtStrings('v=STSv1; id=2')
  const record = { name, type: 'TXT', class: 'IN', ttlSeconds: 1, data } as const
  const changes = [{ kind: 'delete rrset', name, type: 'TXT' } as const, { kind: 'add', record } as const]
  const changed = await sendUpdate(
    { host: '127.0.0.1', port: dns.port },
    { zone: DOMAIN, prerequisites: [], changes },
    key,
  )
  assert.equal(changed.kind, 'done')
  await relay.kill()
  relay = await startRelay()
  const second = await send('second')
  const still = await deployment.event(['delivered', 'deferred'], of(second))
  assert.equal(still.name, 'delivered')
  assert.match(String(still.fields.tls), /verified by its name$/)
  const failed = relay.events.find(event => event.name === 'policy' && event.fields.result !== undefined)
  assert.equal(failed?.fields.result, 'sts-policy-fetch-error', JSON.stringify(failed))
  assert.deepEqual([failed?.level, failed?.fields.mode], ['warn', 'enforce'])

  // Who is in the way of the web server is also in the way of the MX.
  await postfix.stop()
  await relay.stop()
  await startMx(t, folder, await selfSigned([`mx.${DOMAIN}`]), smtpPort)
  relay = await startRelay()
  const third = await send('third')
  const waits = await deployment.event(['delivered', 'deferred'], of(third))
  assert.deepEqual([waits.name, waits.fields.status], ['deferred', '4.7.10'], JSON.stringify(waits.fields))
  assert.match(JSON.stringify(waits.fields), /MTA-STS: sts\.test enforces policy 1/)
  await relay.stop()
})
