import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SmtpError } from './error.ts'
import {
  formatDateTime,
  formatFutureRelease,
  parseHoldFor,
  parseHoldUntil,
  releaseMs,
} from './future-release.ts'

fc.configureGlobal({ seed: 4865 })

const invalid = (parse: (value: string) => unknown, ...values: string[]) => {
  // RFC 4865 §4.2 (10) and (11)
  for (const value of values) assert.throws(() => parse(value), { code: 501, status: '5.5.4' }, value)
}

test('what is announced, RFC 4865 §3 (3)', () => {
  const nowMs = Date.UTC(2007, 4, 10, 15, 0, 0)
  assert.equal(formatFutureRelease(86400, nowMs), '86400 2007-05-11T15:00:00Z')
  // Rounded down: a client that takes us at our word is not refused.
  assert.equal(formatFutureRelease(60, nowMs + 999), '60 2007-05-10T15:01:00Z')
})

test('HOLDFOR, RFC 4865 §3 (2) and (4)', () => {
  assert.deepEqual(parseHoldFor('1'), { forSeconds: 1 })
  assert.deepEqual(parseHoldFor('999999999'), { forSeconds: 999_999_999 })
  invalid(parseHoldFor, '', '0', '01', '-1', '+1', '1.5', '1e3', '1000000000', 'PT1H')
})

test('HOLDUNTIL, RFC 4865 §3 (4), RFC 3339 §5.6', () => {
  assert.deepEqual(parseHoldUntil('2007-05-10T15:00:00Z'), { untilMs: Date.UTC(2007, 4, 10, 15) })
  assert.deepEqual(parseHoldUntil('2008-02-29t23:59:59z'), { untilMs: Date.UTC(2008, 1, 29, 23, 59, 59) })
  assert.deepEqual(parseHoldUntil('2007-05-10T15:00:00.000Z'), { untilMs: Date.UTC(2007, 4, 10, 15) })
  assert.deepEqual(parseHoldUntil('2007-05-10T15:00:00.001Z'), { untilMs: Date.UTC(2007, 4, 10, 15, 0, 1) })
  // RFC 3339 §5.8: a leap second.
  assert.deepEqual(parseHoldUntil('1990-12-31T23:59:60Z'), { untilMs: Date.UTC(1991, 0, 1) })
  assert.deepEqual(parseHoldUntil('0001-01-01T00:00:00Z'), { untilMs: -62_135_596_800_000 })
  invalid(
    parseHoldUntil,
    '',
    '2007-05-10',
    '2007-05-10T15:00Z',
    '2007-05-10 15:00:00Z',
    '2007-05-10T15:00:00',
  )
  invalid(parseHoldUntil, '2007-05-10T15:00:00+02:00', '2007-05-10T15:00:00+00:00', '20070510T150000Z')
  invalid(
    parseHoldUntil,
    '2007-02-29T00:00:00Z',
    '2007-00-01T00:00:00Z',
    '2007-13-01T00:00:00Z',
    '2007-01-00T00:00:00Z',
  )
  invalid(
    parseHoldUntil,
    '2007-01-01T24:00:00Z',
    '2007-01-01T00:60:00Z',
    '2007-01-01T00:00:61Z',
    '2007-01-01T00:00:00.Z',
  )
})

test('when it is released: never too early', () => {
  assert.equal(releaseMs({ untilMs: 5000 }, 7000), 5000)
  assert.equal(releaseMs({ forSeconds: 1 }, 7000), 8000)
  assert.equal(releaseMs({ forSeconds: 1 }, 7001), 9000)
})

const LAST = Date.UTC(9999, 11, 31, 23, 59, 59)

test('property: what is encoded is decoded to the same', () => {
  fc.assert(
    fc.property(fc.integer({ min: -62_000_000_000, max: LAST / 1000 }), seconds => {
      assert.deepEqual(parseHoldUntil(formatDateTime(seconds * 1000)), { untilMs: seconds * 1000 })
    }),
  )
  fc.assert(
    fc.property(fc.integer({ min: 0, max: LAST }), ms => {
      const hold = parseHoldUntil(formatDateTime(ms))
      assert.ok('untilMs' in hold && hold.untilMs >= ms && hold.untilMs < ms + 1000)
    }),
  )
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 999_999_999 }), forSeconds => {
      assert.deepEqual(parseHoldFor(String(forSeconds)), { forSeconds })
    }),
  )
})

test('property: any value is one, and encoded again decodes to the same; or it is an SmtpError', () => {
  const value = fc.oneof(
    fc.string(),
    fc.stringMatching(/^\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-6]\d:[0-6]\d(\.\d{1,3})?Z$/),
    fc.date({ noInvalidDate: true }).map(date => date.toISOString()),
  )
  fc.assert(
    fc.property(value, text => {
      try {
        const hold = parseHoldUntil(text)
        assert.ok('untilMs' in hold)
        // What a leap second or a fraction may carry into the year 10000 cannot be said.
        if (hold.untilMs <= LAST) assert.deepEqual(parseHoldUntil(formatDateTime(hold.untilMs)), hold)
      } catch (error) {
        assert.ok(error instanceof SmtpError, String(error))
      }
    }),
  )
})
