/**
 * `npm test`: every test of the tree with node:test. What was skipped is said at the end; under CI=true it is a failure.
 * Whoever is not root and has sudo without a password runs the files with tests for root (Postfix, Exim) a second time by it.
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
const sudo = process.getuid?.() !== 0 && spawnSync('sudo', ['-n', 'true']).status === 0
/** As test/peers/need.ts says it. */
const ONLY_ROOT = /^(SKIPPED: )?only root can /

try {
  let { status, skipped } = run([], (paths.length > 0 ? paths : ['src', 'test', 'bench']).map(tests))
  const forRoot = skipped.filter(({ reason }) => ONLY_ROOT.test(reason))
  if (sudo && forRoot.length > 0) {
    const files = [...new Set(forRoot.flatMap(({ file }) => file ?? []))]
    console.log(`sudo: once more, for the tests that only root can run: ${files.map(near).join(' ')}`)
    const { PATH = '', CI = '' } = process.env
    const again = run(['sudo', '-n', 'env', `PATH=${PATH}`, `CI=${CI}`], files)
    skipped = [...skipped.filter(({ reason }) => !ONLY_ROOT.test(reason)), ...again.skipped]
    status ||= again.status
    // What was unpacked there is to be deleted by who owns the tree.
    spawnSync('sudo', ['-n', 'chown', '-R', `${process.getuid()}`, join(root, 'node_modules/.cache')])
  }
  for (const { name, file, reason } of skipped)
    console.log(`SKIPPED ${near(file ?? '')}: ${name}${reason && `: ${reason.replace(/^SKIPPED: /, '')}`}`)
  if (skipped.length > 0) console.log(`${skipped.length} SKIPPED: not everything was tested`)
  const incomplete = skipped.length > 0 && process.env.CI === 'true'
  if (incomplete) console.log('CI=true: a skipped test is a failure')
  process.exitCode = incomplete ? 1 : status
} finally {
  rmSync(folder, { recursive: true })
}

/** The exit status, and what was skipped: name, file, reason. */
function run(before, files) {
  const list = join(folder, `skipped-${before.length}.jsonl`)
  const [program, ...args] = [...before, join(root, 'node_modules/.bin/node')]
  const { status, signal, error } = spawnSync(
    program,
    [
      ...args,
      '--test',
      `--test-concurrency=${Math.min(4, Math.max(2, availableParallelism()))}`,
      // Not a measure of speed: what hangs must end at some time.
      '--test-timeout=600000',
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      `--test-reporter=${new URL('skipped.mjs', import.meta.url)}`,
      `--test-reporter-destination=${list}`,
      ...options,
      ...files,
    ],
    { cwd: root, stdio: 'inherit', env: { ...process.env, ...(sudo ? { PTT_ROOT: 'later' } : {}) } },
  )
  if (error) throw error
  const lines = readFileSync(list, 'utf8').split('\n').filter(Boolean)
  return { status: signal ? 1 : (status ?? 1), skipped: lines.map(line => JSON.parse(line)) }
}

function near(path) {
  return relative(root, path)
}

function tests(path) {
  const folder = statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory()
  return folder ? `${path}/**/*.test.ts` : path
}
