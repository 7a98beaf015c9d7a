import assert from 'node:assert/strict'
import { test } from 'node:test'
import { locate } from './locate.ts'

const TOML = `domain = "example.com"
hop.ca = "x"
"quoted key" = 1
text = """
[signer]
listen = "not here"
"""
one = '''in one line'''
[ relay ]   # a comment
  listen = "a"
retry = [
  "5m",
]
[signer]
listen = "b"
[submission.deeper]
key = 1
`
const places: [path: string[], line: number | null][] = [
  [['domain'], 1],
  [['hop', 'ca'], 2],
  [['quoted key'], 3],
  [['one'], 8],
  [['relay', 'listen'], 10],
  [['relay', 'retry'], 11],
  [['relay', 'missing'], 9],
  [['signer'], 14],
  [['signer', 'listen'], 15],
  [['submission', 'deeper', 'key'], 17],
  // Neither the key nor a table of it is written.
  [['directory', 'branch'], null],
]
for (const [path, line] of places) {
  test(`${path.join('.')} stands in ${line === null ? 'no line' : `line ${line}`}`, () =>
    assert.equal(locate(TOML, path), line))
}
