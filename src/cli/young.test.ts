/** How large the young part of the heap gets. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { run } from '../../test/peers/program.ts'

const PROCESS = `
  import { getHeapSpaceStatistics } from 'node:v8'
  import { keepYoungSmall } from ${JSON.stringify(join(import.meta.dirname, 'young.ts'))}
  const youngMiB = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / 2 ** 20
  /** Half of what is made lives for a while, as messages do. The observer has its turn in between. */
  const work = async () => {
    for (let round = 0; round < 400; round++) {
      const kept = Array.from({ length: 10_000 }, (_, at) => ({ at }))
      await new Promise(setImmediate)
      if (kept.length === 0) break
    }
    return youngMiB()
  }
  keepYoungSmall()
  const first = await work()
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  await new Promise(resolve => setTimeout(resolve))
  const calm = youngMiB()
  console.log(JSON.stringify({ first, calm, again: await work() }))`

test('it grows up to a size, and again after it was given back', async () => {
  const args = ['--expose-gc', '--input-type=module', '--eval', PROCESS]
  const { code, output } = await run(process.execPath, args)
  assert.equal(code, 0, output)
  const { first, calm, again } = JSON.parse(output) as Record<'first' | 'calm' | 'again', number>
  assert.ok(first >= 16 && first <= 32, output)
  assert.ok(calm < 16, output)
  assert.ok(again >= 16 && again <= 32, output)
})
