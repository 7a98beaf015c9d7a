import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMessageId } from './message-id.ts'

const ids: [id: string, domain: string, text: string][] = [
  ['1234', 'local.machine.example', '<1234@local.machine.example>'],
  ['01ARZ3NDEKTSV4RRFFQ69G5FAV', 'example.com', '<01ARZ3NDEKTSV4RRFFQ69G5FAV@example.com>'],
  ['a.b+c', '[192.0.2.1]', '<a.b+c@[192.0.2.1]>'],
  ['x', 'bücher.example', '<x@bücher.example>'],
]

for (const [id, domain, text] of ids) test(text, () => assert.equal(formatMessageId(id, domain), text))

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
