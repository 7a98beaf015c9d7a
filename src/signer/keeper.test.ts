import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { FileError } from '../config/file.ts'
import type { Algorithm } from '../dkim/signature.ts'
import { type EventName, type Fields, logTo } from '../observe/event.ts'
import { KeyKeeper, pauseMs } from './keeper.ts'
import { KeyFolder } from './key-folder.ts'
import { Keyring } from './keyring.ts'
import { type Key, nameOf, type Settings, type Target } from './life-cycle.ts'
import type { Look } from './look.ts'
import { openRequests, requestPath } from './request.ts'
import type { DomainRules } from './signing-view.ts'

const DAY = 86_400_000
const SETTINGS: Settings = { rotateMs: 90 * DAY, lifetimeMs: 5 * DAY, revokedMs: 30 * DAY }
const root = mkdtempSync(join(tmpdir(), 'ptt-keeper-'))
after(() => rmSync(root, { recursive: true }))
let folders = 0

const SERVED: Look = { outcome: 'published', observation: { kind: 'served', objection: null } }
const DOWN: Look = {
  outcome: 'failure',
  code: 'TIMEOUT',
  observation: { kind: 'unknown', reason: 'the primary does not answer' },
}

type Looking = (key: Key, target: Target, onStale: (seconds: number) => void) => Look

/** A keyring with its keeper: the disk is real, DNS is what `dns` says, time stands still unless it is told. */
class Scene {
  nowMs = 0
  dns: Looking = () => SERVED
  rules: DomainRules = { commit: '1', domains: new Set(), signing: new Map() }
  full = false
  saves = 0
  readonly events: (Fields & { event: EventName })[] = []
  readonly looks: string[] = []
  readonly folder: string
  readonly keyring: Keyring
  readonly keeper: KeyKeeper

  constructor(t: TestContext, algorithms: readonly Algorithm[] = ['ed25519-sha256']) {
    const log = logTo((event, fields) => this.events.push({ event, ...fields }))
    const real = new KeyFolder(join(root, String(folders++)), 'example.com')
    const save = (keys: readonly Key[]): void => {
      if (this.full) throw new FileError('keys.json: cannot be written: no space left')
      this.saves++
      real.save(keys)
    }
    this.folder = real.path
    let made = 0
    this.keyring = new Keyring({
      folder: {
        load: () => real.load(),
        save,
        readPrivate: id => real.readPrivate(id),
        hasPrivate: id => real.hasPrivate(id),
        writePrivate: (id, key) => real.writePrivate(id, key),
        destroyPrivate: id => real.destroyPrivate(id),
      },
      settings: SETTINGS,
      domain: 'example.com',
      rules: () => this.rules,
      selector: 'ptt',
      selectorTemplate: 's{number}-{algorithm}',
      algorithms,
      configured: null,
      earlier: [],
      log,
      now: () => this.nowMs,
      random: octets => new Uint8Array(octets).fill(made++),
    })
    this.keeper = new KeyKeeper({
      keyring: this.keyring,
      settings: SETTINGS,
      folder: real.path,
      bits: 2048,
      look: async (key, target, onStale) => {
        this.looks.push(`${key.selector} ${target}`)
        return this.dns(key, target, onStale)
      },
      makeKey: async (algorithm): Promise<KeyObject> =>
        algorithm === 'ed25519-sha256'
          ? generateKeyPairSync('ed25519').privateKey
          : generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey,
      log,
      now: () => this.nowMs,
    })
    t.after(() => this.keeper.close())
  }

  stages(): Record<string, string> {
    return Object.fromEntries(
      this.keyring.keys.map(key => [nameOf(key).replace('._domainkey.', ' '), key.stage]),
    )
  }

  alarms(): unknown[] {
    return this.events.filter(({ event }) => event === 'alarm').map(({ reason }) => reason)
  }
}

test('pauses double up to a minute, or to what is said', () => {
  assert.deepEqual(
    [1, 2, 3, 6, 7, 50].map(failures => pauseMs(failures)),
    [1000, 2000, 4000, 32_000, 60_000, 60_000],
  )
  assert.equal(pauseMs(50, 600_000), 600_000)
})

test('a key of each algorithm for each domain; a message is signed with those of its author', async t => {
  const scene = new Scene(t, ['rsa-sha256', 'ed25519-sha256'])
  scene.rules = { ...scene.rules, domains: new Set(['example.com', 'example.org']) }
  assert.equal(scene.keyring.isReady, false)
  assert.deepEqual(scene.keyring.decide(['example.com']), {
    kind: 'defer',
    reason: 'example.com has no key yet',
  })
  await scene.keeper.check()
  assert.deepEqual(Object.values(scene.stages()), ['active', 'active', 'active', 'active'])
  const decision = scene.keyring.decide(['example.org'])
  assert.ok(decision.kind === 'sign')
  assert.deepEqual(
    decision.keys.map(({ signingDomain, algorithm }) => `${signingDomain} ${algorithm}`),
    ['example.org rsa-sha256', 'example.org ed25519-sha256'],
  )
  const both = scene.keyring.decide(['example.com', 'example.org'])
  assert.equal(both.kind === 'sign' && both.keys.length, 4)
})

test('that there was nothing is on disk before something is published; a disk that is full publishes nothing', async t => {
  const scene = new Scene(t)
  const published: string[] = []
  scene.dns = (key, _, onStale) => {
    onStale(300)
    assert.equal(scene.keyring.find(key)?.staleSeconds, 300)
    published.push(key.selector)
    return SERVED
  }
  await scene.keeper.check()
  assert.deepEqual(published, ['s1-ed25519'])
  assert.equal(scene.stages()['s1-ed25519 example.com'], 'published')
  assert.deepEqual(scene.keyring.decide(['example.com']).kind, 'defer')

  const full = new Scene(t)
  full.dns = (_, __, onStale) => {
    full.full = true
    onStale(300)
    return assert.fail('published')
  }
  await full.keeper.check()
  assert.match(full.alarms().join(), /keys\.json: cannot be written: no space left/)
  assert.equal(full.keyring.decide(['example.com']).kind, 'defer')
  full.full = false
  full.dns = () => SERVED
  await full.keeper.check()
  assert.equal(full.keyring.decide(['example.com']).kind, 'sign')
})

test('a key that cannot be kept is not made', async t => {
  const scene = new Scene(t)
  scene.full = true
  await scene.keeper.check()
  assert.deepEqual(scene.stages(), {})
  assert.deepEqual(scene.looks, [])
  assert.match(scene.keyring.reason('example.com'), /has no key yet/)
  scene.full = false
  await scene.keeper.check()
  assert.equal(scene.keyring.decide(['example.com']).kind, 'sign')
})

test('tried again after longer and longer pauses, an alarm each time; then at the moment it may sign', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const scene = new Scene(t)
  scene.dns = () => DOWN
  const pass = async (ms: number): Promise<number> => {
    scene.nowMs += ms
    t.mock.timers.tick(ms)
    const before = scene.looks.length
    // Nothing here waits for anything but promises.
    await new Promise(resolve => setImmediate(resolve))
    return scene.looks.length - before
  }
  await scene.keeper.check()
  assert.equal(
    scene.keyring.reason('example.com'),
    's1-ed25519._domainkey.example.com: the primary does not answer',
  )
  for (const wait of [1000, 2000, 4000]) {
    assert.equal(await pass(wait - 1), 0)
    assert.equal(await pass(1), 1)
  }
  assert.equal(scene.alarms().length, 4)
  scene.dns = (_, __, onStale) => {
    if (scene.looks.length === 5) onStale(100)
    return SERVED
  }
  assert.equal(await pass(8000), 1)
  assert.equal(scene.stages()['s1-ed25519 example.com'], 'published')
  assert.equal(await pass(99_000), 0)
  assert.equal(await pass(1000), 1)
  assert.equal(scene.stages()['s1-ed25519 example.com'], 'active')
})

test('a domain that is new gets keys, one that leaves loses them, one that says never has none', async t => {
  const scene = new Scene(t)
  scene.rules = { ...scene.rules, commit: '2', domains: new Set(['example.com', 'example.org']) }
  await scene.keeper.check()
  const never = new Map([['example.net', { never: true }]])
  scene.rules = { commit: '3', domains: new Set(['example.com', 'example.net']), signing: never }
  await scene.keeper.check()
  assert.deepEqual(scene.stages(), {
    's1-ed25519 example.com': 'active',
    's1-ed25519 example.org': 'retiring',
  })
  assert.deepEqual(scene.keyring.decide(['example.net']), { kind: 'pass' })
  assert.equal(scene.keyring.decide(['example.net', 'example.com']).kind, 'sign')
  assert.deepEqual([...scene.keyring.signingDomains()], ['example.com', 'example.net'])
})

test('a domain below another that waits for its key is signed for by that one', async t => {
  const scene = new Scene(t)
  scene.rules = { ...scene.rules, domains: new Set(['example.com', 'news.example.com', 'example.org']) }
  scene.dns = key => (key.domain === 'example.com' ? SERVED : DOWN)
  await scene.keeper.check()
  assert.deepEqual([...scene.keyring.signingDomains()].toSorted(), ['example.com', 'example.org'])
  scene.dns = () => SERVED
  await scene.keeper.check()
  assert.deepEqual([...scene.keyring.signingDomains()].toSorted(), [
    'example.com',
    'example.org',
    'news.example.com',
  ])
})

test('how long a key is needed is written now and then, never too early', async t => {
  const scene = new Scene(t)
  await scene.keeper.check()
  const decision = scene.keyring.decide(['example.com'])
  assert.ok(decision.kind === 'sign')
  const before = scene.saves
  const { keyring } = scene
  for (let at = 0; at < 1000; at++) keyring.signed(decision.keys, 6 * DAY + 1 + at)
  assert.equal(scene.saves, before + 1)
  assert.ok((keyring.keys[0]?.neededUntilMs ?? 0) >= 6 * DAY + 1000)
  // A disk that is full is an alarm, and mail goes on.
  scene.full = true
  keyring.signed(decision.keys, 9 * DAY)
  assert.match(scene.alarms().join(), /no space left/)
  assert.equal(keyring.decide(['example.com']).kind, 'sign')
})

test('a request is done once, also where it cannot be taken away', async t => {
  const scene = new Scene(t)
  await scene.keeper.check()
  openRequests(scene.folder)
  const path = requestPath(scene.folder, '1')
  // A folder that is not empty: it can be read as little as it can be removed.
  mkdirSync(join(path, 'full'), { recursive: true })
  await scene.keeper.check()
  await scene.keeper.check()
  const told = scene.events.filter(({ request }) => request !== undefined)
  assert.deepEqual(
    told.map(({ request, ok }) => [request, ok]),
    [['unknown', false]],
  )
  assert.equal(scene.looks.length, 3, 'the keys are looked after all the same')
  rmSync(path, { recursive: true })
  writeFileSync(requestPath(scene.folder, '2'), '{"kind": "generate", "domain": "example.com"}')
  await scene.keeper.check()
  assert.deepEqual(Object.keys(scene.stages()), ['s1-ed25519 example.com', 's2-ed25519 example.com'])
})

test('a key that is old: the new one first, then the old one goes', async t => {
  const scene = new Scene(t)
  await scene.keeper.check()
  scene.nowMs = 90 * DAY
  scene.dns = key => (key.selector === 's2-ed25519' ? DOWN : SERVED)
  await scene.keeper.check()
  assert.deepEqual(Object.values(scene.stages()), ['active', 'pending'])
  await scene.keeper.check()
  assert.equal(scene.keyring.keys.length, 2, 'one at a time')
  scene.dns = () => SERVED
  await scene.keeper.check()
  assert.deepEqual(Object.values(scene.stages()), ['retiring', 'active'])
  scene.nowMs += 6 * DAY
  await scene.keeper.check()
  await scene.keeper.check()
  assert.ok(scene.looks.includes('s1-ed25519 revoked'))
  scene.nowMs += 31 * DAY
  scene.dns = (_, target) =>
    target === 'nothing' ? { outcome: 'published', observation: { kind: 'absent', staleSeconds: 0 } } : SERVED
  await scene.keeper.check()
  assert.deepEqual(Object.values(scene.stages()), ['removed', 'active'])
})
