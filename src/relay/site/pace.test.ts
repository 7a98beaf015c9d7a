import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Pace } from './pace.ts'

test('pace: 2 a second is one every 500 ms', () => {
  const pace = new Pace(2, 1000)
  assert.equal(pace.waitMs(10_000), 0)
  pace.take(10_000)
  assert.equal(pace.waitMs(10_000), 500)
  assert.equal(pace.room(10_000), 0)
  assert.equal(pace.waitMs(10_400), 100)
  assert.equal(pace.room(10_500), 1)
})

test('pace: a burst may come at once, and must be paid for', () => {
  const pace = new Pace(60, 60_000, 10)
  assert.equal(pace.room(0), 10)
  for (let i = 0; i < 10; i++) {
    assert.equal(pace.waitMs(0), 0)
    pace.take(0)
  }
  assert.equal(pace.waitMs(0), 1000)
  assert.equal(pace.room(3000), 3)
})

test('pace: in no period are there more than allowed, but for the burst', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 300 }),
      (events, burst, steps) => {
        const pace = new Pace(events, 1000, burst)
        const taken: number[] = []
        let nowMs = 1_000_000
        for (const step of steps) {
          nowMs += step
          for (let room = pace.room(nowMs); room > 0; room--) {
            assert.equal(pace.waitMs(nowMs), 0)
            pace.take(nowMs)
            taken.push(nowMs)
          }
          assert.ok(pace.waitMs(nowMs) > 0)
        }
        for (const fromMs of taken) {
          const within = taken.filter(atMs => atMs >= fromMs && atMs < fromMs + 1000).length
          assert.ok(within <= events + burst, `${within} in a second`)
        }
      },
    ),
    { seed: 5321, numRuns: 50 },
  )
})
