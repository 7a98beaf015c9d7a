import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parse } from 'smol-toml'
import { formatKey, formatValue, type KeyPath, setKey, type TomlValue } from './toml-edit.ts'

const edits: [
  name: string,
  before: string,
  path: KeyPath,
  value: TomlValue | undefined,
  after: string | null,
][] = [
  ['a new key, last', 'a = 1\n', ['b'], 'x', 'a = 1\nb = "x"\n'],
  ['a new key, before tables', 'a = 1\n\n[t]\nb = 2\n', ['c'], 3, 'a = 1\nc = 3\n\n[t]\nb = 2\n'],
  ['a new key in nothing', '', ['a'], 1, 'a = 1\n'],
  ['a new key after a comment', '# alone\n', ['a'], ['x'], '# alone\na = ["x"]\n'],
  ['a key that is there', '# a = 0\na = 1 # one\nb = 2\n', ['a'], 5, '# a = 0\na = 5 # one\nb = 2\n'],
  ['a key in quotes', '"a" = 1\n', ['a'], 5, 'a = 5\n'],
  ['a key with a dot', '"a.b" = ["x"]\n', ['a.b'], ['y'], '"a.b" = ["y"]\n'],
  ['a # in a string', 'a = "#1" # one\n', ['a'], '#2', 'a = "#2" # one\n'],
  ['a key removed', 'a = 1\nb = 2 # two\nc = 3\n', ['b'], undefined, 'a = 1\nc = 3\n'],
  ['a key removed that is not there', 'a = 1\n', ['b'], undefined, 'a = 1\n'],
  ['a list of several lines', 'a = [\n  "x",\n  "y",\n]\nb = 1\n', ['a'], ['z'], 'a = ["z"]\nb = 1\n'],
  ['a list with a comment within', 'a = [\n  "x", # why\n]\n', ['a'], ['z'], null],
  ['a # in a list is no comment', 'a = [\n  "#x",\n]\n', ['a'], ['z'], 'a = ["z"]\n'],
  ['a string of several lines', 'a = """\nb = 1\n"""\nb = 2\n', ['a'], 'x', 'a = "x"\nb = 2\n'],
  ['lines that end in CR LF', 'a = 1\r\nb = 2\r\n', ['a'], 5, 'a = 5\r\nb = 2\r\n'],
  ['a new table', 'a = 1\n', ['t', 'x'], 1, 'a = 1\nt = { x = 1 }\n'],
  ['another key within braces', 't = { x = 1 } # why\n', ['t', 'y'], 'z', 't = { x = 1, y = "z" } # why\n'],
  ['a key within braces', 't = { x = 1, y = 2 }\n', ['t', 'x'], 5, 't = { x = 5, y = 2 }\n'],
  ['one of two within braces goes', 't = { x = 1, y = 2 }\n', ['t', 'x'], undefined, 't = { y = 2 }\n'],
  ['the last within braces goes', 'a = 1\nt = { x = 1 }\n', ['t', 'x'], undefined, 'a = 1\n'],
  [
    'a key of a table',
    '[s]\nx = 0\n[t]\nx = 1 # one\ny = 2\n',
    ['t', 'x'],
    5,
    '[s]\nx = 0\n[t]\nx = 5 # one\ny = 2\n',
  ],
  ['a new key of a table', '[t]\nx = 1\n\n[u]\n', ['t', 'y'], 2, '[t]\nx = 1\ny = 2\n\n[u]\n'],
  ['the last key of a table goes', 'a = 1\n[t]\nx = 1\n', ['t', 'x'], undefined, 'a = 1\n[t]\n'],
  ['a dotted key', 't.x = 1 # one\nt.y = 2\n', ['t', 'x'], 5, 't.x = 5 # one\nt.y = 2\n'],
  ['another dotted key', 't.x = 1\n', ['t', 'y'], 2, null],
  ['no TOML', 'a = \n', ['a'], 1, null],
]
for (const [name, before, path, value, after] of edits)
  test(`setKey: ${name}`, () => {
    assert.equal(setKey(before, path, value), after)
  })

test('long lists have a line an element', () => {
  const long = Array.from({ length: 9 }, (_, index) => `address${index}@example.com`)
  const text = setKey('a = 1\n', ['b'], long) ?? ''
  assert.match(text, /^a = 1\nb = \[\n {2}"address0@example.com",\n/)
  assert.equal(text.split('\n').length, 13)
  assert.deepEqual(parse(text).b, long)
})

test('what is set is there, and nothing else has changed', () => {
  const key = fc.oneof(fc.constantFrom('a', 'b', 'c.d', 'e f'), fc.string({ minLength: 1, maxLength: 8 }))
  const value: fc.Arbitrary<TomlValue> = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 10 }),
    fc.integer({ min: 0, max: 1e9 }),
    fc.array(fc.string({ maxLength: 10 }), { maxLength: 12 }),
  )
  const entries = fc.uniqueArray(fc.tuple(key, value), { maxLength: 5, selector: ([name]) => name })
  fc.assert(
    fc.property(entries, key, fc.option(value, { nil: undefined }), (written, name, set) => {
      fc.pre(name !== '__proto__' && written.every(([each]) => each !== '__proto__'))
      const before = written.map(([each, of]) => `${formatKey(each)} = ${formatValue(of)} # kept\n`).join('')
      const after = setKey(before, [name], set)
      // A list over several lines has its comment behind it: that may be a refusal, never a wrong file.
      if (after === null) return
      const expected = new Map<string, unknown>(written)
      if (set === undefined) expected.delete(name)
      else expected.set(name, set)
      assert.deepEqual({ ...parse(after) }, Object.fromEntries(expected))
    }),
    { seed: 4, numRuns: 500 },
  )
})
