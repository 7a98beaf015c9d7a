import assert from 'node:assert/strict'
import { test } from 'node:test'
import { latencyOf, median, percentile, spread } from './statistics.ts'

const upTo = (count: number) => Float64Array.from({ length: count }, (_, at) => at + 1)

const percentiles: [count: number, share: number, value: number][] = [
  [100, 0.5, 50],
  [100, 0.99, 99],
  [100, 0.999, 100],
  [1000, 0.999, 999],
  [3, 0.5, 2],
  [1, 0.99, 1],
  [4, 0, 1],
  [4, 1, 4],
]
for (const [count, share, value] of percentiles) {
  test(`of 1 to ${count}, a share of ${share} is not above ${value}`, () => {
    assert.equal(percentile(upTo(count), share), value)
  })
}

test('of nothing there is no percentile', () => {
  assert.ok(Number.isNaN(percentile([], 0.5)))
  assert.deepEqual(latencyOf([7]), { p50: 7, p99: 7, p999: 7 })
})

test('median and spread', () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4, 1, 2, 3]), 2.5)
  assert.equal(spread([90, 100, 120]), 0.2)
  assert.equal(spread([5]), 0)
})
