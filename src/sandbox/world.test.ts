import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { parseConfig } from '../config/load.ts'
import { Resolver } from '../net/resolver.ts'
import { silent } from '../observe/event.ts'
import { type DnsServer, startDnsServer } from './dns-server.ts'
import { SPECIAL_DOMAINS, zones } from './world.ts'

let dns: DnsServer
let resolver: Resolver

before(async () => {
  const config = parseConfig('domain = "example.test"\n[submission]\nlisten = "127.0.0.1:4650"\n', 'ptt.toml')
  dns = await startDnsServer({ zones: zones(config), log: silent })
  resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: dns.port }] })
})

after(async () => {
  resolver.close()
  await dns.close()
})

const domains: [domain: string, exchanges: string | 'nxdomain'][] = [
  ['internet.test', '10 mx.internet.test'],
  ['example.com', '10 mx.internet.test'],
  ['lists.example.org', '10 mx.internet.test'],
  // Notices to our own users go out as well.
  ['example.test', '10 mx.internet.test'],
  ['backup.test', '10 mx.down.test, 20 mx.internet.test'],
  ['down.test', '10 mx.down.test'],
  ['null-mx.test', '0 .'],
  ['nowhere.test', 'nxdomain'],
]

for (const [domain, exchanges] of domains) {
  test(`MX of ${domain}: ${exchanges}`, async () => {
    const answer = await resolver.mx(domain)
    const found =
      answer.kind === 'answer'
        ? answer.records.map(({ preference, exchange }) => `${preference} ${exchange}`).toSorted()
        : [answer.kind]
    assert.equal(found.join(', '), exchanges)
  })
}

test('every domain that is announced as special is there', () => {
  const tested = new Set(domains.map(([domain]) => domain))
  assert.deepEqual(
    Object.keys(SPECIAL_DOMAINS).filter(domain => !tested.has(domain)),
    [],
  )
})

test('our own zone says where mail programs connect, and what receivers check', async () => {
  const [srv, address, spf] = await Promise.all([
    resolver.query('_submissions._tcp.example.test', 'SRV'),
    resolver.addresses('mail.example.test'),
    resolver.txt('example.test'),
  ])
  assert.ok(srv.kind === 'answer')
  assert.deepEqual(srv.records, [{ priority: 0, weight: 1, port: 4650, target: 'mail.example.test' }])
  assert.ok(address.kind === 'answer')
  assert.deepEqual(address.records, [{ address: '127.0.0.1', family: 4 }])
  assert.ok(spf.kind === 'answer')
  assert.deepEqual(spf.records, ['v=spf1 ip4:127.0.0.1 -all'])
})
