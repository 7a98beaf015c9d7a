/**
 * One suite, four primaries: what the signer does to a zone, against BIND, Knot, PowerDNS and the sandbox's
 * own server.
 */

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import type { ResourceRecord } from '../../src/dns/message.ts'
import { txtStrings, txtText } from '../../src/dns/rdata.ts'
import { parseTsigKey, type TsigKey } from '../../src/dns/tsig.ts'
import type { Change, Prerequisite } from '../../src/dns/update.ts'
import type { Endpoint } from '../../src/net/endpoint.ts'
import { askPrimary, sendUpdate, type UpdateOptions } from '../../src/net/nsupdate.ts'
import { transferZone } from '../../src/net/nsupdate-transfer.ts'
import { silent } from '../../src/observe/event.ts'
import { startDnsServer } from '../../src/sandbox/dns-server.ts'
import { type PublishOptions, publishKey } from '../../src/signer/publish.ts'
import { startBind } from '../peers/bind.ts'
import type { PrimaryPeerOptions } from '../peers/dns.ts'
import { startKnot } from '../peers/knot.ts'
import { need, which } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { startPowerDns } from '../peers/powerdns.ts'

const ZONE = 'example.com'
const MASTER_FILE = `$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 5
@ NS ns
ns A 127.0.0.1
theirs._domainkey TXT "v=DKIM1; p=theirs"
double._domainkey TXT "v=DKIM1; p=one"
double._domainkey TXT "v=DKIM1; p=two"
alias._domainkey CNAME key.example.net.
`
// A real RSA-2048 record is over 255 octets: two strings.
const KEY = `v=DKIM1; k=rsa; p=${'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A'.repeat(12)}IDAQAB`
const OTHER_KEY = `v=DKIM1; k=rsa; p=${'NEWKEYNEWKEYNEWKEYNEWKEYNEWKEY12'.repeat(12)}IDAQAB`

const SECRET = Buffer.from('0123456789abcdef0123456789abcdef').toString('base64')
/** All that an unsigned REFUSED can mean. */
const UNEXPLAINED = /REFUSED.*not signed.*another secret.*TSIG-ALLOW-DNSUPDATE.*more than 300 s apart/

const tsigKey = parseTsigKey(`x._update.${ZONE}:hmac-sha256:${SECRET}`)

interface Primary {
  readonly port: number
  stop(): Promise<void>
}

interface Dialect {
  readonly name: string
  readonly program?: string
  readonly start: (options: PrimaryPeerOptions) => Promise<Primary>
  /** The answer for a zone it does not have, and to a key that may not do what it asks. */
  readonly noZone: 'NOTAUTH' | 'BADREPLY'
  readonly forbidden: 'REFUSED' | 'BADKEY' | 'BADREPLY' | undefined
  /** To a key that it does not know. */
  readonly unknownKey: 'BADKEY' | 'BADREPLY'
  /** Whether it says what is wrong with a key or a clock as RFC 8945 §5.2 has it. */
  readonly explains: boolean
}

function knotVersion(): number {
  const { stdout } = spawnSync(which('knotd') ?? 'knotd', ['--version'], { encoding: 'utf8' })
  return Number(/\b\d+\.\d+/.exec(stdout ?? '')?.[0] ?? 0)
}

const knotDenies = knotVersion() < 3.4 ? 'BADKEY' : 'BADREPLY'
const primaries: Dialect[] = [
  {
    ...{ name: 'BIND', program: 'named', start: startBind },
    ...{ noZone: 'NOTAUTH', forbidden: 'REFUSED', unknownKey: 'BADKEY', explains: true },
  },
  // Knot looks for a zone and a permission first, and a key counts only where it has permission; since 3.4 it does not
  // sign what it says then.
  {
    ...{ name: 'Knot', program: 'knotd', start: startKnot },
    ...{ noZone: 'BADREPLY', forbidden: knotDenies, unknownKey: knotDenies, explains: true },
  },
  // PowerDNS refuses without a signature whatever is wrong with one, and says NOERROR where its policy forbids.
  {
    ...{ name: 'PowerDNS', program: 'pdns_server', start: startPowerDns },
    ...{ noZone: 'NOTAUTH', forbidden: undefined, unknownKey: 'BADREPLY', explains: false },
  },
  {
    name: 'our own',
    start: startOwn,
    noZone: 'NOTAUTH',
    forbidden: 'REFUSED',
    unknownKey: 'BADKEY',
    explains: true,
  },
]

async function startOwn({ tsigKey: key }: PrimaryPeerOptions): Promise<Primary> {
  const server = await startDnsServer({
    zones: [
      {
        origin: ZONE,
        records: [
          { name: 'ns', type: 'A', data: '127.0.0.1' },
          { name: 'theirs._domainkey', type: 'TXT', data: 'v=DKIM1; p=theirs' },
          { name: 'double._domainkey', type: 'TXT', data: 'v=DKIM1; p=one' },
          { name: 'double._domainkey', type: 'TXT', data: 'v=DKIM1; p=two' },
          { name: 'alias._domainkey', type: 'CNAME', data: 'key.example.net' },
        ],
      },
    ],
    tsigKey: key,
    log: silent,
  })
  return { port: server.port, stop: server.close }
}

for (const dialect of primaries) {
  const { name, program, start } = dialect
  test(`primary: ${name}`, async t => {
    if (program !== undefined && !need(t, program)) return
    const peer = await start({ zones: { [ZONE]: MASTER_FILE }, tsigKey })
    t.after(() => peer.stop())
    await suite(t, { host: '127.0.0.1', port: peer.port }, dialect)
  })
  for (const algorithm of ['hmac-sha384', 'hmac-sha512']) {
    test(`primary: ${name}, ${algorithm}`, async t => {
      if (program !== undefined && !need(t, program)) return
      const key = parseTsigKey(`Strong.Key:${algorithm}:${SECRET}`)
      const peer = await start({ zones: { [ZONE]: MASTER_FILE }, tsigKey: key })
      t.after(() => peer.stop())
      const primary = { host: '127.0.0.1', port: peer.port }
      assert.deepEqual(await publishKey(options(primary, 'a', { tsigKey: key })), { kind: 'published' })
      const offByTen = { now: () => Date.now() - 600_000 }
      const late = await publishKey(options(primary, 'b', { tsigKey: key, ...offByTen }))
      assert.equal(code(late), dialect.explains ? 'BADTIME' : 'BADREPLY')
    })
  }
}

test('a zone of many messages: every one is covered by a MAC (RFC 8945 §5.3.1)', async t => {
  if (!need(t, 'named', 'knotd', 'pdns_server')) return
  const hosts = Array.from({ length: 3000 }, (_, at) => `k${at} TXT "${'x'.repeat(200)}${at}"`).join('\n')
  for (const { name, start } of primaries.filter(({ program }) => program !== undefined)) {
    const peer = await start({ zones: { [ZONE]: `${MASTER_FILE}${hosts}\n` }, tsigKey })
    t.after(() => peer.stop())
    const primary = { host: '127.0.0.1', port: peer.port }
    const found = await transferZone(primary, ZONE, tsigKey)
    assert.ok(found.kind === 'zone', `${name}: ${JSON.stringify(found)}`)
    assert.ok(found.records.length > 3000, name)
    const little = await transferZone(primary, ZONE, tsigKey, { maxOctets: 100_000 })
    assert.equal(little.kind === 'failure' && little.code, 'TOOLARGE', name)
  }
})

test('publishing: no primary is a failure, a name outside the zone is refused', async () => {
  const nobody = { host: '127.0.0.1', port: await freePort() }
  const outcome = await publishKey(options(nobody, 'ptt'))
  assert.equal(outcome.kind === 'failure' && outcome.code, 'NETWORK')
  const outside = await publishKey({ ...options(nobody, 'ptt'), name: 'ptt._domainkey.example.org' })
  assert.equal(outside.kind === 'refused' && outside.code, 'NOTZONE')
})

async function suite(t: TestContext, primary: Endpoint, dialect: Dialect): Promise<void> {
  const { name } = dialect
  const keyName = (selector: string): string => `${selector}._domainkey.${ZONE}`
  const served = async (selector: string): Promise<string[]> => {
    const found = await askPrimary(primary, keyName(selector), 'TXT')
    return found.kind === 'answer' ? found.records.map(txtText) : []
  }
  const serial = async (): Promise<number> => {
    const found = await askPrimary(primary, ZONE, 'SOA')
    assert.equal(found.kind, 'answer')
    return found.kind === 'answer' ? (found.records[0]?.serial ?? -1) : -1
  }
  const send = (change: Change, how: Partial<Sending> = {}): ReturnType<typeof sendUpdate> => {
    const { key = tsigKey, zone = ZONE, prerequisites = [], ...rest } = how
    return sendUpdate(primary, { zone, prerequisites, changes: [change] }, key, rest)
  }

  await t.test('a key is published, and the serial grows', async () => {
    const before = await serial()
    assert.deepEqual(await publishKey(options(primary, 'new')), { kind: 'published' })
    assert.deepEqual(await served('new'), [KEY])
    assert.ok((await serial()) > before)
  })

  await t.test('a key that is right is left alone', async () => {
    await publishKey(options(primary, 'right'))
    const before = await serial()
    assert.deepEqual(await publishKey(options(primary, 'right')), { kind: 'already' })
    assert.equal(await serial(), before)
  })

  await t.test('our own older key is replaced, and nothing of it stays', async () => {
    await publishKey(options(primary, 'rotated'))
    const rotated = options(primary, 'rotated', { record: OTHER_KEY, replaces: ['v=DKIM1; p=older', KEY] })
    assert.deepEqual(await publishKey(rotated), { kind: 'published' })
    assert.deepEqual(await served('rotated'), [OTHER_KEY])
  })

  await t.test('two records that are both ours become one', async () => {
    const replaces = ['v=DKIM1; p=two', 'v=DKIM1; p=one']
    assert.deepEqual(await publishKey(options(primary, 'double', { replaces })), { kind: 'published' })
    assert.deepEqual(await served('double'), [KEY])
  })

  await t.test("another's record is not overwritten", async () => {
    const outcome = await publishKey(options(primary, 'theirs'))
    assert.equal(outcome.kind, 'conflict')
    assert.ok(outcome.kind === 'conflict')
    assert.deepEqual(outcome.found, ['v=DKIM1; p=theirs'])
    assert.match(outcome.explanation, /theirs._domainkey.example.com has 'v=DKIM1; p=theirs'/)
    assert.match(outcome.explanation, /update delete theirs._domainkey.example.com TXT/)
    assert.deepEqual(await served('theirs'), ['v=DKIM1; p=theirs'])
  })

  await t.test('nor is a CNAME', async () => {
    const outcome = await publishKey(options(primary, 'alias'))
    assert.equal(outcome.kind, 'conflict')
    assert.deepEqual(outcome.kind === 'conflict' && outcome.found, ['CNAME key.example.net'])
  })

  await t.test('prerequisites: who comes second changes nothing', async () => {
    const record = txt(keyName('race'), KEY)
    const absent: Prerequisite = { kind: 'rrset does not exist', name: record.name, type: 'TXT' }
    assert.deepEqual(await send({ kind: 'add', record }, { prerequisites: [absent] }), { kind: 'done' })
    const second = { kind: 'add', record: txt(record.name, OTHER_KEY) } as const
    assert.equal(code(await send(second, { prerequisites: [absent] })), 'YXRRSET')
    const wasOther: Prerequisite = { kind: 'rrset is', records: [txt(record.name, OTHER_KEY)] }
    assert.equal(code(await send(second, { prerequisites: [wasOther] })), 'NXRRSET')
    assert.deepEqual(await served('race'), [KEY])
    const was: Prerequisite = { kind: 'rrset is', records: [record] }
    const remove: Change = { kind: 'delete rrset', name: record.name, type: 'TXT' }
    assert.deepEqual(await send(remove, { prerequisites: [was] }), { kind: 'done' })
    assert.deepEqual(await served('race'), [])
    const inUse: Prerequisite = { kind: 'name is in use', name: record.name }
    assert.equal(code(await send(second, { prerequisites: [inUse] })), 'NXDOMAIN')
    const notInUse: Prerequisite = { kind: 'name is not in use', name: keyName('theirs') }
    assert.equal(code(await send(second, { prerequisites: [notInUse] })), 'YXDOMAIN')
    const exists: Prerequisite = { kind: 'rrset exists', name: record.name, type: 'TXT' }
    assert.equal(code(await send(second, { prerequisites: [exists] })), 'NXRRSET')
  })

  await t.test('one record is taken out of an RRset', async () => {
    const name = keyName('pair')
    const records = [txt(name, 'one'), txt(name, 'two')]
    for (const record of records) assert.deepEqual(await send({ kind: 'add', record }), { kind: 'done' })
    assert.deepEqual((await served('pair')).sort(), ['one', 'two'])
    assert.deepEqual(await send({ kind: 'delete record', record: txt(name, 'one') }), { kind: 'done' })
    assert.deepEqual(await served('pair'), ['two'])
  })

  await t.test('a wrong secret is BADSIG', async () => {
    const wrong = { ...tsigKey, secret: Buffer.from('ffffffffffffffffffffffffffffffff') }
    const outcome = await publishKey(options(primary, 'wrong', { tsigKey: wrong }))
    assert.equal(code(outcome), dialect.explains ? 'BADSIG' : 'BADREPLY')
    assert.match(explanation(outcome), dialect.explains ? /compare the secrets/ : UNEXPLAINED)
    assert.deepEqual(await served('wrong'), [])
  })

  await t.test('an unknown key is BADKEY', async () => {
    const stranger = { ...tsigKey, name: 'nobody.example.com' }
    const outcome = await publishKey(options(primary, 'wrong', { tsigKey: stranger }))
    assert.equal(code(outcome), dialect.unknownKey)
    const unknown = /does not know a TSIG key 'nobody.example.com'/
    assert.match(explanation(outcome), dialect.explains ? unknown : UNEXPLAINED)
  })

  await t.test('another algorithm than the key has is BADKEY', async () => {
    const outcome = await publishKey(
      options(primary, 'wrong', { tsigKey: { ...tsigKey, algorithm: 'hmac-sha512' } }),
    )
    assert.equal(code(outcome), dialect.unknownKey)
  })

  for (const minutes of [10, -10]) {
    await t.test(`our clock ${minutes} minutes off is BADTIME, explained with the offset`, async () => {
      const now = (): number => Date.now() + minutes * 60_000
      const outcome = await send({ kind: 'add', record: txt(keyName('late'), KEY) }, { now })
      assert.deepEqual(await served('late'), [])
      if (!dialect.explains) return assert.match(explanation(outcome), UNEXPLAINED)
      assert.ok(outcome.kind === 'refused')
      assert.equal(outcome.code, 'BADTIME')
      assert.equal(outcome.authenticated, true)
      assert.ok(
        Math.abs((outcome.offsetSeconds ?? 0) + minutes * 60) <= 30,
        `offset ${outcome.offsetSeconds}`,
      )
      assert.match(outcome.explanation, new RegExp(`is \\d+ s ${minutes > 0 ? 'behind' : 'ahead of'} ours`))
    })
  }

  await t.test('a clock 4 minutes off is good enough', async () => {
    const now = (): number => Date.now() - 240_000
    assert.deepEqual(await publishKey(options(primary, 'slow', { now })), { kind: 'published' })
  })

  await t.test('a name outside the zone is NOTZONE', async () => {
    const record = txt('ptt._domainkey.example.org', KEY)
    assert.equal(code(await send({ kind: 'add', record })), 'NOTZONE')
  })

  await t.test('a zone the server does not have is NOTAUTH, or a reply without a signature', async () => {
    const record = txt('ptt._domainkey.example.org', KEY)
    const outcome = await send({ kind: 'add', record }, { zone: 'example.org' })
    assert.equal(code(outcome), dialect.noZone)
    assert.match(explanation(outcome), /is not the primary of zone example.org/)
  })

  await t.test('what the key may not change is refused', async () => {
    const record: ResourceRecord = {
      name: `a.${ZONE}`,
      type: 'A',
      class: 'IN',
      ttlSeconds: 60,
      data: '192.0.2.1',
    }
    const outcome = await send({ kind: 'add', record })
    if (dialect.forbidden === undefined) assert.deepEqual(outcome, { kind: 'done' })
    else assert.equal(code(outcome), dialect.forbidden)
    const refusal = /does not let (it|TSIG key 'x._update.example.com') change a.example.com/
    if (dialect.forbidden !== undefined) assert.match(explanation(outcome), refusal)
    assert.equal((await askPrimary(primary, record.name, 'A')).kind, 'nxdomain')
  })

  await t.test('the zone is read whole, every message of it signed (RFC 8945 §5.3.1)', async () => {
    if (name === 'our own') return
    const found = await transferZone(primary, ZONE, tsigKey)
    assert.ok(found.kind === 'zone', JSON.stringify(found))
    const texts = found.records.flatMap(record =>
      record.type === 'TXT' && record.data !== null ? txtText(record.data) : [],
    )
    assert.ok(texts.includes('v=DKIM1; p=theirs') && texts.length > 3, texts.join(' '))
    const stranger = { ...tsigKey, secret: Buffer.from('ffffffffffffffffffffffffffffffff') }
    const refused = await transferZone(primary, ZONE, stranger)
    assert.ok(refused.kind === 'refused', JSON.stringify(refused))
    assert.equal((await transferZone(primary, 'example.org', tsigKey)).kind, 'refused')
  })

  await t.test('over UDP too', async () => {
    const add = { kind: 'add', record: txt(keyName('udp'), KEY) } as const
    assert.deepEqual(await send(add, { transport: 'udp' }), { kind: 'done' })
    assert.deepEqual(await served('udp'), [KEY])
  })
}

interface Sending extends UpdateOptions {
  readonly key: TsigKey
  readonly zone: string
  readonly prerequisites: readonly Prerequisite[]
}

function options(primary: Endpoint, selector: string, more: Partial<PublishOptions> = {}): PublishOptions {
  const name = `${selector}._domainkey.${ZONE}`
  return { primary, zone: ZONE, tsigKey, name, record: KEY, ttlSeconds: 60, ...more }
}

function txt(name: string, text: string): ResourceRecord {
  return { name, type: 'TXT', class: 'IN', ttlSeconds: 60, data: txtStrings(text) }
}

function code(outcome: object): unknown {
  return 'code' in outcome ? outcome.code : JSON.stringify(outcome)
}

function explanation(outcome: object): string {
  if ('explanation' in outcome) return String(outcome.explanation)
  return 'reason' in outcome ? String(outcome.reason) : ''
}
