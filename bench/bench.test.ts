/** The whole of it once, with ptt alone and for a moment: what it says is of no interest, that it can be read is. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { run, temporaryFolder } from '../test/peers/program.ts'
import type { Results } from './report/results.ts'

test('npm run bench: JSON on standard output, results and charts in files, every message verified', async t => {
  const folder = temporaryFolder('bench-test')
  t.after(() => folder.remove())
  const at = (name: string) => join(folder.path, name)
  const script = join(import.meta.dirname, 'bench.ts')
  const args = ['--quick', '--json', '--only', 'ptt', '--rows', '4k', '--rounds', '1', '--seconds', '0.5']
  // The table goes to standard error.
  const shell = [
    '-c',
    '"$0" "$@" 2> stderr > stdout',
    process.execPath,
    script,
    ...args,
    '--output',
    'r.json',
  ]
  const { code } = await run('sh', shell, { cwd: folder.path, timeoutMs: 120_000 })
  assert.equal(code, 0, readFileSync(at('stderr'), 'utf8'))

  const { systems, ...others } = JSON.parse(readFileSync(at('stdout'), 'utf8'))
  assert.deepEqual(others, {})
  assert.equal(systems.length, 1)
  const [{ name, signed, latencyMs, ...figures }] = systems
  assert.deepEqual([name, signed], ['ptt', true])
  assert.deepEqual(Object.keys(figures), ['deliveredPerSecond', 'cpuMsPerMessage', 'peakRssBytes'])
  assert.deepEqual(Object.keys(latencyMs), ['p50', 'p99', 'p999'])
  for (const value of [...Object.values(figures), ...Object.values(latencyMs)])
    assert.ok(Number(value) > 0, String(value))

  const results: Results = JSON.parse(readFileSync(at('r.json'), 'utf8'))
  assert.deepEqual(
    results.rows.map(({ row, figures: all }) => [row, all.map(({ contender, flaws }) => [contender, flaws])]),
    [['4k', [['ptt', []]]]],
  )
  assert.match(readFileSync(at('r-delivered.svg'), 'utf8'), /^<svg .*>ptt</s)
})
