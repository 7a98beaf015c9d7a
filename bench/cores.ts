/**
 * `npm run bench:cores`: what a second core gives. Each service alone, and all three, with everything pinned to one core (one
 * process), to two (one process), to two (`workers = 2`). What sends and takes runs on the same cores, and is told apart.
 *
 *   npm run bench:cores -- --quick          shorter runs
 *   npm run bench:cores -- --only relay     rows whose names begin so
 *   npm run bench:cores -- --rounds 3       medians
 *   npm run bench:cores -- --json           for programs
 *
 * The model is Amdahl's: of a message's CPU time the part of the one process that is not multiplied stays, the rest is
 * divided by the workers; against what one process needs for all of it. It counts CPU of the service only, as with senders and
 * receivers on other machines. As that one process works while the workers do, there may be more, up to what it can do alone.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Bed, type Figures, measure } from './cores/bed.ts'

type Row = Pick<Bed, 'services' | 'load'> & { readonly name: string }

const ROWS: readonly Row[] = [
  { name: 'submission', services: ['submission'], load: { from: 'users', fresh: false, to: 'signer' } },
  {
    name: 'submission, new sessions',
    services: ['submission'],
    load: { from: 'users', fresh: true, to: 'signer' },
  },
  { name: 'signer', services: ['signer'], load: { from: 'submission', fresh: false, to: 'relay' } },
  { name: 'relay', services: ['relay'], load: { from: 'signer', fresh: false, to: 'internet' } },
  {
    name: 'relay, new TLS connections',
    services: ['relay'],
    load: { from: 'signer', fresh: true, to: 'internet' },
  },
  {
    name: 'all three',
    services: ['relay', 'signer', 'submission'],
    load: { from: 'users', fresh: false, to: 'internet' },
  },
]
const SETTINGS = [
  { cores: 1, workers: 1 },
  { cores: 2, workers: 1 },
  { cores: 2, workers: 2 },
] as const
const MODEL = [2, 4, 8, 16]

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    rounds: { type: 'string', default: '1' },
    seconds: { type: 'string' },
  },
})
const seconds = Number(values.seconds ?? (values.quick ? 2 : 5))
const rounds = Number(values.rounds)
const rows = ROWS.filter(({ name }) => name.startsWith(values.only))
if (
  availableParallelism() < 2 ||
  process.platform !== 'linux' ||
  rows.length === 0 ||
  !(seconds > 0 && rounds >= 1)
) {
  console.error(
    `This needs Linux with two cores, numbers above 0, and rows of ${ROWS.map(({ name }) => name).join('; ')}`,
  )
  process.exit(2)
}
const busy = loadavg()[0] ?? 0
const folder = mkdtempSync(join(tmpdir(), 'ptt-cores-'))
const say = values.json ? () => {} : console.log
const results: object[] = []
try {
  say(
    `messages of 4 KB, runs of ${seconds} s, ${rounds} of each; load of the machine before: ${busy.toFixed(1)}`,
  )
  let run = 0
  for (const row of rows) {
    const taken = SETTINGS.map((): Figures[] => [])
    // One of each in turn: what else the machine does meets them all.
    for (let round = 0; round < rounds; round++)
      for (const [at, setting] of SETTINGS.entries())
        taken[at]?.push(await measure({ ...row, ...setting }, join(folder, String(run++)), seconds))
    report(row.name, taken.map(median))
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
if (values.json)
  console.log(JSON.stringify({ node: process.version, seconds, rounds, load: busy, results }, null, 2))
else
  say(
    '\nThe ratio is of the whole: senders and receivers take the share of CPU that stands beside it, on the same cores, and are\n' +
      'one process themselves. The model is without them.',
  )

/** By messages a second. */
function median(runs: readonly Figures[]): Figures {
  const sorted = runs.toSorted((a, b) => a.perSecond - b.perSecond)
  const middle = sorted[sorted.length >> 1]
  if (middle === undefined) throw new Error('there was no run')
  return middle
}

function report(name: string, figures: readonly Figures[]): void {
  const [one, idle, two] = figures
  if (one === undefined || idle === undefined || two === undefined) return
  const serviceMs = two.oneMs + two.workersMs
  const ofOne = (ms: number) => one.workersMs / ms
  const model = Object.fromEntries(MODEL.map(cores => [cores, ofOne(two.oneMs + two.workersMs / cores)]))
  const most = two.oneMs > 0.005 ? ofOne(two.oneMs) : null
  const ratio = two.perSecond / one.perSecond
  results.push({ name, ratio, oneCore: one, twoCoresOneProcess: idle, twoCoresTwoWorkers: two, model, most })
  say(`\n${name}`)
  for (const [at, each] of figures.entries()) {
    const { cores, workers } = SETTINGS[at] ?? SETTINGS[0]
    const { perSecond, oneMs, workersMs, loadMs, evenness, complaints } = each
    const own = workers === 1 ? workersMs.toFixed(2) : `${oneMs.toFixed(2)} + ${workersMs.toFixed(2)}`
    const share = Math.round((100 * loadMs) / (oneMs + workersMs + loadMs))
    say(
      `  ${cores} core${cores > 1 ? 's' : ' '} ${workers} worker${workers > 1 ? 's' : ' '} ${String(Math.round(perSecond)).padStart(6)}/s` +
        `   CPU ms a message ${own.padEnd(11)}   of all CPU ${share} % sends and takes` +
        `${workers > 1 ? `   least busy worker ${Math.round(evenness * 100)} %` : ''}`,
    )
    if (complaints.length > 0) say(`  ! replies: ${complaints.join(', ')}`)
  }
  const rest = MODEL.map(cores => `${cores} workers ${(model[cores] ?? 0).toFixed(1)}×`).join(', ')
  say(
    `  1 → 2 cores ${ratio.toFixed(2)}×; model, with ${((two.oneMs / serviceMs) * 100).toFixed(0)} % that is not divided: ${rest}` +
      `${most === null ? '' : `; at most ${most.toFixed(1)}×`}`,
  )
}
