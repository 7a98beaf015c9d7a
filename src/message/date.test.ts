import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatDate, parseDate } from './date.ts'

const dates: [ms: number, offsetMinutes: number, text: string][] = [
  // RFC 5322 App. A.1.1, A.1.2, A.5.
  [Date.UTC(1997, 10, 21, 15, 55, 6), -360, 'Fri, 21 Nov 1997 09:55:06 -0600'],
  [Date.UTC(2003, 6, 1, 8, 52, 37), 120, 'Tue, 1 Jul 2003 10:52:37 +0200'],
  [Date.UTC(1969, 1, 14, 2, 2, 0), -210, 'Thu, 13 Feb 1969 22:32:00 -0330'],
  [0, 0, 'Thu, 1 Jan 1970 00:00:00 +0000'],
  [Date.UTC(2024, 1, 29, 23, 59, 59, 999), 0, 'Thu, 29 Feb 2024 23:59:59 +0000'],
  [Date.UTC(2025, 11, 31, 23, 30), 345, 'Thu, 1 Jan 2026 05:15:00 +0545'],
]

for (const [ms, offsetMinutes, text] of dates)
  test(text, () => {
    assert.equal(formatDate(ms, offsetMinutes), text)
    assert.equal(Date.parse(text), Math.floor(ms / 1000) * 1000)
    assert.equal(parseDate(text), Math.floor(ms / 1000) * 1000)
  })

test('UTC where nothing else is said', () => {
  assert.equal(formatDate(0), 'Thu, 1 Jan 1970 00:00:00 +0000')
})

test('no date without a time', () => {
  assert.throws(() => formatDate(Number.NaN), RangeError)
  assert.throws(() => formatDate(Number.POSITIVE_INFINITY), RangeError)
  // RFC 5322 §3.3
  assert.throws(() => formatDate(Date.UTC(1899, 11, 31)), RangeError)
  assert.throws(() => formatDate(Date.UTC(1900, 0, 1), -1), RangeError)
})

const read: [text: string, ms: number | null][] = [
  // RFC 5322 App. A.1.3, A.4 (no day of the week), A.5, A.6.2, A.6.3.
  ['Thu, 13 Feb 1969 23:32:54 -0330', Date.UTC(1969, 1, 14, 3, 2, 54)],
  ['  21 Nov 1997 10:05:43 -0600', Date.UTC(1997, 10, 21, 16, 5, 43)],
  [
    'Thu,      13        Feb          1969      23:32               -0330 (Newfoundland Time)',
    Date.UTC(1969, 1, 14, 3, 2),
  ],
  ['21 Nov 97 09:55:06 GMT', Date.UTC(1997, 10, 21, 9, 55, 6)],
  ['Fri, 21 Nov 1997 09(comment):   55  :  06 -0600', Date.UTC(1997, 10, 21, 15, 55, 6)],
  // RFC 5322 §4.3: years of two and three digits, zones by name.
  ['1 Jan 49 00:00:00 +0000', Date.UTC(2049, 0, 1)],
  ['1 Jan 50 00:00:00 +0000', Date.UTC(1950, 0, 1)],
  ['1 Jan 104 00:00:00 +0000', Date.UTC(2004, 0, 1)],
  ['1 Jan 2000 00:00:00 EST', Date.UTC(2000, 0, 1, 5)],
  ['1 Jan 2000 00:00:00 PDT', Date.UTC(2000, 0, 1, 7)],
  ['1 Jan 2000 00:00:00 Z', Date.UTC(2000, 0, 1)],
  ['1 Jan 2000 00:00:00 CEST', Date.UTC(2000, 0, 1)],
  ['1 Jan 2000 00:00:00 -0000', Date.UTC(2000, 0, 1)],
  ['THU, 1 jan 1970 00:00:00 +0000', 0],
  ['31 Dec 2016 23:59:60 +0000', Date.UTC(2017, 0, 1)],
  // The day of the week is not looked at.
  ['Mon, 1 Jan 1970 00:00:00 +0000', 0],
  // RFC 5322 §3.3: the year is 1900 or later.
  ['1 Jan 1900 00:00:00 +0000', Date.UTC(1900, 0, 1)],
  ['31 Dec 1899 23:59:59 +0000', null],
  ['1 Jan 0000 00:00:00 +9959', null],
  ['', null],
  ['yesterday', null],
  ['2026-11-21T20:00:00Z', null],
  ['2026-11-21 20:00:00', null],
  ['Sat, 21 Nov 2026', null],
  ['Sat, 21 Nov 2026 20:00:00', null],
  ['Sat Nov 21 20:00:00 2026', null],
  ['Sam, 21 Nov 2026 20:00:00 +0000', null],
  ['31 Feb 2026 20:00:00 +0000', null],
  ['0 Jan 2026 20:00:00 +0000', null],
  ['1 Jan 2026 24:00:00 +0000', null],
  ['1 Jan 2026 20:60:00 +0000', null],
  ['1 Jan 2026 20:00:61 +0000', null],
  ['1 Jan 2026 20:00:00 +0060', null],
  ['1 Jan 2026 20:00:00 GMT+1', null],
  ['1 Jan 2026 20:00:00 +0000 (open', null],
  ['1 Jan 2026 20:00:00 +0000 x', null],
]

for (const [text, ms] of read)
  test(`read ${JSON.stringify(text)}`, () => {
    assert.equal(parseDate(text), ms)
  })

test('what is written is read', () => {
  const seconds = fc.integer({ min: Date.UTC(1900, 0, 6) / 1000, max: 250_000_000_000 })
  fc.assert(
    fc.property(seconds, fc.integer({ min: -5999, max: 5999 }), (at, offsetMinutes) => {
      assert.equal(parseDate(formatDate(at * 1000, offsetMinutes)), at * 1000)
    }),
    { seed: 5322 },
  )
})

test('any text is a time or none', () => {
  const piece = fc.constantFrom(
    '1',
    '21',
    'Nov',
    '1997',
    ':',
    ' ',
    '+0000',
    'GMT',
    '(',
    ')',
    '"',
    ',',
    'Fri',
    '\\',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), pieces => {
      const ms = parseDate(pieces.join(''))
      assert.ok(ms === null || Number.isInteger(ms))
    }),
    { seed: 5322, numRuns: 2000 },
  )
})
