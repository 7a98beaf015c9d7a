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

test('where each element of a long list stands is looked for once', () => {
  const long = `senders = [${'"", '.repeat(20_000)}]\n`
  const lines = linesOfKeys(long)
  const timeOf = (count: number) => {
    const begin = process.cpuUsage()
    for (let index = 0; index < count; index++) assert.equal(lineAt(long, lines, ['senders', index]), 1)
    const { user, system } = process.cpuUsage(begin)
    return user + system
  }
  // The first look is the expensive one: all others together cost no more than a hundred of it.
  const first = Math.max(1000, timeOf(1))
  assert.ok(timeOf(20_000) < 100 * first)
})
