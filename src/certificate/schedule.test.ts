import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Failure, parseRetryAfter, plan, renewalMs, retryMs, type Situation } from './schedule.ts'

const DAY = 86_400_000
const HOUR = 3_600_000
const MINUTE = 60_000
const NOW = Date.parse('2026-03-01T00:00:00Z')
/** Issued now, for ninety days. */
const NINETY = { notBeforeMs: NOW, notAfterMs: NOW + 90 * DAY, complaint: null }

const plans: [what: string, situation: Partial<Situation>, expected: string, untilMs?: number][] = [
  ['none', { certificate: null }, 'issue: there is no certificate that can be used'],
  ['new', {}, 'wait: it is good until then', NOW + 60 * DAY],
  ['new, the most jitter', { jitter: 1 }, 'wait: it is good until then', NOW + 58.5 * DAY],
  ['a moment before its time', { nowMs: NOW + 60 * DAY - 1 }, 'wait: it is good until then', NOW + 60 * DAY],
  ['a third is left', { nowMs: NOW + 60 * DAY }, 'issue: a third of its life is left'],
  ['expired', { nowMs: NOW + 91 * DAY }, 'issue: a third of its life is left'],
  ['not right', { certificate: { ...NINETY, complaint: 'is for others' } }, 'issue: is for others'],
  [
    'failed a moment ago',
    { certificate: null, retryMs: NOW + MINUTE },
    'wait: the last attempt failed',
    NOW + MINUTE,
  ],
  [
    'failed, time is up',
    { certificate: null, retryMs: NOW },
    'issue: there is no certificate that can be used',
  ],
  ['failed, but good meanwhile', { retryMs: NOW + MINUTE }, 'wait: it is good until then', NOW + 60 * DAY],
  [
    'failed, and the clock was set back by a year',
    { certificate: null, retryMs: NOW + 365 * DAY },
    'issue: there is no certificate that can be used',
  ],
]
for (const [what, given, expected, untilMs] of plans) {
  test(`plan: ${what}`, () => {
    const made = plan({ nowMs: NOW, certificate: NINETY, retryMs: null, jitter: 0, ...given })
    assert.equal(`${made.kind}: ${made.reason}`, expected)
    assert.equal(made.kind === 'wait' ? made.untilMs : undefined, untilMs)
  })
}

test('renewal: with a third of the life left or a sixtieth more, however long the life', () => {
  const life = fc.integer({ min: HOUR, max: 5 * 365 * DAY })
  fc.assert(
    fc.property(life, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (lifeMs, jitter) => {
      const left = NOW + lifeMs - renewalMs({ notBeforeMs: NOW, notAfterMs: NOW + lifeMs }, jitter)
      assert.ok(left >= Math.floor(lifeMs / 3) && left <= Math.ceil(lifeMs / 3 + lifeMs / 60))
    }),
  )
})

const pauses: [failures: number, failure: Failure, pauseMs: number][] = [
  [1, {}, MINUTE],
  [2, {}, 3 * MINUTE],
  [3, {}, 9 * MINUTE],
  [4, {}, 27 * MINUTE],
  [7, {}, 6 * HOUR],
  [1000, {}, 6 * HOUR],
  [1, { rateLimited: true }, HOUR],
  [1, { rateLimited: true, retryAfterMs: NOW + 2 * DAY }, 2 * DAY],
  // A time that the CA names is enough, also where it is short.
  [1, { rateLimited: true, retryAfterMs: NOW + 5000 }, MINUTE],
  [1, { retryAfterMs: NOW + HOUR }, HOUR],
  [5, { retryAfterMs: NOW - HOUR }, 81 * MINUTE],
  [1, { retryAfterMs: NOW + 365 * DAY }, 7 * DAY],
]
for (const [failures, failure, pauseMs] of pauses) {
  test(`retry: failure ${failures}, ${JSON.stringify(failure)}`, () => {
    assert.equal(retryMs(failures, failure, NOW, 0.5) - NOW, pauseMs)
  })
}

test('retry: a tenth more or less', () => {
  assert.equal(retryMs(2, {}, NOW, 0) - NOW, 0.9 * 3 * MINUTE)
  assert.ok(retryMs(2, {}, NOW, 0.999) - NOW <= 1.1 * 3 * MINUTE)
})

const headers: [value: unknown, ms: number | undefined][] = [
  ['120', NOW + 120_000],
  [' 0 ', NOW],
  ['Sun, 01 Mar 2026 01:00:00 GMT', NOW + HOUR],
  ['2027', NOW + 2_027_000],
  ['2026-03-01T01:00:00Z', undefined],
  ['Sun, 41 Mar 2026 01:00:00 GMT', undefined],
  ['soon', undefined],
  ['-1', undefined],
  ['', undefined],
  [undefined, undefined],
  [['1', '2'], undefined],
]
for (const [value, ms] of headers) {
  test(`Retry-After: ${JSON.stringify(value)}`, () => assert.equal(parseRetryAfter(value, NOW), ms))
}
