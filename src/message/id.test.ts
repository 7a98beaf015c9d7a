import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isId, mintId, timeOfId } from './id.ts'

const ids: [ms: number, random: string, id: string][] = [
  [0, '00'.repeat(10), '00000000000000000000000000'],
  [2 ** 48 - 1, 'ff'.repeat(10), '7ZZZZZZZZZZZZZZZZZZZZZZZZZ'],
  [1_469_918_176_385, '00'.repeat(10), '01ARYZ6S410000000000000000'],
  [1, '08421084210842108421', '00000000011111111111111111'],
]

for (const [ms, random, id] of ids)
  test(id, () => {
    assert.equal(mintId(ms, Buffer.from(random, 'hex')), id)
    assert.equal(timeOfId(id), ms)
  })

const octets = fc.uint8Array({ minLength: 10, maxLength: 10 })

test('ids sort as their times do', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 41), fc.nat(2 ** 41), octets, octets, (one, other, a, b) => {
      const [first, second] = [mintId(one, a), mintId(other, b)]
      assert.ok(isId(first))
      assert.equal(timeOfId(first), one)
      if (one !== other) assert.equal(first < second, one < other)
    }),
    { seed: 26 },
  )
})

test('every random bit counts', () => {
  const seen = new Set([mintId(0, Buffer.alloc(10))])
  for (let bit = 0; bit < 80; bit++) {
    const random = Buffer.alloc(10)
    random[bit >> 3] = 1 << (bit & 7)
    seen.add(mintId(0, random))
  }
  assert.equal(seen.size, 81)
})

for (const text of [
  '',
  '01ARZ3NDEKTSV4RRFFQ69G5FA',
  '01ARZ3NDEKTSV4RRFFQ69G5FAVX',
  '01arz3ndektsv4rrffq69g5fav',
  '81ARZ3NDEKTSV4RRFFQ69G5FAV',
  '01ARZ3NDEKTSV4RRFFQ69G5FAI',
  '01ARZ3NDEKTSV4RRFFQ69G5FAU',
  '01ARZ3NDEKTSV4RRFFQ69G5FAV\n',
  '../../../../../../etc/passwd',
])
  test(`not an id: ${JSON.stringify(text)}`, () => {
    assert.equal(isId(text), false)
    assert.throws(() => timeOfId(text), RangeError)
  })

test('no id without a time and 80 bits', () => {
  assert.throws(() => mintId(-1, Buffer.alloc(10)), RangeError)
  assert.throws(() => mintId(2 ** 48, Buffer.alloc(10)), RangeError)
  assert.throws(() => mintId(Number.NaN, Buffer.alloc(10)), RangeError)
  assert.throws(() => mintId(0, Buffer.alloc(9)), RangeError)
})
