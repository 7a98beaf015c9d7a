import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { newMessage, octets } from '../contract.ts'
import { newParts } from '../slot.ts'
import type { Head, Place } from './due.ts'
import { recordOf } from './message.ts'
import { Young, type YoungMessage } from './young.ts'

const PRIORITIES = [4, 0, -9]
const DESTINATIONS = ['one.example', 'one.example@pool', 'one.example via', 'two.example']
/** Asked for: some are there, some are not, `one.exam` only begins as others do. */
const NAMES = [...DESTINATIONS, 'one.exam', 'three.example']
const LATEST = 5
/** Ids sort as text: `M10` is before `M2`. */
const IDS = Array.from({ length: 40 }, (_, n) => `M${n}`)
const STORY = { arrivedMs: 1, endedMs: 2, octets: Buffer.from('told') }

interface Fields {
  readonly id: string
  readonly destination: string
  readonly priority: number
  readonly dueMs: number
}

function youngMessage({ id, destination, priority, dueMs }: Fields, at = 0): YoungMessage {
  const message = newMessage(id, ['a@one.example'], dueMs)
  const envelope = priority === 0 ? message.envelope : { ...message.envelope, priority }
  const recipients = message.recipients.map(recipient => ({ ...recipient, destination }))
  const whole = { ...message, envelope, recipients }
  return { id, at, record: recordOf(whole, newParts(whole), 10, null), content: octets(10) }
}

/** In the order in which they were added. */
interface Known extends Fields {
  readonly message: YoungMessage
  state: 'waits' | 'ended' | 'gone'
}

type Step =
  | ({ readonly type: 'add' } & Fields)
  | { readonly type: 'end' | 'unend' | 'delete' | 'moves'; readonly pick: number }
  | { readonly type: 'undoMoves'; readonly count: number }
  | { readonly type: 'moved' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('add' as const),
      id: fc.constantFrom(...IDS),
      destination: fc.constantFrom(...DESTINATIONS),
      priority: fc.constantFrom(...PRIORITIES),
      dueMs: fc.integer({ min: 1, max: LATEST }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constantFrom('end' as const, 'unend' as const, 'delete' as const, 'moves' as const),
      pick: fc.nat(1000),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('undoMoves' as const), count: fc.nat(3) }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'moved' as const }) },
)

class Model {
  readonly known: Known[] = []
  moving: string[] = []

  waiting(): Known[] {
    return this.known.filter(({ state }) => state === 'waits')
  }

  present(): Known[] {
    return this.known.filter(({ state }) => state !== 'gone')
  }

  line(priority: number, destination: string): Place[] {
    return this.waiting()
      .filter(each => each.priority === priority && each.destination === destination)
      .map(({ id, dueMs }) => ({ dueMs, unit: id }))
      .sort((one, other) => one.dueMs - other.dueMs || (one.unit < other.unit ? -1 : 1))
  }

  heads(priority: number): Head[] {
    return DESTINATIONS.flatMap(destination =>
      this.line(priority, destination)
        .slice(0, 1)
        .map(({ dueMs }) => ({ destination, dueMs })),
    ).sort((one, other) => one.dueMs - other.dueMs || (one.destination < other.destination ? -1 : 1))
  }

  firstDueAt(name: string): number | null {
    const there = this.waiting().filter(
      ({ destination }) => destination === name || /^(.*?)[@ ]/.exec(destination)?.[1] === name,
    )
    return there.length === 0 ? null : Math.min(...there.map(({ dueMs }) => dueMs))
  }

  gone(ids: readonly string[]): void {
    for (const each of this.known) if (ids.includes(each.id)) each.state = 'gone'
  }
}

/** To both. What `Young` is not asked for is left out: to add what is known, to end what has ended. */
function apply(young: Young, model: Model, step: Step): void {
  const pick = (from: readonly Known[]) => ('pick' in step ? from[step.pick % from.length] : undefined)
  switch (step.type) {
    case 'add': {
      if (model.known.some(({ id }) => id === step.id)) return
      const message = youngMessage(step, model.known.length)
      young.add(message)
      model.known.push({ ...step, message, state: 'waits' })
      return
    }
    case 'end': {
      const known = pick(model.waiting())
      if (known === undefined) return
      young.end(known.message, STORY)
      known.state = 'ended'
      return
    }
    case 'unend': {
      // Perhaps it has gone meanwhile, and stays so.
      const known = pick(model.known.filter(({ state }) => state !== 'waits'))
      if (known === undefined) return
      young.unend(known.message)
      if (known.state === 'ended') known.state = 'waits'
      return
    }
    case 'delete': {
      const id = pick(model.known)?.id ?? 'unknown'
      young.delete(id)
      model.gone([id])
      return
    }
    case 'moves': {
      const id = pick(model.present())?.id
      if (id === undefined) return
      young.moves(id)
      if (!model.moving.includes(id)) model.moving.push(id)
      return
    }
    case 'undoMoves':
      young.undoMoves(step.count)
      model.moving = model.moving.slice(0, step.count)
      return
    case 'moved':
      young.moved()
      model.gone(model.moving)
      model.moving = []
  }
}

function compare(young: Young, model: Model): void {
  const present = model.present().map(({ id, message, state }) => {
    return state === 'waits' ? message : { id, at: message.at, end: STORY }
  })
  assert.deepEqual(Array.from(young.all()), present)
  assert.equal(young.size, present.length)
  assert.equal(young.moving, model.moving.length)
  for (const id of IDS) {
    const known = model.known.find(each => each.id === id)
    assert.equal(young.get(id), known?.state === 'waits' ? known.message : null)
    assert.deepEqual(
      young.find(id),
      present.find(each => each.id === id),
    )
    assert.equal(young.isMoving(id), model.moving.includes(id))
  }
  for (const name of NAMES) assert.equal(young.firstDueAt(name), model.firstDueAt(name), name)
  for (const priority of [...PRIORITIES, 9]) {
    const heads = model.heads(priority)
    assert.deepEqual(Array.from(young.heads(priority, null)), heads)
    for (const [at, head] of heads.entries())
      assert.deepEqual(Array.from(young.heads(priority, head)), heads.slice(at + 1))
    const after = { destination: 'one.example@', dueMs: 3 }
    const behind = heads.filter(
      ({ destination, dueMs }) => dueMs > 3 || (dueMs === 3 && destination > after.destination),
    )
    assert.deepEqual(Array.from(young.heads(priority, after)), behind)
    for (const destination of NAMES) {
      const line = model.line(priority, destination)
      const lineFrom = (from: Place) => Array.from(young.line(priority, destination, from))
      assert.deepEqual(lineFrom({ dueMs: 0, unit: '' }), line)
      for (const [at, place] of line.entries()) assert.deepEqual(lineFrom(place), line.slice(at))
      const later = line.filter(({ dueMs, unit }) => dueMs > 3 || (dueMs === 3 && unit >= 'M2'))
      assert.deepEqual(lineFrom({ dueMs: 3, unit: 'M2' }), later)
    }
  }
}

test('it is as an array of messages that is filtered and sorted each time', () => {
  fc.assert(
    fc.property(fc.array(step, { size: 'max', maxLength: 80 }), steps => {
      const young = new Young()
      const model = new Model()
      for (const step of steps) {
        apply(young, model, step)
        compare(young, model)
      }
    }),
    { seed: 4314, numRuns: 60 },
  )
})

test('a message with nothing that is due is not for it', () => {
  const message = youngMessage({ id: 'M', destination: 'one.example', priority: 0, dueMs: 1 })
  const only = (message.record.only ?? []).map(slot => ({ ...slot, state: 'delivered' as const }))
  assert.throws(() => new Young().add({ ...message, record: { ...message.record, only } }), { code: 'io' })
})
