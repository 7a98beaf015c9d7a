/** What is asked of the DNS, against a server with all that can be wrong in it; and how it is told. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startScriptedDns } from '../../test/peers/scripted-dns.ts'
import { Resolver } from '../net/resolver.ts'
import { silent } from '../observe/event.ts'
import { startDnsServer } from '../sandbox/dns-server.ts'
import type { ZoneRecord } from '../sandbox/dns-zone.ts'
import type { Finding } from './finding.ts'
import { items, type Settings } from './plan.ts'
import { formatChanges, formatFindings, formatTally, type Line } from './report.ts'
import { View } from './view.ts'

const SETTINGS: Settings = {
  domains: ['example.com'],
  hostname: 'mail.example.com',
  egress: [{ address: '192.0.2.1', hostname: 'mail.example.com' }],
  spf: [],
  all: '~all',
  dmarc: 'none',
  dmarcRua: [],
  tlsrptRua: [],
  mtaStsId: null,
  submission: { hostname: 'mail.example.com', port: 465, starttlsPort: null },
  keys: [{ domain: 'example.com', selector: 'ptt', record: 'v=DKIM1; k=rsa; p=AAAA' }],
  keysTrouble: null,
  unsigned: new Set(),
  sameKey: (one, other) => one.replaceAll(' ', '') === other.replaceAll(' ', ''),
  ttlSeconds: 60,
}

const GOOD: ZoneRecord[] = [
  { name: '@', type: 'MX', data: '10 mx.example.com' },
  { name: '@', type: 'TXT', data: 'v=spf1 ip4:192.0.2.1 ~all' },
  { name: 'mail', type: 'A', data: '192.0.2.1' },
  { name: 'mail', type: 'TXT', data: 'v=spf1 ip4:192.0.2.1 -all' },
  { name: 'ptt._domainkey', type: 'TXT', data: 'v=DKIM1;k=rsa;p=AAAA' },
  { name: '_dmarc', type: 'TXT', data: 'v=DMARC1; p=none' },
  { name: '_submissions._tcp', type: 'SRV', data: '0 1 465 mail.example.com' },
  { name: '_submission._tcp', type: 'SRV', data: '0 0 0 .' },
]
const POINTERS: ZoneRecord[] = [{ name: '1', type: 'PTR', data: 'mail.example.com' }]

async function examine(
  t: TestContext,
  records: readonly ZoneRecord[],
  pointers: readonly ZoneRecord[] = POINTERS,
  settings: Partial<Settings> = {},
): Promise<Finding[]> {
  const zones = [
    { origin: 'example.com', records },
    { origin: '2.0.192.in-addr.arpa', records: pointers },
    { origin: '.', records: [] },
  ]
  const server = await startDnsServer({ zones, log: silent })
  const endpoint = { host: '127.0.0.1', port: server.port }
  const resolver = new Resolver({ servers: [endpoint] })
  t.after(() => server.close())
  t.after(() => resolver.close())
  const primary = { zone: 'example.com', endpoint }
  const view = new View({ resolver, primary, authoritative: [endpoint] })
  const findings: Finding[] = []
  for (const item of items({ ...SETTINGS, ...settings }, view)) {
    const finding = await item()
    if (finding !== null) findings.push(finding)
  }
  return findings
}

test('plan: a domain that has all is told to have it', async t => {
  const findings = await examine(t, GOOD)
  assert.deepEqual(
    findings.map(({ domain, subject, verdict }) => `${domain} ${subject}: ${verdict}`),
    [
      'mail.example.com PTR 192.0.2.1: ok',
      'mail.example.com EHLO 192.0.2.1: ok',
      'mail.example.com SPF: ok',
      'example.com DKIM ptt: ok',
      'example.com SPF: ok',
      'example.com DMARC: ok',
      'example.com SRV submissions: ok',
      'example.com SRV submission: ok',
      'example.com MX: ok',
    ],
  )
})

/** What is changed of the good zone, and what is told then: the only thing that is not ok. */
interface Trouble {
  readonly what: string
  readonly without?: (record: ZoneRecord) => boolean
  readonly records?: ZoneRecord[]
  readonly pointers?: ZoneRecord[]
  readonly settings?: Partial<Settings>
  readonly told: string
  readonly reason: RegExp
}
const pointer = (data: string): ZoneRecord[] => [{ name: '1', type: 'PTR', data }]
const chain = Array.from({ length: 12 }, (_, at): ZoneRecord => {
  return { name: `s${at}`, type: 'TXT', data: `v=spf1 include:s${at + 1}.example.com -all` }
})
const isSpfOf = (name: string) => (record: ZoneRecord) => record.name === name && record.type === 'TXT'
const troubles: Trouble[] = [
  {
    what: 'no PTR',
    pointers: [],
    told: 'PTR 192.0.2.1: missing',
    reason: /have whoever gave you 192\.0\.2\.1 name it/,
  },
  {
    what: 'a PTR that does not lead back',
    pointers: pointer('mx.example.com'),
    told: 'PTR 192.0.2.1: differs',
    reason: /mx\.example\.com does not lead back/,
  },
  {
    what: 'a PTR that leads back and is another name',
    pointers: pointer('host1.example.com'),
    records: [{ name: 'host1', type: 'A', data: '192.0.2.1' }],
    told: 'PTR 192.0.2.1: differs',
    reason: /host1\.example\.com, which leads back, but is not the name in EHLO/,
  },
  {
    what: 'DKIM of somebody else',
    without: ({ name }) => name === 'ptt._domainkey',
    records: [{ name: 'ptt._domainkey', type: 'TXT', data: 'v=DKIM1; k=rsa; p=BBBB' }],
    told: 'DKIM ptt: foreign',
    reason: /another key is there/,
  },
  {
    what: 'no DKIM record',
    without: ({ name }) => name === 'ptt._domainkey',
    told: 'DKIM ptt: missing',
    reason: /the signer publishes it/,
  },
  { what: 'no key', settings: { keys: [] }, told: 'DKIM: missing', reason: /has no key for this domain/ },
  {
    what: 'keys that cannot be read',
    settings: { keys: [], keysTrouble: 'ptt.pem: may not be read' },
    told: 'DKIM: cannot know',
    reason: /may not be read/,
  },
  { what: 'no MX', without: ({ type }) => type === 'MX', told: 'MX: missing', reason: /takes no mail/ },
  {
    what: 'the null MX',
    without: ({ type }) => type === 'MX',
    records: [{ name: '@', type: 'MX', data: '0 .' }],
    told: 'MX: differs',
    reason: /RFC 7505/,
  },
  {
    what: "somebody else's SPF that includes too much",
    without: isSpfOf('@'),
    records: [
      { name: '@', type: 'TXT', data: 'v=spf1 a:mail.example.com include:s0.example.com -all' },
      ...chain,
    ],
    told: 'SPF: foreign',
    reason: /needs \d+ lookups, and receivers stop at 10/,
  },
  {
    what: 'SPF of the configuration that includes too much',
    without: isSpfOf('@'),
    records: chain,
    settings: { spf: ['include:s0.example.com'] },
    told: 'SPF: differs',
    reason: /what \[dns\] spf wants does not work: it needs \d+ lookups/,
  },
  {
    what: 'SPF of the configuration that includes nobody',
    without: isSpfOf('@'),
    settings: { spf: ['include:nobody.example.com'] },
    told: 'SPF: differs',
    reason: /nobody\.example\.com has no SPF record/,
  },
  {
    what: 'reports to somebody who does not want them',
    settings: { dmarcRua: ['mailto:a@example.net'] },
    without: ({ name }) => name === '_dmarc',
    records: [{ name: '_dmarc', type: 'TXT', data: 'v=DMARC1; p=none; rua=mailto:a@example.net' }],
    told: 'DMARC reports: missing',
    reason: /example\.net does not say that it wants reports about example\.com/,
  },
]
for (const { what, without = () => false, records = [], pointers, settings, told, reason } of troubles) {
  test(`plan: ${what}`, async t => {
    const zone = [...GOOD.filter(record => !without(record)), ...records]
    const findings = await examine(t, zone, pointers, settings)
    const wrong = findings.filter(({ verdict }) => verdict !== 'ok')
    assert.deepEqual(
      wrong.map(({ subject, verdict }) => `${subject}: ${verdict}`),
      [told],
    )
    assert.match(wrong[0]?.reason ?? '', reason)
    // A record that would be worse than none is not written.
    assert.equal(wrong[0]?.change, null)
  })
}

test('plan: a domain that is not to be signed has no key, and that is right', async t => {
  const findings = await examine(t, GOOD, POINTERS, { keys: [], unsigned: new Set(['example.com']) })
  assert.ok(findings.every(({ verdict, subject }) => verdict === 'ok' && !subject.startsWith('DKIM')))
})

test('plan: without egress addresses nothing is said of SPF', async t => {
  const findings = await examine(t, GOOD, POINTERS, { egress: [] })
  const spf = findings.filter(({ subject }) => subject === 'SPF')
  assert.deepEqual(
    spf.map(({ verdict, change }) => [verdict, change]),
    [
      ['cannot know', null],
      ['cannot know', null],
    ],
  )
})

test('plan: each source has its name in EHLO, and SPF of it its own addresses', async t => {
  const egress = [
    { address: '192.0.2.1', hostname: 'mail.example.com' },
    { address: '192.0.2.2', hostname: 'news.example.com' },
  ]
  const findings = await examine(t, GOOD, POINTERS, { egress })
  const told = findings.map(({ domain, subject, verdict }) => `${domain} ${subject}: ${verdict}`)
  assert.ok(told.includes('news.example.com EHLO 192.0.2.2: missing'))
  const wanted = findings
    .filter(({ subject }) => subject === 'SPF')
    .map(({ domain, wanted: text }) => [domain, text])
  assert.deepEqual(wanted, [
    ['mail.example.com', '"v=spf1 ip4:192.0.2.1 -all"'],
    ['news.example.com', '"v=spf1 ip4:192.0.2.2 -all"'],
    ['example.com', '"v=spf1 ip4:192.0.2.1 ip4:192.0.2.2 ~all"'],
  ])
})

test('plan: reports about one of our domains that go to another are allowed there', async t => {
  const findings = await examine(t, GOOD, POINTERS, {
    domains: ['example.com', 'example.org'],
    dmarcRua: ['mailto:dmarc@example.com'],
  })
  const reports = findings.filter(({ subject }) => subject === 'DMARC reports')
  assert.deepEqual(
    reports.map(({ domain, name, verdict, change }) => [
      domain,
      name,
      verdict,
      change?.add.map(({ text }) => text),
    ]),
    [['example.org', 'example.org._report._dmarc.example.com', 'missing', ['v=DMARC1;']]],
  )
})

test('plan: no resolver is asked for a name that may not be there yet', async t => {
  const asked = new Set<string>()
  const recursive = await startScriptedDns(({ query }) => {
    const [question] = query.questions
    asked.add(question?.name ?? '')
    return [{ rcode: 'NXDOMAIN' }]
  })
  t.after(() => recursive.stop())
  const resolver = new Resolver({ servers: [recursive.endpoint], attempts: 1 })
  t.after(() => resolver.close())
  const view = new View({ resolver })
  const names = [
    'ptt._domainkey.example.com',
    'b.c._report._dmarc.example.com',
    '_submission._tcp.example.com',
  ]
  for (const name of names) assert.equal((await view.look(name, 'TXT')).kind, 'unseen')
  assert.deepEqual([...asked], ['example.com', 'com'])
})

test('report: a verdict a line in 80 to 110 columns, values whole', async t => {
  const findings = await examine(t, [{ name: 'mail', type: 'A', data: '192.0.2.1' }], POINTERS, {
    egress: ['192.0.2.1', '2001:db8:1234:5678::1'].map(address => ({
      address,
      hostname: 'mail.example.com',
    })),
    dmarcRua: ['mailto:dmarc@example.com'],
  })
  const lines: Line[] = findings.map(finding => ({ finding, applied: null }))
  for (const columns of [80, 110]) {
    const text = formatFindings(lines, { columns, withWanted: true })
    const rows = text.split('\n')
    assert.ok(
      rows.every(row => row.length <= columns),
      text,
    )
    assert.equal(rows.filter(row => /^ {2}\S/.test(row)).length, findings.length)
    assert.match(
      text.replace(/\n +/g, ' '),
      /should be _dmarc\.example\.com TXT "v=DMARC1; p=none; rua=mailto:dmarc@example\.com"/,
    )
  }
  assert.match(formatTally(findings), /^\d+ ok, \d+ missing, \d+ differs|^\d+ ok, \d+ missing/)
  const changes = findings.flatMap(({ change }) => change ?? [])
  const told = formatChanges(changes)
  assert.match(told, /^zone example\.com at 127\.0\.0\.1:\d+\n/)
  assert.match(told, /^ {2}\+ _submission\._tcp\.example\.com 60 SRV 0 0 0 \.$/m)
  assert.match(told, new RegExp(`and ${changes.length} in the list of what is ours, _ptt\\.example\\.com`))
})
