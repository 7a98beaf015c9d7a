/**
 * `npm run bench:sign`: the figures of the signer, and whether they are what they should be.
 *
 *   npm run bench:sign -- --quick          some seconds
 *   npm run bench:sign -- --json           for programs
 *   npm run bench:sign -- bodies turns     some of: bodies messages turns
 */

import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { bodies } from './sign/bodies.ts'
import { messages } from './sign/messages.ts'
import { turns } from './sign/turns.ts'
import { type Figure, formatFigure, isReached } from './smtp/report.ts'

const BENCHES: Readonly<Record<string, (quick: boolean) => Figure[] | Promise<Figure[]>>> = {
  bodies,
  messages,
  turns,
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
