import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Due, type DueTables, enterLine, moveDue, type PairName } from './due.ts'
import { disk } from './files.ts'
import { Leases } from './leases.ts'
import { Store } from './store.ts'

async function openLines(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-queue-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const store = await Store.open(folder, disk)
  t.after(() => store.close())
  const leases = new Leases(0, () => false)
  let looks = 0
  return {
    leases,
    async enter(pair: PairName, destination: string, unit: string, dueMs: number) {
      await store.commit(tables => enterLine(tables, pair, 0, destination, { unit, dueMs }))
      leases.appeared({ destination, unit, dueMs }, pair)
    },
    async settle(destination: string, unit: string, wasMs: number, isMs: number | null) {
      await store.commit(tables => moveDue(tables, 0, destination, unit, wasMs, isMs))
      leases.give(destination, unit, isMs !== null)
    },
    /** All that is due, and how often a line of `due` was read for it. */
    lease(nowMs: number): [units: string, looks: number] {
      const tables = store.read()
      const getKeys: DueTables['due']['getKeys'] = range => {
        looks++
        return tables.due.getKeys(range)
      }
      const due = Object.create(tables.due, { getKeys: { value: getKeys } })
      const units: string[] = []
      looks = 0
      leases.overdue({ ...tables, due }, nowMs, ({ unit }: Due) => {
        units.push(unit)
        return 'take'
      })
      return [units.join(' '), looks]
    },
    firstDue: () => leases.firstDue(store.read()),
  }
}

test('what is deferred is not looked at for the sake of what is fresh, until it is due', async t => {
  const { enter, settle, lease, firstDue } = await openLines(t)
  for (const domain of ['one.example', 'two.example'])
    for (let n = 0; n < 3; n++) await enter('due', domain, `${domain[0]}${n}`, 5000 + n)
  for (let nowMs = 1000; nowMs < 1003; nowMs++) {
    await enter('fresh', 'one.example', `M${nowMs}`, nowMs)
    assert.deepEqual(lease(nowMs), [`M${nowMs}`, 0])
    assert.equal(firstDue(), 5000)
    // Another comes while it is on its way.
    await enter('fresh', 'one.example', `N${nowMs}`, nowMs)
    assert.deepEqual(lease(nowMs), [`N${nowMs}`, 0])
    await settle('one.example', `N${nowMs}`, nowMs, null)
    await settle('one.example', `M${nowMs}`, nowMs, null)
    assert.deepEqual(lease(nowMs), ['', 0])
  }
  await enter('fresh', 'one.example', 'M', 5000)
  const [units, looks] = lease(5001)
  assert.equal(units, 'M o0 t0 o1 t1')
  assert.ok(looks > 0)
  await settle('two.example', 't1', 5001, 7000)
  await settle('one.example', 'M', 5000, 6000)
  assert.equal(firstDue(), 5002)
  assert.deepEqual(lease(5002)[0], 'o2 t2')
  assert.equal(firstDue(), 6000)
  assert.deepEqual(lease(7000)[0], 'M t1')
})

test('of what is due at the same time the order is that of the units, wherever it is', async t => {
  const { enter, lease } = await openLines(t)
  for (const [pair, unit] of [
    ['due', 'A'],
    ['fresh', 'B'],
    ['due', 'C'],
    ['fresh', 'D'],
  ] as const)
    for (const domain of ['two.example', 'one.example']) await enter(pair, domain, `${unit}-${domain}`, 1000)
  assert.equal(
    lease(1000)[0],
    ['A', 'B', 'C', 'D']
      .map(unit => `${unit}-one.example`)
      .concat(['A', 'B', 'C', 'D'].map(unit => `${unit}-two.example`))
      .join(' '),
  )
})
