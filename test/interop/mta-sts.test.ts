/**
 * MTA-STS with a web server, a DNS server and a shelf on disk that are real: what is fetched and what is not (RFC 8461 §3.3), and
 * what stays in force (§5.1). What each failure is called in reports is RFC 8460 §4.3.2.2.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { issue, makeAuthority, selfSigned } from '../../src/cli/authority.ts'
import type { MessageParts, ResourceRecord } from '../../src/dns/message.ts'
import { txtStrings } from '../../src/dns/rdata.ts'
import { Networks } from '../../src/net/networks.ts'
import { Resolver } from '../../src/net/resolver.ts'
import type { KeyPair } from '../../src/net/tls.ts'
import { type Fields, logTo } from '../../src/observe/event.ts'
import { openEmbeddedShelf } from '../../src/queue/embedded/shelf.ts'
import { type FetchOptions, policyFetcher } from '../../src/relay/mta-sts/fetch.ts'
import { MtaSts } from '../../src/relay/mta-sts/mta-sts.ts'
import {
  type HttpsPeer,
  type HttpsPeerOptions,
  type HttpsScript,
  startHttpsServer,
} from '../peers/https-server.ts'
import { temporaryFolder } from '../peers/program.ts'
import { startScriptedDns } from '../peers/scripted-dns.ts'
import { startScriptedSmtp } from '../peers/scripted-smtp.ts'
import { HOUR_MS, START, simulate } from '../peers/simulated-relay.ts'

const DOMAIN = 'example.com'
const HOST = 'mta-sts.example.com'
const YEAR_MS = 365 * 86_400_000
const LOOPBACK = ['127.0.0.0/8']
/** For what never ends; whatever ends does so long before. */
const SOON_MS = 700

const policyText = (mode: string, maxAge = 604_800): string =>
  `version: STSv1\r\nmode: ${mode}\r\nmx: *.example.com\r\nmax_age: ${maxAge}\r\n`
const VALID: HttpsScript = { body: policyText('enforce') }
const plain = { 'content-type': 'text/plain' }

const authority = await makeAuthority('example.com')
const stranger = await makeAuthority('example.com')
const pair = await issue(authority, { names: [HOST] })

/** `name type` → data; a name that is not there does not exist. */
type Zone = Record<string, readonly string[] | MessageParts>

async function startDns(t: TestContext, zone: Zone) {
  const dns = await startScriptedDns(({ query }) => {
    const { name = '', type = '' } = query.questions[0] ?? {}
    const found = zone[`${name.toLowerCase()} ${type}`]
    if (found === undefined) return [{ rcode: 'NXDOMAIN' }]
    if ('length' in found)
      return [{ answers: found.map(data => record(name, type === 'TXT' ? 'TXT' : 'A', data)) }]
    return [found]
  })
  t.after(() => dns.stop())
  return dns
}

function record(name: string, type: 'A' | 'TXT', data: string): ResourceRecord {
  const head = { name, class: 'IN', ttlSeconds: 60 } as const
  return type === 'A' ? { ...head, type, data } : { ...head, type, data: txtStrings(data) }
}

async function startHttps(t: TestContext, given: KeyPair, options: HttpsPeerOptions): Promise<HttpsPeer> {
  const peer = await startHttpsServer(given, options)
  t.after(() => peer.stop())
  return peer
}

interface Given {
  readonly pair?: KeyPair
  readonly script?: HttpsScript
  readonly zone?: Zone
  readonly options?: Partial<FetchOptions>
  readonly peer?: Partial<HttpsPeerOptions>
}

async function fetchFrom(t: TestContext, given: Given) {
  const peer = await startHttps(t, given.pair ?? pair, { script: given.script ?? VALID, ...given.peer })
  const dns = await startDns(t, given.zone ?? { [`${HOST} A`]: ['127.0.0.1'] })
  const resolver = new Resolver({ servers: [dns.endpoint] })
  t.after(() => resolver.close())
  const fetch = policyFetcher({
    ...{ resolver, port: peer.port, ca: authority.certificate, privateNetworks: new Networks(LOOPBACK) },
    ...given.options,
  })
  const fetched = await fetch(DOMAIN, new AbortController().signal)
  const said =
    fetched.kind === 'policy' ? `policy ${fetched.policy.mode}` : `${fetched.resultType}: ${fetched.reason}`
  return { said, peer }
}

const certificates: [what: string, pair: KeyPair, said: RegExp][] = [
  ['for its name', pair, /^policy enforce$/],
  ['with a wildcard for the first label', await issue(authority, { names: ['*.example.com'] }), /^policy/],
  [
    'with a wildcard two labels up',
    await issue(authority, { names: ['*.com'] }),
    /^sts-webpki-invalid: .*is for DNS:\S+, not for mta-sts.example.com$/,
  ],
  [
    'of the domain alone',
    await issue(authority, { names: [DOMAIN] }),
    /^sts-webpki-invalid: .*is for DNS:\S+, not for mta-sts.example.com$/,
  ],
  [
    'of its address',
    await issue(authority, { names: ['127.0.0.1'] }),
    /^sts-webpki-invalid: .*is for IP Address:127.0.0.1, not for/,
  ],
  [
    'that is over',
    await issue(authority, { names: [HOST] }, Date.now() - 3 * YEAR_MS),
    /^sts-webpki-invalid: .*expired/,
  ],
  [
    'not yet valid',
    await issue(authority, { names: [HOST] }, Date.now() + 2 * YEAR_MS),
    /^sts-webpki-invalid: .*not yet valid/,
  ],
  ['signed by itself', await selfSigned([HOST]), /^sts-webpki-invalid: .*self-signed/],
  [
    'of another CA',
    await issue(stranger, { names: [HOST] }),
    /^sts-webpki-invalid: .*: (?:unable|certificate signature)/,
  ],
]
for (const [what, pair, said] of certificates)
  test(`a certificate ${what}`, async t => {
    const found = await fetchFrom(t, { pair })
    assert.match(found.said, said)
    // Nothing is asked of who is somebody else.
    assert.equal(found.peer.requests.length, found.said.startsWith('policy') ? 1 : 0)
  })

test('a private CA is not one that Node trusts', async t => {
  const peer = await startHttps(t, pair, { script: VALID })
  const resolver = { addresses: async () => ADDRESS }
  const fetch = policyFetcher({ resolver, port: peer.port, privateNetworks: new Networks(LOOPBACK) })
  const fetched = await fetch(DOMAIN, new AbortController().signal)
  assert.equal(fetched.kind === 'failure' && fetched.resultType, 'sts-webpki-invalid')
})

const ADDRESS = {
  ...{ kind: 'answer', ttlSeconds: 60, authenticated: false, name: HOST },
  records: [{ address: '127.0.0.1', family: 4 }],
} as const satisfies Awaited<ReturnType<Resolver['addresses']>>

const answers: [what: string, script: HttpsScript, said: RegExp][] = [
  ['a charset', { ...VALID, headers: { 'content-type': 'text/plain; charset=iso-8859-1' } }, /^policy/],
  ['the media type in upper case', { ...VALID, headers: { 'content-type': 'TEXT/PLAIN ;x=y' } }, /^policy/],
  [
    '301',
    { status: 301, headers: { location: `https://${HOST}/x` } },
    /^sts-policy-fetch-error: .*HTTP 301, and redirects/,
  ],
  [
    '302 with a policy',
    {
      status: 302,
      headers: { ...plain, location: '/.well-known/mta-sts.txt' },
      ...{ body: policyText('none') },
    },
    /HTTP 302/,
  ],
  [
    '404',
    { status: 404, headers: plain, body: policyText('enforce') },
    /^sts-policy-fetch-error: mta-sts.example.com answers HTTP 404$/,
  ],
  ['203', { status: 203, headers: plain, body: policyText('enforce') }, /HTTP 203/],
  ['204', { status: 204 }, /HTTP 204/],
  ['500', { status: 500, headers: plain, body: policyText('enforce') }, /HTTP 500/],
  [
    'HTML',
    { ...VALID, headers: { 'content-type': 'text/html' } },
    /^sts-policy-fetch-error: .*media type is "text\/html"/,
  ],
  ['no media type', { ...VALID, headers: {} }, /^sts-policy-fetch-error: .*media type is ""/],
  ['a media type that begins alike', { ...VALID, headers: { 'content-type': 'text/plainer' } }, /media type/],
  ['no policy', { body: 'Hello' }, /^sts-policy-invalid: mta-sts.example.com: line 1 is not/],
  [
    'a policy without mx',
    { body: 'version: STSv1\nmode: enforce\nmax_age: 1' },
    /^sts-policy-invalid: .*no mx/,
  ],
  ['nothing', { body: '' }, /^sts-policy-invalid: .*version is missing/],
  ['64 KiB', { body: `${policyText('testing')}x: `.padEnd(65_536, 'y') }, /^policy testing/],
  [
    'more than 64 KiB',
    { body: `${policyText('testing')}x: `.padEnd(65_537, 'y') },
    /^sts-policy-fetch-error: .*larger than 65536 octets/,
  ],
  [
    'more than 64 KiB in chunks without end',
    (_, response) => {
      response.writeHead(200, plain)
      const more = (): void => {
        while (response.write('y'.repeat(8192)));
        response.once('drain', more)
      }
      more()
    },
    /larger than 65536 octets/,
  ],
  [
    'compressed',
    (_, response) => {
      response.writeHead(200, { ...plain, 'content-encoding': 'gzip' })
      response.end(gzipSync(policyText('enforce')))
    },
    /^sts-policy-fetch-error: .*compressed/,
  ],
  [
    'cut short of its length',
    (_, response) => {
      response.writeHead(200, { ...plain, 'content-length': '1000' })
      response.write(policyText('enforce'), () => response.socket?.end())
    },
    /^sts-policy-fetch-error: .*broke off/,
  ],
  [
    'cut between chunks',
    (_, response) => {
      response.writeHead(200, plain)
      response.write(policyText('enforce'), () => response.socket?.end())
    },
    /broke off/,
  ],
  [
    // RFC 9112 §9.8: "max_age: 604800" could have been cut to "max_age: 6" by anybody.
    'without a length, to the end of the connection',
    (_, response) => {
      response.socket?.end(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n${policyText('enforce')}`)
    },
    /^sts-policy-fetch-error: .*neither a length/,
  ],
  [
    'no HTTP',
    (_, response) => {
      response.socket?.end('220 mail.example.com ESMTP\r\n')
    },
    /broke off/,
  ],
  [
    'a head without end',
    (_, response) => response.socket?.write(`HTTP/1.1 200 OK\r\nX: ${'y'.repeat(70_000)}`),
    /broke off/,
  ],
]
for (const [what, script, said] of answers)
  test(`an answer with ${what}`, async t => {
    const found = await fetchFrom(t, { script })
    assert.match(found.said, said)
    // Once, under the name of the policy host, and SNI says the same (§7.1).
    assert.deepEqual(found.peer.requests, [`GET ${HOST} /.well-known/mta-sts.txt`])
    assert.deepEqual(found.peer.names, [HOST])
  })

const stalls: [what: string, script: HttpsScript][] = [
  ['never answers', () => {}],
  [
    'stops in the middle',
    (_, response) => {
      response.writeHead(200, { ...plain, 'content-length': '1000' })
      response.write(policyText('enforce'))
    },
  ],
  [
    'sends an octet from time to time',
    (request, response) => {
      response.writeHead(200, plain)
      const timer = setInterval(() => response.write('x'), 20)
      request.socket.on('close', () => clearInterval(timer))
    },
  ],
]
for (const [what, script] of stalls)
  test(`a server that ${what} is given up`, async t => {
    const { said } = await fetchFrom(t, { script, options: { timeoutMs: SOON_MS } })
    assert.match(said, new RegExp(`^sts-policy-fetch-error: .*: no .* in ${SOON_MS} ms$`))
  })

test('a server that says nothing before TLS, one without TLS, and one that nobody listens as', async t => {
  for (const [greeting, said] of [
    ['', /: no TLS in 700 ms$/],
    ['HTTP/1.1 400 Bad Request\r\n\r\n', /^sts-policy-fetch-error: .*wrong version number/],
  ] as const) {
    const server = createServer(socket => {
      socket.on('error', () => {}).resume()
      if (greeting !== '') socket.end(greeting)
      t.after(() => socket.destroy())
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.after(() => server.close())
    const { port } = server.address() as AddressInfo
    assert.match((await fetchFrom(t, { options: { port, timeoutMs: SOON_MS } })).said, said)
    server.close()
  }
  const zone = { [`${HOST} A`]: ['127.0.0.77'] }
  assert.match((await fetchFrom(t, { zone })).said, /^sts-policy-fetch-error: .*connection refused$/)
})

test('TLS 1.2 is enough and TLS 1.1 is not (§7.2)', async t => {
  assert.match((await fetchFrom(t, { peer: { maxVersion: 'TLSv1.2' } })).said, /^policy/)
  const { said } = await fetchFrom(t, { peer: { maxVersion: 'TLSv1.1' } })
  assert.match(said, /^sts-policy-fetch-error: .*(?:protocol version|unsupported protocol)/)
})

const SERVFAIL: MessageParts = { rcode: 'SERVFAIL' }
const names: [what: string, zone: Zone, said: RegExp][] = [
  ['does not exist', {}, /^sts-policy-fetch-error: mta-sts.example.com has no address$/],
  ['has no address', { [`${HOST} A`]: [], [`${HOST} AAAA`]: [] }, /has no address$/],
  [
    'cannot be asked for',
    { [`${HOST} A`]: SERVFAIL, [`${HOST} AAAA`]: SERVFAIL },
    /^sts-policy-fetch-error: address of .*SERVFAIL/,
  ],
]
for (const [what, zone, said] of names)
  test(`a name that ${what}`, async t => {
    assert.match((await fetchFrom(t, { zone })).said, said)
  })

test('addresses that are not of the Internet are not spoken to', async t => {
  const zone = { [`${HOST} A`]: ['127.0.0.1', '10.0.0.1', '169.254.169.254', '192.0.2.1'] }
  const { said, peer } = await fetchFrom(t, { zone, options: { privateNetworks: new Networks([]) } })
  assert.match(
    said,
    /^sts-policy-fetch-error: mta-sts.example.com has no address on the Internet: 127.0.0.1, 10.0.0.1, 169.254.169.254, 192.0.2.1 /,
  )
  assert.equal(peer.connections, 0)
  // Those that are allowed are, whatever stands beside them.
  assert.match((await fetchFrom(t, { zone: { [`${HOST} A`]: ['10.0.0.1', '127.0.0.1'] } })).said, /^policy/)
})

test('of several addresses the first that answers as it should', async t => {
  const other = await issue(authority, { names: ['other.example'] })
  const impostor = await startHttps(t, other, { script: VALID, address: '127.0.0.2' })
  const { port } = impostor
  const good = await startHttps(t, pair, { script: { status: 404 }, address: '127.0.0.3', port })
  // Nobody, somebody else, the right one, and one that would be asked after an answer.
  const zone = { [`${HOST} A`]: ['127.0.0.4', '127.0.0.2', '127.0.0.3', '127.0.0.2'] }
  assert.match((await fetchFrom(t, { zone, options: { port } })).said, /HTTP 404$/)
  assert.deepEqual([impostor.connections, impostor.requests.length, good.requests.length], [1, 0, 1])
  // Of what went wrong the certificate says most.
  const wrong = { [`${HOST} A`]: ['127.0.0.4', '127.0.0.2', '127.0.0.5'] }
  assert.match(
    (await fetchFrom(t, { zone: wrong, options: { port } })).said,
    /^sts-webpki-invalid: .*127\.0\.0\.2/,
  )
})

test('an address where nothing answers costs its time, and the next is asked', async t => {
  const silent = createServer(socket => {
    socket.on('error', () => {}).resume()
    t.after(() => socket.destroy())
  }).listen(0, '127.0.0.2')
  await once(silent, 'listening')
  t.after(() => silent.close())
  const { port } = silent.address() as AddressInfo
  await startHttps(t, pair, { script: VALID, port })
  const zone = { [`${HOST} A`]: ['127.0.0.2', '127.0.0.1'] }
  assert.match(
    (await fetchFrom(t, { zone, options: { port, connectMs: 2000, timeoutMs: 30_000 } })).said,
    /^policy/,
  )
})

/** A relay's MTA-STS on a shelf on disk, that can be started again, and clocks that a test moves. */
async function startRelay(t: TestContext) {
  const folder = temporaryFolder('mta-sts')
  t.after(() => folder.remove())
  const peer = await startHttps(t, pair, { script: VALID })
  const zone: Zone = { [`${HOST} A`]: ['127.0.0.1'], [`_mta-sts.${DOMAIN} TXT`]: ['v=STSv1; id=1;'] }
  const dns = await startDns(t, zone)
  const clock = { nowMs: Date.now() }
  const now = () => clock.nowMs
  const events: Fields[] = []
  const log = logTo((_, fields) => events.push(fields))
  const begin = async () => {
    const resolver = new Resolver({ servers: [dns.endpoint], now })
    const shelf = await openEmbeddedShelf(folder.path)
    const ca = authority.certificate
    const fetch = policyFetcher({ resolver, port: peer.port, ca, privateNetworks: new Networks(LOOPBACK) })
    const sts = new MtaSts({ resolver, shelf, fetch, now, random: () => 0, log })
    let open = true
    const end = async () => {
      if (!open) return
      open = false
      sts.close()
      resolver.close()
      await shelf.close()
    }
    t.after(end)
    return { sts, end }
  }
  let running = await begin()
  return {
    ...{ peer, zone, dns, clock, events },
    restart: async () => {
      await running.end()
      running = await begin()
    },
    sts: () => running.sts,
    told: async () => {
      const answer = await running.sts.policyFor(DOMAIN)
      if (answer.kind === 'none') return `none: ${answer.reason}`
      const stale = answer.stale === undefined ? '' : ` ${answer.stale.resultType}`
      return `${answer.mode} ${answer.id}${stale}`
    },
  }
}

test('the record is asked for at each TTL, and another id has the policy fetched', async t => {
  const { peer, zone, dns, clock, told } = await startRelay(t)
  const asked = () => dns.asked.filter(({ query }) => query.questions[0]?.type === 'TXT').length
  assert.equal(await told(), 'enforce 1')
  clock.nowMs += 59_000
  zone[`_mta-sts.${DOMAIN} TXT`] = ['v=STSv1; id=2;']
  peer.answer({ body: policyText('testing') })
  assert.equal(await told(), 'enforce 1')
  assert.deepEqual([asked(), peer.requests.length], [1, 1])
  clock.nowMs += 1000
  assert.equal(await told(), 'testing 2')
  assert.deepEqual([asked(), peer.requests.length], [2, 2])
})

test('a record behind a CNAME (§3.1), in two strings', async t => {
  const { zone, told } = await startRelay(t)
  const alias = { name: `_mta-sts.${DOMAIN}`, type: 'CNAME', class: 'IN', ttlSeconds: 60 } as const
  const target = '_mta-sts.provider.example'
  const strings = [Buffer.from('v=STSv1; id=20'), Buffer.from('26;')]
  zone[`_mta-sts.${DOMAIN} TXT`] = {
    answers: [
      { ...alias, data: target },
      { ...alias, name: target, type: 'TXT', data: strings },
    ],
  }
  assert.equal(await told(), 'enforce 2026')
})

test('a policy is in force after a restart, with DNS and the web server gone, to its max_age', async t => {
  const { peer, zone, clock, told, restart, events, sts } = await startRelay(t)
  assert.equal(await told(), 'enforce 1')
  await restart()
  assert.equal(await told(), 'enforce 1')
  assert.equal(peer.requests.length, 1)

  // Another id, and somebody in the way.
  zone[`_mta-sts.${DOMAIN} TXT`] = ['v=STSv1; id=2;']
  peer.present(await selfSigned([HOST]))
  await restart()
  assert.equal(await told(), 'enforce 1 sts-webpki-invalid')
  clock.nowMs += 86_400_000
  await sts().refresh(clock.nowMs)
  const alarms = events.filter(({ result }) => result === 'sts-webpki-invalid')
  assert.deepEqual(
    alarms.map(({ times }) => times),
    [1, 2],
  )

  delete zone[`_mta-sts.${DOMAIN} TXT`]
  delete zone[`${HOST} A`]
  await restart()
  assert.equal(await told(), 'enforce 1 sts-policy-fetch-error')
  clock.nowMs += 6 * 86_400_000 - 86_400
  assert.equal(await told(), 'enforce 1 sts-policy-fetch-error')
  clock.nowMs += 86_400
  assert.equal(await told(), `none: _mta-sts.${DOMAIN} has no TXT record`)
})

test('refreshed over HTTPS it lasts longer', async t => {
  const { clock, told, sts, peer } = await startRelay(t)
  const first = await sts().policyFor(DOMAIN)
  clock.nowMs += 86_400_000
  await sts().refresh(clock.nowMs)
  const second = await sts().policyFor(DOMAIN)
  assert.ok(first.kind === 'policy' && second.kind === 'policy')
  assert.equal(second.untilMs - first.untilMs, 86_400_000)
  assert.deepEqual([await told(), peer.requests.length], ['enforce 1', 2])
})

test('mail waits for a host that the policy allows, and goes when the domain has another policy (§5)', async t => {
  const { peer, zone, sts, clock } = await startRelay(t)
  const smtp = await startScriptedSmtp({ ehlo: ['STARTTLS'], tls: await selfSigned(['mx.example.com']) })
  const relay = simulate({
    smtpPort: smtp.port,
    hosts: { 'mx.example.com': '127.0.0.1' },
    domains: { [DOMAIN]: ['mx.example.com'] },
    mtaSts: sts(),
  })
  t.after(async () => {
    relay.close()
    await smtp.stop()
  })
  const id = await relay.put([`bob@${DOMAIN}`])
  await relay.run(START + 4 * HOUR_MS)
  const deferred = relay.events.filter(({ name }) => name === 'deferred')
  assert.ok(deferred.length > 2 && deferred.every(({ fields }) => fields.status === '4.7.10'))
  assert.match(String(deferred[0]?.fields.reply), /MTA-STS: example.com enforces policy 1.*self-signed/)
  assert.deepEqual([smtp.messages.length, peer.requests.length], [0, 1])

  zone[`_mta-sts.${DOMAIN} TXT`] = ['v=STSv1; id=2;']
  peer.answer({ body: policyText('testing') })
  clock.nowMs += 60_000
  await relay.run(START + 24 * HOUR_MS)
  assert.deepEqual([smtp.messages.length, peer.requests.length], [1, 2])
  assert.equal(await relay.queue.get(id), null)
})

test('a relay that stops does not wait for a web server', async t => {
  const { peer, sts } = await startRelay(t)
  const asked = new Promise<void>(resolve => peer.answer(() => resolve()))
  const answer = sts().policyFor(DOMAIN)
  await asked
  sts().close()
  await assert.rejects(answer, /the relay is stopping/)
})
