/**
 * A hidden primary: updates go to a BIND that is in no NS set, the world asks two secondaries, a BIND and a Knot,
 * which are told of changes when the test says so.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Interpretation } from '../../src/dns/answer.ts'
import { txtStrings, txtText } from '../../src/dns/rdata.ts'
import { parseTsigKey } from '../../src/dns/tsig.ts'
import {
  askAuthorities,
  authoritiesAt,
  findAuthorities,
  findPrimary,
  objections,
} from '../../src/net/authorities.ts'
import { sendUpdate } from '../../src/net/nsupdate.ts'
import { Resolver } from '../../src/net/resolver.ts'
import { startBind, startBindResolver, startBindSecondary } from '../peers/bind.ts'
import { notify } from '../peers/dns.ts'
import { startKnotSecondary } from '../peers/knot.ts'
import { need } from '../peers/need.ts'
import { startUnbound } from '../peers/unbound.ts'

const ZONE = 'example.com'
const NAME = `new._domainkey.${ZONE}`
const ADDRESSES = ['127.0.0.1', '127.0.0.2'] as const
/** The MNAME is the hidden primary; the NS set has the two others. */
const MASTER_FILE = `$TTL 60
@ SOA primary hostmaster 1 3600 600 86400 7
@ NS ns1
@ NS ns2
primary A 127.0.0.1
ns1 A ${ADDRESSES[0]}
ns2 A ${ADDRESSES[1]}
`
const LONG = Array.from({ length: 8 }, (_, at) => `long TXT "${at}${'x'.repeat(240)}"\n`).join('')
const tsigKey = parseTsigKey('x._update.example.com:hmac-sha256:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=')

async function setting(t: TestContext) {
  const primary = await startBind({ zones: { [ZONE]: MASTER_FILE }, tsigKey })
  t.after(() => primary.stop())
  const options = { zone: ZONE, primary: primary.port, tsigKey }
  const bind = await startBindSecondary(options)
  t.after(() => bind.stop())
  const knot = await startKnotSecondary({ ...options, address: ADDRESSES[1], port: bind.port })
  t.after(() => knot.stop())
  return { primary: primary.port, port: bind.port }
}

/** Until the secondary has transferred the zone: its answer is the news. */
async function until(check: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (await check()) return
    await pause(50)
  }
  assert.fail('the secondary does not follow')
}

const missing = (answer: Interpretation<readonly Uint8Array[]>): string | null =>
  answer.kind === 'answer' && answer.records.map(txtText).includes('v=DKIM1; p=') ? null : `has no ${NAME}`

test('authorities: a hidden primary, and secondaries that lag', async t => {
  if (!need(t, 'named', 'knotd')) return
  const { primary, port } = await setting(t)
  const resolverPeer = await startBindResolver({ forward: { [ZONE]: primary } })
  t.after(() => resolverPeer.stop())
  const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: resolverPeer.port }] })
  t.after(() => resolver.close())

  const found = await findAuthorities(ZONE, resolver, { port })
  assert.ok(found.kind === 'authorities', JSON.stringify(found))
  assert.deepEqual(
    found.authorities.map(authority => ('endpoint' in authority ? authority.endpoint.host : authority)),
    [...ADDRESSES],
  )
  // The MNAME leads to the primary although nobody else is told of it.
  const told = await findPrimary(NAME, resolver, { port: primary })
  assert.ok(told.kind === 'primary', JSON.stringify(told))
  assert.deepEqual(
    [told.zone, told.primary, told.negativeTtlSeconds],
    [ZONE, { host: '127.0.0.1', port: primary }, 7],
  )

  const disagreeing = async (): Promise<string[]> =>
    objections(await askAuthorities(found, NAME, 'TXT'), missing)
  const both = [`ns1.${ZONE} (${ADDRESSES[0]}:${port}) has no ${NAME}`]
  both.push(`ns2.${ZONE} (${ADDRESSES[1]}:${port}) has no ${NAME}`)
  assert.deepEqual(await disagreeing(), both)
  const before = await askAuthorities(found, NAME, 'TXT')
  // How long whoever asked now will remember it: what an activation must wait for.
  assert.deepEqual(
    before.map(({ answer }) => answer.kind === 'nxdomain' && answer.ttlSeconds),
    [7, 7],
  )

  const record = {
    name: NAME,
    type: 'TXT',
    class: 'IN',
    ttlSeconds: 60,
    data: txtStrings('v=DKIM1; p='),
  } as const
  const update = { zone: ZONE, prerequisites: [], changes: [{ kind: 'add', record } as const] }
  assert.deepEqual(await sendUpdate(told.primary, update, tsigKey), { kind: 'done' })
  const atPrimary = await askAuthorities(authoritiesAt([told.primary]), NAME, 'TXT')
  assert.deepEqual(objections(atPrimary, missing), [])
  // The primary has it, the world has not.
  assert.deepEqual(await disagreeing(), both)

  await notify({ host: ADDRESSES[0], port }, ZONE)
  await until(async () => (await disagreeing()).length < 2)
  assert.deepEqual(await disagreeing(), both.slice(1))
  await notify({ host: ADDRESSES[1], port }, ZONE)
  await until(async () => (await disagreeing()).length === 0)
})

test('authorities: one that is down is told, and is not agreed with', async t => {
  if (!need(t, 'named', 'unbound')) return
  const master = `${MASTER_FILE.replace(`ns2 A ${ADDRESSES[1]}`, 'ns2 A 127.0.0.98')}${LONG}`.replace(
    'ns1 A 127.0.0.2',
    'ns1 A 127.0.0.1',
  )
  const primary = await startBind({ zones: { [ZONE]: master }, tsigKey })
  t.after(() => primary.stop())
  const unbound = await startUnbound({ stubs: { [ZONE]: primary.port } })
  t.after(() => unbound.stop())
  const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: unbound.port }] })
  t.after(() => resolver.close())
  const found = await findAuthorities(ZONE, resolver, { port: primary.port })
  assert.ok(found.kind === 'authorities')
  // Over 1232 octets: truncated over UDP, asked for over TCP (RFC 7766 §5).
  const [long] = await askAuthorities(found, `long.${ZONE}`, 'TXT')
  assert.equal(long?.answer.kind === 'answer' && long.answer.records.length, 8)
  const answers = await askAuthorities(found, ZONE, 'SOA', { timeoutMs: 1000 })
  assert.deepEqual(
    objections(answers, () => null),
    [`127.0.0.98:${primary.port}: connection refused`],
  )
})
