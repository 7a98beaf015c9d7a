import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatReply } from '../smtp/reply.ts'
import { grant } from './wishes.ts'

const plain = { body: '7BIT', smtputf8: false } as const
const NOW = Date.UTC(2007, 4, 10, 15, 0, 0, 250)

test('what is asked for goes on as it is', () => {
  const asked = {
    ...plain,
    ret: 'HDRS',
    envelopeId: 'QQ314159',
    requireTls: true,
    deliverBy: { seconds: 120, mode: 'R', trace: true },
  } as const
  const { parameters, reply } = grant(asked, 0, NOW)
  assert.deepEqual(parameters, asked)
  assert.equal(formatReply(reply), '250 2.1.0 Sender accepted')
})

test('HOLDFOR is a time of day from here on, and not a second too early (RFC 4865 §4.2.5)', () => {
  const held = (hold: { forSeconds: number } | { untilMs: number }) =>
    grant({ ...plain, hold }, 0, NOW).parameters.hold
  assert.deepEqual(held({ forSeconds: 60 }), { untilMs: Date.UTC(2007, 4, 10, 15, 1, 1) })
  assert.deepEqual(held({ untilMs: NOW + 750 }), { untilMs: NOW + 750 })
})

const priorities: [asked: number | undefined, max: number, given: number | undefined, reply: string][] = [
  [undefined, 0, undefined, '250 2.1.0 Sender accepted'],
  [0, 0, 0, '250 2.1.0 Sender accepted'],
  [-9, 0, -9, '250 2.1.0 Sender accepted'],
  // RFC 6710 §4.1: the text begins with the new priority.
  [3, 0, 0, '250 2.3.6 0 is the new priority, the highest this user may ask for'],
  [9, 4, 4, '250 2.3.6 4 is the new priority, the highest this user may ask for'],
  [4, 4, 4, '250 2.1.0 Sender accepted'],
]

test('a priority above what the user may have is lowered, and he is told (RFC 6710 §4.1)', () => {
  for (const [asked, max, given, said] of priorities) {
    const { parameters, reply } = grant(
      { ...plain, ...(asked === undefined ? {} : { priority: asked }) },
      max,
      NOW,
    )
    assert.equal(parameters.priority, given)
    assert.equal('priority' in parameters, asked !== undefined)
    assert.equal(formatReply(reply), said)
  }
})
