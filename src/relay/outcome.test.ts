import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ReplyRule, readReplies } from '../config/replies.ts'
import { ConnectionError } from '../net/connection.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import {
  fromConnectionError,
  fromMailReply,
  fromRcptReply,
  fromReply,
  inThisLight,
  settleNext,
  type Verdict,
} from './outcome.ts'
import { classify } from './replies.ts'

test('a reply as a verdict', () => {
  const rows: [
    judge: (answer: Reply) => Verdict,
    answer: Reply,
    action: Verdict['action'],
    status: string,
  ][] = [
    [fromReply, reply(250, '2.0.0', 'Kept'), 'delivered', '2.0.0'],
    [fromReply, reply(250, null, 'ok'), 'delivered', '2.0.0'],
    [fromReply, reply(451, '4.3.0', 'Later'), 'deferred', '4.3.0'],
    [fromReply, reply(421, null, 'Bye'), 'deferred', '4.0.0'],
    [fromReply, reply(550, '5.1.1', 'Unknown'), 'failed', '5.1.1'],
    [fromReply, reply(554, null, 'No'), 'failed', '5.0.0'],
    // A reply out of place is not understood, and what is not understood is temporary.
    [fromReply, reply(354, null, 'Go on'), 'deferred', '4.0.0'],
    // Another host may have another mind about the sender for the moment, not for good.
    [fromMailReply, reply(450, '4.7.1', 'Greylisted'), 'next', '4.7.1'],
    [fromMailReply, reply(550, '5.7.1', 'Not you'), 'failed', '5.7.1'],
    // RFC 5321 §4.5.3.1.10: 552 to RCPT is 452.
    [fromRcptReply, reply(552, null, 'Too many'), 'deferred', '4.5.3'],
    [fromRcptReply, reply(553, '5.1.3', 'No such form'), 'failed', '5.1.3'],
  ]
  for (const [judge, answer, action, status] of rows) {
    const verdict = judge(answer)
    assert.deepEqual([verdict.action, verdict.status], [action, status], `${judge.name} ${answer.code}`)
  }
})

test('a broken connection as a verdict', () => {
  const rows: [error: ConnectionError, action: Verdict['action'], status: string][] = [
    [new ConnectionError('connect', 'connect', 'ECONNREFUSED'), 'next', '4.4.1'],
    [new ConnectionError('timeout', 'greeting', 'nothing'), 'next', '4.4.2'],
    [new ConnectionError('refused', 'greeting', '554 no', reply(554, null, 'no')), 'next', '4.3.2'],
    // A greeting of 554 5.7.1 alone fails nobody.
    [new ConnectionError('refused', 'greeting', '554 no', reply(554, '5.7.1', 'no')), 'next', '4.7.1'],
    // RFC 7504 §4.
    [new ConnectionError('refused', 'greeting', '521 never', reply(521, null, 'never')), 'next', '5.3.2'],
    // After the content nobody knows: not at another host now, or there would be two.
    [new ConnectionError('closed', 'message', 'closed'), 'deferred', '4.4.2'],
    [new ConnectionError('closed', 'DATA block', 'closed'), 'next', '4.4.2'],
  ]
  for (const [error, action, status] of rows) {
    const verdict = fromConnectionError(error)
    assert.deepEqual([verdict.action, verdict.status], [action, status], error.message)
  }
})

test('what is left when no host is left', () => {
  const rows: [status: string, action: Verdict['action'], settled: string][] = [
    ['4.4.1', 'deferred', '4.4.1'],
    ['5.7.30', 'failed', '5.7.30'],
    ['5.3.2', 'failed', '5.3.2'],
    ['5.4.4', 'failed', '5.4.4'],
    ['5.6.7', 'failed', '5.6.7'],
  ]
  for (const [status, action, settled] of rows) {
    const verdict = settleNext({ action: 'next', status, diagnostic: '' })
    assert.deepEqual([verdict.action, verdict.status], [action, settled], status)
  }
})

test('a host that turns us away with 521 does not fail a message', () => {
  const rows: [text: string, action: Verdict['action']][] = [
    ['Service unavailable; client [192.0.2.1] blocked using zen.spamhaus.org', 'deferred'],
    ['This host does not accept mail', 'failed'],
  ]
  for (const [text, action] of rows) {
    const answer = reply(521, null, text)
    const verdict = fromConnectionError(new ConnectionError('refused', 'greeting', text, answer))
    const known = inThisLight(verdict, classify(readReplies(undefined), answer, 'mx.x.test'))
    assert.equal(settleNext(known).action, action, text)
  }
})

test("an operator's rule fails what a code would put off, wherever it was said", () => {
  const rules: ReplyRule[] = [
    { name: 'never', reply: /not from you/i, category: 'policy', action: 'fail', where: 'test' },
  ]
  const answer = reply(450, '4.7.1', 'Not from you')
  const greeting = new ConnectionError('refused', 'greeting', '450 Not from you', answer)
  for (const verdict of [fromMailReply(answer), fromRcptReply(answer), fromConnectionError(greeting)]) {
    const known = inThisLight(verdict, classify(rules, answer, 'mx.x.test'))
    assert.deepEqual([known.action, known.status], ['failed', '5.7.1'])
    const usual = settleNext(inThisLight(verdict, classify([], answer, 'mx.x.test')))
    assert.deepEqual([usual.action, usual.status], ['deferred', '4.7.1'])
  }
  // A greeting of 554 alone fails nobody, for it is no rule that says so.
  const refused = reply(554, '5.7.1', 'No')
  const turned = fromConnectionError(new ConnectionError('refused', 'greeting', '554 No', refused))
  assert.equal(settleNext(inThisLight(turned, classify([], refused, 'mx.x.test'))).action, 'deferred')
})
