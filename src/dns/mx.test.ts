import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DnsAnswer } from './answer.ts'
import { betterThanOwn, isNullMx, mailHosts, mxHosts } from './mx.ts'
import type { Mx } from './rdata.ts'

const mx = (preference: number, exchange: string): Mx => ({ preference, exchange })
const answer = (...records: Mx[]): DnsAnswer<Mx> => ({
  ...{ kind: 'answer', records, ttlSeconds: 60, authenticated: true, name: 'example.com' },
})
const never = (): number => 0.5

const orders: [what: string, records: Mx[], order: string[]][] = [
  [
    'lowest preference first',
    [mx(20, 'b.example'), mx(0, 'a.example'), mx(100, 'c.example')],
    ['a.example', 'b.example', 'c.example'],
  ],
  [
    'a host twice: where it is best',
    [mx(20, 'a.example'), mx(15, 'b.example'), mx(10, 'A.example')],
    ['A.example', 'b.example'],
  ],
  ['no host: an address', [mx(10, '192.0.2.1'), mx(20, 'a.example')], ['a.example']],
  ['no host: the root beside others', [mx(0, '.'), mx(20, 'a.example')], ['a.example']],
]
for (const [what, records, order] of orders) {
  test(`MX: ${what}`, () => {
    assert.deepEqual(
      mxHosts(records, never).map(host => host.exchange),
      order,
    )
  })
}

test('MX: equal preferences in random order, which the others keep out of (RFC 5321 §5.1)', () => {
  const records = [
    mx(10, 'a.example'),
    mx(10, 'b.example'),
    mx(10, 'c.example'),
    mx(5, 'first.example'),
    mx(20, 'last.example'),
  ]
  const random = seeded(5321)
  const seen = new Map<string, number>()
  for (let run = 0; run < 6000; run++) {
    const [first, ...rest] = mxHosts(records, random).map(host => host.exchange)
    assert.equal(first, 'first.example')
    assert.equal(rest.pop(), 'last.example')
    const order = rest.map(name => name[0]).join('')
    seen.set(order, (seen.get(order) ?? 0) + 1)
  }
  assert.equal(seen.size, 6)
  for (const count of seen.values()) assert.ok(count > 850 && count < 1150, `${[...seen]}`)
})

test('null MX (RFC 7505 §3)', () => {
  assert.ok(isNullMx([mx(0, '.')]))
  assert.ok(!isNullMx([]))
  assert.ok(!isNullMx([mx(0, '.'), mx(10, 'a.example')]))
})

const destinations: [what: string, answer: DnsAnswer<Mx>, expected: object][] = [
  [
    'MX records',
    answer(mx(10, 'a.example')),
    { kind: 'hosts', hosts: [mx(10, 'a.example')], implicit: false, authenticated: true },
  ],
  [
    'no MX record: the implicit MX',
    { kind: 'nodata', ttlSeconds: 60, authenticated: false },
    { kind: 'hosts', hosts: [mx(0, 'example.com')], implicit: true, authenticated: false },
  ],
  ['NXDOMAIN', { kind: 'nxdomain', ttlSeconds: 60, authenticated: false }, { kind: 'no domain' }],
  ['null MX', answer(mx(0, '.')), { kind: 'null mx' }],
  ['MX records that name no host', answer(mx(0, '192.0.2.1'), mx(1, '.')), { kind: 'unusable' }],
  [
    'a failure is not an absence',
    { kind: 'failure', code: 'SERVFAIL', reason: 'why' },
    { kind: 'failure', reason: 'why' },
  ],
]
for (const [what, given, expected] of destinations) {
  test(`mail hosts: ${what}`, () => {
    const found = mailHosts('example.com', given, never)
    assert.deepEqual({ ...found, ...expected }, found)
  })
}

test('where we are an MX, only better ones are tried (RFC 5321 §5.1)', () => {
  const hosts = [mx(5, 'a.example'), mx(10, 'us.example'), mx(10, 'b.example'), mx(20, 'c.example')]
  assert.deepEqual(
    betterThanOwn(hosts, name => name === 'us.example'),
    [mx(5, 'a.example')],
  )
  assert.deepEqual(
    betterThanOwn(hosts, () => false),
    hosts,
  )
  assert.deepEqual(
    betterThanOwn(hosts, name => name === 'a.example'),
    [],
  )
})

/** A linear congruential generator: the same numbers each run. */
function seeded(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1103515245 + 12345) % 2 ** 31
    return state / 2 ** 31
  }
}
