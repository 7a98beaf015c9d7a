import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DnsAnswer } from './answer.ts'
import { AnswerCache } from './cache.ts'

const answer = (ttlSeconds: number): DnsAnswer<string> => ({
  ...{ kind: 'answer', records: ['192.0.2.1'], ttlSeconds, authenticated: false, name: 'a.example' },
})
const nodata = { kind: 'nodata', ttlSeconds: 60, authenticated: false } as const
const nxdomain = { kind: 'nxdomain', ttlSeconds: 60, authenticated: false } as const
const failure = { kind: 'failure', code: 'SERVFAIL', reason: '' } as const

test('cache: an answer is given until its TTL is over, with what is left of it', () => {
  const cache = new AnswerCache(10)
  cache.put('a.example', 'A', answer(60), 1000)
  assert.deepEqual(cache.get('A.Example.', 'A', 1000), answer(60))
  assert.deepEqual(cache.get('a.example', 'A', 31_000), answer(30))
  assert.deepEqual(cache.get('a.example', 'A', 60_999), answer(1))
  assert.equal(cache.get('a.example', 'A', 61_000), undefined)
  assert.equal(cache.size, 0)
})

test('cache: a TTL of 0 is for this once', () => {
  const cache = new AnswerCache(10)
  cache.put('a.example', 'A', answer(0), 0)
  assert.equal(cache.get('a.example', 'A', 0), undefined)
})

test('cache: NODATA is for one type, NXDOMAIN for all (RFC 2308 §5)', () => {
  const cache = new AnswerCache(10)
  cache.put('a.example', 'A', nodata, 0)
  assert.equal(cache.get('a.example', 'A', 0)?.kind, 'nodata')
  assert.equal(cache.get('a.example', 'MX', 0), undefined)
  cache.put('b.example', 'A', nxdomain, 0)
  assert.equal(cache.get('b.example', 'MX', 0)?.kind, 'nxdomain')
  assert.equal(cache.get('a.b.example', 'MX', 0), undefined)
  assert.equal(cache.get('b.example', 'MX', 60_000), undefined)
})

test('cache: a name that has come to be is no longer NXDOMAIN', () => {
  const cache = new AnswerCache(10)
  cache.put('a.example', 'A', nxdomain, 0)
  cache.put('a.example', 'TXT', answer(60), 0)
  assert.equal(cache.get('a.example', 'TXT', 0)?.kind, 'answer')
  assert.equal(cache.get('a.example', 'A', 0), undefined)
})

test('cache: nothing is believed for longer than a day, no absence for longer than 3 hours', () => {
  const cache = new AnswerCache(10)
  cache.put('a.example', 'A', answer(10_000_000), 0)
  cache.put('a.example', 'MX', { ...nodata, ttlSeconds: 10_000_000 }, 0)
  assert.deepEqual(cache.get('a.example', 'A', 86_399_000), answer(1))
  assert.equal(cache.get('a.example', 'A', 86_400_000), undefined)
  assert.equal(cache.get('a.example', 'MX', 10_800_000), undefined)
})

test('cache: a failure is remembered for seconds (RFC 9520 §3.2)', () => {
  const cache = new AnswerCache(10)
  cache.put('a.example', 'A', failure, 0)
  assert.deepEqual(cache.get('a.example', 'A', 1000), failure)
  assert.equal(cache.get('a.example', 'A', 300_000), undefined)
})

test('cache: it is bounded, and what was used least lately goes first', () => {
  const cache = new AnswerCache(3)
  for (const name of ['a', 'b', 'c']) cache.put(name, 'A', answer(60), 0)
  cache.get('a', 'A', 0)
  cache.put('d', 'A', answer(60), 0)
  assert.equal(cache.size, 3)
  assert.equal(cache.get('b', 'A', 0), undefined)
  for (const name of ['a', 'c', 'd']) assert.ok(cache.get(name, 'A', 0))
  for (let index = 0; index < 1000; index++) cache.put(`x${index}`, 'A', answer(60), 0)
  assert.equal(cache.size, 3)
})
