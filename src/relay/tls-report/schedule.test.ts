import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayBefore, dayOf, dueMs, isTooLate, retryMs, startOf } from './schedule.ts'

const HOUR = 3600_000

test('days are those of UTC', () => {
  assert.equal(dayOf(Date.UTC(2026, 10, 21, 23, 59, 59, 999)), '2026-11-21')
  assert.equal(dayOf(Date.UTC(2026, 10, 22)), '2026-11-22')
  assert.equal(dayBefore('2026-03-01'), '2026-02-28')
  assert.equal(startOf('2026-11-21'), Date.UTC(2026, 10, 21))
  for (const text of ['2026-02-30', '2026-13-01', '26-01-01', '2026-1-1', 'yesterday', ''])
    assert.equal(startOf(text), null, text)
})

test('a report is due within some hours after its day (RFC 8460 §4.1)', () => {
  const end = Date.UTC(2026, 10, 22)
  assert.equal(dueMs('2026-11-21', 0), end + 60_000)
  assert.equal(dueMs('2026-11-21', 0.5), end + 60_000 + 2 * HOUR)
  assert.ok(dueMs('2026-11-21', 0.99999) < end + 60_000 + 4 * HOUR)
  assert.equal(isTooLate('2026-11-21', end + 48 * HOUR - 1), false)
  assert.equal(isTooLate('2026-11-21', end + 48 * HOUR), true)
})

test('it is tried again for up to 24 hours, ever more seldom (RFC 8460 §5.5)', () => {
  const times: number[] = []
  let atMs: number | null = 0
  for (let attempts = 1; atMs !== null; attempts++) {
    times.push(atMs / 60_000)
    atMs = retryMs(0, attempts, atMs)
  }
  assert.deepEqual(times, [0, 10, 30, 70, 150, 310, 630, 1270])
})
