/**
 * Sign or defer, never pass: each thing that a signature needs is broken, one at a time. The client is told 451 4.7.5 with
 * the reason, nothing reaches the relay, and when it is mended the next message is signed.
 */

import assert from 'node:assert/strict'
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { txtStrings } from '../../src/dns/rdata.ts'
import { parseTsigKey } from '../../src/dns/tsig.ts'
import type { Change } from '../../src/dns/update.ts'
import { sendUpdate } from '../../src/net/nsupdate.ts'
import { silent } from '../../src/observe/event.ts'
import { type DnsServer, type DnsServerOptions, startDnsServer } from '../../src/sandbox/dns-server.ts'
import type { ZoneRecord } from '../../src/sandbox/dns-zone.ts'
import { startSilentServer } from '../peers/dns.ts'
import { nodemailer } from '../peers/nodemailer.ts'
import { freePort } from '../peers/port.ts'
import {
  type Deployment,
  type DeployOptions,
  DOMAIN,
  deploy,
  type ServiceName,
  TSIG,
  USER,
} from './deployment.ts'

const MESSAGE = `From: ${USER}\r\nTo: bob@internet.test\r\nSubject: in doubt\r\n\r\nText.\r\n`
const ALL: readonly ServiceName[] = ['relay', 'signer', 'submission']
const NAME = `ptt._domainkey.${DOMAIN}`
/** Others remember for an hour that a record is not there. */
const SLOW_SOA: ZoneRecord = {
  name: '@',
  type: 'SOA',
  data: `ns.${DOMAIN} hostmaster.${DOMAIN} 1 3600 600 86400 3600`,
}

/** Not waiting for a key that is not to come. */
async function begin(
  t: TestContext,
  options: DeployOptions,
  prepare: (it: Deployment) => void = () => {},
): Promise<Deployment> {
  const deployment = await deploy(t, { ...options, services: [] })
  prepare(deployment)
  for (const name of ALL) await deployment.start(name)
  return deployment
}

async function deferred(deployment: Deployment, reason: RegExp): Promise<void> {
  const queued = (): number => deployment.events.filter(({ name }) => name === 'queued').length
  const before = queued()
  const { code, output } = await nodemailer(deployment.submission(MESSAGE, ['bob@internet.test']))
  assert.equal(code, 1, output)
  assert.match(output, /451 4\.7\.5 Not signed, so not sent: /)
  assert.match(output.replaceAll(/\s*\n?451-4\.7\.5 /g, ' '), reason)
  assert.equal(queued(), before, 'nothing has gone on to the relay')
}

async function signed(deployment: Deployment): Promise<void> {
  const { code, output } = await nodemailer(deployment.submission(MESSAGE, ['bob@internet.test']))
  assert.equal(code, 0, output)
  const id = /Queued as (\w+)/.exec(output)?.[1]
  const { fields } = await deployment.event('signed', happening => happening.fields.id === id)
  assert.match(String(fields.selector), /^ptt/)
}

/** The signer's own alarm, before it is asked to sign. */
async function alarmed(deployment: Deployment, outcome: string): Promise<string> {
  const { fields } = await deployment.event(
    'alarm',
    ({ service, fields }) => service === 'signer' && fields.about === 'key' && fields.outcome === outcome,
  )
  return String(fields.reason)
}

/** A primary beside the one of the deployment. Nobody remembers that a record was not there. */
function startPrimary(more: Pick<DnsServerOptions, 'port' | 'now'> = {}): Promise<DnsServer> {
  const soa: ZoneRecord = { ...SLOW_SOA, data: SLOW_SOA.data.replace(/3600$/, '0') }
  const zones = [{ origin: DOMAIN, records: [soa] }]
  return startDnsServer({ zones, tsigKey: parseTsigKey(TSIG), log: silent, ...more })
}

/** Somebody else who may change the zone. */
async function change(deployment: Deployment, ...changes: Change[]): Promise<void> {
  const server = { host: '127.0.0.1', port: deployment.dns.port }
  const update = { zone: DOMAIN, prerequisites: [], changes }
  assert.deepEqual(await sendUpdate(server, update, parseTsigKey(TSIG)), { kind: 'done' })
}
const REMOVED: Change = { kind: 'delete rrset', name: NAME, type: 'TXT' }
const ADDED = (text: string): Change => ({
  kind: 'add',
  record: { name: NAME, type: 'TXT', class: 'IN', ttlSeconds: 60, data: txtStrings(text) },
})

test('the record is taken away: put back, and not signed with while others may remember that it was gone', async t => {
  const deployment = await begin(t, { records: [SLOW_SOA] })
  await deployment.event('key', ({ fields }) => fields.state === 'published')
  await deferred(
    deployment,
    /all servers have its record; others may remember until \S+ that it was not there/,
  )
  // Where it was from the beginning, nobody can remember that it was not.
  await deployment.stop('signer')
  rmSync(join(deployment.config.signer.state, 'keys.json'))
  await deployment.start('signer')
  await deployment.event('key', ({ fields }) => fields.state === 'active' && fields.record === 'already')
  await signed(deployment)
  await change(deployment, REMOVED)
  await deployment.reload('signer')
  await deferred(deployment, /others may remember until/)
})

test('the record is another: not overwritten, and not signed with until it is gone', async t => {
  const deployment = await deploy(t)
  await signed(deployment)
  await change(deployment, REMOVED, ADDED('v=DKIM1; k=rsa; p=THEIRS'))
  await deployment.reload('signer')
  await deferred(
    deployment,
    /has 'v=DKIM1; k=rsa; p=THEIRS', which this signer did not publish and does not overwrite/,
  )
  assert.match(await alarmed(deployment, 'conflict'), /Choose another selector, or remove it/)
  await change(deployment, REMOVED)
  await deployment.reload('signer')
  await signed(deployment)
})

test('a second record beside it: a verifier may take either', async t => {
  const deployment = await deploy(t)
  await change(deployment, ADDED('v=DKIM1; k=rsa; p=THEIRS'))
  await deployment.reload('signer')
  await deferred(deployment, /p=THEIRS', which this signer did not publish/)
})

test('the primary is down: nothing is signed until it is back', async t => {
  const port = await freePort()
  const deployment = await begin(t, { toml: { signer: [`primary = "127.0.0.1:${port}"`] } })
  assert.match(await alarmed(deployment, 'failure'), /ECONNREFUSED|refused|no connection/i)
  await deferred(deployment, new RegExp(`127\\.0\\.0\\.1:${port}`))
  const server = await startPrimary({ port })
  t.after(() => server.close())
  await deployment.reload('signer')
  await signed(deployment)
})

test('the primary goes away later: a key that was seen everywhere goes on, also over a restart', async t => {
  const primary = await startPrimary()
  const deployment = await deploy(t, { toml: { signer: [`primary = "127.0.0.1:${primary.port}"`] } })
  await primary.close()
  await deployment.reload('signer')
  await alarmed(deployment, 'failure')
  await signed(deployment)
  await deployment.stop('signer')
  await deployment.start('signer')
  await signed(deployment)
})

test('a primary that never answers', async t => {
  const mute = await startSilentServer()
  t.after(() => mute.stop())
  const deployment = await begin(t, { toml: { signer: [`primary = "127.0.0.1:${mute.port}"`] } })
  await deferred(deployment, /ptt\._domainkey\.example\.test: ptt\.toml names it/)
})

test('the secret of TSIG is another', async t => {
  const wrong = `ptt._update.${DOMAIN}:hmac-sha256:${Buffer.alloc(32, 8).toString('base64')}`
  const deployment = await begin(t, {}, ({ config }) => {
    writeFileSync(config.signer.tsigKey, wrong, { mode: 0o600 })
  })
  assert.match(await alarmed(deployment, 'refused'), /knows the TSIG key .* with another secret/)
  await deferred(deployment, /compare the secrets/)
  writeFileSync(deployment.config.signer.tsigKey, TSIG, { mode: 0o600 })
  await deployment.stop('signer')
  await deployment.start('signer')
  await deployment.event('key', ({ fields }) => fields.state === 'active')
  await signed(deployment)
})

test('our clock is an hour off', async t => {
  const late = await startPrimary({ now: () => Date.now() + 3_600_000 })
  t.after(() => late.close())
  const deployment = await begin(t, { toml: { signer: [`primary = "127.0.0.1:${late.port}"`] } })
  assert.match(await alarmed(deployment, 'refused'), /set both by NTP/)
  await deferred(deployment, /clock.* is 3(600|599|601) s ahead of ours/)
})

test('a server of the zone has not got the record yet', async t => {
  const lagging = await startDnsServer({ zones: [{ origin: DOMAIN, records: [] }], log: silent })
  t.after(() => lagging.close())
  const port = await freePort()
  const records: ZoneRecord[] = []
  const deployment = await begin(t, {
    records,
    toml: { signer: [`authoritative = ["127.0.0.1:${lagging.port}", "127.0.0.1:${port}"]`] },
  })
  await deployment.event('key', ({ fields }) => fields.state === 'published')
  await deferred(deployment, new RegExp(`127\\.0\\.0\\.1:${lagging.port} still has no such name`))
})

test('the resolver of the relay does not see it', async t => {
  const other = await startDnsServer({ zones: [{ origin: DOMAIN, records: [] }], log: silent })
  t.after(() => other.close())
  const deployment = await begin(t, {
    records: [{ name: 'ns', type: 'A', data: '127.0.0.1' }],
    toml: { signer: [`resolver = ["127.0.0.1:${other.port}"]`, 'authoritative = []'] },
  })
  // Nor does it know the servers of the zone.
  await deferred(deployment, /ptt\._domainkey\.example\.test: /)
})

test('a key that the signer has made cannot be read any more', async t => {
  const deployment = await begin(
    t,
    { toml: { signer: ['key = []', 'algorithms = ["ed25519"]'] } },
    ({ config }) => {
      rmSync(config.signer.state, { recursive: true })
    },
  )
  const { fields } = await deployment.event('key', each => each.fields.state === 'active')
  await signed(deployment)
  const pem = join(deployment.config.signer.state, `${fields.selector}._domainkey.${DOMAIN}.pem`)
  await deployment.stop('signer')
  chmodSync(pem, 0o644)
  await deployment.start('signer')
  assert.match(await alarmed(deployment, 'unreadable'), /others may read it \(mode 644\): run chmod 600/)
  await deferred(deployment, /others may read it \(mode 644\)/)
  chmodSync(pem, 0o600)
  await deployment.reload('signer')
  await signed(deployment)
  // Another key in its place is not the key.
  await deployment.stop('signer')
  writeFileSync(pem, 'damaged', { mode: 0o600 })
  await deployment.start('signer')
  await deferred(deployment, /is not a private key in PEM/)
})

test('a key of ptt.toml that cannot be read: the signer does not start, and the client is told to come again', async t => {
  const deployment = await deploy(t, {
    services: ['relay', 'submission'],
    toml: { submission: ['hop_wait = "200ms"'] },
  })
  chmodSync(join(deployment.folder, 'dkim/ptt.pem'), 0o644)
  await assert.rejects(
    deployment.start('signer'),
    /dkim\/ptt\.pem: others may read it \(mode 644\): run chmod 600/,
  )
  const { output } = await nodemailer(deployment.submission(MESSAGE, ['bob@internet.test']))
  assert.match(output, /451 4\.4\.1/)
  assert.equal(
    deployment.events.some(({ name }) => name === 'queued'),
    false,
  )
})
