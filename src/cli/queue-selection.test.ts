import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newMessage } from '../queue/contract.ts'
import { openMemory } from '../queue/memory/memory.ts'
import type { Hold, Message, Recipient } from '../queue/queue.ts'
import { duration, holdFor, type SelectionOptions, selected, senderName, stateOf } from './queue-selection.ts'

const NOW = 5000
const pending: Recipient = {
  mailbox: { localPart: 'bob', domain: 'one.example' },
  destination: 'one.example',
  state: 'pending',
  attempts: 0,
  dueMs: 1000,
}
const message: Message = {
  id: 'A',
  reversePath: { localPart: 'alice', domain: 'Example.org' },
  envelope: { body: '7BIT', smtputf8: false },
  arrivedMs: 1000,
  expiresMs: 9000,
  sizeOctets: 1,
  recipients: [],
}
const held = (kind: Hold['kind'], name: string) =>
  new Map([[`${kind} ${name}`, { kind, name, reason: 'because', sinceMs: 0, untilMs: null }]])
const NONE = new Map()
const later = { ...message, envelope: { ...message.envelope, hold: { untilMs: 8000 } } }
const tried = { atMs: 1, status: '4.0.0', diagnostic: 'no', site: 'mx.one.example' }

const states: [
  what: string,
  message: Message,
  recipient: Recipient,
  holds: typeof NONE,
  state: string | null,
][] = [
  ['one that is due', message, pending, NONE, 'due'],
  ['one that waits for another attempt', message, { ...pending, attempts: 1, dueMs: 6000 }, NONE, 'deferred'],
  ['one for later', later, { ...pending, dueMs: 8000 }, NONE, 'scheduled'],
  ['one that is delivered', message, { ...pending, state: 'delivered' }, held('message', 'A'), null],
  ['one held by id', message, pending, held('message', 'A'), 'held'],
  ['one held by sender', message, pending, held('sender', 'alice@example.org'), 'held'],
  ["one held by its sender's domain", message, pending, held('sender', '@example.org'), 'held'],
  ['one held by domain', message, pending, held('destination', 'one.example'), 'held'],
  ['one held by site', message, { ...pending, last: tried }, held('site', 'mx.one.example'), 'held'],
  ['one of another site', message, pending, held('site', 'mx.one.example'), 'due'],
  ['one of another sender', message, pending, held('sender', 'bob@example.org'), 'due'],
]
for (const [what, message, recipient, holds, state] of states) {
  test(`${what}: ${state}`, () => {
    assert.equal(stateOf(message, recipient, holds, NOW), state)
    if (state !== null) assert.equal(holdFor(message, recipient, holds) !== undefined, state === 'held')
  })
}

test('the null reverse-path is held by its own name', () => {
  assert.ok(holdFor({ ...message, reversePath: null }, pending, held('sender', '<>')))
})

async function ids(options: SelectionOptions, page?: { after?: string; limit?: number }): Promise<string> {
  const queue = openMemory()
  for (const id of ['A', 'B', 'C', 'D'])
    await queue.put(
      newMessage(id, [`${id}@${id === 'D' ? 'two' : 'one'}.example`], Date.now() - 3_600_000),
      [],
    )
  const [job] = await queue.lease(Date.now(), 1)
  assert.ok(job)
  const remote = 'in1.mx.one.example [192.0.2.1]'
  const evidence = { atMs: 1, status: '4.0.0', diagnostic: 'no', remote }
  await queue.settle(job, [{ index: 0, action: 'deferred', dueMs: Date.UTC(2100), evidence }])
  const found: string[] = []
  for await (const messages of selected(queue, options, page)) found.push(...messages.map(({ id }) => id))
  return found.join('')
}

test('what matches, all of it or a page', async () => {
  assert.equal(await ids({}), 'ABCD')
  assert.equal(await ids({}, { after: 'B' }), 'CD')
  assert.equal(await ids({}, { limit: 3 }), 'ABC')
  assert.equal(await ids({ domain: 'two.example' }), 'D')
  assert.equal(await ids({ recipient: 'b@one.example' }), 'B')
  assert.equal(await ids({ state: 'deferred' }), 'A')
  assert.equal(await ids({ state: 'due', domain: 'one.example' }), 'BC')
  assert.equal(await ids({ site: 'mx.one.example' }), 'A')
  assert.equal(await ids({ site: 'in1.mx.one.example' }), 'A')
  assert.equal(await ids({ site: 'x.one.example' }), '')
  assert.equal(await ids({ olderThan: 3_000_000 }), 'ABCD')
  assert.equal(await ids({ newerThan: 3_000_000 }), '')
})

test('a time is a number and a unit', () => {
  assert.deepEqual(['90s', '30m', '4h', '2d'].map(duration), [90_000, 1_800_000, 14_400_000, 172_800_000])
  for (const text of ['', '4', 'h', '0h', '-1h', '1.5h', '4 h', '4w'])
    assert.throws(() => duration(text), text)
})

test('a sender is an address, a domain or nobody', () => {
  assert.deepEqual(['Alice@Example.com', '@example.com', '<>'].map(senderName), [
    'alice@example.com',
    '@example.com',
    '<>',
  ])
  for (const text of ['', 'example.com', '@', 'alice@']) assert.throws(() => senderName(text), text)
})
