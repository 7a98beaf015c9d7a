import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, type Difference, EMPTY } from './compare.ts'
import type { AppPassword, User } from './directory.ts'
import type { DomainRules } from './entry.ts'
import { makeVerifier } from './password.ts'

const own = await makeVerifier('pencil', { iterations: 4096 })
const phone: AppPassword = { name: 'phone', verifier: await makeVerifier('phone', own) }
const other: AppPassword = { name: 'phone', verifier: await makeVerifier('another', own) }
const alice: User = {
  name: 'alice@example.com',
  localPart: 'alice',
  domain: 'example.com',
  verifier: own,
  senders: ['alice@example.com'],
  targets: [],
}
const between = (before: User | null, after: User | null) => {
  const users = (user: User | null) => ({ ...EMPTY, users: new Map(user ? [[user.name, user]] : []) })
  return compare(users(before), users(after)).map(({ what, before, after }) => [what, before, after])
}

const changes: [before: Partial<User> | null, after: Partial<User> | null, expected: unknown[]][] = [
  [{}, {}, []],
  [null, {}, [['user', null, alice.name]]],
  [{}, null, [['user', alice.name, null]]],
  [{}, { appPasswords: [phone] }, [['app password', null, 'phone']]],
  [{ appPasswords: [phone] }, { appPasswords: [other] }, [['app password', 'phone', 'phone']]],
  [{ appPasswords: [phone] }, {}, [['app password', 'phone', null]]],
  [
    { limits: { messageOctets: 5, recipientsPerMessage: 1 } },
    { limits: { messageOctets: 6 } },
    [
      ['message_size', '5', '6'],
      ['recipients_per_message', '1', null],
    ],
  ],
  [
    { limits: { messagesPerDay: 5, recipientsPerDay: 7 } },
    { limits: { messagesPerDay: 6, newRecipientsPerDay: 1 } },
    [
      ['messages_per_day', '5', '6'],
      ['recipients_per_day', '7', null],
      ['new_recipients_per_day', null, '1'],
    ],
  ],
  [
    { suspended: 'one' },
    { suspended: 'two', senders: ['alice@example.com', 'info@example.com'] },
    [
      ['sender', null, 'info@example.com'],
      ['suspended', 'one', 'two'],
    ],
  ],
]
for (const [before, after, expected] of changes)
  test(`compare: ${JSON.stringify(expected)}`, () => {
    assert.deepEqual(between(before && { ...alice, ...before }, after && { ...alice, ...after }), expected)
  })

test('what a domain says of all its users, and its signing budget', () => {
  const having = (rules: Omit<DomainRules, 'limits'>) => ({
    ...EMPTY,
    rules: new Map([['example.com', { limits: undefined, ...rules }]]),
  })
  const before = having({ totalLimits: { messagesPerDay: 5 }, signingBudget: undefined })
  const after = having({ totalLimits: { newRecipientsPerDay: 3 }, signingBudget: 100, sign: 'never' })
  assert.deepEqual(
    compare(before, after).map(({ who, what, before, after }) => [who, what, before, after]),
    [
      ['example.com', 'total_limits.messages_per_day', '5', null],
      ['example.com', 'total_limits.new_recipients_per_day', null, '3'],
      ['example.com', 'signing_budget', null, '100'],
      ['example.com', 'sign', null, 'never'],
    ],
  )
})

test('of another password the kind is told, never the verifier', async () => {
  const verifier = await makeVerifier('eraser', { iterations: 5000 })
  const [difference] = compare(
    { ...EMPTY, users: new Map([[alice.name, alice]]) },
    { ...EMPTY, users: new Map([[alice.name, { ...alice, verifier }]]) },
  ) as [Difference]
  assert.deepEqual(difference, {
    who: alice.name,
    what: 'password',
    before: 'SCRAM-SHA-256, 4096 iterations',
    after: 'SCRAM-SHA-256, 5000 iterations',
  })
})
