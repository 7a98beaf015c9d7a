import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { decodeMessage, encodeMessage, type Message, OPCODE } from '../dns/message.ts'
import { mailHosts } from '../dns/mx.ts'
import { txtStrings } from '../dns/rdata.ts'
import { parseTsigKey } from '../dns/tsig.ts'
import { exchangeTcp, exchangeUdp } from '../net/dns-exchange.ts'
import { askPrimary, sendUpdate, type UpdateOutcome } from '../net/nsupdate.ts'
import { transferZone } from '../net/nsupdate-transfer.ts'
import { Resolver } from '../net/resolver.ts'
import { silent } from '../observe/event.ts'
import { type DnsServer, type DnsServerOptions, startDnsServer } from './dns-server.ts'

const key = parseTsigKey('x.example:hmac-sha256:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=')
const zones: DnsServerOptions['zones'] = [
  {
    origin: '.',
    records: [
      { name: '*', type: 'MX', data: '10 mx.test' },
      { name: 'mx.test', type: 'A', data: '127.0.0.1' },
    ],
  },
  {
    origin: 'example.com',
    records: [
      { name: 'www', type: 'CNAME', data: 'host.example.net' },
      { name: 'loop', type: 'CNAME', data: 'loop.example.com' },
      { name: 'long', type: 'TXT', data: 'x'.repeat(2000) },
    ],
  },
  { origin: 'example.net', records: [{ name: 'host', type: 'A', data: '192.0.2.1' }] },
]

async function start(t: TestContext, options: Partial<DnsServerOptions> = {}): Promise<DnsServer> {
  const server = await startDnsServer({ zones, tsigKey: key, log: silent, ...options })
  t.after(() => server.close())
  return server
}

function add(server: DnsServer, name: string, text: string): Promise<UpdateOutcome> {
  const record = { name, type: 'TXT', class: 'IN', ttlSeconds: 60, data: txtStrings(text) } as const
  const update = { zone: 'example.com', prerequisites: [], changes: [{ kind: 'add', record } as const] }
  return sendUpdate({ host: '127.0.0.1', port: server.port }, update, key)
}

async function raw(server: DnsServer, octets: Buffer, transport: 'udp' | 'tcp' = 'udp'): Promise<Message> {
  const exchange = transport === 'udp' ? exchangeUdp : exchangeTcp
  const reply = await exchange({ host: '127.0.0.1', port: server.port }, octets, decodeMessage, {
    timeoutMs: 5000,
  })
  assert.ok(reply.kind === 'reply')
  return reply.value
}

test('DNS server: the pretend Internet takes mail everywhere', async t => {
  const server = await start(t)
  const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: server.port }] })
  t.after(() => resolver.close())
  const hosts = mailHosts('any.thing', await resolver.mx('any.thing'), () => 0)
  assert.deepEqual(hosts.kind === 'hosts' && hosts.hosts, [{ preference: 10, exchange: 'mx.test' }])
  assert.deepEqual(await resolver.addresses('mx.test'), {
    kind: 'answer',
    records: [{ address: '127.0.0.1', family: 4 }],
    ttlSeconds: 60,
    authenticated: false,
    name: 'mx.test',
  })
  const www = await resolver.query('www.example.com', 'A')
  assert.deepEqual(www.kind === 'answer' && www.records, ['192.0.2.1'])
  assert.equal((await resolver.mx('nobody.example.com')).kind, 'nxdomain')
  assert.equal((await resolver.mx('example.com')).kind, 'nodata')
  assert.equal((await resolver.query('loop.example.com', 'A')).kind, 'failure')
  const long = await resolver.txt('long.example.com')
  assert.equal(long.kind === 'answer' && long.records[0]?.length, 2000)
})

test('DNS server: what does not fit is truncated over UDP and whole over TCP', async t => {
  const server = await start(t)
  const query = (payload?: number): Buffer =>
    encodeMessage({
      questions: [{ name: 'long.example.com', type: 'TXT', class: 'IN' }],
      edns: payload === undefined ? null : { udpPayloadOctets: payload, dnssecOk: false, version: 0 },
    })
  for (const payload of [undefined, 100, 1232, 4096]) {
    const message = await raw(server, query(payload))
    assert.equal(message.truncated, true)
    assert.equal(message.answers.length, 0)
    assert.equal(message.edns === null, payload === undefined)
  }
  const whole = await raw(server, query(), 'tcp')
  assert.equal(whole.truncated, false)
  assert.equal(whole.answers.length, 1)
})

test('DNS server: requests it cannot or does not serve', async t => {
  const server = await start(t, { zones: zones.slice(1) })
  const question = { name: 'example.com', type: 'SOA', class: 'IN' } as const
  const rcode = async (parts: Parameters<typeof encodeMessage>[0]): Promise<string> =>
    (await raw(server, encodeMessage({ questions: [question], ...parts }))).rcode
  assert.equal(await rcode({}), 'NOERROR')
  assert.equal(await rcode({ opcode: OPCODE.NOTIFY }), 'NOTIMP')
  assert.equal(await rcode({ questions: [] }), 'FORMERR')
  assert.equal(await rcode({ questions: [question, question] }), 'FORMERR')
  assert.equal(await rcode({ questions: [{ ...question, class: 'CLASS3' }] }), 'REFUSED')
  assert.equal(await rcode({ questions: [{ ...question, name: 'example.org' }] }), 'REFUSED')
  assert.equal(await rcode({ edns: { udpPayloadOctets: 1232, dnssecOk: false, version: 1 } }), 'BADVERS')
  // An update without TSIG is nobody's.
  assert.equal(await rcode({ opcode: OPCODE.UPDATE }), 'REFUSED')
  assert.equal((await raw(server, encodeMessage({ questions: [question] }).subarray(0, -1))).rcode, 'FORMERR')
})

test('DNS server: nonsense does not stop it, over UDP or TCP', async t => {
  const server = await start(t)
  const response = encodeMessage({ response: true })
  const socket = connect(server.port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.write(
    Buffer.concat([Buffer.of(0, 5), Buffer.from('noise'), Buffer.of(0, response.length), response]),
  )
  const exchange = exchangeUdp({ host: '127.0.0.1', port: server.port }, Buffer.from('x'), decodeMessage, {
    timeoutMs: 50,
  })
  assert.equal((await exchange).kind, 'failure')
  assert.equal(
    (await askPrimary({ host: '127.0.0.1', port: server.port }, 'example.com', 'SOA')).kind,
    'answer',
  )
})

test('DNS server: a zone is not given away whole (RFC 5936 §2.2.1)', async t => {
  const server = await start(t)
  const outcome = await transferZone({ host: '127.0.0.1', port: server.port }, 'example.com', key)
  assert.equal(outcome.kind === 'refused' && outcome.code, 'REFUSED')
})

test('DNS server: without a key nobody may change anything', async t => {
  const server = await startDnsServer({ zones, log: silent })
  t.after(() => server.close())
  const outcome = await add(server, 'ptt._domainkey.example.com', 'x')
  assert.equal(outcome.kind === 'refused' && outcome.code, 'BADKEY')
})

test('DNS server: what was published survives a restart; new configuration shows all the same', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-dns-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const stateFile = join(folder, 'dns.json')
  const first = await startDnsServer({ zones, tsigKey: key, log: silent, stateFile })
  assert.deepEqual(await add(first, 'ptt._domainkey.example.com', 'v=DKIM1; p=AAAA'), { kind: 'done' })
  assert.deepEqual(await add(first, 'long.example.com', 'more'), { kind: 'done' })
  const removal = { kind: 'delete rrset', name: 'long.example.com', type: 'TXT' } as const
  const update = { zone: 'example.com', prerequisites: [], changes: [removal] }
  assert.deepEqual(await sendUpdate({ host: '127.0.0.1', port: first.port }, update, key), { kind: 'done' })
  const before = first.zones()
  await first.close()
  assert.equal(statSync(stateFile).mode & 0o077, 0)

  const again = await startDnsServer({ zones, tsigKey: key, log: silent, stateFile })
  const sorted = (served: ReturnType<DnsServer['zones']>): unknown =>
    served.map(zone => ({ ...zone, records: zone.records.map(record => JSON.stringify(record)).sort() }))
  assert.deepEqual(sorted(again.zones()), sorted(before))
  await again.close()

  const more = zones.map(zone =>
    zone.origin === 'example.com'
      ? { ...zone, records: [...zone.records, { name: 'new', type: 'A' as const, data: '192.0.2.7' }] }
      : zone,
  )
  const changed = await start(t, { zones: more, stateFile })
  const records = changed.zones()[1]?.records.map(record => `${record.name} ${record.type}`) ?? []
  assert.ok(records.includes('new A'))
  assert.ok(records.includes('ptt._domainkey TXT'))
  assert.ok(!records.includes('long TXT'))
})

test('DNS server: a change that cannot be kept is not made (RFC 2136 §3.5)', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-dns-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const server = await start(t, { stateFile: join(folder, 'missing', 'dns.json') })
  const outcome = await add(server, 'a.example.com', 'x')
  assert.equal(outcome.kind === 'refused' && outcome.code, 'SERVFAIL')
  assert.equal(
    (await askPrimary({ host: '127.0.0.1', port: server.port }, 'a.example.com', 'TXT')).kind,
    'nxdomain',
  )
})

test('DNS server: a state file it does not understand is not overwritten', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-dns-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const stateFile = join(folder, 'dns.json')
  for (const text of ['{', '{}', '[{"origin":"example.com"}]']) {
    writeFileSync(stateFile, text)
    await assert.rejects(startDnsServer({ zones, log: silent, stateFile }), /remove it to begin anew/)
    assert.equal(readFileSync(stateFile, 'utf8'), text)
  }
})

test('DNS server: a port that is taken is an error', async t => {
  const server = await start(t)
  await assert.rejects(startDnsServer({ zones, log: silent, port: server.port }), { code: 'EADDRINUSE' })
})
