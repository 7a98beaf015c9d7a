import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  dueMs,
  type Event,
  type Key,
  type NewKey,
  nameOf,
  type Observation,
  type Settings,
  type Stage,
  signingKeys,
  step,
  targetOf,
  wanting,
} from './life-cycle.ts'

const DAY = 86_400_000
const SETTINGS: Settings = { rotateMs: 90 * DAY, lifetimeMs: 5 * DAY, revokedMs: 30 * DAY }
const DOMAIN = 'example.com'
const SERVED: Observation = { kind: 'served', objection: null }

function newKey(selector: string, more: Partial<NewKey> = {}): NewKey {
  const record = `v=DKIM1; k=rsa; p=${selector}`
  const made = { origin: 'generated', unasked: false, replaces: [] } as const
  return { domain: DOMAIN, selector, algorithm: 'rsa-sha256', record, ...made, ...more }
}

/** Keys with a clock, told events one after the other. */
class Life {
  keys: readonly Key[] = []
  nowMs = 0
  readonly moves: string[] = []
  readonly settings: Settings

  constructor(settings: Settings = SETTINGS) {
    this.settings = settings
  }

  add(key: NewKey): this {
    return this.#step({ kind: 'added', key, reason: 'new' })
  }

  find(selector: string, observation: Observation): this {
    const target = targetOf(this.key(selector), this.nowMs)
    assert.ok(target !== null, `${selector} has no target`)
    return this.#step({ kind: 'found', id: { domain: DOMAIN, selector }, target, observation })
  }

  tell(kind: 'retired' | 'revoked', selector: string): this {
    return this.#step({ kind, id: { domain: DOMAIN, selector }, reason: 'told to' })
  }

  sign(selector: string, untilMs: number): this {
    return this.#step({ kind: 'signed', id: { domain: DOMAIN, selector }, untilMs })
  }

  wait(ms: number): this {
    this.nowMs += ms
    return this.#step({ kind: 'tick' })
  }

  key(selector: string): Key {
    return this.keys.find(key => key.selector === selector) ?? assert.fail(`no key ${selector}`)
  }

  stages(): Record<string, Stage> {
    return Object.fromEntries(this.keys.map(key => [key.selector, key.stage]))
  }

  #step(event: Event): this {
    const { keys, transitions } = step(this.keys, event, this.settings, this.nowMs)
    this.keys = keys
    for (const { key, from } of transitions) this.moves.push(`${key.selector}: ${from} → ${key.stage}`)
    return this
  }
}

test('the whole life of a key', () => {
  const life = new Life().add(newKey('a'))
  life.find('a', { kind: 'absent', staleSeconds: 300 })
  life.find('a', { kind: 'partly', reason: 'ns2 has nothing yet', staleSeconds: 600 })
  life.wait(10_000).find('a', SERVED)
  assert.equal(life.key('a').stage, 'published')
  assert.equal(dueMs(life.key('a'), SETTINGS), 610_000)
  assert.match(life.key('a').reason, /until 1970-01-01T00:10:10\.000Z that it was not there/)
  life.wait(599_999).find('a', SERVED)
  assert.deepEqual(signingKeys(life.keys, DOMAIN), [])
  life.wait(1).find('a', SERVED)
  assert.deepEqual(
    signingKeys(life.keys, DOMAIN).map(({ selector }) => selector),
    ['a'],
  )
  life.wait(90 * DAY)
  assert.deepEqual(wanting(life.keys, DOMAIN, ['rsa-sha256'], SETTINGS, life.nowMs), ['rsa-sha256'])
  life.add(newKey('b')).find('b', SERVED)
  assert.deepEqual(life.stages(), { a: 'retiring', b: 'active' })
  assert.deepEqual(wanting(life.keys, DOMAIN, ['rsa-sha256'], SETTINGS, life.nowMs), [])
  life.wait(5 * DAY - 1)
  assert.equal(targetOf(life.key('a'), life.nowMs), 'key')
  life.wait(1)
  assert.equal(targetOf(life.key('a'), life.nowMs), 'revoked')
  life
    .wait(DAY)
    .find('a', SERVED)
    .wait(30 * DAY)
  assert.equal(targetOf(life.key('a'), life.nowMs), 'nothing')
  life.find('a', { kind: 'absent', staleSeconds: 300 })
  assert.equal(targetOf(life.key('a'), life.nowMs), null)
  assert.deepEqual(life.moves, [
    'a: null → pending',
    'a: pending → published',
    'a: published → active',
    'b: null → pending',
    'a: active → retiring',
    'b: pending → active',
    'a: retiring → revoked',
    'a: revoked → removed',
  ])
  life.wait(90 * DAY)
  assert.deepEqual(life.stages(), { b: 'active' })
})

test('a name that nobody can have asked for needs no waiting, until it has signed', () => {
  const life = new Life().add(newKey('a', { unasked: true }))
  life.find('a', { kind: 'absent', staleSeconds: 300 }).find('a', SERVED)
  assert.equal(life.key('a').stage, 'active')
  life.find('a', { kind: 'absent', staleSeconds: 300 }).find('a', SERVED)
  assert.equal(life.key('a').stage, 'published')
})

test('an active key: what is seen to be wrong ends signing, what cannot be seen does not', () => {
  const rows: [observation: Observation, stage: Stage][] = [
    [{ kind: 'unknown', reason: 'time-out' }, 'active'],
    [{ kind: 'absent', staleSeconds: 5 }, 'pending'],
    [{ kind: 'conflict', reason: 'another key' }, 'pending'],
    [{ kind: 'partly', reason: 'ns2 has nothing', staleSeconds: 5 }, 'published'],
    [{ kind: 'served', objection: 'the resolver has nothing' }, 'published'],
  ]
  for (const [observation, stage] of rows) {
    const life = new Life().add(newKey('a')).find('a', SERVED).find('a', observation)
    assert.equal(life.key('a').stage, stage, observation.kind)
    life.find('a', SERVED)
    life.wait(5000).find('a', SERVED)
    assert.equal(life.key('a').stage, 'active', `${observation.kind}: and back`)
  }
})

test('a pending key says what is in the way', () => {
  const life = new Life().add(newKey('a')).find('a', { kind: 'unknown', reason: 'the primary is down' })
  assert.deepEqual([life.key('a').stage, life.key('a').reason], ['pending', 'the primary is down'])
})

test('what was held for long keeps its key in DNS', () => {
  const life = new Life()
    .add(newKey('a'))
    .find('a', SERVED)
    .sign('a', 35 * DAY)
    .sign('a', 6 * DAY)
  life
    .add(newKey('b'))
    .find('b', SERVED)
    .wait(35 * DAY - 1)
  assert.equal(life.key('a').stage, 'retiring')
  assert.equal(life.wait(1).key('a').stage, 'revoked')
})

test('revoked by command: at once, and what nobody has seen is only removed', () => {
  const life = new Life().add(newKey('used')).find('used', SERVED).tell('revoked', 'used')
  assert.equal(targetOf(life.key('used'), life.nowMs), 'revoked')
  assert.deepEqual(signingKeys(life.keys, DOMAIN), [])
  assert.deepEqual(wanting(life.keys, DOMAIN, ['rsa-sha256'], SETTINGS, 0), ['rsa-sha256'])
  life.add(newKey('new', { algorithm: 'ed25519-sha256' })).tell('revoked', 'new')
  assert.equal(targetOf(life.key('new'), life.nowMs), 'nothing')
  life.find('new', { kind: 'conflict', reason: "somebody else's" })
  assert.equal(life.key('new').stage, 'removed')
  life.wait(400 * DAY)
  assert.equal(life.key('new').forbidden, true)
})

test('what was asked of an earlier target says nothing of this one', () => {
  const life = new Life().add(newKey('a')).find('a', SERVED).tell('revoked', 'a')
  const id = { domain: DOMAIN, selector: 'a' }
  const late: Event = { kind: 'found', id, target: 'key', observation: SERVED }
  const { keys } = step(life.keys, late, SETTINGS, life.nowMs)
  assert.equal(keys[0]?.revokedUntilMs, null)
})

test('keys of the operator are not replaced: neither by age nor by one that we make', () => {
  const configured = { origin: 'configured' } as const
  const life = new Life().add(newKey('one', configured)).add(newKey('two', configured))
  life
    .find('one', SERVED)
    .find('two', SERVED)
    .wait(400 * DAY)
  life.add(newKey('ours')).find('ours', SERVED)
  assert.deepEqual(life.stages(), { one: 'active', two: 'active', ours: 'active' })
  life.tell('retired', 'one')
  assert.equal(life.key('one').stage, 'retiring')
})

test('the same key again is an error, unless it is no more; another one of its name takes its place', () => {
  const life = new Life().add(newKey('a'))
  assert.throws(() => life.add(newKey('a')), RangeError)
  life.find('a', SERVED).add(newKey('a', { record: 'another' }))
  assert.deepEqual([life.keys.length, life.key('a').stage], [1, 'pending'])
  life.tell('revoked', 'a').find('a', { kind: 'absent', staleSeconds: 0 }).add(newKey('a'))
  assert.equal(life.key('a').stage, 'pending')
})

/**
 * A zone with servers that follow the primary in their own time, and caches that ask at the worst moment and remember what
 * they were told. The keys live in it as the signer has them live: looked at whenever something happens.
 */
class World {
  readonly life: Life
  readonly #servers: (Map<string, string> | null)[]
  readonly #negativeMs: number
  /** When the last of those who were told that there is nothing forgets it. */
  readonly #remembered = new Map<string, number>()
  readonly signatures: { selector: string; untilMs: number }[] = []
  revoked = false
  #made = 0

  constructor(servers: number, negativeSeconds: number, settings: Settings) {
    this.life = new Life(settings)
    this.#servers = Array.from({ length: servers }, () => new Map())
    this.#negativeMs = negativeSeconds * 1000
  }

  get #primary(): Map<string, string> {
    return this.#servers[0] ?? assert.fail()
  }

  #down = false

  /** One thing happens. */
  happen(what: Happening): void {
    const { life } = this
    switch (what.kind) {
      case 'time':
        life.wait(what.ms)
        break
      case 'outage':
        this.#down = what.down
        break
      case 'sync': {
        const at = 1 + (what.server % Math.max(1, this.#servers.length - 1))
        if (at < this.#servers.length) this.#servers[at] = new Map(this.#primary)
        break
      }
      case 'ask':
        this.#ask(what.server)
        break
      case 'rotate':
        this.#make()
        break
      case 'revoke': {
        const key = life.keys.filter(({ stage }) => stage !== 'removed').at(what.key)
        if (key === undefined) break
        this.revoked = true
        life.tell('revoked', key.selector)
      }
    }
    this.work()
    this.check()
  }

  /** Somebody asks one server for every name that one can know of. */
  #ask(server: number): void {
    const asked = this.#servers[server % this.#servers.length] ?? assert.fail()
    for (const key of this.life.keys)
      if (!key.unasked && !asked.has(nameOf(key)))
        this.#remembered.set(nameOf(key), this.life.nowMs + this.#negativeMs)
  }

  #make(): void {
    const unasked = this.#made % 2 === 0
    this.life.add(newKey(`s${String(this.#made++).padStart(4, '0')}`, { unasked }))
  }

  work(): void {
    const { life } = this
    if (wanting(life.keys, DOMAIN, ['rsa-sha256'], life.settings, life.nowMs).length > 0) this.#make()
    for (const { selector, stage } of life.keys) {
      if (stage === 'removed') continue
      life.find(selector, this.#look(life.key(selector)))
      const key = life.keys.find(each => each.selector === selector)
      // As the signer does: the answer that there is nothing is kept before something is put there.
      if (key !== undefined && !this.#down && this.#put(key))
        life.find(selector, this.#look(life.key(selector)))
    }
    for (const { selector } of signingKeys(life.keys, DOMAIN)) {
      const untilMs = life.nowMs + life.settings.lifetimeMs
      life.sign(selector, untilMs)
      this.signatures.push({ selector, untilMs })
    }
  }

  #put(key: Key): boolean {
    const name = nameOf(key)
    const target = targetOf(key, this.life.nowMs)
    const before = this.#primary.get(name)
    if (target === 'key') this.#primary.set(name, key.record)
    if (target === 'revoked') this.#primary.set(name, 'p=')
    if (target === 'nothing') this.#primary.delete(name)
    return target !== null && before !== this.#primary.get(name)
  }

  #look(key: Key): Observation {
    if (this.#down) return { kind: 'unknown', reason: 'the primary does not answer' }
    const name = nameOf(key)
    const target = targetOf(key, this.life.nowMs)
    const wanted = target === 'key' ? key.record : target === 'revoked' ? 'p=' : undefined
    const staleSeconds = this.#negativeMs / 1000
    if (!this.#primary.has(name)) return { kind: 'absent', staleSeconds }
    if (this.#primary.get(name) !== wanted) return { kind: 'unknown', reason: 'not changed yet' }
    return this.#servers.every(server => server?.get(name) === wanted)
      ? SERVED
      : { kind: 'partly', reason: 'not everywhere', staleSeconds }
  }

  check(): void {
    const { keys, nowMs } = this.life
    for (const key of signingKeys(keys, DOMAIN)) {
      const name = nameOf(key)
      assert.ok(
        this.#servers.every(server => server?.get(name) === key.record),
        `${name} is not everywhere`,
      )
      assert.ok((this.#remembered.get(name) ?? 0) <= nowMs, `somebody remembers that ${name} is not there`)
    }
    if (this.revoked) return
    assert.equal(this.signatures.length > 0, signingKeys(keys, DOMAIN).length > 0, 'nothing signs any more')
    for (const { selector, untilMs } of this.signatures)
      if (nowMs < untilMs)
        assert.equal(
          this.#primary.get(nameOf({ domain: DOMAIN, selector })),
          `v=DKIM1; k=rsa; p=${selector}`,
          `what ${selector} has signed is under way`,
        )
  }

  /** Everything works, and nothing new is made: in the end there is one key, and one record. */
  settle(): void {
    this.#down = false
    for (let day = 0; day < 60; day++)
      for (let server = 0; server < this.#servers.length; server++) {
        this.happen({ kind: 'sync', server })
        this.happen({ kind: 'time', ms: DAY / this.#servers.length })
      }
    const kept = this.life.keys.filter(({ stage }) => stage !== 'removed')
    assert.deepEqual(
      kept.map(({ stage }) => stage),
      ['active'],
    )
    assert.deepEqual(
      [...this.#primary.keys()],
      kept.map(key => nameOf(key)),
    )
  }
}

type Happening =
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'outage'; readonly down: boolean }
  | { readonly kind: 'sync' | 'ask'; readonly server: number }
  | { readonly kind: 'rotate' }
  | { readonly kind: 'revoke'; readonly key: number }

const happenings = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('time' as const),
        ms: fc.integer({ min: 1, max: 3_000_000 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 40 * DAY }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('outage' as const), down: fc.boolean() }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('sync' as const), server: fc.nat(3) }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('ask' as const), server: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('rotate' as const) }) },
  ),
  { maxLength: 120 },
)
const world = fc.record({
  servers: fc.integer({ min: 1, max: 4 }),
  negative: fc.integer({ min: 0, max: 3600 }),
})
const settings: Settings = { ...SETTINGS, revokedMs: 10 * DAY }

test('in any world: what signs is visible to all, something always signs, every old key ends removed', () => {
  fc.assert(
    fc.property(world, happenings, ({ servers, negative }, happened) => {
      const it = new World(servers, negative, settings)
      for (const what of happened) it.happen(what)
      // As old as it may become while the rest settles.
      it.happen({ kind: 'rotate' })
      it.settle()
    }),
    { seed: 5, numRuns: 300 },
  )
})

test('in any world with revocations: what signs is visible to all, and in the end something signs again', () => {
  const revocations = fc.record({ kind: fc.constant('revoke' as const), key: fc.nat(3) })
  const more = fc.array(fc.oneof(happenings, fc.array(revocations, { maxLength: 1 })), { maxLength: 12 })
  fc.assert(
    fc.property(world, more, ({ servers, negative }, happened) => {
      const it = new World(servers, negative, settings)
      for (const what of happened.flat()) it.happen(what)
      it.happen({ kind: 'rotate' })
      it.settle()
    }),
    { seed: 6, numRuns: 200 },
  )
})
