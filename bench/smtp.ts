/**
 * `npm run bench:smtp`: the figures of the SMTP core, and whether they are what they should be.
 *
 *   npm run bench:smtp -- --quick          less than a minute
 *   npm run bench:smtp -- --json           for programs
 *   npm run bench:smtp -- core idle        some of: core loopback passage idle
 */

import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { core } from './smtp/core.ts'
import { idle } from './smtp/idle.ts'
import { loopback } from './smtp/loopback.ts'
import { passage } from './smtp/passage.ts'
import { type Figure, formatFigure, isReached } from './smtp/report.ts'

const BENCHES: Readonly<Record<string, (quick: boolean) => Figure[] | Promise<Figure[]>>> = {
  core,
  loopback,
  passage,
  idle,
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
})
const load = loadavg().map(each => each.toFixed(1))
const figures: (Figure & { readonly bench: string })[] = []
for (const [bench, run] of Object.entries(BENCHES)) {
  if (positionals.length > 0 && !positionals.includes(bench)) continue
  for (const figure of await run(values.quick)) {
    figures.push({ bench, ...figure })
    if (!values.json) console.log(formatFigure(figure))
  }
}
if (values.json) {
  const reached = figures.map(figure => ({ ...figure, reached: isReached(figure) }))
  console.log(JSON.stringify({ node: process.version, load, figures: reached }, null, 2))
} else console.log(`Node ${process.version}; load average when it began: ${load.join(' ')}`)
