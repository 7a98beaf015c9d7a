import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMailbox } from '../smtp/path.ts'
import { formatReply, reply } from '../smtp/reply.ts'
import { refuseSuppressed, type Suppressed, tellSuppressed } from '../smtp/suppressed.ts'
import { KNOWN, KnownSuppressed } from './known-suppressed.ts'

const START = Date.UTC(2026, 0, 10)
const MINUTE_MS = 60_000
const QUEUED = reply(250, '2.0.0', 'Queued as 01KAXE0000000000000000000A')
const ALICE = parseMailbox('alice@Example.com')

const suppressed = (recipient: string, untilMs = START + 86_400_000): Suppressed => ({
  recipient,
  reason: '550 5.1.1 No such user',
  sinceMs: START - 86_400_000,
  untilMs,
})

function memory() {
  const clock = { nowMs: START }
  const known = new KnownSuppressed(() => clock.nowMs)
  const refuses = (recipient: string, sender: string | null = 'alice@example.com') =>
    known.refuse(sender === null ? null : parseMailbox(sender), parseMailbox(recipient)) !== null
  return { known, clock, refuses }
}

test('what the relay tells is refused from then on, in its words, and the client sees none of the lines', () => {
  const { known, refuses } = memory()
  assert.equal(refuses('bob@example.net'), false)
  const bob = suppressed('bob@example.net')
  assert.deepEqual(known.learn(ALICE, tellSuppressed(QUEUED, [bob])), QUEUED)
  assert.deepEqual(known.refuse(ALICE, parseMailbox('bob@example.net')), refuseSuppressed(bob))
  assert.equal(
    formatReply(refuseSuppressed(bob)),
    '550 5.7.1 Suppressed: bob@example.net is not written to from 2026-01-09 until 2026-01-11: 550 5.1.1 No such user',
  )
  const all = refuseSuppressed(bob, 1)
  assert.deepEqual(known.learn(ALICE, tellSuppressed(all, [bob, suppressed('carol@example.net')])), all)
  assert.equal(refuses('carol@example.net'), true)
  assert.equal(refuses('dora@example.net'), false)
})

test('by the domain of the sender, as the relay does', () => {
  const { known, refuses } = memory()
  known.learn(ALICE, tellSuppressed(QUEUED, [suppressed('bob@example.net')]))
  assert.equal(refuses('BOB@Example.NET'), true)
  assert.equal(refuses('bob@example.net', 'carol@EXAMPLE.com'), true)
  assert.equal(refuses('bob@example.net', 'alice@other.example'), false)
  assert.equal(refuses('bob@example.net', null), false)
  known.learn(null, tellSuppressed(QUEUED, [suppressed('dora@example.net')]))
  assert.equal(refuses('dora@example.net'), false)
})

test('for a quarter of an hour, or until the suppression is over', () => {
  const { known, clock, refuses } = memory()
  const soon = suppressed('soon@example.net', START + MINUTE_MS)
  const over = suppressed('over@example.net', START)
  known.learn(ALICE, tellSuppressed(QUEUED, [suppressed('bob@example.net'), soon, over]))
  assert.deepEqual([refuses('bob@example.net'), refuses('soon@example.net')], [true, true])
  assert.equal(refuses('over@example.net'), false)
  clock.nowMs += MINUTE_MS
  assert.deepEqual([refuses('bob@example.net'), refuses('soon@example.net')], [true, false])
  clock.nowMs = START + 15 * MINUTE_MS - 1
  assert.equal(refuses('bob@example.net'), true)
  clock.nowMs++
  assert.equal(refuses('bob@example.net'), false)
  // Told anew, it is known anew.
  known.learn(ALICE, tellSuppressed(QUEUED, [suppressed('bob@example.net')]))
  clock.nowMs += 14 * MINUTE_MS
  known.learn(ALICE, tellSuppressed(QUEUED, [suppressed('bob@example.net')]))
  clock.nowMs += 14 * MINUTE_MS
  assert.equal(refuses('bob@example.net'), true)
})

test('of too many the oldest are forgotten', () => {
  const { known, refuses } = memory()
  const tell = (name: string) => known.learn(ALICE, tellSuppressed(QUEUED, [suppressed(name)]))
  for (let at = 0; at < KNOWN.entries; at++) tell(`b${at}@example.net`)
  assert.equal(refuses('b0@example.net'), true)
  tell('b0@example.net')
  tell('one-more@example.net')
  assert.deepEqual(
    ['b0', 'b1', 'b2', `b${KNOWN.entries - 1}`, 'one-more'].map(name => refuses(`${name}@example.net`)),
    [true, false, true, true, true],
  )
})

test('a reply that is broken teaches nothing', () => {
  const { known, refuses } = memory()
  const line = 'XPTT suppressed 1767571200 99999999999 bob@example.net No'
  assert.deepEqual(known.learn(ALICE, reply(250, '2.0.0', line.slice(0, -3), 'Queued')).lines, ['Queued'])
  assert.deepEqual(known.learn(ALICE, reply(250, '2.0.0', 'Queued', line)).lines, ['Queued', line])
  assert.equal(refuses('bob@example.net'), false)
  assert.deepEqual(known.learn(ALICE, reply(250, '2.0.0', line)).lines, [''])
  assert.equal(refuses('bob@example.net'), true)
})
