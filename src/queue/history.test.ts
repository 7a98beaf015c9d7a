import assert from 'node:assert/strict'
import { test } from 'node:test'
import { merged, noted, type PastAttempt } from './history.ts'
import type { Evidence, RecipientResult } from './queue.ts'

const said = (atMs: number, status: string): Evidence => ({ atMs, status, diagnostic: `${status} because` })
const deferred = (index: number, evidence: Evidence): RecipientResult => ({
  index,
  action: 'deferred',
  dueMs: 9000,
  evidence,
})
const short = (attempts: readonly PastAttempt[]) =>
  attempts.map(({ status, times, sinceMs, atMs, recipients }) => [
    status,
    times,
    sinceMs,
    atMs,
    ...recipients,
  ])

test('those who were told the same are one attempt', () => {
  const results = [
    deferred(0, said(1, '4.2.1')),
    deferred(1, said(1, '4.3.1')),
    deferred(2, said(1, '4.2.1')),
  ]
  assert.deepEqual(short(noted([], results)), [
    ['4.2.1', 1, 1, 1, 0, 2],
    ['4.3.1', 1, 1, 1, 1],
  ])
})

test('what comes to the same again is counted, also in turn with another', () => {
  let attempts: PastAttempt[] = []
  for (let n = 0; n < 10; n++) attempts = noted(attempts, [deferred(0, said(n, n % 2 ? '4.2.1' : '4.3.1'))])
  assert.deepEqual(short(attempts), [
    ['4.3.1', 5, 0, 8, 0],
    ['4.2.1', 5, 1, 9, 0],
  ])
})

test('for others, over another TLS or with another outcome it is not the same', () => {
  const first = noted([], [deferred(0, said(1, '4.2.1'))])
  const evidence = said(2, '4.2.1')
  for (const result of [
    deferred(1, evidence),
    deferred(0, { ...evidence, tls: 'none' }),
    deferred(0, { ...evidence, remote: 'mx [192.0.2.1]' }),
    { index: 0, action: 'failed', evidence } as const,
  ])
    assert.deepEqual(short(noted(first, [result])).at(-1), ['4.2.1', 1, 2, 2, result.index])
  assert.deepEqual(short(noted(first, [deferred(0, evidence)])), [['4.2.1', 2, 1, 2, 0]])
})

test('of many the first and the last are kept', () => {
  let attempts: PastAttempt[] = []
  for (let n = 0; n < 100; n++) attempts = noted(attempts, [deferred(0, said(n, `4.0.${n}`))])
  assert.deepEqual(
    attempts.map(({ atMs }) => atMs),
    [0, 1, 2, 3, ...Array.from({ length: 12 }, (_, n) => 88 + n)],
  )
})

test('of several destinations they are by time', () => {
  const at = (atMs: number, destination: string) =>
    noted([], [deferred(0, said(atMs, '4.0.0'))]).map(attempt => ({ ...attempt, destination }))
  assert.deepEqual(
    merged([...at(3, 'one'), ...at(1, 'two'), ...at(2, 'three')]).map(({ destination }) => destination),
    ['two', 'three', 'one'],
  )
})
