import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { type Script, type ScriptedDns, startScriptedDns } from '../../test/peers/scripted-dns.ts'
import { encodeMessage, type MessageParts, type ResourceRecord } from '../dns/message.ts'
import { mailHosts } from '../dns/mx.ts'
import { Resolver, type ResolverOptions } from './resolver.ts'

const soa: ResourceRecord = {
  ...{ name: 'example', type: 'SOA', class: 'IN', ttlSeconds: 900 },
  data: { mname: 'ns.example', rname: 'h.example', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 300 },
}
const found: MessageParts = { answers: [a('an.example', '192.0.2.1')] }

interface Setting {
  readonly resolver: Resolver
  readonly servers: ScriptedDns[]
  /** Milliseconds, to be moved by the test. */
  readonly clock: { nowMs: number }
}

async function setting(
  t: TestContext,
  scripts: Script[],
  options: Partial<ResolverOptions> = {},
): Promise<Setting> {
  const servers = await Promise.all(scripts.map(startScriptedDns))
  const clock = { nowMs: 0 }
  const resolver = new Resolver({
    servers: servers.map(server => server.endpoint),
    timeoutMs: 5000,
    now: () => clock.nowMs,
    ...options,
  })
  t.after(async () => {
    resolver.close()
    await Promise.all(servers.map(server => server.stop()))
  })
  return { resolver, servers, clock }
}

test('resolver: the query has EDNS(0), DO, AD, RD, and an id and a port of its own', async t => {
  const { resolver, servers } = await setting(t, [() => [found]])
  for (let run = 0; run < 8; run++) await resolver.query('an.example', 'A', { fresh: true })
  const asked = servers[0]?.asked ?? []
  for (const { query } of asked) {
    assert.deepEqual(query.edns, { udpPayloadOctets: 1232, dnssecOk: true, version: 0 })
    assert.ok(query.recursionDesired && query.authenticData && !query.checkingDisabled)
    assert.deepEqual(query.questions, [{ name: 'an.example', type: 'A', class: 'IN' }])
  }
  assert.ok(new Set(asked.map(({ query }) => query.id)).size > 6)
  assert.ok(new Set(asked.map(({ peer }) => peer?.port)).size > 6)
})

test('resolver: an answer, authenticated or not', async t => {
  const { resolver } = await setting(t, [
    ({ query }) => [{ ...found, authenticData: query.questions[0]?.type === 'A' }],
  ])
  const answer = await resolver.query('An.Example.', 'A')
  assert.deepEqual(answer, {
    ...{ kind: 'answer', records: ['192.0.2.1'], ttlSeconds: 60, authenticated: true, name: 'an.example' },
  })
  const none = await resolver.query('an.example', 'MX')
  assert.deepEqual(none, { kind: 'nodata', ttlSeconds: 0, authenticated: false })
})

test('resolver: truncated over UDP, whole over TCP', async t => {
  const many = Array.from({ length: 200 }, (_, index) => a('an.example', `192.0.2.${index}`))
  const { resolver, servers } = await setting(t, [
    ({ transport }) => [transport === 'udp' ? { truncated: true } : { answers: many }],
  ])
  const answer = await resolver.query('an.example', 'A')
  assert.equal(answer.kind === 'answer' && answer.records.length, 200)
  assert.deepEqual(
    servers[0]?.asked.map(asked => asked.transport),
    ['udp', 'tcp'],
  )
})

test('resolver: truncated in the middle of a record', async t => {
  const { resolver } = await setting(t, [
    ({ transport, query }) => {
      if (transport === 'tcp') return [found]
      const whole = encodeMessage({
        ...found,
        id: query.id,
        questions: query.questions,
        response: true,
        truncated: true,
      })
      return [whole.subarray(0, -3)]
    },
  ])
  assert.equal((await resolver.query('an.example', 'A')).kind, 'answer')
})

test('resolver: truncated, and TCP gives nothing: a failure, not NODATA', async t => {
  const { resolver } = await setting(t, [
    ({ transport }) => (transport === 'udp' ? [{ truncated: true }] : []),
  ])
  const answer = await resolver.query('an.example', 'A')
  assert.ok(answer.kind === 'failure')
  assert.equal(answer.code, 'NETWORK')
})

test('resolver: TCP may say other things first', async t => {
  const { resolver } = await setting(t, [
    ({ transport, query }) => (transport === 'udp' ? [{ truncated: true }] : [{ id: query.id ^ 1 }, found]),
  ])
  assert.equal((await resolver.query('an.example', 'A')).kind, 'answer')
})

test('resolver: a server that never answers is a TIMEOUT', async t => {
  const { resolver, servers } = await setting(t, [() => []], { timeoutMs: 100, attempts: 2 })
  const answer = await resolver.query('an.example', 'A')
  assert.ok(answer.kind === 'failure')
  assert.equal(answer.code, 'TIMEOUT')
  assert.match(answer.reason, /^127\.0\.0\.1:\d+ did not answer within 100 ms$/)
  assert.equal(servers[0]?.asked.length, 2)
})

test('resolver: nobody there is a NETWORK failure', async t => {
  const gone = await startScriptedDns(() => [])
  await gone.stop()
  const { resolver } = await setting(t, [], { servers: [gone.endpoint], timeoutMs: 5000 })
  const answer = await resolver.query('an.example', 'A')
  assert.equal(answer.kind === 'failure' && answer.code, 'NETWORK')
})

test('resolver: a server that cannot even be addressed is a NETWORK failure', async t => {
  // A name that does not exist (RFC 2606 §2), and an address of documentation (RFC 3849), which has no route.
  for (const host of ['nowhere.invalid', '2001:db8::1']) {
    const { resolver } = await setting(t, [], { servers: [{ host, port: 53 }], timeoutMs: 2000, attempts: 1 })
    const answer = await resolver.query('an.example', 'A')
    assert.ok(answer.kind === 'failure')
    assert.ok(answer.code === 'NETWORK' || answer.code === 'TIMEOUT', answer.reason)
  }
})

test('resolver: the first server is dead, the second answers, and is asked first for a while', async t => {
  const { resolver, servers, clock } = await setting(t, [() => [], () => [found]], { timeoutMs: 300 })
  const asked = (): (number | undefined)[] => servers.map(server => server.asked.length)
  assert.equal((await resolver.query('an.example', 'A')).kind, 'answer')
  assert.deepEqual(asked(), [1, 1])
  assert.equal((await resolver.query('an.example', 'A', { fresh: true })).kind, 'answer')
  assert.deepEqual(asked(), [1, 2])
  clock.nowMs += 60_000
  assert.equal((await resolver.query('an.example', 'A', { fresh: true })).kind, 'answer')
  assert.deepEqual(asked(), [2, 3])
})

test('resolver: one says SERVFAIL, the next knows', async t => {
  const { resolver } = await setting(t, [() => [{ rcode: 'SERVFAIL' }], () => [found]])
  assert.equal((await resolver.query('an.example', 'A')).kind, 'answer')
})

test('resolver: SERVFAIL and REFUSED are failures, not absence, and are remembered for a while', async t => {
  const { resolver, servers } = await setting(t, [
    ({ query }) => [{ rcode: query.questions[0]?.type === 'A' ? 'SERVFAIL' : 'REFUSED' }],
  ])
  const servfail = await resolver.query('an.example', 'A')
  assert.equal(servfail.kind === 'failure' && servfail.code, 'SERVFAIL')
  assert.match(
    servfail.kind === 'failure' ? servfail.reason : '',
    /127.0.0.1:\d+: an.example A: the server answers SERVFAIL/,
  )
  const refused = await resolver.query('an.example', 'MX')
  assert.equal(refused.kind === 'failure' && refused.code, 'REFUSED')
  await resolver.query('an.example', 'MX')
  assert.equal(servers[0]?.asked.length, 2)
})

test('resolver: the failure that says most is reported', async t => {
  const { resolver } = await setting(t, [() => [], () => [{ rcode: 'SERVFAIL' }]], { timeoutMs: 300 })
  const answer = await resolver.query('an.example', 'A')
  assert.equal(answer.kind === 'failure' && answer.code, 'SERVFAIL')
})

test('resolver: a server that does not know EDNS is asked without', async t => {
  const { resolver, servers } = await setting(t, [
    ({ query }) => [query.edns === null ? found : { rcode: 'FORMERR' }],
  ])
  assert.equal((await resolver.query('an.example', 'A')).kind, 'answer')
  assert.equal(servers[0]?.asked.length, 2)
})

const forgeries: [what: string, forge: (id: number) => MessageParts | Buffer][] = [
  ['another id', id => ({ id: (id + 1) % 65536, answers: [a('an.example', '192.0.2.66')] })],
  ['another question', () => ({ questions: [{ name: 'on.example', type: 'A', class: 'IN' }] })],
  ['no question', () => ({ questions: [] })],
  ['a query', () => ({ response: false })],
  ['noise', () => Buffer.from('noise')],
  ['an empty datagram', () => Buffer.alloc(0)],
]
for (const [what, forge] of forgeries) {
  test(`resolver: ${what} is ignored, the answer after it is taken`, async t => {
    const { resolver } = await setting(t, [({ query }) => [forge(query.id), found]], { attempts: 1 })
    const answer = await resolver.query('an.example', 'A')
    assert.deepEqual(answer.kind === 'answer' && answer.records, ['192.0.2.1'])
  })
}

test('resolver: the right answer from another address or port is ignored', async t => {
  const spoofer = createSocket('udp4')
  spoofer.bind(0, '127.0.0.1')
  await once(spoofer, 'listening')
  t.after(() => spoofer.close())
  const { resolver } = await setting(
    t,
    [
      ({ query, peer }) => {
        const forged = { ...query, response: true, answers: [a('an.example', '192.0.2.66')] }
        spoofer.send(encodeMessage(forged), peer?.port, peer?.address)
        return []
      },
    ],
    { timeoutMs: 100 },
  )
  const answer = await resolver.query('an.example', 'A')
  assert.equal(answer.kind === 'failure' && answer.code, 'TIMEOUT')
})

test('resolver: CNAMEs are followed within a response and across several', async t => {
  const { resolver, servers } = await setting(t, [
    ({ query }) => {
      switch (query.questions[0]?.name) {
        case 'an.example':
          return [
            {
              answers: [cname('an.example', 'b.example', 50), cname('b.example', 'c.example', 40)],
              authenticData: true,
            },
          ]
        case 'c.example':
          return [{ answers: [cname('c.example', 'd.example', 30)], authenticData: true }]
        default:
          return [{ answers: [a('d.example', '192.0.2.4')] }]
      }
    },
  ])
  const expected = {
    kind: 'answer',
    records: ['192.0.2.4'],
    ttlSeconds: 30,
    authenticated: false,
    name: 'd.example',
  }
  assert.deepEqual(await resolver.query('an.example', 'A'), expected)
  assert.deepEqual(await resolver.query('an.example', 'A'), expected)
  assert.equal(servers[0]?.asked.length, 3)
})

test('resolver: a loop of CNAMEs ends', async t => {
  const { resolver, servers } = await setting(t, [
    ({ query }) => {
      const name = query.questions[0]?.name ?? ''
      return [{ answers: [cname(name, name === 'an.example' ? 'b.example' : 'an.example', 60)] }]
    },
  ])
  const answer = await resolver.query('an.example', 'A')
  assert.equal(answer.kind === 'failure' && answer.code, 'CNAME')
  assert.equal(servers[0]?.asked.length, 9)
})

test('resolver: an answer is remembered for its TTL', async t => {
  const { resolver, servers, clock } = await setting(t, [() => [found]])
  await resolver.query('an.example', 'A')
  clock.nowMs = 59_000
  const later = await resolver.query('AN.example', 'A')
  assert.equal(later.kind === 'answer' && later.ttlSeconds, 1)
  assert.equal(servers[0]?.asked.length, 1)
  clock.nowMs = 60_000
  await resolver.query('an.example', 'A')
  assert.equal(servers[0]?.asked.length, 2)
})

test('resolver: absence is remembered as long as the SOA says (RFC 2308 §5)', async t => {
  const { resolver, servers, clock } = await setting(t, [() => [{ rcode: 'NXDOMAIN', authorities: [soa] }]])
  assert.deepEqual(await resolver.mx('an.example'), {
    kind: 'nxdomain',
    ttlSeconds: 300,
    authenticated: false,
  })
  assert.equal((await resolver.query('an.example', 'TXT')).kind, 'nxdomain')
  assert.equal(servers[0]?.asked.length, 1)
  clock.nowMs = 300_000
  await resolver.mx('an.example')
  assert.equal(servers[0]?.asked.length, 2)
})

test('resolver: fresh asks again, and what it finds is remembered', async t => {
  let published = false
  const { resolver } = await setting(t, [
    () => [published ? found : { rcode: 'NXDOMAIN', authorities: [soa] }],
  ])
  assert.equal((await resolver.query('an.example', 'A')).kind, 'nxdomain')
  published = true
  assert.equal((await resolver.query('an.example', 'A')).kind, 'nxdomain')
  assert.equal((await resolver.query('an.example', 'A', { fresh: true })).kind, 'answer')
  assert.equal((await resolver.query('an.example', 'A')).kind, 'answer')
})

test('resolver: the same question at the same time is asked once', async t => {
  const { resolver, servers } = await setting(t, [() => [found]])
  const answers = await Promise.all(Array.from({ length: 50 }, () => resolver.query('an.example', 'A')))
  assert.ok(answers.every(answer => answer.kind === 'answer'))
  assert.equal(servers[0]?.asked.length, 1)
})

test('resolver: a thousand questions at once', async t => {
  const { resolver, servers } = await setting(
    t,
    [({ query }) => [{ answers: [a(query.questions[0]?.name ?? '', '192.0.2.1')] }]],
    {
      timeoutMs: 20_000,
    },
  )
  const names = Array.from({ length: 1000 }, (_, index) => `h${index}.example`)
  const answers = await Promise.all(names.map(name => resolver.query(name, 'A')))
  assert.ok(answers.every(answer => answer.kind === 'answer'))
  assert.ok((servers[0]?.asked.length ?? 0) >= 1000)
})

test('resolver: A and AAAA are one answer, one of them is enough', async t => {
  const answers: Record<string, MessageParts> = {
    'both.example A': { answers: [a('both.example', '192.0.2.1'), a('both.example', '192.0.2.2')] },
    'both.example AAAA': { answers: [aaaa('both.example', '2001:db8::1', 30)] },
    'four.example A': { answers: [a('four.example', '192.0.2.1')] },
    'half.example A': { answers: [a('half.example', '192.0.2.1')] },
    'half.example AAAA': { rcode: 'SERVFAIL' },
    'bad.example AAAA': { rcode: 'SERVFAIL' },
    'none.example A': { rcode: 'NXDOMAIN', authorities: [soa] },
    'none.example AAAA': { rcode: 'NXDOMAIN', authorities: [soa] },
  }
  const { resolver } = await setting(t, [
    ({ query }) => [
      answers[`${query.questions[0]?.name} ${query.questions[0]?.type}`] ?? { authorities: [soa] },
    ],
  ])
  const four = (address: string): object => ({ address, family: 4 })
  assert.deepEqual(await resolver.addresses('both.example'), {
    kind: 'answer',
    records: [{ address: '2001:db8::1', family: 6 }, four('192.0.2.1'), four('192.0.2.2')],
    ttlSeconds: 30,
    authenticated: false,
    name: 'both.example',
  })
  const records = async (host: string): Promise<unknown> => {
    const answer = await resolver.addresses(host)
    return answer.kind === 'answer' ? answer.records : answer.kind
  }
  assert.deepEqual(await records('four.example'), [four('192.0.2.1')])
  assert.deepEqual(await records('half.example'), [four('192.0.2.1')])
  assert.equal(await records('bad.example'), 'failure')
  assert.equal(await records('nothing.example'), 'nodata')
  assert.equal(await records('none.example'), 'nxdomain')
})

test('resolver: a null MX arrives as one (RFC 7505)', async t => {
  const { resolver } = await setting(t, [
    () => [
      {
        answers: [
          {
            name: 'an.example',
            type: 'MX',
            class: 'IN',
            ttlSeconds: 60,
            data: { preference: 0, exchange: '.' },
          },
        ],
      },
    ],
  ])
  assert.equal(mailHosts('an.example', await resolver.mx('an.example'), Math.random).kind, 'null mx')
})

test('resolver: the strings of a TXT record are joined', async t => {
  const strings = [Buffer.from('v=DKIM1; p=AAAA'), Buffer.from('BBBB')]
  const { resolver } = await setting(t, [
    () => [{ answers: [{ name: 'an.example', type: 'TXT', class: 'IN', ttlSeconds: 60, data: strings }] }],
  ])
  const answer = await resolver.txt('an.example')
  assert.deepEqual(answer.kind === 'answer' && answer.records, ['v=DKIM1; p=AAAABBBB'])
})

test('resolver: a name that cannot be asked for is a failure', async t => {
  const { resolver, servers } = await setting(t, [() => [found]])
  const answer = await resolver.addresses(`${'a'.repeat(64)}.example`)
  assert.equal(answer.kind === 'failure' && answer.code, 'NAME')
  assert.equal(servers[0]?.asked.length, 0)
})

test('resolver: close ends what is under way', async t => {
  const { resolver } = await setting(t, [() => []], { timeoutMs: 60_000 })
  const pending = resolver.query('an.example', 'A')
  resolver.close()
  const answer = await pending
  assert.equal(answer.kind === 'failure' && answer.code, 'CLOSED')
  const after = await resolver.query('an.example', 'A')
  assert.equal(after.kind === 'failure' && after.code, 'CLOSED')
})

function a(name: string, data: string): ResourceRecord {
  return { name, type: 'A', class: 'IN', ttlSeconds: 60, data }
}

function aaaa(name: string, data: string, ttlSeconds: number): ResourceRecord {
  return { name, type: 'AAAA', class: 'IN', ttlSeconds, data }
}

function cname(name: string, data: string, ttlSeconds: number): ResourceRecord {
  return { name, type: 'CNAME', class: 'IN', ttlSeconds, data }
}
