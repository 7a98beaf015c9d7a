import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message, Recipient } from '../queue/queue.ts'
import { formatMessage, formatTable, messageJson } from './queue-format.ts'

const NOW = Date.UTC(2025, 0, 2, 12)
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

const pending: Recipient = {
  mailbox: { localPart: 'bob', domain: 'X.example' },
  destination: 'x.example',
  state: 'pending',
  attempts: 0,
  dueMs: NOW - 300,
}
const deferred: Recipient = {
  ...pending,
  mailbox: { localPart: 'carol', domain: 'y.example' },
  destination: 'mx.y.example',
  attempts: 3,
  dueMs: NOW + 20 * MINUTE_MS,
  last: {
    atMs: NOW - MINUTE_MS,
    status: '4.2.1',
    diagnostic: '450 4.2.1 Greylisted',
    remote: 'mx.y.example [192.0.2.1]',
  },
}
const delivered: Recipient = {
  ...pending,
  mailbox: { localPart: 'dave', domain: 'x.example' },
  state: 'delivered',
  attempts: 1,
  last: { atMs: NOW - HOUR_MS, status: '2.0.0', diagnostic: '250 OK' },
}

const message: Message = {
  id: '01JGG0ZT7N8Y4Q2M5RX3VWK6HE',
  reversePath: { localPart: 'alice', domain: 'example.com' },
  envelope: { body: '8BITMIME', smtputf8: false, authenticatedAs: 'alice@example.com' },
  arrivedMs: NOW - 3 * HOUR_MS,
  expiresMs: NOW + 117 * HOUR_MS,
  sizeOctets: 4300,
  recipients: [delivered, deferred, pending],
}

test('the table says what is next and why', () => {
  const notice: Message = { ...message, reversePath: null, sizeOctets: 3 * 2 ** 20, recipients: [deferred] }
  assert.equal(
    formatTable([message, notice], 'That is all.', NOW),
    `\
ID                          AGE  SIZE     SENDER             TO                        NEXT       WHY
01JGG0ZT7N8Y4Q2M5RX3VWK6HE  3 h  4.2 KiB  alice@example.com  bob@X.example and 1 more  now        -
01JGG0ZT7N8Y4Q2M5RX3VWK6HE  3 h  3.0 MiB  <>                 carol@y.example           in 20 min  450 4.2.1 Greylisted

That is all.
`,
  )
})

const hold = { forSeconds: 7 * 86_400 }
const held: Message = {
  ...message,
  envelope: {
    ...message.envelope,
    hold,
    deliverBy: { seconds: 8 * 86_400, mode: 'R', trace: false },
    ret: 'HDRS',
    envelopeId: 'QQ314159',
  },
  recipients: [
    {
      ...pending,
      dueMs: message.arrivedMs + 7 * 24 * HOUR_MS,
      notify: ['SUCCESS', 'DELAY'],
      originalRecipient: { addressType: 'rfc822', address: 'Bob@X.example' },
    },
    { ...pending, dueMs: message.arrivedMs + 7 * 24 * HOUR_MS, notify: [] },
  ],
}

test('a message that is held says until when, RFC 4865', () => {
  assert.match(
    formatTable([held], '', NOW),
    /bob@X\.example and 1 more {2}held until 2025-01-09 09:00:00 UTC {2}-\n/,
  )
  assert.equal(
    formatMessage(held, NOW).split('\n').slice(5).join('\n'),
    `\
  Size        4.2 KiB
  Deliver by  2025-01-10 09:00:00 UTC, in 8 d, or return it
  ENVID       QQ314159
  RET         HDRS
  Recipients
    bob@X.example
      held until 2025-01-09 09:00:00 UTC, in 7 d
      notify SUCCESS, DELAY
      for rfc822;Bob@X.example
    bob@X.example
      held until 2025-01-09 09:00:00 UTC, in 7 d
      notify NEVER
`,
  )
})

test('a message that was released waits like any other', () => {
  const released = { ...held, recipients: [{ ...pending, dueMs: NOW }, deferred] }
  assert.doesNotMatch(formatTable([released], '', NOW) + formatMessage(released, NOW), /held/)
})

test('what an operator holds says so, and why', () => {
  const hold = {
    kind: 'sender',
    name: '@example.com',
    reason: 'asked by Ann',
    sinceMs: NOW,
    untilMs: null,
  } as const
  const holds = new Map([['sender @example.com', hold]])
  assert.match(formatTable([message], '', NOW, holds), /bob@X\.example and 1 more {2}held {2}-\n/)
  const until = { ...hold, kind: 'destination', name: 'x.example', untilMs: NOW + HOUR_MS } as const
  assert.match(
    formatTable([message], '', NOW, new Map([['destination x.example', until]])),
    /held until 2025-01-02 13:00:00 UTC/,
  )
  assert.match(
    formatMessage(message, NOW, holds),
    /\n {4}bob@X\.example\n {6}held \(sender @example\.com\): asked by Ann\n/,
  )
  assert.doesNotMatch(formatMessage({ ...message, recipients: [delivered] }, NOW, holds), /held/)
})

test('a message with all that is known of its recipients', () => {
  assert.equal(
    formatMessage(message, NOW),
    `\
01JGG0ZT7N8Y4Q2M5RX3VWK6HE
  Sender      <alice@example.com>
  Submitted   by alice@example.com
  Arrived     2025-01-02 09:00:00 UTC, 3 h ago
  Expires     2025-01-07 09:00:00 UTC, in 5 d
  Size        4.2 KiB
  Recipients
    dave@x.example
      delivered after 1 attempt
      2025-01-02 11:00:00 UTC: 2.0.0 250 OK
    carol@y.example via mx.y.example
      pending after 3 attempts, next 2025-01-02 12:20:00 UTC, in 20 min
      2025-01-02 11:59:00 UTC: 450 4.2.1 Greylisted
      said mx.y.example [192.0.2.1]
    bob@X.example
      pending after 0 attempts, next 2025-01-02 11:59:59 UTC, now
`,
  )
})

test('what a server said cannot command the terminal', () => {
  const hostile = { ...deferred, last: { atMs: NOW, status: '4.0.0', diagnostic: 'a\u001b[2Jb\nc\u202ed' } }
  const shown = { ...message, recipients: [hostile] }
  for (const text of [formatMessage(shown, NOW), formatTable([shown], '', NOW)]) {
    assert.ok(text.includes('4.0.0 a\ufffd[2Jb\ufffdc\ufffdd'), text)
  }
})

test('a long answer is cut in the table', () => {
  const long = { ...deferred, last: { atMs: NOW, status: '4.0.0', diagnostic: 'x'.repeat(100) } }
  const [, row = ''] = formatTable([{ ...message, recipients: [long] }], '', NOW).split('\n')
  assert.ok(row.endsWith(`  4.0.0 ${'x'.repeat(53)}…`), row)
})

const ages: [ms: number, text: string][] = [
  [0, '0 s'],
  [-5000, '0 s'],
  [1499, '1 s'],
  [119_000, '119 s'],
  [120_000, '2 min'],
  [119 * MINUTE_MS, '119 min'],
  [2 * HOUR_MS, '2 h'],
  [47 * HOUR_MS, '47 h'],
  [48 * HOUR_MS, '2 d'],
]
for (const [ms, text] of ages) {
  test(`an age of ${ms} ms is ${text}`, () => {
    const [, row = ''] = formatTable([{ ...message, arrivedMs: NOW - ms }], '', NOW).split('\n')
    assert.equal(row.split(/ {2,}/)[1], text)
  })
}

test('JSON has mailboxes as text and times in ISO 8601', () => {
  assert.deepEqual(messageJson({ ...message, recipients: [deferred, delivered] }), {
    id: '01JGG0ZT7N8Y4Q2M5RX3VWK6HE',
    sender: 'alice@example.com',
    arrived: '2025-01-02T09:00:00.000Z',
    expires: '2025-01-07T09:00:00.000Z',
    sizeOctets: 4300,
    envelope: { body: '8BITMIME', smtputf8: false, authenticatedAs: 'alice@example.com' },
    recipients: [
      {
        recipient: 'carol@y.example',
        destination: 'mx.y.example',
        state: 'pending',
        attempts: 3,
        due: '2025-01-02T12:20:00.000Z',
        last: {
          at: '2025-01-02T11:59:00.000Z',
          status: '4.2.1',
          diagnostic: '450 4.2.1 Greylisted',
          remote: 'mx.y.example [192.0.2.1]',
        },
      },
      {
        recipient: 'dave@x.example',
        destination: 'x.example',
        state: 'delivered',
        attempts: 1,
        last: { at: '2025-01-02T11:00:00.000Z', status: '2.0.0', diagnostic: '250 OK' },
      },
    ],
  })
})
