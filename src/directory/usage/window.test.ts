import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type Amounts,
  count,
  current,
  DAY_HOURS,
  excessOf,
  HOUR_MS,
  hourOf,
  isOver,
  takeBack,
  tell,
  totalOf,
  UNUSED,
  type Usage,
} from './window.ts'

const one: Amounts = { messages: 1, recipients: 2, newRecipients: 1 }
/** Messages, recipients and new recipients by hour. */
const usage = (...hours: [hour: number, messages: number, recipients: number, fresh: number][]): Usage => ({
  hours: hours.map(([hour, messages, recipients, newRecipients]) => ({
    ...{ hour, messages, recipients, newRecipients },
  })),
  told: {},
})

const cases: [name: string, usage: Usage, limit: number, hour: number, retryHour: number | null][] = [
  ['room', usage([100, 4, 4, 0]), 5, 101, 0],
  ['none: until the first hour is out of the day', usage([100, 5, 5, 0]), 5, 101, 124],
  ['the first hour is not enough', usage([100, 1, 1, 0], [105, 9, 9, 0]), 5, 110, 129],
  ['of many hours as many as must be', usage([98, 1, 1, 0], [99, 1, 1, 0], [100, 4, 4, 0]), 5, 101, 123],
  ['the hour that is out counts no more', usage([100, 5, 5, 0]), 5, 124, 0],
  ['the hour before that does', usage([100, 5, 5, 0]), 5, 123, 124],
  ['a limit that was lowered', usage([100, 8, 8, 0], [101, 1, 1, 0]), 1, 102, 125],
]
for (const [name, before, messagesPerDay, hour, retryHour] of cases)
  test(`window: ${name}`, () => {
    const excess = excessOf(current(before, hour), { messagesPerDay }, one)
    assert.equal(excess === null ? 0 : excess.retryMs, (retryHour ?? 0) * HOUR_MS)
  })

test('more than the limit alone never passes', () => {
  const excess = excessOf(usage([100, 1, 1, 0]), { recipientsPerDay: 5 }, { ...one, recipients: 6 })
  assert.deepEqual(excess, { counted: 'recipients', limit: 5, used: 1, wanted: 6, retryMs: null })
})

test('of several limits the one that lasts longest; what would never pass before that', () => {
  const used = usage([100, 5, 0, 0], [110, 0, 10, 3])
  const limits = { messagesPerDay: 5, recipientsPerDay: 10, newRecipientsPerDay: 100 }
  assert.deepEqual(excessOf(used, limits, one), {
    ...{ counted: 'recipients', limit: 10, used: 10, wanted: 2, retryMs: 134 * HOUR_MS },
  })
  assert.equal(excessOf(used, limits, { ...one, newRecipients: 101 })?.retryMs, null)
})

test('a clock that is set back or was wrong for a while does not open the day', () => {
  const future = usage([90, 1, 1, 1], [100, 2, 2, 2], [5000, 3, 3, 3])
  assert.deepEqual(current(future, 95), usage([90, 1, 1, 1], [95, 5, 5, 5]))
  assert.deepEqual(current(future, 119), usage([100, 2, 2, 2], [119, 3, 3, 3]))
})

test('what is taken back leaves no trace, and never makes less than nothing', () => {
  const before = usage([99, 1, 2, 0])
  assert.deepEqual(takeBack(count(before, 100, one), 100, one), before)
  assert.deepEqual(takeBack(before, 100, one), before)
  assert.deepEqual(totalOf(takeBack(usage([100, 0, 1, 0]), 100, one).hours), {
    ...{ messages: 0, recipients: 0, newRecipients: 0 },
  })
})

test('at four fifths it is told, once in a day', () => {
  const limits = { messagesPerDay: 10 }
  const told = (hour: number, messages: number, before: Usage = UNUSED) =>
    tell({ ...usage([hour, messages, 0, 0]), told: before.told }, limits, hour)
  assert.deepEqual(told(100, 7).near, [])
  const first = told(100, 8)
  assert.deepEqual(first.near, [{ counted: 'messages', limit: 10, used: 8 }])
  assert.deepEqual(told(100, 10, first.usage).near, [])
  assert.deepEqual(told(123, 10, first.usage).near, [])
  assert.equal(told(124, 10, first.usage).near.length, 1)
})

test('any sequence: never more than the limit in 24 hours of the clock, and there is room at the time that was said', () => {
  const limit = 7
  const sending = fc.array(fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 1, max: 9 })), {
    maxLength: 80,
  })
  fc.assert(
    fc.property(sending, steps => {
      let now = 1000 * HOUR_MS
      let state = UNUSED
      const sent: { hour: number; recipients: number }[] = []
      for (const [minutes, recipients] of steps) {
        now += minutes * 60_000
        const hour = hourOf(now)
        state = current(state, hour)
        const wanted = { messages: 1, recipients, newRecipients: 0 }
        const excess = excessOf(state, { recipientsPerDay: limit }, wanted)
        if (excess === null) {
          state = count(state, hour, wanted)
          sent.push({ hour, recipients })
        } else if (excess.retryMs === null) assert.ok(recipients > limit)
        else {
          assert.ok(excess.retryMs > now)
          const at = (ms: number) => excessOf(current(state, hourOf(ms)), { recipientsPerDay: limit }, wanted)
          assert.equal(at(excess.retryMs), null)
          assert.notEqual(at(excess.retryMs - 1), null)
        }
      }
      for (const { hour } of sent) {
        const day = sent.filter(each => each.hour > hour - DAY_HOURS && each.hour <= hour)
        assert.ok(day.reduce((sum, { recipients }) => sum + recipients, 0) <= limit)
      }
      assert.equal(isOver(state, hourOf(now) + DAY_HOURS), true)
    }),
    { seed: 4 },
  )
})
