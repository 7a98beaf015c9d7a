import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Interpretation } from '../dns/answer.ts'
import { txtText } from '../dns/rdata.ts'
import { silent } from '../observe/event.ts'
import { startDnsServer } from '../sandbox/dns-server.ts'
import type { ZoneData } from '../sandbox/dns-zone.ts'
import {
  type AuthorityAnswer,
  askAuthorities,
  authoritiesAt,
  findAuthorities,
  findPrimary,
  findZone,
  objections,
} from './authorities.ts'
import { Resolver } from './resolver.ts'

/** Three name servers: one has the record, one is behind, nobody is at the third; the fourth has no address. */
const addresses = [
  ['ns1', '127.0.0.2'],
  ['ns2', '127.0.0.3'],
  ['ns3', '127.0.0.99'],
] as const
const base: ZoneData = {
  origin: 'example.com',
  records: [
    { name: '@', type: 'SOA', data: 'NS1.example.com hostmaster 1 3600 600 86400 5' },
    ...addresses.map(([name]) => ({ name: '@', type: 'NS' as const, data: `${name}.example.com` })),
    { name: '@', type: 'NS', data: 'ns4.example.com' },
    ...addresses.map(([name, data]) => ({ name, type: 'A' as const, data })),
    { name: 'elsewhere', type: 'CNAME', data: 'www.sub.example.com' },
  ],
}
const sub: ZoneData = {
  origin: 'sub.example.com',
  records: [
    { name: '@', type: 'SOA', data: 'made.up.invalid hostmaster 1 3600 600 86400 5' },
    { name: 'www', type: 'A', data: '127.0.0.1' },
  ],
}
const key = { name: 'key', type: 'TXT', data: 'v=DKIM1; p=AAAA' } as const

async function setting(t: TestContext) {
  const serve = async (address: string, zones: ZoneData[], port = 0) => {
    const server = await startDnsServer({ zones, address, port, log: silent })
    t.after(() => server.close())
    return server.port
  }
  const port = await serve('127.0.0.2', [{ ...base, records: [...base.records, key] }])
  await serve('127.0.0.3', [base], port)
  const root: ZoneData = { origin: '.', records: [] }
  const recursive = await serve('127.0.0.1', [base, sub, root])
  const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: recursive }] })
  t.after(() => resolver.close())
  return { resolver, port, recursive }
}

test('authorities: every address of every name server is asked, and answers for itself', async t => {
  const { resolver, port } = await setting(t)
  const found = await findAuthorities('example.com', resolver, { port })
  assert.ok(found.kind === 'authorities')
  const answers = await askAuthorities(found, 'key.example.com', 'TXT')
  assert.deepEqual(
    answers.map(({ server, endpoint }) => [server, endpoint?.host]),
    [...addresses.map(([name, host]) => [`${name}.example.com`, host]), ['ns4.example.com', undefined]],
  )
  const [first, second, third, fourth] = answers.map(({ answer }) => answer)
  assert.ok(first?.kind === 'answer')
  assert.deepEqual(first.records.map(txtText), [key.data])
  assert.deepEqual(second, { kind: 'nxdomain', ttlSeconds: 5, authenticated: false })
  assert.equal(third?.kind === 'failure' && third.code, 'NETWORK')
  assert.deepEqual(fourth, { kind: 'failure', code: 'NAME', reason: 'ns4.example.com has no address' })

  const disagreeing = objections(answers, answer => (answer.kind === 'answer' ? null : 'has no TXT record'))
  assert.deepEqual(disagreeing, [
    `ns2.example.com (127.0.0.3:${port}) has no TXT record`,
    `127.0.0.99:${port}: connection refused`,
    'ns4.example.com has no address',
  ])
})

test('authorities: those of the configuration are asked in place of the NS set', async t => {
  const { port } = await setting(t)
  const at = authoritiesAt([{ host: '127.0.0.2', port }])
  const [only, ...others] = await askAuthorities(at, 'KEY.example.com', 'TXT')
  assert.equal(only?.answer.kind, 'answer')
  assert.equal(only?.server, `127.0.0.2:${port}`)
  assert.deepEqual(others, [])
  // A recursive server or a foreign one is not authoritative, whatever it answers.
  const [stranger] = await askAuthorities(at, 'key.example.org', 'TXT')
  assert.equal(stranger?.answer.kind === 'failure' && stranger.answer.code, 'REFUSED')
})

test('authorities: the zone of a name is the nearest SOA above it', async t => {
  const { resolver } = await setting(t)
  const zones: [name: string, zone: string][] = [
    ['example.com', 'example.com'],
    ['a.b.c.Example.com.', 'example.com'],
    ['_acme-challenge.www.sub.example.com', 'sub.example.com'],
    // The SOA of the name it leads to is not its own.
    ['elsewhere.example.com', 'example.com'],
  ]
  for (const [name, zone] of zones) {
    const found = await findZone(name, resolver)
    assert.deepEqual(found.kind === 'zone' && [found.zone, found.negativeTtlSeconds], [zone, 5], name)
  }
  const wrong = await findZone('a..b', resolver)
  assert.equal(wrong.kind === 'failure' && wrong.code, 'NAME')
})

test('authorities: the primary is the MNAME of the SOA, if it answers for the zone', async t => {
  const { resolver, port } = await setting(t)
  const found = await findPrimary('ptt._domainkey.example.com', resolver, { port })
  assert.ok(found.kind === 'primary', JSON.stringify(found))
  assert.deepEqual([found.zone, found.primary], ['example.com', { host: '127.0.0.2', port }])
  const hidden = await findPrimary('www.sub.example.com', resolver, { port })
  assert.ok(hidden.kind === 'failure')
  assert.equal(
    hidden.reason,
    'the primary of sub.example.com is made.up.invalid, by its SOA, and does not answer: made.up.invalid has no address',
  )
})

test('authorities: an address that has no route from here does not count beside one that has', () => {
  const served: Interpretation<string> = {
    ...{ kind: 'answer', records: ['x'], ttlSeconds: 60, authenticated: false, name: 'x.example' },
  }
  const noRoute = { kind: 'failure', code: 'NOROUTE', reason: 'no route to this network' } as const
  const silence = { kind: 'failure', code: 'TIMEOUT', reason: 'did not answer' } as const
  const cases: [answers: [server: string, answer: AuthorityAnswer<string>['answer']][], left: string[]][] = [
    [[], ['no authoritative server is known']],
    [[['a', served]], []],
    [
      [
        ['a', served],
        ['a', noRoute],
      ],
      [],
    ],
    [
      [
        ['a', served],
        ['b', noRoute],
      ],
      [noRoute.reason],
    ],
    [[['a', noRoute]], [noRoute.reason]],
    [
      [
        ['a', served],
        ['a', silence],
      ],
      [silence.reason],
    ],
    [
      [
        ['a', silence],
        ['a', noRoute],
      ],
      [silence.reason],
    ],
  ]
  for (const [answers, left] of cases) {
    const asked = answers.map(([server, answer]) => ({ server, answer }))
    assert.deepEqual(
      objections(asked, () => null),
      left,
    )
  }
})
