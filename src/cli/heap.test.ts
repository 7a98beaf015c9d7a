/** How large the parts of the heap get, and how often all of it is looked through. */

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { run } from '../../test/peers/program.ts'

const EVAL = ['--expose-gc', '--input-type=module', '--eval']

const KEEP = `
  import { getHeapSpaceStatistics } from 'node:v8'
  import { keepHeap } from ${JSON.stringify(join(import.meta.dirname, 'heap.ts'))}
  const MiB = 2 ** 20`

const YOUNG = `
  ${KEEP}
  const youngMiB = () => getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space').space_size / MiB
  /** Half of what is made lives for a while, as messages do. The observer has its turn in between. */
  const work = async () => {
    for (let round = 0; round < 400; round++) {
      const kept = Array.from({ length: 10_000 }, (_, at) => ({ at }))
      await new Promise(setImmediate)
      if (kept.length === 0) break
    }
    return youngMiB()
  }
  keepHeap()
  const first = await work()
  gc({ type: 'major', execution: 'sync', flavor: 'last-resort' })
  await new Promise(resolve => setTimeout(resolve))
  const calm = youngMiB()
  console.log(JSON.stringify({ first, calm, again: await work() }))`

test('the young part grows up to a size, and again after it was given back', async () => {
  const output = await outputOf([...EVAL, YOUNG])
  const { first, calm, again } = JSON.parse(output) as Record<'first' | 'calm' | 'again', number>
  assert.ok(first >= 16 && first <= 32, output)
  assert.ok(calm < 16, output)
  assert.ok(again >= 16 && again <= 32, output)
})

/** So much stays. V8 says with each collection how large the old part may get, with the young one beside it. */
const old = (staysMiB: number) => `
  ${KEEP}
  import { constants, PerformanceObserver } from 'node:perf_hooks'
  keepHeap()
  const stays = []
  while (stays.length < ${staysMiB} * 16) {
    stays.push(Array.from({ length: 8192 - 2 }, (_, at) => at))
    await new Promise(setImmediate)
  }
  // Who observes later hears of it later; what is told by the first holds from the second on.
  let heard = 0
  new PerformanceObserver(list => {
    heard += list.getEntries().filter(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR).length
  }).observe({ entryTypes: ['gc'] })
  for (let time = 1; time <= 2; time++) {
    gc({ type: 'major' })
    while (heard < time) await new Promise(setImmediate)
  }
  const used = getHeapSpaceStatistics().reduce((sum, { space_used_size }) => sum + space_used_size, 0)
  gc({ type: 'minor' })
  console.log(JSON.stringify({ usedMiB: used / MiB, stays: stays.length }))`

for (const staysMiB of [1, 96]) {
  test(`beside ${staysMiB} MiB that stay the old part has room for 40, and not for more`, async () => {
    const output = await outputOf(['--trace-gc-nvp', ...EVAL, old(staysMiB)])
    const { usedMiB } = JSON.parse(output.slice(output.lastIndexOf('{'))) as { usedMiB: number }
    const limits = [...output.matchAll(/old_gen_allocation_limit=(\d+)/g)]
    const limitMiB = Number(limits.at(-1)?.[1]) / 2 ** 20
    assert.ok(usedMiB > staysMiB, output)
    assert.ok(limitMiB - usedMiB > 36 && limitMiB - usedMiB < 40 + 36, `${limitMiB} for ${usedMiB} MiB`)
  })
}

async function outputOf(args: readonly string[]): Promise<string> {
  const { code, output } = await run(process.execPath, args)
  assert.equal(code, 0, output)
  return output
}
