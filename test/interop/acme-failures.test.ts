/** What can go wrong on the way to a certificate: each is told with its step, its reason and when it is tried next. */

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { logTo } from '../../src/observe/event.ts'
import { startSilentServer } from '../peers/dns.ts'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { startScriptedAcme } from '../peers/scripted-acme.ts'
import { HOST, RECORD, startWorld, type World } from './acme-world.ts'

const MINUTE = 60_000
const NOW = Date.now()
/** No jitter in the pauses, and a clock that stands. */
const FIXED = { now: () => NOW, random: () => 0.5 }

function lastAlarm({ events }: World) {
  const { fields } =
    events.findLast(({ name, fields }) => name === 'alarm' && fields.step !== undefined) ?? {}
  assert.ok(fields !== undefined, 'no alarm')
  assert.equal(fields.about, 'certificate')
  return fields
}

test('the CA is down: tried again after growing pauses, over a restart too, and it works when it is back', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const down = world.configWith(`directory = "https://127.0.0.1:${await freePort()}/dir"`)
  let now = NOW
  const keeper = () => world.keeper({ config: down, now: () => now, random: () => 0.5 })
  for (const minutes of [1, 3, 9, 27]) {
    assert.deepEqual(await keeper().look(), { kind: 'failed', untilMs: now + minutes * MINUTE })
    const { step, reason, retry_ms: retryMs, until } = lastAlarm(world)
    assert.match(String(reason), /^127\.0\.0\.1:\d+: connection refused$/)
    assert.deepEqual([step, retryMs, until], ['directory', minutes * MINUTE, null])
    now += minutes * MINUTE - 1
    assert.equal((await keeper().look()).kind, 'paused')
    now += 1
  }
  assert.equal(keeper().standing().note.failures, 4)
  const back = world.keeper()
  assert.equal((await back.look('again')).kind, 'issued', world.alarms().join('\n'))
  assert.equal(back.standing().note.failures, 0)
})

test('the CA limits rates: not before it says, also when somebody asks, unless he insists', async t => {
  const detail = 'too many certificates already issued for "example.test"'
  const type = 'urn:ietf:params:acme:error:rateLimited'
  const limited = { status: 429, headers: { 'retry-after': '7200' }, body: { type, detail } }
  const ca = await startScriptedAcme({ '/new-order': limited })
  t.after(() => ca.stop())
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const config = world.configWith(`directory = "${ca.directory}"`, `ca = "${ca.ca}"`)
  const keeper = world.keeper({ config, ...FIXED })
  assert.deepEqual(await keeper.look(), { kind: 'failed', untilMs: NOW + 120 * MINUTE })
  const { step, reason, retry_ms: retryMs } = lastAlarm(world)
  assert.deepEqual([step, retryMs], ['order', 120 * MINUTE])
  assert.match(String(reason), /answers HTTP 429 \(rateLimited\): too many certificates already issued/)
  const orders = () => ca.requests.filter(request => request === 'POST /new-order').length
  assert.equal(orders(), 1, 'asked once')
  assert.equal((await keeper.look('due')).kind, 'paused')
  assert.equal((await keeper.look('again')).kind, 'paused')
  assert.equal(orders(), 1)
  assert.equal((await keeper.look('now')).kind, 'failed')
  assert.equal(orders(), 2)
})

test('a CA that is overloaded or broken', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const answers = [
    [
      { '/directory': { status: 503, headers: { 'retry-after': '600' } } },
      /answers HTTP 503 \(unknown\)$/,
      10,
    ],
    [
      { '/directory': { status: 200, body: 'welcome' } },
      /\/directory is not an ACME directory: check its URL/,
      1,
    ],
    [
      { '/directory': { status: 302, headers: { location: 'https://127.0.0.1:1/' } } },
      /HTTP 302, moved to https:\/\/127\.0\.0\.1:1\/ \(unknown\)$/,
      1,
    ],
    [
      { '/new-account': { status: 429 } },
      // RFC 8555 §6.6 says it SHOULD name a time: an hour where it does not.
      /answers HTTP 429 \(rateLimited\)/,
      60,
    ],
    [
      {
        '/new-order': {
          status: 403,
          body: {
            type: 'urn:ietf:params:acme:error:rejectedIdentifier',
            detail: 'Error creating\norder',
            subproblems: [{ identifier: { type: 'dns', value: HOST }, detail: 'policy \x1b[31mforbids' }],
          },
        },
      },
      /\(rejectedIdentifier\): Error creating order; mail\.example\.test: policy \[31mforbids$/,
      1,
    ],
    [{ '/new-nonce': { status: 500, body: 'oops' } }, /answers HTTP 500 \(unknown\)$/, 1],
  ] as const
  for (const [script, reason, minutes] of answers) {
    const ca = await startScriptedAcme(script)
    t.after(() => ca.stop())
    const state = `state-${ca.directory.replace(/\D/g, '')}`
    const lines = [`directory = "${ca.directory}"`, `ca = "${ca.ca}"`, `state = "${state}"`]
    const keeper = world.keeper({ config: world.configWith(...lines), ...FIXED })
    assert.deepEqual(await keeper.look(), { kind: 'failed', untilMs: NOW + minutes * MINUTE })
    assert.match(String(lastAlarm(world).reason), reason)
  }
})

test('an ACME server whose own certificate is of a private CA', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const stranger = join(world.folder, 'stranger.pem')
  writeFileSync(stranger, (await makeAuthority('stranger')).certificate)
  const keeper = world.keeper({ config: world.configWith(`ca = "${stranger}"`) })
  assert.equal((await keeper.look()).kind, 'failed')
  assert.match(
    String(lastAlarm(world).reason),
    /its certificate is not trusted \(\w+\): set \[certificate\] ca/,
  )
})

test("the CA's terms are to be agreed to, by somebody who can read", async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const keeper = world.keeper({ config: world.configWith('terms_agreed = false') })
  assert.equal((await keeper.look()).kind, 'failed')
  assert.match(
    String(lastAlarm(world).reason),
    /the CA asks you to agree to its terms of service, data:text\/plain.*write terms_agreed = true/,
  )
})

test('the TSIG key is wrong: told with what the primary says', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const other = `acme-key:hmac-sha256:${Buffer.alloc(32, 8).toString('base64')}`
  writeFileSync(join(world.folder, 'dns/other.key'), other, { mode: 0o600 })
  const keeper = world.keeper({ config: world.configWith('tsig_key = "dns/other.key"'), ...FIXED })
  assert.equal((await keeper.look()).kind, 'failed')
  const { step, reason } = lastAlarm(world)
  assert.equal(step, 'dns')
  assert.match(String(reason), /knows the TSIG key 'acme-key' with another secret: compare the secrets/)
  assert.equal(
    world.pebble.output().includes('Pulled a task from the Tasks queue'),
    false,
    'nothing to prove',
  )
})

test('CAA forbids it: explained, and no order is made', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t, { records: '@ CAA 0 issue "other.example.net"\n' })
  const config = world.configWith('caa_identities = ["pebble.example"]')
  assert.equal((await world.keeper({ config }).look()).kind, 'failed')
  const { step, reason } = lastAlarm(world)
  assert.equal(step, 'caa')
  assert.match(
    String(reason),
    /^CAA forbids it: example\.test CAA 0 issue "other\.example\.net" allows another CA, not pebble\.example: allow it by example\.test CAA 0 issue "pebble\.example"$/,
  )
  assert.doesNotMatch(world.pebble.output(), /\/order-plz/, 'Pebble was not asked for an order')
  const allowed = world.configWith('caa_identities = ["other.example.net"]')
  assert.equal((await world.keeper({ config: allowed }).look('again')).kind, 'issued')
  assert.match(world.pebble.output(), /\/order-plz/)
})

test('a server of the zone that does not follow: the CA is not asked to look, and the record goes', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const lagging = await startWorld(t)
  const servers = `authorities = ["127.0.0.1:${world.bind.port}", "127.0.0.1:${lagging.bind.port}"]`
  const keeper = world.keeper({ config: world.configWith(servers, 'propagation = "1s"') })
  assert.equal((await keeper.look()).kind, 'failed')
  const { step, reason } = lastAlarm(world)
  assert.equal(step, 'dns')
  assert.match(
    String(reason),
    new RegExp(`^after 1 s: 127\\.0\\.0\\.1:${lagging.bind.port} does not have the TXT record of ${RECORD}$`),
  )
  assert.deepEqual(await world.txt(), [])
})

test('the CA sees another zone than we do', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const elsewhere = await startWorld(t)
  const lines = [`directory = "${elsewhere.pebble.directory}"`, `ca = "${elsewhere.pebble.ca}"`]
  const keeper = world.keeper({ config: world.configWith(...lines) })
  assert.equal((await keeper.look()).kind, 'failed')
  const { step, reason } = lastAlarm(world)
  assert.equal(step, 'proof')
  assert.match(String(reason), /does not accept the proof for mail\.example\.test \(unauthorized\): .*TXT/)
  assert.deepEqual(await world.txt(), [])
})

test('what a crash left in the zone is removed with the next attempt', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t, { records: `${RECORD}. TXT "left"\n${RECORD}. TXT "theirs"\n` })
  const keeper = world.keeper()
  const place = { name: RECORD, zone: 'example.test', primary: { host: '127.0.0.1', port: world.bind.port } }
  const note = { ...keeper.standing().note, published: [{ ...place, value: 'left' }] }
  writeFileSync(join(world.config.certificate?.state ?? '', 'note.json'), JSON.stringify(note))
  assert.equal((await keeper.look()).kind, 'issued', world.alarms().join('\n'))
  assert.deepEqual(await world.txt(), ['theirs'])
  assert.deepEqual(keeper.standing().note.published, [])
})

test('a crash in the middle is a failure: the next start waits', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const crash = new Error('a fault of ours')
  const crashing = world.keeper({
    ...FIXED,
    log: logTo((_, { state }) => {
      if (state === 'published') throw crash
    }),
  })
  await assert.rejects(crashing.look(), crash)
  const next = world.keeper(FIXED)
  assert.deepEqual(await next.look(), { kind: 'paused', untilMs: NOW + MINUTE })
  assert.equal(next.standing().note.failures, 1)
})

test('stopped in the middle: the record goes, and it is no failure', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const silent = await startSilentServer()
  t.after(() => silent.stop())
  const servers = `authorities = ["127.0.0.1:${world.bind.port}", "127.0.0.1:${silent.port}"]`
  const stopping = new AbortController()
  const keeper = world.keeper({
    config: world.configWith(servers, 'propagation = "1h"'),
    signal: stopping.signal,
    log: logTo((_, { state }) => state === 'published' && stopping.abort()),
  })
  assert.deepEqual(await keeper.look(), { kind: 'stopped' })
  assert.deepEqual(await world.txt(), [])
  const { failures, retryMs, published, lastError } = keeper.standing().note
  assert.deepEqual([failures, retryMs, published, lastError], [0, null, [], null])
})

test('a certificate that has expired while the CA is down is said to have', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const { certificate, key } = world.config.submission
  await world.keeper().look()
  const old = await issue(await makeAuthority('example.test'), { names: [HOST] }, NOW - 800 * 86_400_000)
  writeFileSync(certificate, old.certificate)
  writeFileSync(key, old.key)
  const down = world.configWith(`directory = "https://127.0.0.1:${await freePort()}/dir"`)
  assert.equal((await world.keeper({ config: down }).look()).kind, 'failed')
  const { expired, until, reason } = lastAlarm(world)
  assert.deepEqual([expired, typeof until], [true, 'string'])
  assert.match(String(reason), /connection refused/)
})
