import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Bell } from './bell.ts'

const LONG_MS = 3_600_000
mock.timers.enable({ apis: ['setTimeout'] })

/** What happens, in order, from now until `turns` of the event loop are over. */
async function duringTurns(turns: number, act: (note: (what: string) => void) => void): Promise<string[]> {
  const notes: string[] = []
  act(what => notes.push(what))
  for (let count = 0; count < turns; count++) {
    await turn()
    notes.push(`turn ${count + 1}`)
  }
  return notes
}

test('who rests is woken behind what others do in the turn of the ring', async () => {
  const bell = new Bell()
  const notes = await duringTurns(3, note => {
    void bell.rest(LONG_MS).then(() => note('woken'))
    bell.ring()
    setImmediate(() => note('a reply goes out'))
  })
  assert.deepEqual(notes, ['a reply goes out', 'turn 1', 'woken', 'turn 2', 'turn 3'])
})

test('several rings until then are one, and one after it is another', async () => {
  const bell = new Bell()
  let woken = 0
  const rest = async () => {
    for (;;) {
      await bell.rest(LONG_MS)
      woken++
    }
  }
  void rest()
  for (const rings of [3, 1, 2]) {
    const before = woken
    for (let count = 0; count < rings; count++) bell.ring()
    for (let count = 0; count < 4; count++) await turn()
    assert.equal(woken, before + 1)
  }
})

test('a ring while nobody rests is heard by the next who does', async () => {
  const bell = new Bell()
  bell.ring()
  for (let count = 0; count < 4; count++) await turn()
  await bell.rest(LONG_MS)
  let woken = false
  void bell.rest(LONG_MS).then(() => {
    woken = true
  })
  for (let count = 0; count < 4; count++) await turn()
  assert.equal(woken, false)
  bell.ring()
})

test('a rest ends by itself', () => {
  const bell = new Bell()
  const rested = bell.rest(1000)
  mock.timers.tick(1000)
  return rested
})
