import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { EXPIRE_MS, nextDue, RETRY_MS } from './schedule.ts'

const MINUTE_MS = 60_000
const NOW = 1_700_000_000_000
const middle = () => 0.5

suite('back-off, RFC 5321 §4.5.4.1', () => {
  const waits: [attempts: number, minutes: number][] = [
    [1, 5],
    [2, 10],
    [3, 20],
    [4, 40],
    [5, 60],
    [6, 120],
    [7, 240],
    [8, 240],
    [1000, 240],
  ]
  for (const [attempts, minutes] of waits) {
    test(`after attempt ${attempts}: ${minutes} min`, () => {
      assert.equal(nextDue(attempts, NOW, middle), NOW + minutes * MINUTE_MS)
    })
  }

  const jitters: [random: number, waitMs: number][] = [
    [0, 270_000],
    [0.25, 285_000],
    [0.5, 300_000],
    [0.75, 315_000],
    [1 - Number.EPSILON, 330_000],
  ]
  for (const [random, waitMs] of jitters) {
    test(`5 min with random ${random.toFixed(2)}: ${waitMs / 1000} s`, () => {
      assert.equal(nextDue(1, NOW, () => random) - NOW, waitMs)
    })
  }

  test('never more than a tenth beside the list, and a whole number', () => {
    const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fraction, (attempts, random) => {
        const waitMs = nextDue(attempts, NOW, () => random) - NOW
        const listed = RETRY_MS[Math.min(attempts, RETRY_MS.length) - 1] ?? 0
        assert.ok(Number.isInteger(waitMs))
        assert.ok(Math.abs(waitMs - listed) <= listed / 10 + 1, `${waitMs} for ${listed}`)
      }),
    )
  })

  test('a list of one wait repeats it', () => {
    assert.equal(nextDue(3, NOW, middle, [1000]), NOW + 1000)
  })

  test('an empty list is refused', () => {
    assert.throws(() => nextDue(1, NOW, middle, []), RangeError)
  })

  test('the defaults keep trying for the four to five days the RFC asks for', () => {
    let attempts = 0
    for (let due = NOW; due < NOW + EXPIRE_MS; due = nextDue(attempts, due, middle)) attempts++
    assert.equal(attempts, 35)
    assert.equal(EXPIRE_MS, 5 * 24 * 60 * MINUTE_MS)
  })
})
