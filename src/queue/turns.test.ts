import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turns } from './turns.ts'

const run = (id: string) => ({ dueMs: 1000, id })

test('after a part of a large one another goes first, and after that one a part', () => {
  const turns = new Turns()
  assert.equal(turns.choose('whole', 'part'), 'part')
  turns.tookPart(run('A'), true)
  assert.equal(turns.choose('whole', 'part'), 'whole')
  assert.equal(turns.choose(null, 'part'), 'part')
  turns.tookWhole()
  assert.equal(turns.choose('whole', 'part'), 'part')
  assert.equal(turns.choose('whole', null), 'whole')
  assert.equal(turns.choose(null, null), null)
})

test('large ones take turns among themselves, and leave when nothing of them is left', () => {
  const turns = new Turns()
  for (const id of ['A', 'B', 'C']) turns.tookPart(run(id), true)
  assert.deepEqual(turns.runs, [run('A'), run('B'), run('C')])
  turns.tookPart(run('A'), true)
  assert.deepEqual(turns.runs, [run('B'), run('C'), run('A')])
  turns.tookPart(run('C'), false)
  assert.deepEqual(turns.runs, [run('B'), run('A')])
  assert.ok(turns.has(run('A')))
  assert.ok(!turns.has(run('C')))
  assert.ok(
    !turns.has({ ...run('A'), dueMs: 2000 }),
    'what of it is due at another time is no part of the run',
  )
})

test('there are never very many, and who is given up is told', () => {
  const turns = new Turns()
  for (let n = 0; n < 64; n++) assert.equal(turns.tookPart(run(`M${n}`), true), true)
  assert.equal(turns.tookPart(run('N'), true), false)
  assert.equal(turns.runs.length, 64)
  assert.ok(!turns.has(run('M0')))
})
