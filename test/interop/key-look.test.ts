/**
 * What is seen of a key's record, and put there, with real servers: BIND and Knot as primaries, a BIND secondary that lags,
 * Unbound as the relay's resolver. Each step of the record's life: key, revoked, nothing.
 */

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { formatKeyRecord } from '../../src/dkim/key-record.ts'
import { txtText } from '../../src/dns/rdata.ts'
import { parseTsigKey } from '../../src/dns/tsig.ts'
import { authoritiesAt } from '../../src/net/authorities.ts'
import type { Endpoint } from '../../src/net/endpoint.ts'
import { askPrimary } from '../../src/net/nsupdate.ts'
import { Resolver } from '../../src/net/resolver.ts'
import { type Key, nameOf, type Observation, step, type Target } from '../../src/signer/life-cycle.ts'
import { type LookOptions, lookAt, type NamedResolver } from '../../src/signer/look.ts'
import { placeOf } from '../../src/signer/place.ts'
import { startBind, startBindStatic } from '../peers/bind.ts'
import { startSilentServer } from '../peers/dns.ts'
import { startKnot } from '../peers/knot.ts'
import { need } from '../peers/need.ts'
import { startUnbound } from '../peers/unbound.ts'

const ZONE = 'example.com'
const MASTER_FILE = `$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 7
@ NS ns
ns A 127.0.0.1
theirs._domainkey TXT "v=DKIM1; p=theirs"
`
const tsigKey = parseTsigKey(`x._update.${ZONE}:hmac-sha256:${Buffer.alloc(32, 1).toString('base64')}`)
const RECORD = formatKeyRecord(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
const OTHER = formatKeyRecord(generateKeyPairSync('ed25519').privateKey)
const at = ({ port }: { port: number }): Endpoint => ({ host: '127.0.0.1', port })

function keyOf(selector: string, record = RECORD, replaces: readonly string[] = []): Key {
  const algorithm = 'rsa-sha256'
  const key = {
    domain: ZONE,
    selector,
    algorithm,
    record,
    origin: 'configured',
    unasked: false,
    replaces,
  } as const
  const settings = { rotateMs: null, lifetimeMs: 0, revokedMs: 0 }
  const { keys } = step([], { kind: 'added', key, reason: 'new' }, settings, 0)
  return keys[0] ?? assert.fail()
}

interface Scene {
  readonly primary: Endpoint
  readonly authorities: readonly Endpoint[]
  readonly resolvers: readonly NamedResolver[]
}

async function look(
  key: Key,
  target: Target,
  { primary, authorities, resolvers }: Scene,
  more: Partial<LookOptions> = {},
): Promise<[outcome: string, Observation]> {
  const place = { zone: ZONE, primary, authorities: authoritiesAt(authorities) }
  const options = { place, tsigKey, ttlSeconds: 60, resolvers, timeoutMs: 2000, ...more }
  const { outcome, observation } = await lookAt(key, target, options)
  return [outcome, observation]
}

async function served(server: Endpoint, key: Key): Promise<string[]> {
  const found = await askPrimary(server, nameOf(key), 'TXT')
  return found.kind === 'answer' ? found.records.map(txtText) : []
}

const SERVED: Observation = { kind: 'served', objection: null }
const GONE: Observation = { kind: 'absent', staleSeconds: 0 }

for (const [name, program, start] of [
  ['BIND', 'named', startBind],
  ['Knot', 'knotd', startKnot],
] as const) {
  test(`the record of a key, of a revoked one, of none: ${name}`, async t => {
    if (!need(t, program)) return
    const peer = await start({ zones: { [ZONE]: MASTER_FILE }, tsigKey })
    t.after(() => peer.stop())
    const primary = at(peer)
    const scene = { primary, authorities: [primary], resolvers: [] }
    const key = keyOf('a')
    const stale: number[] = []
    const onStale = (seconds: number): void => void stale.push(seconds)
    assert.deepEqual(await look(key, 'key', scene, { onStale }), ['published', SERVED])
    assert.deepEqual(stale, [7], 'how long the zone lets others remember that there was nothing')
    assert.deepEqual(await look(key, 'key', scene, { onStale }), ['already', SERVED])
    assert.deepEqual(stale, [7])
    // A signer that has not heard of it yet does not take the place of the key.
    assert.equal((await look(keyOf('a', OTHER), 'key', scene))[0], 'conflict')
    assert.equal((await look(keyOf('a', OTHER), 'nothing', scene))[0], 'conflict')

    assert.deepEqual(await look(key, 'revoked', scene), ['published', SERVED])
    assert.deepEqual(await served(primary, key), ['v=DKIM1; k=rsa; p='])
    const [outcome, conflict] = await look(key, 'key', scene)
    assert.equal(outcome, 'conflict', 'revoked once is revoked for good')
    assert.match(conflict.kind === 'conflict' ? conflict.reason : '', /has 'v=DKIM1; k=rsa; p='/)
    assert.deepEqual(await look(key, 'nothing', scene), ['published', GONE])
    assert.deepEqual(await served(primary, key), [])
    assert.deepEqual(await look(key, 'nothing', scene), ['already', GONE])
    assert.deepEqual(await look(key, 'revoked', scene), ['absent', GONE])
    assert.deepEqual(await served(primary, key), [], 'what is gone is not put there to be revoked')
  })

  test(`what was there before is remembered for as long as it says: ${name}`, async t => {
    if (!need(t, program)) return
    const peer = await start({ zones: { [ZONE]: MASTER_FILE }, tsigKey })
    t.after(() => peer.stop())
    const scene = { primary: at(peer), authorities: [at(peer)], resolvers: [] }
    const stale: number[] = []
    const onStale = (seconds: number): void => void stale.push(seconds)
    const key = keyOf('theirs', RECORD, ['v=DKIM1; p=theirs'])
    assert.deepEqual(await look(key, 'key', scene, { onStale }), ['published', SERVED])
    assert.deepEqual(stale, [60])
    const full: () => void = () => {
      throw new Error('no space left')
    }
    await assert.rejects(look(keyOf('b'), 'key', scene, { onStale: full }), /no space left/)
    assert.deepEqual(await served(at(peer), keyOf('b')), [], 'what cannot be remembered is not done')
  })
}

test('a secondary that lags, one that is silent, a resolver that remembers', async t => {
  if (!need(t, 'named', 'unbound')) return
  const peer = await startBind({ zones: { [ZONE]: MASTER_FILE }, tsigKey })
  t.after(() => peer.stop())
  // It serves the zone as it was, for good.
  const lagging = await startBindStatic({ [ZONE]: MASTER_FILE })
  t.after(() => lagging.stop())
  const silent = await startSilentServer()
  t.after(() => silent.stop())
  const unbound = await startUnbound({ stubs: { [ZONE]: peer.port } })
  t.after(() => unbound.stop())
  const primary = at(peer)
  const resolvers = [resolverAt(t, at(unbound))]
  const key = keyOf('a')

  const [, partly] = await look(key, 'key', { primary, authorities: [primary, at(lagging)], resolvers })
  assert.ok(partly.kind === 'partly')
  assert.equal(partly.staleSeconds, 7)
  assert.match(partly.reason, new RegExp(`^127\\.0\\.0\\.1:${lagging.port} still has no such name`))

  const [outcome, unknown] = await look(
    key,
    'key',
    { primary, authorities: [primary, at(silent)], resolvers },
    { timeoutMs: 200 },
  )
  assert.equal(outcome, 'already')
  assert.deepEqual([unknown.kind, unknown.kind === 'unknown' && unknown.placed], ['unknown', true])

  // Nobody has asked the resolver while there was something to wait for: it has no "no" to remember.
  const scene = { primary, authorities: [primary], resolvers }
  assert.deepEqual(await look(key, 'key', scene), ['already', SERVED])

  // Somebody else has asked it too early (RFC 2308 §5).
  const early = keyOf('early')
  assert.equal((await resolvers[0]?.resolver.txt(nameOf(early)))?.kind, 'nxdomain')
  const [, behind] = await look(early, 'key', scene)
  assert.match(
    behind.kind === 'served' ? (behind.objection ?? '') : '',
    /^the resolver 127\.0\.0\.1:\d+ still has no such name, and others may remember that for [0-7] s$/,
  )
  // Of several resolvers one is enough that is behind; one that is down counts only when all are.
  const down = resolverAt(t, at(silent))
  const second = await look(early, 'key', { ...scene, resolvers: [down, ...resolvers] })
  assert.equal(second[1].kind === 'served' && second[1].objection !== null, true)
  assert.deepEqual((await look(key, 'key', { ...scene, resolvers: [down, ...resolvers] }))[1], SERVED)
  assert.equal((await look(key, 'key', { ...scene, resolvers: [down] }))[1].kind, 'unknown')
})

test('where the records of a domain are', async t => {
  if (!need(t, 'named', 'unbound')) return
  const sub = `$TTL 60\n@ SOA ns.${ZONE}. hostmaster 1 3600 600 86400 5\n@ NS ns.${ZONE}.\n`
  const peer = await startBind({
    zones: { [ZONE]: MASTER_FILE, 'example.org': sub, 'a.example.org': sub },
    tsigKey,
  })
  t.after(() => peer.stop())
  const primary = at(peer)
  const unbound = await startUnbound({
    stubs: { [ZONE]: peer.port, 'example.org': peer.port },
  })
  t.after(() => unbound.stop())
  const { resolver } = resolverAt(t, at(unbound))
  const options = {
    zone: ZONE,
    primary,
    primaryFrom: 'here',
    authoritative: [],
    resolver: undefined,
  } as const
  const zoneOf = async (
    domain: string,
    more: Partial<Parameters<typeof placeOf>[1]> = {},
  ): Promise<string> => {
    const place = await placeOf(domain, { ...options, timeoutMs: 2000, ...more })
    return 'zone' in place ? place.zone : place.code
  }
  assert.equal(await zoneOf('news.example.com'), ZONE)
  assert.equal(await zoneOf('b.a.example.org'), 'a.example.org')
  assert.equal(await zoneOf('b.example.org'), 'example.org')
  assert.equal(await zoneOf('elsewhere.test'), 'NAME')
  assert.equal(await zoneOf(ZONE, { primaryFrom: 'soa' }), 'NAME', 'without a resolver')

  // By the NS records; the address of the primary at the port that ptt.toml has.
  const place = await placeOf(ZONE, { ...options, resolver })
  assert.ok('zone' in place)
  assert.deepEqual(place.authorities.authorities, [{ server: `ns.${ZONE}`, endpoint: primary }])
  const named = await placeOf(ZONE, { ...options, resolver, authoritative: [at({ port: 5 })] })
  assert.deepEqual('zone' in named && named.authorities, authoritiesAt([at({ port: 5 })]))
  const nobody = await placeOf('example.org', { ...options, primary: at({ port: 1 }), timeoutMs: 500 })
  assert.equal('zone' in nobody ? nobody.zone : nobody.code, 'NETWORK', 'unknown is not "no"')
})

function resolverAt(t: TestContext, endpoint: Endpoint): NamedResolver {
  const resolver = new Resolver({ servers: [endpoint], timeoutMs: 500 })
  t.after(() => resolver.close())
  return { name: `127.0.0.1:${endpoint.port}`, resolver }
}
