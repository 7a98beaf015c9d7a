import assert from 'node:assert/strict'
import { test } from 'node:test'
import { srvRr } from './finding.ts'
import { text, type Wish } from './judge.ts'
import { dmarcWish, mtaStsWish, reportReceivers, reportWish, tlsrptWish } from './policies.ts'
import { srvWishes } from './services.ts'

const base = { domain: 'example.com', ttlSeconds: 3600 }
const RUA = ['mailto:dmarc@example.com', 'https://example.net/r']

const wanted: [wish: Wish, name: string, text: string | undefined][] = [
  [dmarcWish(base, 'none', []), '_dmarc.example.com', 'v=DMARC1; p=none'],
  [
    dmarcWish(base, 'reject', RUA),
    '_dmarc.example.com',
    'v=DMARC1; p=reject; rua=mailto:dmarc@example.com,https://example.net/r',
  ],
  [tlsrptWish(base, []), '_smtp._tls.example.com', undefined],
  [
    tlsrptWish(base, ['mailto:tls@example.com']),
    '_smtp._tls.example.com',
    'v=TLSRPTv1; rua=mailto:tls@example.com',
  ],
  [mtaStsWish(base, null), '_mta-sts.example.com', undefined],
  [mtaStsWish(base, 'a1'), '_mta-sts.example.com', 'v=STSv1; id=a1;'],
  [reportWish(base, 'example.net'), 'example.com._report._dmarc.example.net', 'v=DMARC1;'],
]
for (const [wish, name, record] of wanted) {
  test(`wanted: ${name} ${record ?? 'nothing'}`, () => {
    assert.deepEqual([wish.name, wish.wanted?.text], [name, record])
    if (wish.wanted !== null) assert.ok(wish.isOfKind(wish.wanted))
    assert.ok(!wish.isOfKind(text('verification=1')))
  })
}

/** What somebody else wrote, against p=quarantine and one place for reports. */
const dmarc: [record: string, wrong: RegExp | null][] = [
  ['v=DMARC1; p=quarantine; rua=mailto:dmarc@example.com', null],
  ['v=DMARC1;p=reject;rua=mailto:a@example.net, mailto:DMARC@example.com!10m ;pct=100', null],
  ['v=DMARC1; p=none; rua=mailto:dmarc@example.com', /p=none is less than \[dns\] dmarc, quarantine/],
  ['v=DMARC1; rua=mailto:dmarc@example.com', /p=none is less/],
  ['v=DMARC1; p=rejct; rua=mailto:dmarc@example.com', /p=none is less/],
  ['v=DMARC1; p=reject', /reports sent to mailto:dmarc@example\.com/],
  ['v=DMARC1; p=reject; rua=mailto:other@example.com', /reports sent to/],
  ['v=DMARC1; p=reject; t=y; rua=mailto:dmarc@example.com', /it is a test only/],
]
for (const [record, wrong] of dmarc) {
  test(`DMARC of somebody else: ${record}`, async () => {
    const wish = dmarcWish(base, 'quarantine', ['mailto:dmarc@example.com'])
    assert.ok(wish.isOfKind(text(record)))
    const assessment = await wish.assess(text(record))
    assert.equal(assessment.good, wrong === null)
    if (!assessment.good) assert.match(assessment.reason, wrong ?? /^$/)
  })
}

test('DMARC: the version is first, and in capitals (RFC 9989 §4.7)', () => {
  const { isOfKind } = dmarcWish(base, 'none', [])
  const kinds = [
    'v=DMARC1',
    'v = DMARC1 ; p=none',
    'v=dmarc1; p=none',
    'p=none; v=DMARC1',
    'v=DMARC10; p=none',
  ]
  assert.deepEqual(
    kinds.map(record => isOfKind(text(record))),
    [true, true, false, false, false],
  )
})

test('DMARC reports: who is to say that he wants them', () => {
  const places = [
    'mailto:a@example.com',
    'mailto:a@reports.example.com',
    'mailto:a@Example.NET',
    'https://x.example/',
  ]
  assert.deepEqual(reportReceivers('example.com', places), ['example.net'])
  assert.deepEqual(reportReceivers('news.example.com', places), ['reports.example.com', 'example.net'])
})

test('TLSRPT and MTA-STS of somebody else', async () => {
  const reports = tlsrptWish(base, ['mailto:tls@example.com'])
  assert.equal(
    (await reports.assess(text('v=TLSRPTv1;rua=mailto:x@example.net,mailto:tls@example.com'))).good,
    true,
  )
  assert.equal((await reports.assess(text('v=TLSRPTv1; rua=mailto:x@example.net'))).good, false)
  const policy = await mtaStsWish(base, 'a1').assess(text('v=STSv1; id=20260101;'))
  assert.match(policy.good ? '' : policy.reason, /its id 20260101 is not that of the policy/)
})

test('SRV: the doors there are, and "." for one that is shut (RFC 2782)', async () => {
  const doors = { hostname: 'mail.example.com', port: 465, starttlsPort: null }
  const texts = (of: typeof doors | { hostname: string; port: number; starttlsPort: number }): string[] =>
    srvWishes('example.com', of, 60).map(({ name, wanted: rr }) => `${name} ${rr?.text}`)
  assert.deepEqual(texts(doors), [
    '_submissions._tcp.example.com 0 1 465 mail.example.com',
    '_submission._tcp.example.com 0 0 0 .',
  ])
  assert.equal(
    texts({ ...doors, starttlsPort: 587 })[1],
    '_submission._tcp.example.com 0 1 587 mail.example.com',
  )
  const [submissions] = srvWishes('example.com', doors, 60)
  const at = (port: number, target: string) => srvRr({ priority: 10, weight: 5, port, target })
  assert.equal((await submissions?.assess(at(465, 'MAIL.example.com')))?.good, true)
  assert.equal((await submissions?.assess(at(465, 'mx.example.com')))?.good, false)
  assert.equal((await submissions?.assess(at(587, 'mail.example.com')))?.good, false)
})
