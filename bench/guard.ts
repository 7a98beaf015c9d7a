/**
 * `npm run bench:guard`: whether ptt has become slower beside its peers than the committed results say. It measures for two
 * minutes, or takes results that are there; what is worse by more than a tenth is told. The exit status is 0 all the same:
 * a busy machine is no fault of a commit.
 *
 *   npm run bench:guard                    a quick run against the newest of bench/results
 *   npm run bench:guard -- RESULTS.json    those results against it
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newestResults } from './readme.ts'
import { type Change, changesOf, isRegression } from './report/ratios.ts'
import type { Results } from './report/results.ts'
import { number } from './report/table.ts'

const SHARE = 0.1

const committed = newestResults()
if (committed === undefined) {
  console.log(
    'bench/results has no results to compare with: npm run bench -- --output bench/results/DATE.json',
  )
  process.exit(0)
}
const [given] = process.argv.slice(2)
const now = given === undefined ? measureNow() : read(given)
const changes = changesOf(committed.results, now)
const worse = changes.filter(change => isRegression(change, SHARE))
for (const change of worse) console.log(`REGRESSION ${formatChange(change)}`)
console.log(
  `${changes.length} ratios to peers compared with ${committed.file}: ${worse.length} are worse by more than ${SHARE * 100} %`,
)

function formatChange({ row, peer, what, before, now: after }: Change): string {
  const percent = Math.round((1 - after / before) * 100)
  return `${row}: ${what} was ${number(before)} times as good as that of ${peer}, now ${number(after)} times (${percent} % less)`
}

function measureNow(): Results {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-guard-'))
  try {
    const output = join(folder, 'results.json')
    const script = join(import.meta.dirname, 'bench.ts')
    spawnSync(process.execPath, [script, '--quick', '--output', output], { stdio: 'inherit' })
    return read(output)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function read(file: string): Results {
  return JSON.parse(readFileSync(file, 'utf8'))
}
