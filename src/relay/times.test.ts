import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message } from '../queue/queue.ts'
import { deliverByMs, isOverdue, mustReturn, releasedMs } from './times.ts'

const ARRIVED = 1_700_000_000_000

const releases: [hold: Message['envelope']['hold'], releasedMs: number][] = [
  [undefined, ARRIVED],
  [{ forSeconds: 3600 }, ARRIVED + 3_600_000],
  [{ untilMs: ARRIVED + 60_000 }, ARRIVED + 60_000],
  // It has passed already.
  [{ untilMs: ARRIVED - 60_000 }, ARRIVED],
]
for (const [hold, released] of releases)
  test(`released, RFC 4865 §4.2: ${JSON.stringify(hold)}`, () =>
    assert.equal(releasedMs({ arrivedMs: ARRIVED, envelope: hold === undefined ? {} : { hold } }), released))

const deadlines: [seconds: number, mode: 'R' | 'N', afterMs: number, overdue: boolean, returned: boolean][] =
  [
    [120, 'R', 119_999, false, false],
    [120, 'R', 120_000, true, true],
    [120, 'N', 120_000, true, false],
    // RFC 2852 §4: "the deliver-by-time occurred -(by-time) seconds in the past".
    [-5, 'N', 0, true, false],
  ]
for (const [seconds, mode, afterMs, overdue, returned] of deadlines)
  test(`RFC 2852 §4.1.3: BY=${seconds};${mode}, ${afterMs} ms later`, () => {
    const message = { arrivedMs: ARRIVED, envelope: { deliverBy: { seconds, mode, trace: false } } }
    assert.equal(deliverByMs(message), ARRIVED + seconds * 1000)
    assert.equal(isOverdue(message, ARRIVED + afterMs), overdue)
    assert.equal(mustReturn(message, ARRIVED + afterMs), returned)
  })

test('without BY there is no time', () => {
  const message = { arrivedMs: ARRIVED, envelope: {} }
  assert.equal(deliverByMs(message), null)
  assert.equal(mustReturn(message, Number.MAX_SAFE_INTEGER), false)
})
