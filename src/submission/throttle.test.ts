import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { networkOf, THROTTLE, Throttle } from './throttle.ts'

const SECOND = 1000
const HOUR = 3_600_000

/** A clock that stands, and guesses that take no time. */
function simulate() {
  let nowMs = 1_700_000_000_000
  const attacked: string[] = []
  const throttle = new Throttle(
    () => nowMs,
    name => attacked.push(name),
  )
  /** `right`, `wrong` and `unknown` are looked at; a number is for how many seconds it is held back. */
  const sign = async (
    address: string,
    name: string,
    outcome: 'right' | 'wrong' | 'unknown',
  ): Promise<string | number> => {
    const attempt = await throttle.admit(address, name)
    if ('heldMs' in attempt) return attempt.heldMs / SECOND
    attempt.end(outcome)
    return outcome
  }
  return {
    throttle,
    attacked,
    sign,
    fail: (address: string, name: string) => sign(address, name, 'wrong'),
    pass: (ms: number) => {
      nowMs += ms
    },
  }
}

const HOME = '192.0.2.1'
const AWAY = '198.51.100.7'
const ALICE = 'alice@example.test'

test('six guesses, then a pause that doubles up to a minute', async () => {
  const { fail, pass } = simulate()
  for (let guess = 0; guess < THROTTLE.free; guess++) assert.equal(await fail(HOME, ALICE), 'wrong')
  for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
    assert.equal(await fail(HOME, ALICE), seconds)
    // What is held back makes it no longer.
    pass(seconds * SECOND - 1)
    assert.equal(await fail(HOME, ALICE), 0.001)
    pass(1)
    assert.equal(await fail(HOME, ALICE), 'wrong')
  }
})

test('while a pair is held back the right password is not looked at; from elsewhere it is', async () => {
  const { fail, sign, pass } = simulate()
  for (let guess = 0; guess < THROTTLE.free; guess++) await fail(HOME, ALICE)
  assert.equal(await sign(HOME, ALICE, 'right'), 1)
  assert.equal(await sign(AWAY, ALICE, 'right'), 'right')
  pass(1 * SECOND)
  assert.equal(await sign(HOME, ALICE, 'right'), 'right')
  // A success begins anew.
  for (let guess = 0; guess < THROTTLE.free; guess++) assert.equal(await fail(HOME, ALICE), 'wrong')
  assert.equal(await fail(HOME, ALICE), 1)
})

test('an hour without a failure: forgotten', async () => {
  const { fail, pass } = simulate()
  for (let guess = 0; guess < THROTTLE.free; guess++) await fail(HOME, ALICE)
  pass(HOUR)
  for (let guess = 0; guess < THROTTLE.free; guess++) assert.equal(await fail(HOME, ALICE), 'wrong')
})

test('a network that tries many names is held back with all, but for who has signed in from there', async () => {
  const { fail, sign, pass } = simulate()
  assert.equal(await sign(HOME, ALICE, 'right'), 'right')
  for (let name = 0; name < 10; name++) assert.equal(await fail(HOME, `user${name}`), 'wrong')
  assert.equal(await fail(HOME, 'user0'), 1)
  assert.equal(await sign(HOME, 'bob', 'right'), 1)
  assert.equal(await sign(HOME, ALICE, 'right'), 'right')
  assert.equal(await sign(AWAY, 'bob', 'right'), 'right')
  pass(1 * SECOND)
  assert.equal(await fail(HOME, 'user10'), 'wrong')
  assert.equal(await sign(HOME, 'bob', 'right'), 2)
})

test('a program that repeats an old password for days does not hold back others behind its address', async () => {
  const { fail, sign, pass } = simulate()
  for (let minute = 0; minute < 2 * 24 * 60; minute += 5) {
    await fail(HOME, ALICE)
    pass(5 * 60 * SECOND)
  }
  assert.equal(await sign(HOME, 'bob', 'right'), 'right')
  assert.equal(await sign(AWAY, ALICE, 'right'), 'right')
})

test('guesses from everywhere: one each, and nobody is locked out', async () => {
  const { fail, sign, attacked, pass } = simulate()
  assert.equal(await sign(HOME, ALICE, 'right'), 'right')
  for (let network = 1; network <= 200; network++) {
    assert.equal(await fail(`203.0.113.${network}`, ALICE), 'wrong', 'a first guess is looked at')
    const second = await fail(`203.0.113.${network}`, ALICE)
    assert.equal(second, network < THROTTLE.attack / 2 + 1 ? 'wrong' : 1)
  }
  assert.deepEqual(attacked, [ALICE], 'told once')
  assert.equal(await sign(AWAY, ALICE, 'right'), 'right', 'from a fresh address')
  assert.equal(await sign(HOME, ALICE, 'right'), 'right', 'from the usual one')
  // Who mistypes at home has all his attempts.
  for (let guess = 0; guess < THROTTLE.free; guess++) assert.equal(await fail(HOME, ALICE), 'wrong')
  // The others wait up to a quarter of an hour.
  let waited = 0
  for (let guess = 0; guess < 30; guess++) {
    const held = await fail('203.0.113.200', ALICE)
    if (typeof held === 'number') waited = held
    pass(Number(held) * SECOND || 0)
  }
  assert.equal(waited, 15 * 60)
})

test('what says nothing of a password is not counted', async () => {
  const { fail, sign } = simulate()
  for (let count = 0; count < 50; count++) assert.equal(await sign(HOME, ALICE, 'unknown'), 'unknown')
  assert.equal(await fail(HOME, ALICE), 'wrong')
})

test('many at once from one network: three are looked at, others when these have failed', async () => {
  const { throttle, fail } = simulate()
  const first = await Promise.all(Array.from({ length: 3 }, () => throttle.admit(HOME, ALICE)))
  const waiting = Array.from({ length: 20 }, () => fail(HOME, ALICE))
  assert.equal(await fail(AWAY, ALICE), 'wrong', 'other networks do not wait')
  for (const attempt of first) {
    assert.ok('end' in attempt)
    attempt.end('wrong')
  }
  const looked = (await Promise.all(waiting)).filter(outcome => outcome === 'wrong').length
  const { free, atOnce } = THROTTLE
  assert.ok(looked >= free - first.length && looked < free - first.length + atOnce, String(looked))
})

test('many at once with the right password: all are let in', async () => {
  const { sign } = simulate()
  const all = await Promise.all(Array.from({ length: 100 }, () => sign(HOME, ALICE, 'right')))
  assert.deepEqual(new Set(all), new Set(['right']))
})

test('memory is bounded: what was seen last is kept', async () => {
  const { fail } = simulate()
  for (let guess = 0; guess < THROTTLE.free; guess++) await fail(HOME, ALICE)
  for (let count = 0; count < THROTTLE.entries - 1; count++)
    await fail(`10.${count >> 16}.${(count >> 8) & 255}.${count & 255}`, `u${count}`)
  assert.equal(await fail(HOME, ALICE), 1)
  await fail(AWAY, 'bob')
  assert.equal(await fail(HOME, ALICE), 'wrong')
})

test('networks', () => {
  const rows: [address: string, network: string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:0002::1', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ]
  for (const [address, network] of rows) assert.equal(networkOf(address), network)
})

test('docs/sign-in.md has the numbers', () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/sign-in.md'), 'utf8')
  const section = page.split('\n## Guessing\n')[1]?.split('\n## ')[0] ?? ''
  const cells = Array.from(section.matchAll(/^\| (\d[^|]*) \|/gm), ([, cell]) => cell)
  const T = THROTTLE
  assert.deepEqual(cells, [
    String(T.free),
    `${T.firstMs / SECOND} s`,
    `${T.longestMs / SECOND} s`,
    String(T.names),
    String(T.attack),
    String(T.freeUnderAttack),
    `${T.longestUnderAttackMs / 60_000} min`,
    `${T.forgetMs / HOUR} h`,
    `${T.knownMs / (24 * HOUR)} days`,
    String(T.atOnce),
    T.entries.toLocaleString('en'),
  ])
})
