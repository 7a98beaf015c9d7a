/** docs/submission.md says what the code does: its tables are the tables of the code. */

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { LIMITS } from '../smtp/limits.ts'
import { ADDED } from './complete.ts'
import { ONCE } from './header-policy.ts'
import { REFUSALS } from './refusal.ts'
import { REMOVED } from './removal.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/submission.md'), 'utf8')

/** The rows of the table below a heading, without its head. */
function rowsBelow(heading: string): string[] {
  const [, section = ''] = page.split(`\n## ${heading}\n`)
  const [, , ...rows] = (section.split('\n## ')[0] ?? '').split('\n').filter(line => line.startsWith('|'))
  return rows
}

const row = (...cells: string[]) => `| ${cells.join(' | ')} |`
const tables: [heading: string, rows: string[]][] = [
  ['Added', Object.entries(ADDED).map(([name, [when, see]]) => row(`\`${name}\``, when, see))],
  ['Taken out', Object.entries(REMOVED).map(([name, [when, why]]) => row(`\`${name}\``, when, why))],
  [
    'Refused',
    Object.values(REFUSALS).map(({ code, status, what, why }) => row(`${code} ${status}`, what, why)),
  ],
  ['Once', ONCE.map(([section, names]) => row(names.map(name => `\`${name}\``).join(' '), section))],
  ['Limits', (['hops', 'ownHops'] as const).map(name => row(`\`${name}\``, String(LIMITS[name])))],
]

for (const [heading, rows] of tables)
  test(`docs/submission.md: ${heading}`, () => {
    assert.deepEqual(rowsBelow(heading), rows)
  })
