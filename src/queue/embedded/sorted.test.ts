import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Sorted } from './sorted.ts'

interface Item {
  readonly key: number
}

const isBefore = (one: Item, other: Item) => one.key < other.key
const newSorted = (keys: readonly number[]) => {
  const sorted = new Sorted<Item>(isBefore)
  for (const key of keys) sorted.add({ key })
  return sorted
}
const keysFrom = (sorted: Sorted<Item>, key: number) => Array.from(sorted.from({ key }), item => item.key)

test('there is nothing in a new one', () => {
  const sorted = newSorted([])
  assert.equal(sorted.first, undefined)
  assert.deepEqual(keysFrom(sorted, 0), [])
  sorted.remove({ key: 0 })
  assert.equal(sorted.first, undefined)
})

test('what comes in whatever order stands in its own', () => {
  for (const keys of [
    [1, 2, 3],
    [3, 2, 1],
    [2, 3, 1],
    [3, 1, 2],
  ])
    assert.deepEqual(keysFrom(newSorted(keys), 0), [1, 2, 3])
})

const from: [key: number, found: number[]][] = [
  [0, [10, 20, 30]],
  [10, [10, 20, 30]],
  [11, [20, 30]],
  [30, [30]],
  [31, []],
]
for (const [key, found] of from)
  test(`from ${key} on`, () => assert.deepEqual(keysFrom(newSorted([10, 20, 30]), key), found))

test('what is not there is not removed, nor what would be in its place', () => {
  const sorted = newSorted([10, 20, 30])
  for (const key of [0, 15, 25, 40]) sorted.remove({ key })
  assert.deepEqual(keysFrom(sorted, 0), [10, 20, 30])
})

test('it is as an array that is sorted each time', () => {
  const key = fc.nat(40)
  const step = fc.record({ type: fc.constantFrom('add' as const, 'add' as const, 'remove' as const), key })
  fc.assert(
    fc.property(fc.array(step, { size: 'max', maxLength: 120 }), key, (steps, start) => {
      const sorted = new Sorted<Item>(isBefore)
      let model: Item[] = []
      for (const { type, key } of steps) {
        const there = model.some(item => item.key === key)
        if (type === 'remove') {
          sorted.remove({ key })
          model = model.filter(item => item.key !== key)
        } else if (!there) {
          const item = { key }
          sorted.add(item)
          model = [...model, item].sort((one, other) => one.key - other.key)
        }
        assert.equal(sorted.first, model[0])
        for (const from of [0, start, key]) {
          const found = Array.from(sorted.from({ key: from }))
          const expected = model.filter(item => item.key >= from)
          assert.equal(found.length, expected.length)
          // The very ones that were added, not others that are equal.
          for (const [at, item] of found.entries()) assert.equal(item, expected[at])
        }
      }
    }),
    { seed: 6710 },
  )
})
