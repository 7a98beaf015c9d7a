/**
 * `npm test`: every test of the tree with node:test. What was skipped is said at the end; under CI=true it is a failure.
 *
 *   npm test                              everything
 *   npm test -- src/smtp test/e2e         folders or files
 *   npm test -- --test-name-pattern=BDAT  options of `node --test`
 */

import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const given = process.argv.slice(2)
const options = given.filter(argument => argument.startsWith('-'))
const paths = given.filter(argument => !argument.startsWith('-'))
const folder = mkdtempSync(join(tmpdir(), 'ptt-test-'))
const list = join(folder, 'skipped.jsonl')

try {
  const { status, signal, error } = spawnSync(
    join(root, 'node_modules/.bin/node'),
    [
      '--test',
      `--test-concurrency=${Math.min(4, Math.max(2, availableParallelism()))}`,
      // Not a measure of speed: what hangs must end at some time.
      '--test-timeout=600000',
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      `--test-reporter=${new URL('skipped.mjs', import.meta.url)}`,
      `--test-reporter-destination=${list}`,
      ...options,
      ...(paths.length > 0 ? paths : ['src', 'test']).map(tests),
    ],
    { cwd: root, stdio: 'inherit' },
  )
  if (error) throw error
  const skipped = readFileSync(list, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line))
  for (const { name, file, reason } of skipped) {
    console.log(
      `SKIPPED ${relative(root, file ?? '')}: ${name}${reason && `: ${reason.replace(/^SKIPPED: /, '')}`}`,
    )
  }
  if (skipped.length > 0) console.log(`${skipped.length} SKIPPED: not everything was tested`)
  const incomplete = skipped.length > 0 && process.env.CI === 'true'
  if (incomplete) console.log('CI=true: a skipped test is a failure')
  process.exitCode = signal || incomplete ? 1 : (status ?? 1)
} finally {
  rmSync(folder, { recursive: true })
}

function tests(path) {
  const folder = statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory()
  return folder ? `${path}/**/*.test.ts` : path
}
