import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lineAt, linesOfKeys } from './lines.ts'

const text = `password = "x"
senders = [
  "a",
  "b",
]

[limits]
message_size = "1 MiB"
limits.deeper."than.any".key.of.a.file = 1
`
const places: [path: (string | number)[], line: number][] = [
  [['password'], 1],
  [['senders'], 2],
  [['senders', 0], 3],
  [['senders', 1], 4],
  [['limits'], 7],
  [['limits', 'message_size'], 8],
  [['limits', 'limits', 'deeper'], 9],
  [['limits', 'limits', 'deeper', 'than.any', 'key', 'of', 'a', 'file'], 9],
  [['limits', 'nowhere'], 7],
  [['nowhere'], 1],
]
for (const [path, line] of places) {
  test(`${path.join(' → ')} is in line ${line}`, () =>
    assert.equal(lineAt(text, linesOfKeys(text), path), line))
}

test('a key of many parts costs no more than its length', () => {
  const lines = linesOfKeys(`${'a.'.repeat(2000)}b = 1\n`)
  const octets = [...lines.keys()].reduce((sum, name) => sum + name.length, 0)
  assert.ok(octets < 100, `${octets} octets of names`)
})
