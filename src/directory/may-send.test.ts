import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMailbox } from '../smtp/path.ts'
import type { User } from './directory.ts'
import { maySend } from './may-send.ts'
import { makeVerifier } from './password.ts'

const alice: User = {
  name: 'alice@example.com',
  localPart: 'alice',
  domain: 'example.com',
  verifier: await makeVerifier('pencil', { iterations: 4096 }),
  senders: ['alice@example.com', 'sales@example.com', '*@news.example.com', '*@xn--bcher-kva.example.com'],
  targets: [],
}

const cases: [mailbox: string | null, allowed: boolean][] = [
  ['alice@example.com', true],
  ['ALICE@Example.COM', true],
  ['"alice"@example.com', true],
  ['sales@example.com', true],
  ['anybody@news.example.com', true],
  ['anybody@bücher.example.com', true],
  ['bob@example.com', false],
  ['alice+tag@example.com', false],
  ['*@example.com', false],
  ['alice@example.org', false],
  ['alice@sub.news.example.com', false],
  ['alice@news.example.com.example.org', false],
  ['"alice@example.com"@example.org', false],
  ['alice@[192.0.2.1]', false],
  // RFC 6409 §3.2
  [null, true],
]
for (const [mailbox, allowed] of cases)
  test(`alice ${allowed ? 'may' : 'may not'} send as <${mailbox ?? ''}>`, () => {
    const decision = maySend(alice, mailbox === null ? null : parseMailbox(mailbox, { utf8: true }))
    assert.equal(decision.allowed, allowed)
    if (!decision.allowed) assert.match(decision.reason, /\S/)
  })

test('his own address is his, whatever senders says', () => {
  assert.equal(maySend({ ...alice, senders: [] }, parseMailbox('alice@example.com')).allowed, true)
})
