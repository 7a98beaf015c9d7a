import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withoutComments } from './comment.ts'

const rows: [text: string, bare: string | null][] = [
  ['', ''],
  ['no comment', 'no comment'],
  // RFC 5322 App. A.5.
  ['Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>', 'Pete  <pete @silly.test >'],
  ['(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;', '  Hidden recipients  :   ;'],
  ['23:32 -0330 (Newfoundland Time)', '23:32 -0330  '],
  ['"(not a comment)" x', '"(not a comment)" x'],
  ['"a \\" (b" (c)', '"a \\" (b"  '],
  ['a (b " c) d', 'a   d'],
  ['a) b', 'a) b'],
  ['(a', null],
  ['(a (b)', null],
  ['(a \\)', null],
  ['"a', null],
  ['"a \\"', null],
]

for (const [text, bare] of rows)
  test(JSON.stringify(text), () => {
    assert.equal(withoutComments(text), bare)
  })
