import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Hold, Message, Story } from '../queue/queue.ts'
import { formatHolds, formatStory, signaturesOf, storyJson } from './queue-why.ts'

const NOW = Date.UTC(2025, 0, 2, 12)
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const NONE: ReadonlyMap<string, Hold> = new Map()

const mailbox = (localPart: string, domain: string) => ({
  mailbox: { localPart, domain },
  destination: domain,
})
const said = { status: '4.2.1', diagnostic: '450 4.2.1 Greylisted', remote: 'mx.one.example [192.0.2.1]' }
const message: Message = {
  id: '01JGG0ZT7N8Y4Q2M5RX3VWK6HE',
  reversePath: { localPart: 'alice', domain: 'example.com' },
  envelope: {
    body: '8BITMIME',
    smtputf8: false,
    authenticatedAs: 'alice@example.com',
    xptt: { id: '01JGG0ZT7N8Y4Q2M5RX3VWK6HE', commit: '0123456789abcdef0123456789abcdef01234567' },
  },
  arrivedMs: NOW - 3 * HOUR_MS,
  expiresMs: NOW + 117 * HOUR_MS,
  sizeOctets: 4300,
  recipients: [
    { ...mailbox('ann', 'two.example'), state: 'delivered', attempts: 1, dueMs: 0 },
    { ...mailbox('bob', 'one.example'), state: 'pending', attempts: 3, dueMs: NOW + 20 * MINUTE_MS },
    { ...mailbox('carl', 'one.example'), state: 'pending', attempts: 3, dueMs: NOW + 20 * MINUTE_MS },
    { ...mailbox('dora', 'three.example'), state: 'pending', attempts: 0, dueMs: NOW - 1000 },
  ],
}
const story: Story = {
  message,
  attempts: [
    {
      atMs: NOW - 3 * HOUR_MS,
      sinceMs: NOW - 3 * HOUR_MS,
      times: 1,
      action: 'delivered',
      destination: 'two.example',
      recipients: [0],
      status: '2.0.0',
      diagnostic: '250 2.0.0 OK',
      remote: 'mx.two.example [192.0.2.2]',
      tls: 'TLSv1.3 TLS_AES_256_GCM_SHA384, verified',
    },
    {
      ...said,
      atMs: NOW - HOUR_MS,
      sinceMs: NOW - 3 * HOUR_MS,
      times: 3,
      action: 'deferred',
      destination: 'one.example',
      recipients: [1, 2],
    },
  ],
  ended: null,
}
const hold: Hold = {
  kind: 'destination',
  name: 'three.example',
  reason: 'they move house',
  sinceMs: NOW - HOUR_MS,
  untilMs: NOW + HOUR_MS,
}
const signatures = ['2025a._domainkey.example.com']

test('the story of a message that is queued', () => {
  const holds = new Map([['destination three.example', hold]])
  assert.equal(
    formatStory({ story, holds, signatures, nowMs: NOW }),
    `\
01JGG0ZT7N8Y4Q2M5RX3VWK6HE
  From      <alice@example.com>, submitted by alice@example.com
  Allowed   by commit 0123456789abcdef0123456789abcdef01234567 of the directory
  Signed    with 2025a._domainkey.example.com
  Arrived   2025-01-02 09:00:00 UTC, 3 h ago, 4.2 KiB
  Tried     until 2025-01-07 09:00:00 UTC, in 5 d
  Attempts
    2025-01-02 09:00:00 UTC: delivered: ann@two.example
      mx.two.example [192.0.2.2] for two.example, TLS: TLSv1.3 TLS_AES_256_GCM_SHA384, verified
      250 2.0.0 OK
    2025-01-02 09:00:00 UTC to 2025-01-02 11:00:00 UTC, 3 times: deferred: bob@one.example, carl@one.example
      mx.one.example [192.0.2.1] for one.example
      450 4.2.1 Greylisted
  Waits for
    bob@one.example, carl@one.example
      another attempt 2025-01-02 12:20:00 UTC, in 20 min
    dora@three.example
      the end of a hold (destination three.example): they move house; since 2025-01-02 11:00:00 UTC, until 2025-01-02 13:00:00 UTC, in 60 min
`,
  )
})

test('the story of a message that is gone', () => {
  const recipients = message.recipients.map(recipient => ({ ...recipient, state: 'delivered' as const }))
  const ended = { atMs: NOW - MINUTE_MS, how: 'settled', recipients: 9 } as const
  const gone = { message: { ...message, recipients }, attempts: [], ended }
  const lines = formatStory({ story: gone, holds: NONE, signatures: [], nowMs: NOW }).split('\n')
  assert.deepEqual(lines.slice(3), [
    '  Arrived   2025-01-02 09:00:00 UTC, 3 h ago, 4.2 KiB',
    '  Ended     2025-01-02 11:59:00 UTC: it is done',
    '  Attempts',
    '    none',
    '  Recipients',
    '    delivered: ann@two.example, bob@one.example, carl@one.example, dora@three.example',
    '    and 5 more, of whom nothing is kept',
    '',
  ])
})

test('many recipients are named by the first of them', () => {
  const recipients = Array.from({ length: 40 }, (_, n) => ({
    ...mailbox(`u${n}`, 'one.example'),
    state: 'pending' as const,
    attempts: 0,
    dueMs: NOW,
  }))
  const many = { message: { ...message, recipients }, attempts: [], ended: null }
  assert.match(
    formatStory({ story: many, holds: NONE, signatures, nowMs: NOW }),
    /\n {4}u0@one\.example, .*u4@one\.example and 35 more\n {6}a place: .* now\n/,
  )
})

test('as JSON: times in ISO 8601, recipients by name', () => {
  const json = JSON.parse(JSON.stringify(storyJson({ story, holds: NONE, signatures, nowMs: NOW })))
  assert.equal(json.envelope.xptt.commit, '0123456789abcdef0123456789abcdef01234567')
  assert.deepEqual(json.signatures, signatures)
  assert.deepEqual(json.attempts[1], {
    at: '2025-01-02T11:00:00.000Z',
    since: '2025-01-02T09:00:00.000Z',
    recipients: ['bob@one.example', 'carl@one.example'],
    ...said,
    times: 3,
    action: 'deferred',
    destination: 'one.example',
  })
  assert.deepEqual(
    json.waits.map(({ state, until }: { state: string; until: string }) => [state, until]),
    [
      ['deferred', '2025-01-02T12:20:00.000Z'],
      ['due', '2025-01-02T11:59:59.000Z'],
    ],
  )
  assert.equal(json.ended, null)
})

test('what others said cannot command the terminal', () => {
  const [attempt] = story.attempts
  assert.ok(attempt)
  const hostile = { ...story, attempts: [{ ...attempt, diagnostic: 'a\u001b[2J', tls: '\u009b' }] }
  assert.doesNotMatch(formatStory({ story: hostile, holds: NONE, signatures, nowMs: NOW }), /[\u001b\u009b]/)
})

test('holds, with those that are over left out', () => {
  assert.equal(
    formatHolds(
      [hold, { ...hold, kind: 'sender', name: '<>', untilMs: null }, { ...hold, untilMs: NOW }],
      NOW,
    ),
    `\
destination three.example: they move house; since 2025-01-02 11:00:00 UTC, until 2025-01-02 13:00:00 UTC, in 60 min
sender <>: they move house; since 2025-01-02 11:00:00 UTC, until it is released
`,
  )
  assert.equal(formatHolds([], NOW), 'Nothing is held.\n')
})

const headers: [what: string, header: string, expected: string[]][] = [
  ['none', 'From: a@b\r\n', []],
  ['one', 'DKIM-Signature: v=1; d=example.com; s=2025a; b=x\r\n', ['2025a._domainkey.example.com']],
  [
    'folded, two of them, spaces',
    'DKIM-Signature: v=1;\r\n\ts = one ;\r\n d= example.com; b=a/s=b\r\nX: y\r\ndkim-signature: s=two; d=b.example\r\n',
    ['one._domainkey.example.com', 'two._domainkey.b.example'],
  ],
  ['in the body only', '\r\nDKIM-Signature: s=a; d=b\r\n', []],
  ['without a domain', 'DKIM-Signature: s=a; bd=b\r\n', []],
]
for (const [what, header, expected] of headers) {
  test(`signatures: ${what}`, () => {
    assert.deepEqual(signaturesOf(Buffer.from(`${header}\r\nBody\r\n`)), expected)
  })
}
