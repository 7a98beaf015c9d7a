import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseAddress } from './address.ts'
import type { DnsAnswer } from './answer.ts'
import { isSpf, parseSpf } from './spf.ts'
import { checkHost, type SpfFinding, type SpfLookups, type SpfQuestion } from './spf-check.ts'

const malformed: [record: string, message: RegExp][] = [
  ['v=spf1 foo -all', /'foo': there is no such mechanism/],
  ['v=spf1 ip4:192.0.2 -all', /'ip4:192.0.2': is no IPv4 address/],
  ['v=spf1 ip4:192.0.2.0/33', /no such length/],
  ['v=spf1 ip6:192.0.2.1', /is no IPv6 address/],
  ['v=spf1 ip4', /address is missing/],
  ['v=spf1 include', /domain is missing/],
  ['v=spf1 include:', /domain is missing/],
  ['v=spf1 a/33', /no such length/],
  ['v=spf1 mx//129', /no such length/],
  ['v=spf1 all:x', /all takes nothing/],
  ['v=spf1 redirect=a redirect=b', /redirect= more than once/],
  ['v=spf10 -all', /is no SPF record/],
]
for (const [record, message] of malformed) {
  test(`SPF: '${record}' is an error`, () => {
    assert.throws(() => parseSpf(record), { name: 'SpfError', message })
  })
}

test('SPF: the version is a whole word', () => {
  assert.deepEqual(['v=spf1', 'V=SPF1 -all', 'v=spf1 ', 'v=spf10', ' v=spf1', 'spf1'].map(isSpf), [
    ...[true, true, true],
    ...[false, false, false],
  ])
})

/** The zone of RFC 7208 App. A, and more. */
const HOSTS: Record<string, string[]> = {
  'example.com': ['192.0.2.10', '192.0.2.11'],
  'amy.example.com': ['192.0.2.65'],
  'mail-a.example.com': ['192.0.2.129'],
  'mail-b.example.com': ['192.0.2.130'],
  'mail-c.example.org': ['192.0.2.140'],
  'six.example.com': ['2001:db8::1'],
  'postmaster.mobile-users._spf.example.com': ['127.0.0.2'],
  '15.15.168.192.postmaster.remote-users._spf.example.com': ['127.0.0.2'],
}
const MX: Record<string, string[]> = {
  'example.com': ['mail-a.example.com', 'mail-b.example.com'],
  'example.org': ['mail-c.example.org'],
  'many.example': Array.from({ length: 11 }, (_, at) => `mx${at}.many.example`),
}

function dns(records: Record<string, string[]>): SpfLookups {
  const answer = (found: string[] | undefined, name: string): Promise<DnsAnswer<string>> =>
    Promise.resolve(
      name.startsWith('down.')
        ? { kind: 'failure', code: 'SERVFAIL', reason: 'the server answers SERVFAIL' }
        : found === undefined
          ? { kind: 'nxdomain', ttlSeconds: 60, authenticated: false }
          : { kind: 'answer', records: found, ttlSeconds: 60, authenticated: false, name },
    )
  return {
    txt: name => answer(records[name], name),
    addresses: (name, family) =>
      answer(
        HOSTS[name]?.filter(text => text.includes(':') === (family === 6)),
        name,
      ),
    mx: name => answer(MX[name], name),
  }
}

function check(
  address: string,
  records: Record<string, string | string[]>,
  more: Partial<SpfQuestion> = {},
): Promise<SpfFinding> {
  const parsed = parseAddress(address)
  assert.ok(parsed !== null)
  const lists = Object.fromEntries(Object.entries(records).map(([name, texts]) => [name, [texts].flat()]))
  return checkHost({ address: parsed, domain: 'example.com', helo: 'mail.example.com', ...more }, dns(lists))
}

/** Of example.com; RFC 7208 App. A.1 first. */
const results: [record: string, address: string, result: string][] = [
  ['v=spf1 +all', '203.0.113.1', 'pass'],
  ['v=spf1 a -all', '192.0.2.10', 'pass'],
  ['v=spf1 a -all', '192.0.2.12', 'fail'],
  ['v=spf1 a:example.org -all', '192.0.2.10', 'fail'],
  ['v=spf1 mx -all', '192.0.2.130', 'pass'],
  ['v=spf1 mx:example.org -all', '192.0.2.140', 'pass'],
  ['v=spf1 mx mx:example.org -all', '192.0.2.140', 'pass'],
  ['v=spf1 mx/30 mx:example.org/30 -all', '192.0.2.131', 'pass'],
  ['v=spf1 mx/30 mx:example.org/30 -all', '192.0.2.132', 'fail'],
  ['v=spf1 ip4:192.0.2.128/28 -all', '192.0.2.65', 'fail'],
  ['v=spf1 ip4:192.0.2.128/28 -all', '192.0.2.129', 'pass'],
  ['v=spf1 ~all', '192.0.2.1', 'softfail'],
  ['v=spf1 ?all', '192.0.2.1', 'neutral'],
  ['v=spf1', '192.0.2.1', 'neutral'],
  ['v=spf1 ip6:2001:db8::/32 -all', '2001:db8::7', 'pass'],
  ['v=spf1 a:six.example.com//64 -all', '2001:db8::7', 'pass'],
  ['v=spf1 a:six.example.com -all', '2001:db8::7', 'fail'],
  ['v=spf1 A IP4:192.0.2.1 unknown=1 -ALL', '192.0.2.1', 'pass'],
  ['v=spf1 exists:%{l1r+}.mobile-users._spf.%{d} -all', '10.0.0.1', 'pass'], // App. A.3
  ['v=spf1 exists:%{ir}.%{l1r+}.remote-users._spf.%{d} -all', '192.168.15.15', 'pass'],
  ['v=spf1 exists:%{ir}.%{l1r+}.remote-users._spf.%{d} -all', '192.168.15.17', 'fail'],
  ['v=spf1 exists:%{c}.x -all', '192.0.2.1', 'permerror'],
  ['v=spf1 include:nobody.example -all', '192.0.2.1', 'permerror'],
  ['v=spf1 redirect=nobody.example', '192.0.2.1', 'permerror'],
  ['v=spf1 include:down.example -all', '192.0.2.1', 'temperror'],
  ['v=spf1 mx:many.example -all', '192.0.2.1', 'permerror'],
  ['v=spf1 a:a.invalid a:b.invalid -all', '192.0.2.1', 'fail'],
  ['v=spf1 a:a.invalid a:b.invalid a:c.invalid -all', '192.0.2.1', 'permerror'],
  ['v=spf1 include:example.com', '192.0.2.1', 'permerror'],
]
for (const [record, address, result] of results) {
  test(`SPF: ${address} by '${record}': ${result}`, async () => {
    assert.equal((await check(address, { 'example.com': record })).result, result)
  })
}

test('SPF: include and redirect (RFC 7208 App. A.2)', async () => {
  const records = {
    'example.com': 'v=spf1 mx -all',
    'example.net': 'v=spf1 ip4:198.51.100.1 -all',
    'example.org': 'v=spf1 include:example.com include:example.net -all',
    'la.example.org': 'v=spf1 redirect=example.org',
  }
  const la = { domain: 'la.example.org' }
  assert.equal((await check('192.0.2.129', records, la)).result, 'pass')
  const passed = await check('198.51.100.1', records, la)
  assert.deepEqual(passed, { result: 'pass', reason: 'include of example.org', lookups: 4 })
  assert.equal((await check('203.0.113.1', records, la)).result, 'fail')
})

test('SPF: two records are an error, a record beside other TXT is not', async () => {
  const two = await check('192.0.2.1', { 'example.com': ['v=spf1 -all', 'verification=1', 'v=spf1 +all'] })
  assert.deepEqual([two.result, two.reason], ['permerror', 'example.com has 2 SPF records'])
  const one = await check('192.0.2.1', { 'example.com': ['verification=1', 'v=spf1 +all'] })
  assert.equal(one.result, 'pass')
  assert.equal((await check('192.0.2.1', { 'example.com': ['verification=1'] })).result, 'none')
})

test('SPF: what the dearest check costs is counted although an address matches early', async () => {
  const chain = Object.fromEntries(
    Array.from({ length: 12 }, (_, at) => [`s${at}.example`, `v=spf1 include:s${at + 1}.example -all`]),
  )
  const records = {
    'example.com': 'v=spf1 ip4:192.0.2.1 include:s0.example -all',
    ...chain,
    's12.example': 'v=spf1 -all',
  }
  const early = await check('192.0.2.1', records)
  assert.deepEqual([early.result, early.lookups], ['pass', 0])
  assert.equal((await check('192.0.2.2', records)).reason, 'more than 10 lookups')
  assert.equal((await check('192.0.2.1', records, { exhaustive: true })).lookups, 13)
  // A loop has an end.
  const loop = await check('192.0.2.1', { 'example.com': 'v=spf1 include:example.com' }, { exhaustive: true })
  assert.equal(loop.result, 'permerror')
})
