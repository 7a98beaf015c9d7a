import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDate } from './date.ts'

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
  })

test('UTC where nothing else is said', () => {
  assert.equal(formatDate(0), 'Thu, 1 Jan 1970 00:00:00 +0000')
})

test('no date without a time', () => {
  assert.throws(() => formatDate(Number.NaN), RangeError)
  assert.throws(() => formatDate(Number.POSITIVE_INFINITY), RangeError)
})
