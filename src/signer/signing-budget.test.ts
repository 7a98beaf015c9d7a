import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMailbox } from '../smtp/path.ts'
import { SigningBudget } from './signing-budget.ts'

test('the budget of an hour, whichever hour', () => {
  let nowMs = 30 * 60_000
  const budget = new SigningBudget(3, () => nowMs)
  const spend = () => budget.spend('example.test', [])?.code ?? 'signed'
  assert.equal(spend(), 'signed')
  nowMs += 50 * 60_000
  assert.deepEqual([spend(), spend(), spend()], ['signed', 'signed', 550])
  nowMs += 10 * 60_000
  assert.deepEqual([spend(), spend()], ['signed', 550])
  nowMs -= 24 * 3_600_000
  assert.equal(spend(), 550, 'a clock that is set back opens nothing')
  nowMs += 24 * 3_600_000 + 60 * 60_000
  assert.deepEqual([spend(), spend(), spend(), spend()], ['signed', 'signed', 'signed', 550])
})

test('without a budget nothing is counted', () => {
  const budget = new SigningBudget(undefined, () => assert.fail('no clock is asked'))
  for (let count = 0; count < 1000; count++) assert.equal(budget.spend('example.test', []), null)
})

test('of each domain that has a budget in Git, for all authors, at or above their domain', () => {
  let nowMs = 0
  let signingBudgets: ReadonlyMap<string, number> = new Map([
    ['example.test', 2],
    ['other.test', 1],
  ])
  const budget = new SigningBudget(
    5,
    () => nowMs,
    () => ({ signingBudgets }),
  )
  const spend = (...authors: string[]) =>
    budget
      .spend(
        'example.test',
        authors.map(address => parseMailbox(address, { utf8: true })),
      )
      ?.lines.join(' ') ?? 'signed'
  assert.equal(spend('alice@example.test'), 'signed')
  assert.equal(spend('Bob@News.Example.test', 'alice@example.test'), 'signed')
  assert.equal(spend('alice@example.test'), 'example.test may send 2 messages an hour, and has sent them')
  // A message that is refused for one costs the others nothing.
  assert.match(spend('carol@other.test', 'x@list.example.test'), /^example\.test may send 2/)
  assert.equal(spend('carol@other.test'), 'signed')
  assert.match(spend('carol@other.test'), /^other\.test may send 1/)
  assert.equal(spend('who@counted.by.nobody'), 'signed')
  // A push is in force at once, in either direction.
  signingBudgets = new Map([['example.test', 3]])
  assert.equal(spend('alice@example.test'), 'signed')
  assert.match(spend('carol@other.test'), /^example\.test may send 5 messages/, 'of all domains together')
  nowMs += 3_600_000
  assert.equal(spend('carol@other.test'), 'signed')
})
