import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Mailbox } from '../smtp/path.ts'
import { addressShown } from './shown-address.ts'

const ALICE = ({ localPart, domain }: Mailbox) => `${localPart}@${domain}` === 'alice@example.com'

/** `null`: nobody but alice@example.com is shown. */
const rows: [text: string, shown: string | null][] = [
  ['alice@example.com', null],
  ['Alice <alice@example.com>', null],
  ['"alice@example.com" <alice@example.com>', null],
  ["'alice@example.com' <alice@example.com>", null],
  ['alice@example.com (alice@example.com.)', null],
  ['Meet@Noon <alice@example.com>', null],
  ['"Sales @ Example.com" <alice@example.com>', null],
  ['=?utf-8?q?alice=40example.com?= <alice@example.com>', null],
  ['ceo@bank.example <alice@example.com>', 'ceo@bank.example'],
  ['"ceo@bank.example" <alice@example.com>', 'ceo@bank.example'],
  ['alice@example.com (ceo@bank.example)', 'ceo@bank.example'],
  ['(<ceo@bank.example>, ) alice@example.com', 'ceo@bank.example'],
  ['"\'ceo@bank.example\' via Group" <alice@example.com>', "'ceo@bank.example'"],
  ['"a\\" <ceo@bank.example>, \\"" <alice@example.com>', 'ceo@bank.example'],
  ['"ceo@bank.example"@example.com', 'ceo@bank.example'],
  ['<@ceo@bank.example:alice@example.com>', 'ceo@bank.example'],
  // Encoded words, in quotes too, and an address cut in two of them (RFC 2047 §6.2).
  ['=?utf-8?q?ceo=40bank=2Eexample?= <alice@example.com>', 'ceo@bank.example'],
  ['"=?utf-8?b?Y2VvQGJhbmsuZXhhbXBsZQ==?=" <alice@example.com>', 'ceo@bank.example'],
  ['=?utf-8?q?ceo=40ba?= =?iso-8859-1?q?nk.example?= <alice@example.com>', 'ceo@bank.example'],
  ['ceo＠bank．example <alice@example.com>', 'ceo@bank.example'],
  ['=?utf-8?b?Y2Vv77ygYmFuay5leGFtcGxl?= <alice@example.com>', 'ceo@bank.example'],
  ['用户@例子.example <alice@example.com>', '用户@例子.example'],
  ['', null],
]

for (const [text, shown] of rows)
  test(JSON.stringify(text), () => {
    assert.equal(addressShown(text, ALICE), shown)
  })

// Quadratic time would be minutes here.
test('soon, whatever is in the field', () => {
  const startedMs = performance.now()
  for (const piece of ['a', '@', '-', 'a@', '-@-', 'a.b@', '@a.b', '=?', '=?utf-8?q?a?= ', "'"])
    addressShown(piece.repeat(262_144 / piece.length), () => true)
  assert.ok(performance.now() - startedMs < 20_000)
})
