import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMessageId, isMessageId } from './message-id.ts'

const ids: [id: string, domain: string, text: string][] = [
  ['1234', 'local.machine.example', '<1234@local.machine.example>'],
  ['01ARZ3NDEKTSV4RRFFQ69G5FAV', 'example.com', '<01ARZ3NDEKTSV4RRFFQ69G5FAV@example.com>'],
  ['a.b+c', '[192.0.2.1]', '<a.b+c@[192.0.2.1]>'],
  ['x', 'bücher.example', '<x@bücher.example>'],
]

for (const [id, domain, text] of ids)
  test(text, () => {
    assert.equal(formatMessageId(id, domain), text)
    assert.ok(isMessageId(text))
  })

for (const [id, domain] of [
  ['', 'example.com'],
  ['a b', 'example.com'],
  ['a@b', 'example.com'],
  ['a', ''],
  ['a', 'example.com>\r\nEvil: x'],
  ['a..b', 'example.com'],
  ['a', '[x'],
] as const)
  test(`refused: ${JSON.stringify([id, domain])}`, () => {
    assert.throws(() => formatMessageId(id, domain), RangeError)
  })

const read: [text: string, is: boolean][] = [
  // RFC 5322 App. A.1.2, A.2, A.5, A.6.3.
  ['<5678.21-Nov-1997@example.com>', true],
  ['<abcd.1234@local.machine.test>', true],
  ['             <testabcd.1234@silly.test>', true],
  ['<1234   @   local(blah)  .machine .example>', true],
  ['(a comment) <x@y>', true],
  // Not to the letter, but everybody means the same by them.
  ['<x..y@[192.0.2.1]>', true],
  ['<!&!AAAAA/w==@example.com>', true],
  ['<schöne.grüße@example.com>', true],
  ['', false],
  ['<>', false],
  ['x@y', false],
  ['<x@y', false],
  ['<1234567890>', false],
  ['<@y>', false],
  ['<x@>', false],
  ['<a@b> <c@d>', false],
  ['<a@b>, <c@d>', false],
  ['x <a@b>', false],
  ['<a@b> (open', false],
]

for (const [text, is] of read)
  test(`${is ? 'is' : 'is not'} a Message-ID: ${JSON.stringify(text)}`, () => {
    assert.equal(isMessageId(text), is)
  })
