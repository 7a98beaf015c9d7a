import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ReplyRule, readReplies } from '../config/replies.ts'
import { formatReply, type Reply, ReplyParser } from '../smtp/reply.ts'
import { advisedWaitMs, categoryOf, classify, isHardBounce } from './replies.ts'

const rules = readReplies(undefined)

function replyOf(text: string): Reply {
  const [answer] = [...new ReplyParser().push(Buffer.from(`${text}\r\n`))]
  assert.ok(answer)
  return answer
}

/** A host that the rule is for. */
const hostOf = ({ hosts }: ReplyRule) => hosts?.[0]?.replace('*', 'mx1') ?? 'mx.example.net'

for (const rule of rules) {
  test(`replies: ${rule.name}: has examples, and they are told by it`, () => {
    assert.ok((rule.examples ?? []).length > 0, 'no example')
    for (const example of rule.examples ?? []) {
      const answer = replyOf(example)
      assert.equal(formatReply(answer), example)
      assert.equal(classify(rules, answer, hostOf(rule)).rule?.name, rule.name, example)
    }
  })
}

const cases: [
  text: string,
  host: string,
  category: string,
  action: string,
  waitMs: number | null,
  pauseMs: number | null,
][] = [
  // We are turned away: never a bounce.
  [
    '554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org',
    'mx.a.test',
    'blocked',
    'defer',
    null,
    3600_000,
  ],
  ['550 5.7.1 Sending limit reached, slow down', 'mx.a.test', 'rate-limited', 'defer', null, 600_000],
  [
    '421 4.7.0 Too many connections, try again in 20 minutes',
    'mx.a.test',
    'rate-limited',
    'defer',
    null,
    1200_000,
  ],
  [
    '550 5.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]',
    'mx.a.test',
    'our-dns',
    'defer',
    null,
    null,
  ],
  // The message waits as long as is said.
  [
    '451 4.7.1 Greylisting in action, please come back in 00:05:00',
    'mx.a.test',
    'greylisted',
    'defer',
    300_000,
    null,
  ],
  ['450 4.7.1 You are greylisted for 300 seconds', 'mx.a.test', 'greylisted', 'defer', 300_000, null],
  ['450 4.2.0 Greylisted', 'mx.a.test', 'greylisted', 'defer', null, null],
  // The recipient.
  ['550 5.1.1 No such user', 'mx.a.test', 'bad-address', 'fail', null, null],
  ['450 5.1.1 odd: 4xx with 5.x.x is temporary', 'mx.a.test', 'bad-address', 'defer', null, null],
  ['550 5.2.1 disabled', 'mx.a.test', 'inactive', 'fail', null, null],
  ['552 5.2.2 full', 'mx.a.test', 'mailbox-full', 'fail', null, null],
  // A provider's rule is not for others.
  ['553 5.7.1 [BL21] not for you', 'mx.a.test', 'policy', 'fail', null, null],
  ['553 5.7.1 [BL21] not for you', 'mta5.am0.yahoodns.net', 'blocked', 'defer', null, 7200_000],
  // By RFC 3463 alone.
  ['554 5.7.9 no', 'mx.a.test', 'policy', 'fail', null, null],
  ['500 what?', 'mx.a.test', 'protocol', 'fail', null, null],
  ['450 not now', 'mx.a.test', 'other', 'defer', null, null],
  ['554 no', 'mx.a.test', 'other', 'fail', null, null],
]
for (const [text, host, ...expected] of cases) {
  test(`replies: ${text.slice(0, 60)} from ${host}`, () => {
    const { category, action, waitMs, pauseMs } = classify(rules, replyOf(text), host)
    assert.deepEqual([category, action, waitMs, pauseMs], expected)
  })
}

test('replies: only what is final about the address is a hard bounce', () => {
  const hard = (text: string) => isHardBounce(classify(rules, replyOf(text), 'mx.a.test'))
  assert.equal(hard('550 5.1.1 No such user'), true)
  assert.equal(hard('550 5.2.1 Mailbox disabled'), true)
  assert.equal(hard('450 4.1.1 No such user yet'), false)
  assert.equal(hard('552 5.2.2 Mailbox full'), false)
  assert.equal(hard('554 5.7.1 Message rejected as spam'), false)
  assert.equal(hard('550 5.7.1 Client host blocked using bl.example.net'), false)
})

const advice: [text: string, ms: number | null][] = [
  ['try again in 5 minutes', 300_000],
  ['please retry after 90 seconds', 90_000],
  ['come back in 1 hour', 3600_000],
  ['wait at least 10min', 600_000],
  ['in 01:00:30', 3630_000],
  ['in 99 hours', 4 * 3600_000],
  ['in 0 seconds', null],
  ['blocked for 3 reasons', null],
  ['try again later', null],
]
for (const [text, ms] of advice) test(`replies: advice: ${text}`, () => assert.equal(advisedWaitMs(text), ms))

test('replies: categories of status codes', () => {
  assert.equal(categoryOf({ code: 550, status: '5.1.10' }), 'bad-address')
  assert.equal(categoryOf({ code: 450, status: '4.4.5' }), 'rate-limited')
  assert.equal(categoryOf({ code: 552, status: '5.3.4' }), 'too-large')
  assert.equal(categoryOf({ code: 550, status: '5.7.26' }), 'authentication')
  assert.equal(categoryOf({ code: 550, status: '5.7.25' }), 'our-dns')
})
