import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { parseHeader } from '../../src/message/header.ts'
import { shapes } from './shapes.ts'

test('the same messages each time', () => {
  const digest = createHash('sha256')
  for (const { octets } of shapes) digest.update(octets)
  // Another one is no error of itself: it says that the verifiers are asked about other messages from now on.
  assert.equal(digest.digest('hex'), '462c5f8fde20ba81253e052e5e7d031c3aefe2bde2989c900c9e2ec2b04478d7')
})

test('no message twice', () => {
  assert.equal(new Set(shapes.map(({ octets }) => octets.toString('latin1'))).size, shapes.length)
})

for (const { name, octets } of shapes)
  test(`${name} may be sent`, () => {
    assert.ok(parseHeader(octets).length > 0)
    const text = octets.toString('latin1')
    assert.doesNotMatch(text, /[^\r]\n|\r(?!\n)|\0/, 'CR and LF only together, and no NUL')
    // RFC 5322 §2.1.1.
    for (const line of text.split('\r\n')) assert.ok(line.length <= 998, line)
  })
