import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isId, timeOfId } from '../message/id.ts'
import type { Message } from '../queue/queue.ts'
import { failureNotice, TO_SIGNER } from './bounce.ts'

const evidence = {
  atMs: 1_700_000_000_000,
  status: '5.1.1',
  diagnostic: '550 5.1.1 Unknown',
  remote: 'mx [192.0.2.1]',
}
const facts = {
  hostname: 'mail.example.test',
  postmaster: 'postmaster@example.test',
  nowMs: evidence.atMs,
  expireMs: 1000,
}
const content = Buffer.from('From: alice@example.test\r\nSubject: x\r\n\r\ntext\r\n')

function message(id: string, reversePath: Message['reversePath']): Message {
  const recipient = { destination: 'internet.test', state: 'pending', attempts: 1, dueMs: 0 } as const
  return {
    id,
    reversePath,
    envelope: { body: '7BIT', smtputf8: false },
    arrivedMs: evidence.atMs,
    expiresMs: evidence.atMs,
    sizeOctets: content.length,
    recipients: [
      { ...recipient, mailbox: { localPart: 'bob', domain: 'internet.test' } },
      { ...recipient, mailbox: { localPart: 'carol', domain: 'internet.test' } },
    ],
  }
}

const ALICE = { localPart: 'alice', domain: 'example.test' }

test('a notice goes to the reverse-path by way of the signer', () => {
  const notice = failureNotice(
    message('01KAXE0000000000000000000A', ALICE),
    [{ index: 0, evidence }],
    content,
    facts,
  )
  assert.ok(notice)
  assert.equal(notice.message.envelope.reversePath, null)
  assert.deepEqual(notice.message.recipients, [{ mailbox: ALICE, destination: TO_SIGNER }])
  const text = Buffer.from(notice.content).toString('latin1')
  assert.match(text, /^Final-Recipient: rfc822; ?bob@internet\.test/m)
  assert.doesNotMatch(text, /carol/)
})

test('nobody is told about a message from the null reverse-path', () => {
  assert.equal(
    failureNotice(message('01KAXE0000000000000000000A', null), [{ index: 0, evidence }], content, facts),
    null,
  )
})

test('the same failure gives the same id, another failure another', () => {
  const idOf = (id: string, index: number) =>
    failureNotice(message(id, ALICE), [{ index, evidence }], content, facts)?.message.envelope.xptt?.id ?? ''
  for (const id of [
    '01KAXE0000000000000000000A',
    '01KAXE00000000000000000ZZZ',
    '01KAXE0000ZZZZZZZZZZZZZZZZ',
  ]) {
    assert.equal(idOf(id, 0), idOf(id, 0))
    assert.notEqual(idOf(id, 0), idOf(id, 1))
    assert.notEqual(idOf(id, 0), id)
    assert.ok(isId(idOf(id, 1)), idOf(id, 1))
    assert.equal(timeOfId(idOf(id, 0)), timeOfId(id))
  }
})
