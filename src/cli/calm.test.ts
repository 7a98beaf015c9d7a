/** When a service gives memory back, and that it does. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { start } from '../../test/peers/program.ts'
import { isTime } from './calm.ts'

const MIB = 2 ** 20

for (const [what, utilization, heap, expected] of [
  ['after its start', 0.001, 30, true],
  ['a start that goes on', 0.3, 30, false],
  ['there is hardly anything to give', 0.001, 7, false],
] as const) {
  test(`it is ${expected ? '' : 'not '}time: ${what}`, () => {
    assert.equal(isTime(utilization, heap * MIB), expected)
  })
}

/** A process that has made some garbage says how much its heap is, before and when half of it is gone; V8 alone never looks. */
const PROCESS = `
  import { getHeapStatistics } from 'node:v8'
  import { giveBackWhenCalm } from ${JSON.stringify(join(import.meta.dirname, 'calm.ts'))}
  const octets = () => getHeapStatistics().total_physical_size
  let rows = Array.from({ length: 300_000 }, (_, at) => ({ at }))
  console.log('made', rows.length)
  rows = undefined
  const before = octets()
  giveBackWhenCalm()
  const look = setInterval(() => {
    if (octets() > before / 2) return
    console.log('given back')
    clearInterval(look)
  }, 100)`

test('what start has left is given back; flags are as they were, no process stays for it', {
  timeout: 60_000,
}, async t => {
  const running = start(process.execPath, [
    '--input-type=module',
    '--eval',
    `import { runInNewContext } from 'node:vm'
    ${PROCESS}
    process.on('exit', () => console.log('gc is', runInNewContext('typeof gc')))`,
  ])
  t.after(() => running.stop())
  await running.said(/^given back$/m)
  await running.said(/^gc is undefined$/m)
  await running.ended
})
