/** net/resolver.ts through Unbound and through BIND, which get their zones from another BIND. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { mailHosts } from '../../src/dns/mx.ts'
import { type DnsAnswer, Resolver } from '../../src/net/resolver.ts'
import { signZone, startBindResolver, startBindStatic } from '../peers/bind.ts'
import { type DnsPeer, startSilentServer } from '../peers/dns.ts'
import { need } from '../peers/need.ts'
import { startUnbound } from '../peers/unbound.ts'

const LONG = 'k'.repeat(600)
const head = '$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 7\n@ NS ns\nns A 127.0.0.1\n'
const ZONE = `${head}
@ MX 20 backup
@ MX 10 mail
mail A 192.0.2.1
mail AAAA 2001:db8::1
backup A 192.0.2.2
www CNAME mail
there CNAME host.example.net.
deep CNAME c1
c1 CNAME c2
c2 CNAME c3
c3 CNAME mail
nowhere CNAME missing
loop1 CNAME loop2
loop2 CNAME loop1
nomail MX 0 .
key TXT ${LONG.match(/.{1,255}/g)
  ?.map(part => `"${part}"`)
  .join(' ')}
${Array.from({ length: 40 }, (_, index) => `big TXT "${index} ${'x'.repeat(100)}"`).join('\n')}
*.wild MX 5 mail
`
const NET = `${head}
host A 192.0.2.9
`

const recursors: [
  name: string,
  program: string,
  start: (zones: Record<string, number>) => Promise<DnsPeer>,
][] = [
  ['Unbound', 'unbound', stubs => startUnbound({ stubs })],
  ['BIND', 'named', forward => startBindResolver({ forward })],
]

for (const [name, program, start] of recursors) {
  test(`resolver through ${name}`, async t => {
    if (!need(t, 'named', program)) return
    const authority = await startBindStatic({ 'example.com': ZONE, 'example.net': NET })
    t.after(() => authority.stop())
    const silent = await startSilentServer()
    t.after(() => silent.stop())
    const recursor = await start({
      'example.com': authority.port,
      'example.net': authority.port,
      // The server does not have it, and answers REFUSED.
      'lame.example': authority.port,
      'silent.example': silent.port,
    })
    t.after(() => recursor.stop())
    await suite(t, recursor.port)
  })
}

async function suite(t: TestContext, port: number): Promise<void> {
  const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port }], timeoutMs: 5000, attempts: 1 })
  t.after(() => resolver.close())
  const hosts = async (domain: string): Promise<unknown> =>
    mailHosts(domain, await resolver.mx(domain), () => 0)
  const kind = (answer: DnsAnswer<unknown>): string => answer.kind

  await t.test('MX hosts in order', async () => {
    assert.deepEqual(await hosts('Example.com'), {
      kind: 'hosts',
      hosts: [
        { preference: 10, exchange: 'mail.example.com' },
        { preference: 20, exchange: 'backup.example.com' },
      ],
      implicit: false,
      authenticated: false,
    })
  })

  await t.test('implicit MX, null MX, no such domain', async () => {
    assert.deepEqual(await hosts('mail.example.com'), {
      ...{ kind: 'hosts', hosts: [{ preference: 0, exchange: 'mail.example.com' }] },
      ...{ implicit: true, authenticated: false },
    })
    assert.deepEqual(await hosts('nomail.example.com'), {
      ...{ kind: 'null mx', reason: 'the domain nomail.example.com accepts no mail (null MX)' },
    })
    assert.deepEqual(await hosts('missing.example.com'), {
      ...{ kind: 'no domain', reason: 'the domain missing.example.com does not exist' },
    })
  })

  await t.test('wildcards', async () => {
    const answer = await resolver.mx('any.thing.wild.example.com')
    assert.deepEqual(answer.kind === 'answer' && answer.records, [
      { preference: 5, exchange: 'mail.example.com' },
    ])
  })

  await t.test('addresses of both families', async () => {
    const answer = await resolver.addresses('mail.example.com')
    assert.deepEqual(answer.kind === 'answer' && answer.records, [
      { address: '2001:db8::1', family: 6 },
      { address: '192.0.2.1', family: 4 },
    ])
    const one = await resolver.addresses('backup.example.com')
    assert.deepEqual(one.kind === 'answer' && one.records, [{ address: '192.0.2.2', family: 4 }])
  })

  await t.test('CNAMEs: in the zone, to another, in a chain', async () => {
    for (const [name, target, address] of [
      ['www.example.com', 'mail.example.com', '192.0.2.1'],
      ['there.example.com', 'host.example.net', '192.0.2.9'],
      ['deep.example.com', 'mail.example.com', '192.0.2.1'],
    ] as const) {
      const answer = await resolver.query(name, 'A')
      assert.ok(answer.kind === 'answer')
      assert.equal(answer.name, target)
      assert.deepEqual(answer.records, [address])
    }
  })

  await t.test('a CNAME to nowhere is NXDOMAIN, to a name without the type NODATA', async () => {
    assert.equal(kind(await resolver.query('nowhere.example.com', 'A')), 'nxdomain')
    assert.equal(kind(await resolver.query('www.example.com', 'TXT')), 'nodata')
  })

  await t.test('a loop of CNAMEs is a failure', async () => {
    assert.equal(kind(await resolver.query('loop1.example.com', 'A')), 'failure')
  })

  await t.test('a TXT record of several strings', async () => {
    const answer = await resolver.txt('key.example.com')
    assert.deepEqual(answer.kind === 'answer' && answer.records, [LONG])
  })

  await t.test('an answer that does not fit a datagram', async () => {
    const answer = await resolver.txt('big.example.com')
    assert.equal(answer.kind === 'answer' && answer.records.length, 40)
  })

  await t.test('absence has the TTL of the SOA', async () => {
    const answer = await resolver.query('absent.example.com', 'A')
    assert.ok(answer.kind === 'nxdomain')
    assert.ok(answer.ttlSeconds > 0 && answer.ttlSeconds <= 7)
  })

  await t.test('a zone whose server refuses is SERVFAIL, not absence', async () => {
    const answer = await resolver.mx('lame.example')
    assert.ok(answer.kind === 'failure')
    assert.equal(answer.code, 'SERVFAIL')
  })

  await t.test('a zone whose server is silent is a failure, not absence', async () => {
    const impatient = new Resolver({ servers: [{ host: '127.0.0.1', port }], timeoutMs: 300, attempts: 1 })
    t.after(() => impatient.close())
    assert.equal(kind(await impatient.mx('silent.example')), 'failure')
  })
}

test('resolver through a validating Unbound: the AD bit, and bogus is a failure', async t => {
  if (!need(t, 'named', 'unbound', 'dnssec-keygen', 'dnssec-signzone')) return
  const master = `${head}@ MX 10 mail\nmail A 192.0.2.1\n`
  const signed = await signZone('signed.example', master)
  const bogus = await signZone('bogus.example', master)
  const forged = bogus.masterFile.replaceAll('192.0.2.1', '192.0.2.66')
  assert.notEqual(forged, bogus.masterFile)
  const authority = await startBindStatic({
    'signed.example': signed.masterFile,
    'bogus.example': forged,
    'plain.example': master,
  })
  t.after(() => authority.stop())
  const { port } = authority
  const unbound = await startUnbound({
    stubs: { 'signed.example': port, 'bogus.example': port, 'plain.example': port },
    trustAnchors: [signed.anchor, bogus.anchor],
  })
  t.after(() => unbound.stop())
  const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: unbound.port }], timeoutMs: 5000 })
  t.after(() => resolver.close())

  const outcomes: [name: string, type: 'A' | 'MX' | 'TXT', kind: string, authenticated: boolean | null][] = [
    ['signed.example', 'MX', 'answer', true],
    ['mail.signed.example', 'TXT', 'nodata', true],
    ['missing.signed.example', 'A', 'nxdomain', true],
    ['plain.example', 'MX', 'answer', false],
    ['mail.bogus.example', 'A', 'failure', null],
  ]
  for (const [name, type, kind, authenticated] of outcomes) {
    await t.test(`${name} ${type}`, async () => {
      const answer = await resolver.query(name, type)
      assert.equal(answer.kind, kind)
      assert.equal(answer.kind === 'failure' ? null : answer.authenticated, authenticated)
      if (answer.kind === 'failure') assert.equal(answer.code, 'SERVFAIL')
    })
  }
})
