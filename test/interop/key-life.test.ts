/**
 * The whole life of keys in real zones: BIND and Knot as primaries and secondaries, Unbound as the relay's resolver. Two signers of one domain, each with a state folder of its own: neither touches what is the other's.
 */

import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { parseConfig } from '../../src/config/load.ts'
import type { Directory } from '../../src/directory/directory.ts'
import { txtText } from '../../src/dns/rdata.ts'
import { formatTsigKey, parseTsigKey } from '../../src/dns/tsig-key.ts'
import { askPrimary } from '../../src/net/nsupdate.ts'
import { type Fields, logTo } from '../../src/observe/event.ts'
import { keepKeys } from '../../src/signer/keep-keys.ts'
import type { Key } from '../../src/signer/life-cycle.ts'
import { askSigner, type KeyAnswer, type KeyRequest } from '../../src/signer/request.ts'
import { startBind, startBindSecondary } from '../peers/bind.ts'
import { type DnsPeer, notify, type PrimaryPeerOptions } from '../peers/dns.ts'
import { startKnot, startKnotSecondary } from '../peers/knot.ts'
import { need } from '../peers/need.ts'
import { temporaryFolder } from '../peers/program.ts'
import { startUnbound } from '../peers/unbound.ts'

const ZONE = 'example.com'
const tsigKey = parseTsigKey(`x._update.${ZONE}:hmac-sha256:${Buffer.alloc(32, 1).toString('base64')}`)
/** Two seconds are remembered: long enough to see that they are waited for. */
const MASTER_FILE = `$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 2
@ NS ns
ns A 127.0.0.1
theirs._domainkey TXT "v=DKIM1; p=theirs"
`
const DIRECTORY = { commit: 'c', domains: new Set([ZONE]) } as unknown as Directory

interface Signer {
  readonly folder: string
  keys(): readonly Key[]
  /** The first event of a key, past or to come, that is so. */
  heard(what: Fields): Promise<Fields>
  ask(request: KeyRequest): Promise<KeyAnswer>
  close(): Promise<void>
}

/** What of the signer keeps the keys, with its own folder. */
function startKeeping(t: TestContext, primary: DnsPeer, lines: readonly string[], folder?: string): Signer {
  const own = folder === undefined ? temporaryFolder('key-life') : undefined
  if (own !== undefined) t.after(() => own.remove())
  const path = folder ?? own?.path ?? ''
  mkdirSync(join(path, 'dns'), { recursive: true })
  writeFileSync(join(path, 'dns/tsig.key'), formatTsigKey(tsigKey), { mode: 0o600 })
  const toml = [
    `domain = "${ZONE}"`,
    '[signer]',
    `primary = "127.0.0.1:${primary.port}"`,
    'ttl = "2s"',
    'queue_age = "1s"',
    'expiration = "never"',
    'revoked_for = "1s"',
    ...(lines.some(line => line.startsWith('rotate')) ? [] : ['rotate = "never"']),
    ...lines,
  ]
  const config = parseConfig(toml.join('\n'), join(path, 'ptt.toml'))
  const events: Fields[] = []
  const news = new EventEmitter()
  const log = logTo((name, fields) => {
    events.push({ event: name, ...fields })
    news.emit('event')
  })
  const { keyring, keeper, close } = keepKeys(config, () => DIRECTORY, log)
  void keeper.check()
  let closed: Promise<void> | undefined
  const stop = () => (closed ??= close())
  t.after(stop)
  let asked = 0
  return {
    folder: path,
    keys: () => keyring.keys,
    async heard(what) {
      const signal = AbortSignal.timeout(45_000)
      for (let seen = 0; ; seen++) {
        while (seen === events.length)
          await once(news, 'event', { signal }).catch(() =>
            assert.fail(
              `${JSON.stringify(what)} did not happen: ${events.map(each => JSON.stringify(each)).join('\n')}`,
            ),
          )
        const event = events[seen]
        if (event !== undefined && Object.entries(what).every(([key, value]) => event[key] === value))
          return event
      }
    },
    async ask(request) {
      const id = `${Date.now()}-${asked++}`
      const pauseFor = async (ms: number) => void (await pause(ms))
      const answer = await askSigner(config.signer.state, request, { id, waitMs: 45_000, pause: pauseFor })
      return answer ?? assert.fail('no answer')
    },
    close: stop,
  }
}

async function served(peer: DnsPeer, selector: string): Promise<string[]> {
  const found = await askPrimary(
    { host: '127.0.0.1', port: peer.port },
    `${selector}._domainkey.${ZONE}`,
    'TXT',
  )
  return found.kind === 'answer' ? found.records.map(txtText) : []
}

const primaries: [name: string, program: string, start: (options: PrimaryPeerOptions) => Promise<DnsPeer>][] =
  [
    ['BIND', 'named', startBind],
    ['Knot', 'knotd', startKnot],
  ]
for (const [name, program, start] of primaries)
  test(`from made to removed, two signers beside each other: ${name}`, async t => {
    if (!need(t, program, 'unbound')) return
    const peer = await start({ zones: { [ZONE]: MASTER_FILE }, tsigKey })
    t.after(() => peer.stop())
    const unbound = await startUnbound({ stubs: { [ZONE]: peer.port } })
    t.after(() => unbound.stop())
    const lines = [`resolver = ["127.0.0.1:${unbound.port}"]`]
    const [one, two] = [startKeeping(t, peer, lines), startKeeping(t, peer, lines)]
    for (const signer of [one, two])
      for (const algorithm of ['rsa-sha256', 'ed25519-sha256'])
        await signer.heard({ algorithm, state: 'active' })
    const before = [one, two].map(signer => signer.keys().map(key => key.selector))
    assert.equal(new Set(before.flat()).size, 4)

    assert.equal((await one.ask({ kind: 'rotate', domain: ZONE })).ok, true)
    for (const selector of before[0] ?? []) {
      await one.heard({ selector, state: 'retiring' })
      await one.heard({ selector, state: 'revoked' })
      await one.heard({ selector, state: 'removed' })
      assert.deepEqual(await served(peer, selector), [])
    }
    for (const selector of before[1] ?? [])
      assert.equal((await served(peer, selector)).length, 1, 'untouched')
    assert.deepEqual(
      two.keys().map(({ stage }) => stage),
      ['active', 'active'],
    )

    // The zone shows who holds what: a selector that is another's is not taken.
    const [theirs = ''] = before[1] ?? []
    const made = await one.ask({
      kind: 'generate',
      domain: ZONE,
      algorithm: 'ed25519-sha256',
      selector: theirs,
    })
    assert.equal(made.ok, true, made.text)
    const alarm = await one.heard({ event: 'alarm', outcome: 'conflict', selector: theirs })
    assert.match(String(alarm.reason), /which this signer did not publish and does not overwrite/)
    await two.ask({ kind: 'check' })
    assert.equal(two.keys().filter(({ stage }) => stage === 'active').length, 2)
    // Given up, it leaves what is there alone.
    await one.ask({ kind: 'revoke', domain: ZONE, selector: theirs, reason: 'not ours', gently: false })
    await one.heard({ selector: theirs, state: 'removed' })
    assert.equal((await served(peer, theirs)).length, 1)

    // What was known survives.
    const saved = readFileSync(join(one.folder, 'dkim/keys.json'), 'utf8')
    await one.close()
    const again = startKeeping(t, peer, lines, one.folder)
    assert.deepEqual(
      again.keys().map(({ selector, stage }) => [selector, stage]),
      one.keys().map(({ selector, stage }) => [selector, stage]),
    )
    assert.ok(saved.includes('"version": 1'))
  })

test('a hidden primary, and secondaries that follow one after the other: the key waits for the last', async t => {
  if (!need(t, 'named', 'knotd')) return
  const primary = await startBind({ zones: { [ZONE]: MASTER_FILE }, tsigKey })
  t.after(() => primary.stop())
  const options = { zone: ZONE, primary: primary.port, tsigKey }
  const bind = await startBindSecondary(options)
  t.after(() => bind.stop())
  const knot = await startKnotSecondary(options)
  t.after(() => knot.stop())
  const [first, last] = [bind, knot].map(({ port }) => ({ host: '127.0.0.1', port }))
  assert.ok(first !== undefined && last !== undefined)
  const signer = startKeeping(t, primary, [
    'algorithms = ["ed25519"]',
    `authoritative = ["127.0.0.1:${bind.port}", "127.0.0.1:${knot.port}"]`,
  ])
  const { selector } = await signer.heard({ state: 'published' })
  assert.equal((await served(primary, String(selector))).length, 1)
  assert.match(
    signer.keys()[0]?.reason ?? '',
    new RegExp(`:${bind.port} still has .*; 127\\.0\\.0\\.1:${knot.port} still has`),
  )

  await notify(first, ZONE)
  await until(async () => (await served(bind, String(selector))).length === 1)
  await signer.ask({ kind: 'check' })
  const [waiting] = signer.keys()
  assert.equal(waiting?.stage, 'published')
  assert.match(waiting?.reason ?? '', new RegExp(`^127\\.0\\.0\\.1:${knot.port} still has no such name`))

  await notify(last, ZONE)
  await until(async () => (await served(knot, String(selector))).length === 1)
  await signer.ask({ kind: 'check' })
  assert.equal(signer.keys()[0]?.stage, 'active')
})

/** A server follows in its own time: its answer is the news. */
async function until(check: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (await check()) return
    await pause(50)
  }
  assert.fail('the secondary does not follow')
}

test('a name that somebody may have asked for waits for as long as the zone says', async t => {
  if (!need(t, 'named')) return
  const peer = await startBind({ zones: { [ZONE]: MASTER_FILE }, tsigKey })
  t.after(() => peer.stop())
  const signer = startKeeping(t, peer, [
    'selector_template = "{selector}-{number}-{algorithm}"',
    'algorithms = ["ed25519"]',
  ])
  const published = await signer.heard({ selector: 'ptt-1-ed25519', state: 'published' })
  assert.match(String(published.reason), /others may remember until/)
  const [key] = signer.keys()
  await signer.heard({ selector: 'ptt-1-ed25519', state: 'active' })
  const [now] = signer.keys()
  assert.equal(key?.staleSeconds, 2)
  assert.ok((now?.sinceMs ?? 0) - (key?.everywhereMs ?? 0) >= 2000)
})

test('the age of a key: replaced by itself, and the old one is gone in the end', async t => {
  if (!need(t, 'named')) return
  const peer = await startBind({ zones: { [ZONE]: MASTER_FILE }, tsigKey })
  t.after(() => peer.stop())
  const signer = startKeeping(t, peer, ['algorithms = ["ed25519"]'])
  const { selector: first } = await signer.heard({ state: 'active' })
  await signer.close()
  // The same folder with a shorter age: it is older than that already.
  const aged = startKeeping(t, peer, ['algorithms = ["ed25519"]', 'rotate = "3s"'], signer.folder)
  await aged.heard({ selector: String(first), state: 'retiring' })
  await aged.heard({ selector: String(first), state: 'removed' })
  assert.deepEqual(await served(peer, String(first)), [])
  assert.ok(aged.keys().some(({ stage }) => stage === 'active'))
})
