import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { need } from '../../test/peers/need.ts'
import { GitError, git } from './git.ts'

const root = mkdtempSync(join(tmpdir(), 'ptt-git-'))
after(() => rmSync(root, { recursive: true, force: true }))

async function repository(): Promise<string> {
  const folder = mkdtempSync(join(root, 'r-'))
  await git(['init', '--quiet', '--bare', '--', folder], { folder, timeoutMs: 10_000 })
  return folder
}

/** A program of our own where git is looked for. */
function insteadOfGit(t: TestContext, script: string): void {
  const bin = mkdtempSync(join(root, 'bin-'))
  writeFileSync(join(bin, 'git'), `#!/bin/sh\n${script}\n`)
  chmodSync(join(bin, 'git'), 0o755)
  const { PATH } = process.env
  process.env.PATH = `${bin}${delimiter}${PATH}`
  t.after(() => {
    process.env.PATH = PATH
  })
}

const is = (code: string, says: RegExp) => (error: unknown) =>
  error instanceof GitError && error.code === code && says.test(error.message)

test('what git writes, and what it says when it fails', async t => {
  if (!need(t, 'git')) return
  const folder = await repository()
  const oid = await git(['hash-object', '-w', '--stdin'], {
    folder,
    timeoutMs: 10_000,
    input: 'test content\n',
  })
  // Pro Git, §10.2.
  assert.equal(oid.toString(), 'd670460b4b4aece5915caf5c68d12f560a9fe3e4\n')
  await assert.rejects(
    git(['cat-file', '-p', 'nothing'], { folder, timeoutMs: 10_000 }),
    is('FAILED', /^Not a valid object name/),
  )
})

test('what is left in the environment does not lead elsewhere', async t => {
  if (!need(t, 'git')) return
  const [folder, other] = [await repository(), await repository()]
  for (const name of ['GIT_DIR', 'GIT_WORK_TREE', 'GIT_OBJECT_DIRECTORY', 'GIT_INDEX_FILE']) {
    process.env[name] = other
    t.after(() => delete process.env[name])
  }
  assert.equal(
    (await git(['rev-parse', '--absolute-git-dir'], { folder, timeoutMs: 10_000 })).toString().trim(),
    folder,
  )
  await git(['hash-object', '-w', '--stdin'], { folder, timeoutMs: 10_000, input: 'test content\n' })
  assert.ok(existsSync(join(folder, 'objects/d6')))
})

test('a transport that would run a program is refused, also by git itself', async t => {
  if (!need(t, 'git')) return
  const folder = await repository()
  const options = { folder, timeoutMs: 10_000 }
  const made = join(root, 'made')
  await assert.rejects(
    git(['fetch', '--', `ext::touch ${made}`], options),
    is('FAILED', /transport 'ext' not allowed/),
  )
  await assert.rejects(
    git(['fetch', '--', 'git://127.0.0.1/x'], options),
    is('FAILED', /transport 'git' not allowed/),
  )
  await assert.rejects(git(['fetch', '--', `--upload-pack=touch ${made}`], options), GitError)
  assert.equal(existsSync(made), false)
})

test('git and all it started end when it takes too long, or when we stop', async t => {
  const pids = join(root, 'pids')
  insteadOfGit(t, `sleep 600 & echo $! $$ > ${pids}.new; mv ${pids}.new ${pids}; wait`)
  const gone = async () => {
    for (const pid of readFileSync(pids, 'utf8').trim().split(' ').map(Number))
      while (isRunning(pid)) await new Promise(resolve => setImmediate(resolve))
    rmSync(pids)
  }
  await assert.rejects(
    git(['fetch'], { folder: root, timeoutMs: 300 }),
    is('TIMEOUT', /^git fetch took longer than 0\.3 s$/),
  )
  await gone()
  const stop = new AbortController()
  const stopped = git(['fetch'], { folder: root, timeoutMs: 600_000, signal: stop.signal })
  while (!existsSync(pids)) await new Promise(resolve => setImmediate(resolve))
  stop.abort()
  await assert.rejects(stopped, is('CANCELLED', /was stopped/))
  await gone()
  await assert.rejects(
    git(['fetch'], { folder: root, timeoutMs: 1, signal: stop.signal }),
    is('CANCELLED', /not started/),
  )
})

// A process that ended and was not waited for yet (its parent is gone too) runs no more.
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

test('no git', async t => {
  const { PATH } = process.env
  const empty = join(root, 'empty')
  mkdirSync(empty)
  process.env.PATH = empty
  t.after(() => {
    process.env.PATH = PATH
  })
  await assert.rejects(
    git(['fetch'], { folder: root, timeoutMs: 1000 }),
    is('MISSING', /apt-get install git/),
  )
})

test('a reason does not change with the milliseconds it took', async t => {
  insteadOfGit(
    t,
    `echo "fatal: unable to access 'http://h/': Failed to connect to h port 9 after $$ ms: Couldn't connect" >&2; exit 128`,
  )
  await assert.rejects(
    git(['fetch'], { folder: root, timeoutMs: 10_000 }),
    is('FAILED', /^unable to access 'http:\/\/h\/': Failed to connect to h port 9: Couldn't connect$/),
  )
})

test('git asks nobody: no terminal, no prompt', async t => {
  insteadOfGit(
    t,
    'echo "$GIT_TERMINAL_PROMPT $SSH_ASKPASS_REQUIRE $LC_ALL"; (: < /dev/tty) 2>/dev/null && echo terminal; true',
  )
  assert.equal((await git(['fetch'], { folder: root, timeoutMs: 10_000 })).toString(), '0 never C\n')
})

/** Where no more files can be opened there are no pipes to a child, and Node tells of it later as an event. */
test('a process that has no file descriptors left is told so, and goes on', async () => {
  const script = `
    import { closeSync, openSync } from 'node:fs'
    import { git, startGit } from ${JSON.stringify(import.meta.resolve('./git.ts'))}
    import { ObjectReader } from ${JSON.stringify(import.meta.resolve('./object-reader.ts'))}
    const folder = ${JSON.stringify(root)}
    const open = []
    try {
      for (;;) open.push(openSync('/dev/null'))
    } catch {}
    const told = []
    const tell = error => told.push([error.name, error.code, error.message])
    await git(['version'], { folder, timeoutMs: 10_000 }).catch(tell)
    try { startGit(['version'], folder) } catch (error) { tell(error) }
    await new ObjectReader(folder).read(['HEAD']).catch(tell)
    await new Promise(resolve => setImmediate(resolve))
    for (const descriptor of open) closeSync(descriptor)
    console.log(JSON.stringify(told))`
  const { stdout } = await promisify(execFile)('/bin/sh', [
    '-c',
    'ulimit -n 64; exec "$0" --input-type=module --eval "$1"',
    process.execPath,
    script,
  ])
  const said = ['GitError', 'FAILED', 'git does not start: too many open files']
  assert.deepEqual(JSON.parse(stdout), [said, said, said])
})
