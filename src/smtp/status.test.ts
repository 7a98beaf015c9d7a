import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isStatus, parseStatus, statusMeaning } from './status.ts'

const statuses: [text: string, valid: boolean][] = [
  ['2.1.5', true], // RFC 2034 §6
  ['5.7.1', true],
  ['4.7.12', true], // RFC 4954 §6
  ['5.999.999', true], // RFC 2034 §4: 1*3digit
  ['3.0.0', false], // RFC 2034 §4: not for 3yz
  ['5.1', false],
  ['5.1.1000', false],
  ['5.1.1 ', false],
  ['', false],
]

test('status-code, RFC 2034 §4', () => {
  for (const [text, valid] of statuses) {
    assert.equal(isStatus(text), valid, text)
    assert.equal(parseStatus(text), valid ? text : null)
  }
})

test('meanings are those of the registry', () => {
  assert.equal(statusMeaning('5.1.1'), 'Bad destination mailbox address')
  assert.equal(statusMeaning('4.7.0'), 'Other or undefined security status')
  assert.equal(statusMeaning('5.1.10'), 'Recipient address has null MX')
  assert.equal(statusMeaning('5.9.9'), null)
})
