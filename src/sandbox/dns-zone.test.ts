import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ResourceRecord } from '../dns/message.ts'
import type { AnyType } from '../dns/rdata.ts'
import { Zone, type ZoneData, zoneOf } from './dns-zone.ts'

/** The zone of RFC 4592 §2.2.1. */
const zone = Zone.parse({
  origin: 'Example',
  records: [
    { name: '@', type: 'NS', data: 'ns.example.com' },
    { name: '*', type: 'TXT', data: 'this is a wildcard' },
    { name: '*', type: 'MX', data: '10 host1.example' },
    { name: 'sub.*', type: 'TXT', data: 'this is not a wildcard' },
    { name: 'host1', type: 'A', data: '192.0.2.1' },
    { name: '_ssh._tcp.host1', type: 'SRV', data: '0 0 22 host1.example' },
    { name: 'www', type: 'CNAME', data: 'host1.example' },
  ],
})

/** RFC 4592 §2.2.1 and §3.3.1, then our own. */
const lookups: [name: string, type: AnyType, kind: string, data?: unknown][] = [
  ['host3.example', 'MX', 'records', { preference: 10, exchange: 'host1.example' }],
  ['host3.example', 'A', 'nodata'],
  ['foo.bar.example', 'TXT', 'records', [Buffer.from('this is a wildcard')]],
  ['host1.example', 'MX', 'nodata'],
  ['sub.*.example', 'MX', 'nodata'],
  ['_telnet._tcp.host1.example', 'SRV', 'nxdomain'],
  ['_tcp.host1.example', 'SRV', 'nodata'],
  ['HOST1.Example', 'A', 'records', '192.0.2.1'],
  ['www.example', 'A', 'cname', 'host1.example'],
  ['www.example', 'CNAME', 'records', 'host1.example'],
  ['example', 'NS', 'records', 'ns.example.com'],
]
for (const [name, type, kind, data] of lookups) {
  test(`zone: ${name} ${type} is ${kind}`, () => {
    const found = zone.lookup(name, type)
    assert.equal(found.kind, kind)
    if ('records' in found) {
      assert.deepEqual(found.records[0]?.data, data)
      assert.equal(found.records[0]?.name, name)
    } else assert.equal(found.soa.ttlSeconds, 5)
  })
}

test('zone: the root has every name there is', () => {
  const root = Zone.parse({ origin: '.', records: [{ name: '*', type: 'MX', data: '10 mx.test' }] })
  const found = root.lookup('any.where.at.all', 'MX')
  assert.deepEqual('records' in found && found.records[0]?.data, { preference: 10, exchange: 'mx.test' })
  assert.equal(root.lookup('any.where', 'A').kind, 'nodata')
  assert.equal(root.lookup('.', 'SOA').kind, 'records')
})

test('zone: of two that hold a name the longer one answers', () => {
  const zones = ['.', 'example.com', 'com'].map(origin => Zone.parse({ origin, records: [] }))
  const origin = (name: string): string | undefined => zoneOf(zones, name)?.origin
  assert.equal(origin('a.example.com'), 'example.com')
  assert.equal(origin('example.com'), 'example.com')
  assert.equal(origin('notexample.com'), 'com')
  assert.equal(origin('example.org'), '.')
  assert.equal(zoneOf(zones.slice(1), 'example.org'), null)
})

test('zone: what is exported is what was read', () => {
  const data: ZoneData = {
    origin: 'example.com',
    records: [
      { name: '@', type: 'SOA', data: 'ns.example.com h.example.com 7 1 2 3 4', ttlSeconds: 60 },
      { name: '@', type: 'NS', data: 'ns.example.com', ttlSeconds: 60 },
      { name: 'a', type: 'A', data: '192.0.2.1', ttlSeconds: 1 },
      { name: 'a', type: 'A', data: '192.0.2.2', ttlSeconds: 1 },
      { name: 'a', type: 'AAAA', data: '2001:db8::1', ttlSeconds: 2 },
      { name: 'c', type: 'CNAME', data: 'a.example.com', ttlSeconds: 2 },
      { name: 'p', type: 'PTR', data: 'a.example.com', ttlSeconds: 2 },
      { name: 't', type: 'TXT', data: `"quotes", ; and é ${'x'.repeat(600)}`, ttlSeconds: 2 },
      { name: '_25._tcp.a', type: 'TLSA', data: '3 1 1 00ff', ttlSeconds: 2 },
      { name: '_submissions._tcp', type: 'SRV', data: '0 1 465 a.example.com', ttlSeconds: 2 },
      { name: '@', type: 'MX', data: '0 .', ttlSeconds: 2 },
      { name: '@', type: 'CAA', data: '128 issue "ca.example.net; a=b"', ttlSeconds: 2 },
    ],
  }
  const exported = Zone.parse(data).export()
  const order = (records: ZoneData['records']): string[] =>
    records.map(record => JSON.stringify(record)).sort()
  assert.deepEqual(order(exported.records), order(data.records))
  assert.deepEqual(Zone.parse(exported).export(), exported)
})

test('zone: SOA and NS are made up where none is given', () => {
  const made = Zone.parse({ origin: 'example.com', records: [] })
  const types = made.records().map((record: ResourceRecord) => `${record.name} ${record.type}`)
  assert.deepEqual(types, ['example.com SOA', 'example.com NS'])
  assert.equal(made.soa().data.serial, 1)
})

const wrong: [type: 'A' | 'AAAA' | 'MX' | 'TLSA' | 'SOA' | 'CNAME' | 'CAA', data: string][] = [
  ['A', '192.0.2'],
  ['A', '::1'],
  ['AAAA', '192.0.2.1'],
  ['MX', 'mail.example'],
  ['MX', 'ten mail.example'],
  ['TLSA', '3 1 1 xyz'],
  ['SOA', 'ns h 1'],
  ['CAA', '0 issue ca.example.net'],
  ['CAA', '256 issue "ca.example.net"'],
  ['CNAME', 'a..b'],
]
for (const [type, data] of wrong) {
  test(`zone: '${type} ${data}' is refused`, () => {
    assert.throws(() => Zone.parse({ origin: 'example.com', records: [{ name: 'a', type, data }] }))
  })
}
