import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isId, timeOfId } from '../message/id.ts'
import type { Message } from '../queue/queue.ts'
import type { DueNotice, NoticeKind } from './notice.ts'
import { notification, TO_SIGNER } from './notification.ts'

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
  language: 'en' as const,
}
const content = Buffer.from('From: alice@example.test\r\nSubject: x\r\n\r\nbody\r\n')
const ID = '01KAXE0000000000000000000A'
const ALICE = { localPart: 'alice', domain: 'example.test' }

function message(change: Partial<Message> = {}, envelope: Partial<Message['envelope']> = {}): Message {
  const recipient = { destination: 'internet.test', state: 'pending', attempts: 1, dueMs: 0 } as const
  return {
    id: ID,
    reversePath: ALICE,
    envelope: { body: '7BIT', smtputf8: false, ...envelope },
    arrivedMs: evidence.atMs,
    expiresMs: evidence.atMs + 86_400_000,
    sizeOctets: content.length,
    recipients: [
      {
        ...recipient,
        mailbox: { localPart: 'bob', domain: 'internet.test' },
        originalRecipient: { addressType: 'rfc822', address: 'Bob@Internet.test' },
      },
      { ...recipient, mailbox: { localPart: 'carol', domain: 'internet.test' } },
    ],
    ...change,
  }
}

const due = (kind: NoticeKind, ...indices: number[]): DueNotice => ({
  kind,
  reports: indices.map(index => ({ index, evidence })),
})

function textOf(about: Message, notice: DueNotice): string {
  return Buffer.from(notification(about, notice, content, facts)?.content ?? '').toString('latin1')
}

test('a notice goes to the reverse-path by way of the signer', () => {
  const notice = notification(message(), due('failed', 0), content, facts)
  assert.ok(notice)
  assert.equal(notice.message.envelope.reversePath, null)
  assert.deepEqual(notice.message.recipients, [{ mailbox: ALICE, destination: TO_SIGNER }])
  const text = Buffer.from(notice.content).toString('latin1')
  assert.match(
    text,
    /^Original-Recipient: rfc822; Bob@Internet\.test\r\nFinal-Recipient: rfc822; bob@internet\.test\r$/m,
  )
  assert.doesNotMatch(text, /carol/)
})

test('nobody is told about a message from the null reverse-path', () => {
  assert.equal(notification(message({ reversePath: null }), due('failed', 0), content, facts), null)
})

const actions: [kind: NoticeKind, fields: RegExp, willRetry: boolean][] = [
  ['failed', /^Action: failed\r$/m, false],
  ['relayed', /^Action: relayed\r$/m, false],
  ['delayed', /^Action: delayed\r$/m, true],
  ['overdue', /^Action: delayed\r$/m, true],
]
for (const [kind, fields, willRetry] of actions)
  test(`the action of a notice that is due because of "${kind}"`, () => {
    const text = textOf(message(), due(kind, 0))
    assert.match(text, fields)
    assert.equal(/^Will-Retry-Until: Wed, 15 Nov 2023 22:13:20 \+0000\r$/m.test(text), willRetry)
  })

test('what was asked for comes back: ENVID, BY, HOLDFOR, HOLDUNTIL', () => {
  const asked = { envelopeId: 'QQ314159', deliverBy: { seconds: 60, mode: 'N', trace: false } } as const
  const text = textOf(message({}, { ...asked, hold: { forSeconds: 30 } }), due('failed', 0))
  assert.match(text, /^Original-Envelope-Id: QQ314159\r$/m)
  assert.match(text, /^Deliver-By-Date: Tue, 14 Nov 2023 22:14:20 \+0000\r$/m)
  assert.match(text, /^Future-Release-Request: for;30\r$/m)
  const until = textOf(message({}, { hold: { untilMs: evidence.atMs } }), due('failed', 0))
  assert.match(until, /^Future-Release-Request: until;2023-11-14T22:13:20Z\r$/m)
  const none = textOf(message(), due('failed', 0))
  assert.doesNotMatch(none, /Original-Envelope-Id|Deliver-By-Date|Future-Release-Request/)
})

const returned: [what: string, envelope: Partial<Message['envelope']>, type: string, body: boolean][] = [
  ['nothing asked: a small message', {}, 'message/rfc822', true],
  ['RET=FULL', { ret: 'FULL' }, 'message/rfc822', true],
  ['RET=HDRS', { ret: 'HDRS' }, 'text/rfc822-headers', false],
  ['REQUIRETLS: RFC 8689 §5', { requireTls: true }, 'text/rfc822-headers', false],
  [
    'REQUIRETLS and RET=FULL: "MUST be disregarded"',
    { requireTls: true, ret: 'FULL' },
    'text/rfc822-headers',
    false,
  ],
]
for (const [what, envelope, type, body] of returned)
  test(`what comes back: ${what}`, () => {
    const text = textOf(message({}, envelope), due('failed', 0))
    assert.ok(text.includes(`Content-Type: ${type}\r\n`), text)
    assert.equal(text.includes('\r\n\r\nbody\r\n'), body)
  })

test('a notice is protected and hastened as its message: RFC 8689 §5, RFC 6710 §4.6', () => {
  const of = (envelope: Partial<Message['envelope']>) => {
    const made = notification(message({}, envelope), due('failed', 0), content, facts)
    return { requireTls: made?.message.envelope.requireTls, priority: made?.message.envelope.priority }
  }
  assert.deepEqual(of({}), { requireTls: undefined, priority: undefined })
  assert.deepEqual(of({ requireTls: true, priority: -4 }), { requireTls: true, priority: -4 })
})

test('the same notice has the same id, another one another', () => {
  const notices = [
    due('failed', 0),
    due('failed', 1),
    due('failed', 0, 1),
    due('relayed', 0),
    due('delayed', 0),
    due('overdue', 0),
  ]
  for (const id of [ID, '01KAXE00000000000000000ZZZ', '01KAXE0000ZZZZZZZZZZZZZZZZ']) {
    const idOf = (notice: DueNotice) =>
      notification(message({ id }), notice, content, facts)?.message.envelope.xptt?.id ?? ''
    const ids = notices.map(idOf)
    assert.deepEqual(ids, notices.map(idOf))
    assert.equal(new Set([id, ...ids]).size, notices.length + 1)
    for (const noticeId of ids) {
      assert.ok(isId(noticeId), noticeId)
      assert.equal(timeOfId(noticeId), timeOfId(id))
    }
  }
})
