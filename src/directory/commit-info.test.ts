import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseInfo } from './commit-info.ts'

const OID = 'd670460b4b4aece5915caf5c68d12f560a9fe3e4'

test('who made a commit, and what it says of itself', () => {
  const output = Buffer.from(`${OID}\0Zoë <z@x.test>\x001700000000\0users: "alice" may go\n`)
  assert.deepEqual(parseInfo(output), {
    commit: OID,
    author: 'Zoë <z@x.test>',
    committedSeconds: 1_700_000_000,
    subject: 'users: "alice" may go',
  })
})

test('what would play tricks on a terminal is not shown: escapes, and letters in another order', () => {
  const output = Buffer.from(`${OID}\0a\x1b]0;b\x07 <x>\x001\0fine\x1b[2K\x1b[1A\u009b31m\u202egnorw\n`)
  const { author, subject } = parseInfo(output)
  assert.equal(author, 'a?]0;b? <x>')
  assert.equal(subject, 'fine?[2K?[1A?31m?gnorw')
})
