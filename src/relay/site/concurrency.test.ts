import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Concurrency, failed, initialConcurrency, PROBE, slowed, succeeded } from './concurrency.ts'

const LIMITS = { initial: 5, max: 20 }

test('concurrency: a window of successes in full use gives one place more', () => {
  let concurrency = initialConcurrency(LIMITS)
  for (let i = 0; i < 4; i++) concurrency = succeeded(concurrency, 5, LIMITS)
  assert.equal(concurrency.window, 5)
  concurrency = succeeded(concurrency, 5, LIMITS)
  assert.equal(concurrency.window, 6)
})

test('concurrency: a window that is not used does not grow', () => {
  let concurrency = initialConcurrency(LIMITS)
  for (let i = 0; i < 1000; i++) concurrency = succeeded(concurrency, 4, LIMITS)
  assert.equal(concurrency.window, 5)
})

test('concurrency: a whole window of failures in a row closes the site, one failure does not', () => {
  let concurrency = initialConcurrency(LIMITS)
  const windows: number[] = []
  while (concurrency.window > 0) {
    concurrency = failed(concurrency)
    windows.push(concurrency.window)
  }
  // 1/5 + 1/5 + 1/5 (a place is lost: 4) + 1/4 + 1/4
  assert.deepEqual(windows, [5, 5, 4, 4, 0])
})

test('concurrency: a success between them begins the count anew', () => {
  let concurrency = initialConcurrency(LIMITS)
  for (let i = 0; i < 100; i++) {
    concurrency = failed(failed(concurrency))
    concurrency = succeeded(concurrency, 1, LIMITS)
  }
  assert.equal(concurrency.window, 5)
})

test('concurrency: a probe that fails closes the site again, one that succeeds opens it', () => {
  assert.equal(failed(PROBE).window, 0)
  assert.equal(succeeded(PROBE, 1, LIMITS).window, 2)
  assert.equal(succeeded(failed(PROBE), 1, LIMITS).window, 5)
})

test('concurrency: slowed is half, and never closed', () => {
  assert.equal(slowed(initialConcurrency({ initial: 20, max: 20 })).window, 10)
  assert.equal(slowed(PROBE).window, 1)
})

test('concurrency: whatever happens the window is whole, and no wider than allowed', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('ok' as const), inUse: fc.integer({ min: 0, max: 30 }) }),
    fc.record({ kind: fc.constantFrom('fail' as const, 'slow' as const), inUse: fc.constant(0) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), steps => {
      let concurrency: Concurrency = initialConcurrency(LIMITS)
      for (const { kind, inUse } of steps) {
        if (kind === 'ok') concurrency = succeeded(concurrency, inUse, LIMITS)
        else concurrency = kind === 'fail' ? failed(concurrency) : slowed(concurrency)
        assert.ok(Number.isInteger(concurrency.window) && concurrency.window >= 0)
        assert.ok(concurrency.window <= LIMITS.max)
      }
    }),
    { seed: 5321 },
  )
})
