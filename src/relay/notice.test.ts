import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Message, Recipient } from '../queue/queue.ts'
import { noticeAtDeadline, noticesAfter, type Reported, warnAtMs } from './notice.ts'

const ARRIVED = 1_700_000_000_000
const HOUR_MS = 3_600_000
const WARN_MS = 4 * HOUR_MS
const EARLY = ARRIVED + 1000

const failure = { atMs: EARLY, status: '5.1.1', diagnostic: '550 5.1.1 Unknown', remote: 'mx [192.0.2.1]' }
const success = { atMs: EARLY, status: '2.0.0', diagnostic: '250 2.0.0 Ok', remote: 'mx [192.0.2.1]' }
const delay = { atMs: EARLY, status: '4.2.1', diagnostic: '450 4.2.1 Later', remote: 'mx [192.0.2.1]' }

/** A peer with every extension that matters here, and one with none. */
const MODERN = { dsn: true, deliverBy: true }
const PLAIN = { dsn: false, deliverBy: false }

type Ask = Pick<Recipient, 'notify' | 'delayToldMs' | 'last'>

function messageTo(asks: readonly Ask[], envelope: Partial<Message['envelope']> = {}): Message {
  return {
    id: '01KAXE0000000000000000000A',
    reversePath: { localPart: 'Alice', domain: 'Example.ORG' },
    envelope: { body: '7BIT', smtputf8: false, ...envelope },
    arrivedMs: ARRIVED,
    expiresMs: ARRIVED + 120 * HOUR_MS,
    sizeOctets: 100,
    recipients: asks.map((ask, n) => ({
      mailbox: { localPart: `r${n}`, domain: 'internet.test' },
      destination: 'internet.test',
      state: 'pending',
      attempts: 0,
      dueMs: ARRIVED,
      ...ask,
    })),
  }
}

const failed = (index: number): Reported => ({ index, action: 'failed', evidence: failure })
const expanded = (index: number): Reported => ({ index, action: 'expanded', evidence: success })
const deferred = (index: number): Reported => ({
  index,
  action: 'deferred',
  dueMs: EARLY + HOUR_MS,
  evidence: delay,
})
const taken = (index: number, peer: Reported['peer']): Reported => ({
  index,
  action: 'delivered',
  evidence: success,
  ...(peer === undefined ? {} : { peer }),
})

/** `kind: indices`, a line each. */
function told(message: Message, results: readonly Reported[], nowMs = EARLY): string[] {
  return noticesAfter(message, results, { nowMs, warnMs: WARN_MS }).map(
    ({ kind, reports }) => `${kind}: ${reports.map(({ index }) => index).join(' ')}`,
  )
}

suite('RFC 3461 §10: one message of Alice, its recipients where they go', () => {
  // 10.1, in its order: Bob, Carol, Dana, Eric, Fred, George.
  const message = messageTo(
    [
      { notify: ['SUCCESS'] },
      { notify: ['FAILURE'] },
      { notify: ['SUCCESS', 'FAILURE'] },
      { notify: ['FAILURE'] },
      { notify: [] },
      { notify: ['FAILURE'] },
    ],
    { ret: 'HDRS', envelopeId: 'QQ314159' },
  )
  const jobs: [what: string, results: Reported[], notices: string[]][] = [
    ['10.2: Example.COM has DSN, and will itself report to Alice (10.6)', [taken(0, MODERN)], []],
    ['10.3: Ivory.EDU refuses Carol (10.7) and takes Dana', [failed(1), taken(2, MODERN)], ['failed: 1']],
    ['10.4: Bombs.AF.MIL has no DSN; nobody asked for success', [taken(3, PLAIN), taken(4, PLAIN)], []],
    ['10.5: Tax-ME.GOV has DSN', [taken(5, MODERN)], []],
  ]
  for (const [what, results, notices] of jobs)
    test(what, () => assert.deepEqual(told(message, results), notices))
})

/** What one recipient's NOTIFY makes of what happened. */
const rows: [section: string, notify: Recipient['notify'], result: Reported, notices: string[]][] = [
  ['§5.2.2 b', ['SUCCESS'], taken(0, PLAIN), ['relayed: 0']],
  ['§5.2.2 b', ['SUCCESS', 'FAILURE', 'DELAY'], taken(0, PLAIN), ['relayed: 0']],
  ['§5.2.1 c', ['SUCCESS'], taken(0, MODERN), []],
  ['§5.2.2 c', ['FAILURE'], failed(0), ['failed: 0']],
  ['§5.2.2 c', ['FAILURE'], taken(0, PLAIN), []],
  ['§5.2.2 d', [], failed(0), []],
  ['§5.2.2 d', [], taken(0, PLAIN), []],
  ['§5.2.2 e', undefined, taken(0, PLAIN), []],
  ['§5.2.2 f', undefined, failed(0), ['failed: 0']],
  ['§5.2.6 b', ['SUCCESS'], failed(0), []],
  ['§5.2.6 b', ['DELAY'], failed(0), []],
  ['§5.2.5', undefined, deferred(0), []],
  ['§5.2.7.3 c', ['SUCCESS', 'FAILURE'], expanded(0), ['expanded: 0']],
  ['§5.2.7.3 c', ['FAILURE', 'DELAY'], expanded(0), []],
  ['§5.2.7.3 c', [], expanded(0), []],
  ['§5.2.7.3 c', undefined, expanded(0), []],
]
suite('RFC 3461 §5.2', () => {
  for (const [section, notify, result, notices] of rows) {
    const asked = notify === undefined ? 'nothing' : notify.join(',') || 'NEVER'
    test(`${section}: NOTIFY=${asked}, ${result.action}`, () =>
      assert.deepEqual(told(messageTo([notify === undefined ? {} : { notify }]), [result]), notices))
  }

  test('§5.2: nothing is told of a message from the null reverse-path', () => {
    const message = { ...messageTo([{ notify: ['SUCCESS', 'FAILURE', 'DELAY'] }]), reversePath: null }
    const byTime = { ...message, envelope: { ...message.envelope, deliverBy: BY_N } }
    for (const result of [failed(0), taken(0, PLAIN), deferred(0)]) {
      assert.deepEqual(told(message, [result], ARRIVED + WARN_MS), [])
      assert.deepEqual(told(byTime, [result], ARRIVED + WARN_MS), [])
    }
    assert.equal(noticeAtDeadline(byTime, [0], ARRIVED + WARN_MS), null)
  })

  test('§5.2.8: a notice is for those only who are to be told', () => {
    const message = messageTo([{}, { notify: [] }, { notify: ['SUCCESS'] }, {}])
    const results = [failed(0), failed(1), taken(2, PLAIN), failed(3)]
    assert.deepEqual(told(message, results), ['failed: 0 3', 'relayed: 2'])
  })
})

suite('a delay is told once: RFC 3461 §5.2.5', () => {
  const at = ARRIVED + WARN_MS
  const rows: [what: string, ask: Ask, nowMs: number, notices: string[]][] = [
    ['before its time', {}, at - 1, []],
    ['nobody asked: told', {}, at, ['delayed: 0']],
    ['NOTIFY=DELAY', { notify: ['DELAY'] }, at, ['delayed: 0']],
    ['NOTIFY=SUCCESS,FAILURE', { notify: ['SUCCESS', 'FAILURE'] }, at, []],
    ['NOTIFY=NEVER', { notify: [] }, at, []],
    ['told before', { delayToldMs: ARRIVED + 1 }, at + HOUR_MS, []],
  ]
  for (const [what, ask, nowMs, notices] of rows)
    test(what, () => assert.deepEqual(told(messageTo([ask]), [deferred(0)], nowMs), notices))

  test('of a message that was held it counts from the release: RFC 4865', () => {
    const message = messageTo([{}], { hold: { forSeconds: 7200 } })
    assert.deepEqual(told(message, [deferred(0)], at), [])
    assert.deepEqual(told(message, [deferred(0)], at + 2 * HOUR_MS), ['delayed: 0'])
    const [recipient] = message.recipients
    assert.equal(recipient && warnAtMs(message, recipient, WARN_MS), at + 2 * HOUR_MS)
  })
})

const BY_N = { seconds: 3600, mode: 'N', trace: false } as const
const BY_R = { seconds: 3600, mode: 'R', trace: false } as const
const AT = ARRIVED + HOUR_MS

suite('RFC 2852 §4.1', () => {
  const traced = { ...BY_R, trace: true }
  const rows: [
    what: string,
    deliverBy: Message['envelope']['deliverBy'],
    ask: Ask,
    result: Reported,
    nowMs: number,
    notices: string[],
  ][] = [
    ['§4.1.2: failure before the time', BY_R, {}, failed(0), EARLY, ['failed: 0']],
    ['§4.1.3: with R, failure at the time', BY_R, {}, failed(0), AT, ['failed: 0']],
    ['§4.1.3: with N, a delay at the time', BY_N, {}, deferred(0), AT, ['overdue: 0']],
    ['§4.1.3: and not a moment before', BY_N, {}, deferred(0), AT - 1, []],
    ['§4.1.3: to NOTIFY=DELAY', BY_N, { notify: ['DELAY'] }, deferred(0), AT, ['overdue: 0']],
    ['§4.1.3: not to NOTIFY=FAILURE', BY_N, { notify: ['FAILURE'] }, deferred(0), AT, []],
    ['§4.1.3: once', BY_N, { delayToldMs: AT }, deferred(0), AT + WARN_MS, []],
    [
      '§4.1.3: also when the delay was told before',
      BY_N,
      { delayToldMs: AT - 1 },
      deferred(0),
      AT,
      ['overdue: 0'],
    ],
    ['§4.1.4: T, to a peer with everything', traced, {}, taken(0, MODERN), EARLY, ['relayed: 0']],
    [
      '§4.1.4: T, without NOTIFY=SUCCESS',
      traced,
      { notify: ['FAILURE'] },
      taken(0, MODERN),
      EARLY,
      ['relayed: 0'],
    ],
    ['§4.1.4: T, not to NOTIFY=NEVER', traced, { notify: [] }, taken(0, MODERN), EARLY, []],
    ['§4.1.4.2: N, to a peer without', BY_N, {}, taken(0, PLAIN), EARLY, ['relayed: 0']],
    ['§4.1.4.2: N, to a peer without, NOTIFY=NEVER', BY_N, { notify: [] }, taken(0, PLAIN), EARLY, []],
    ['§4.1.4.2: N, to a peer without, too late', BY_N, {}, taken(0, PLAIN), AT, []],
    ['§4.1.4.2: N, to a peer that has it', BY_N, {}, taken(0, MODERN), EARLY, []],
    ['neither N nor T', BY_R, {}, taken(0, MODERN), EARLY, []],
  ]
  for (const [what, deliverBy, ask, result, nowMs, notices] of rows)
    test(what, () => {
      const message = messageTo([ask], deliverBy === undefined ? {} : { deliverBy })
      assert.deepEqual(told(message, [result], nowMs), notices)
    })

  test('§4.1.3: the status is 4.4.7, whatever the last answer was', () => {
    const message = messageTo([{}], { deliverBy: BY_N })
    const [notice] = noticesAfter(message, [deferred(0)], { nowMs: AT, warnMs: WARN_MS })
    assert.deepEqual(notice?.reports[0]?.evidence, { ...delay, status: '4.4.7' })
  })

  test('at the time itself, before the next attempt', () => {
    const message = messageTo([{ last: delay }, { notify: [] }, {}], { deliverBy: BY_N })
    assert.equal(noticeAtDeadline(message, [0, 1, 2], AT - 1), null)
    const notice = noticeAtDeadline(message, [0, 1, 2], AT)
    assert.equal(notice?.kind, 'overdue')
    const [last, never] = notice?.reports ?? []
    assert.deepEqual(last?.evidence, { ...delay, status: '4.4.7' })
    // The third was never tried.
    assert.equal(never?.index, 2)
    assert.equal(never?.attempted, false)
    assert.equal(never?.evidence.status, '4.4.7')
    assert.equal(noticeAtDeadline(messageTo([{}], { deliverBy: BY_R }), [0], AT), null)
    assert.equal(noticeAtDeadline(messageTo([{}]), [0], AT), null)
  })
})
