/**
 * README's section about speed, made of the newest results in `bench/results/` (the one with the last date in its name).
 *
 *   node bench/readme.ts           writes it
 *   node bench/readme.ts --check   fails when README has another
 */

import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { markdownOf } from './report/markdown.ts'
import type { Results } from './report/results.ts'

const README = join(import.meta.dirname, '../README.md')
const RESULTS = 'bench/results'
const BEGIN = '<!-- made of bench/results by bench/readme.ts -->'
const END = '<!-- end of the results -->'

/** From the top of the tree; undefined: nothing is committed. */
export function newestResults(): { readonly file: string; readonly results: Results } | undefined {
  const folder = join(import.meta.dirname, 'results')
  const name = globSync('*.json', { cwd: folder }).toSorted().at(-1)
  if (name === undefined) return undefined
  return { file: `${RESULTS}/${name}`, results: JSON.parse(readFileSync(join(folder, name), 'utf8')) }
}

if (import.meta.main) {
  const readme = readFileSync(README, 'utf8')
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END, begin)
  if (begin < 0 || end < 0) throw new Error(`README.md has no ${BEGIN} … ${END}`)
  const newest = newestResults()
  const made = newest === undefined ? '' : `\n${markdownOf(newest.results, newest.file)}\n\n`
  const wanted = `${readme.slice(0, begin)}${BEGIN}\n${made}${readme.slice(end)}`
  if (wanted === readme) process.exit(0)
  if (process.argv.includes('--check')) {
    console.error(`README.md: the figures are not those of ${newest?.file}: run node bench/readme.ts`)
    process.exit(1)
  }
  writeFileSync(README, wanted)
}
