import assert from 'node:assert/strict'
import { test } from 'node:test'
import { copyOf, ID_MARK, outgoing, readId, writeId } from './message.ts'

for (const sizeOctets of [1024, 4096, 4097, 50 * 1024, 2 ** 20, 2 ** 20 + 77]) {
  test(`a message of ${sizeOctets} octets is one, in lines that servers take`, () => {
    const { head, body } = outgoing(sizeOctets)
    const text = Buffer.concat(body === null ? [head] : [head, body]).toString('latin1')
    assert.ok(text.endsWith('\r\n.\r\n'))
    const message = text.slice(0, -3)
    assert.equal(message.length, sizeOctets)
    assert.equal(message.replaceAll('\r\n', '').match(/[\r\n]/), null)
    for (const line of message.split('\r\n')) {
      assert.ok(line.length <= 78)
      assert.ok(!line.startsWith('.'))
    }
  })
}

test('ids are written and read, also again, and only in the copy', () => {
  const first = outgoing(4096)
  const second = copyOf(first)
  writeId(first, 7, 12_345_678)
  writeId(second, 9999, 0)
  const idIn = ({ head }: typeof first, cut = head.length) =>
    readId(head.subarray(0, cut), head.indexOf(ID_MARK) + ID_MARK.length)
  assert.deepEqual(idIn(first), { run: 7, index: 12_345_678 })
  assert.deepEqual(idIn(second), { run: 9999, index: 0 })
  writeId(first, 8, 1)
  assert.deepEqual(idIn(first), { run: 8, index: 1 })
  assert.equal(idIn(first, first.idOffset + 5), null)
})
