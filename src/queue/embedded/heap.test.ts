import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Heap } from './heap.ts'

test('what was pushed comes out in order', () => {
  // A number is pushed, `null` pops.
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(50)), { size: 'large' }), steps => {
      const heap = new Heap<number>((one, other) => one < other)
      const sorted: number[] = []
      for (const step of steps) {
        if (step === null) {
          assert.equal(heap.pop(), sorted.shift())
        } else {
          heap.push(step)
          sorted.push(step)
          sorted.sort((one, other) => one - other)
        }
        assert.equal(heap.top, sorted[0])
      }
    }),
  )
})
