/**
 * README's table of standards, made of `rfc/index.txt`.
 *
 *   node scripts/rfc-table.mjs           writes it
 *   node scripts/rfc-table.mjs --check   fails when README has another, or when the index does not agree with the source:
 *                                        what it says we do must be cited in its folder, what is cited often must be in it
 */

import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const README = join(root, 'README.md')
const BEGIN = '<!-- made of rfc/index.txt by scripts/rfc-table.mjs -->'
const END = '<!-- end -->'
/** What is cited this often is not said in passing. */
const OFTEN = 5
/** Cited often, and for a definition only. */
const DEFINITIONS = new Set([1034, 4592, 5280])

const problems = []
const rows = read()
const readme = readFileSync(README, 'utf8')
const begin = readme.indexOf(BEGIN)
const end = readme.indexOf(END, begin)
if (begin < 0 || end < 0) throw new Error(`README.md has no ${BEGIN} … ${END}`)
const made = `${readme.slice(0, begin)}${BEGIN}\n${table()}\n${readme.slice(end)}`

if (process.argv.includes('--check')) {
  compareWithSource()
  if (made !== readme)
    problems.push(
      'README.md: the table of standards is not that of rfc/index.txt: run node scripts/rfc-table.mjs',
    )
} else if (made !== readme) writeFileSync(README, made)
for (const problem of problems) console.error(problem)
process.exitCode = problems.length > 0 ? 1 : 0

function read() {
  const found = []
  let group = ''
  for (const [at, line] of readFileSync(join(root, 'rfc/index.txt'), 'utf8').split('\n').entries()) {
    if (line.startsWith('## ')) group = line.slice(3)
    if (line === '' || line.startsWith('#')) continue
    const [number, status, folder, title, remark] = line.split('|').map(cell => cell.trim())
    const whole =
      /^\d+$/.test(number) && title && remark !== undefined && (status === 'no') === (folder === '')
    if (!whole || !['yes', 'partial', 'no'].includes(status))
      problems.push(`rfc/index.txt:${at + 1}: ${line}`)
    else found.push({ number: Number(number), status, folder, title, remark, group })
  }
  return found
}

function table() {
  const lines = ['| RFC | | | where | |', '|---|---|---|---|---|']
  let last = ''
  for (const { number, status, folder, title, remark, group } of rows) {
    if (group !== last) lines.push(`| **${group}** | | | | |`)
    last = group
    const link = `[${number}](https://www.rfc-editor.org/rfc/rfc${number})`
    lines.push(`| ${link} | ${status} | ${title} | ${folder && `\`${folder}/\``} | ${remark} |`)
  }
  return `\n${lines.join('\n')}\n`
}

function compareWithSource() {
  /** RFC → folder → how often. */
  const cited = new Map()
  for (const path of globSync('src/**/*.ts', { cwd: root }).filter(file => !file.endsWith('.test.ts'))) {
    const folder = path.split('/')[1]
    // `RFC 6409, 8314, 4954`; `RFC 5321 §4.1.1, RFC 6531 §3.3`.
    for (const [, numbers] of readFileSync(join(root, path), 'utf8').matchAll(
      /\bRFC ((?:\d{3,5}(?:, (?=\d{3,5}\b))?)+)/g,
    )) {
      for (const number of numbers.split(', ').map(Number)) {
        const folders = cited.get(number) ?? new Map()
        cited.set(number, folders.set(folder, (folders.get(folder) ?? 0) + 1))
      }
    }
  }
  const known = new Set()
  for (const { number, status, folder } of rows) {
    if (known.has(number)) problems.push(`rfc/index.txt: ${number} is there twice`)
    known.add(number)
    if (status !== 'no' && !cited.get(number)?.has(folder))
      problems.push(`rfc/index.txt: ${number} is not cited in src/${folder}`)
  }
  for (const [number, folders] of cited) {
    const times = [...folders.values()].reduce((sum, one) => sum + one, 0)
    if (times >= OFTEN && !known.has(number) && !DEFINITIONS.has(number))
      problems.push(`rfc/index.txt: ${number} is missing, which the source cites ${times} times`)
  }
}
