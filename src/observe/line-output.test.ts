import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { LineOutput, piecesOf } from './line-output.ts'

const MODULE = JSON.stringify(new URL('./line-output.ts', import.meta.url).href)

const complain = (lost: number) => `${lost} missing\n`

function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-lines-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A pipe with a name, and its two ends, which do not wait. */
function fifo(t: TestContext): { path: string; reader: number; writer: number } {
  const path = join(temporaryFolder(t), 'fifo')
  execFileSync('mkfifo', [path])
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  t.after(() => closeSync(writer))
  return { path, reader, writer }
}

function readNow(descriptor: number): string {
  const buffer = Buffer.alloc(65_536)
  return buffer.toString('utf8', 0, readSync(descriptor, buffer))
}

test('the lines of a turn are written together, before the next', async t => {
  const path = join(temporaryFolder(t), 'log')
  const descriptor = openSync(path, 'a')
  t.after(() => closeSync(descriptor))
  const output = new LineOutput(descriptor, complain)
  output.write('one\n')
  output.write('zwölf\n')
  assert.equal(readFileSync(path, 'utf8'), '')
  await turn()
  assert.equal(readFileSync(path, 'utf8'), 'one\nzwölf\n')
  output.write(`${'x'.repeat(70_000)}\n`)
  assert.equal(readFileSync(path, 'utf8').length, 10 + 70_001, 'what is much does not wait')
  output.write('last\n')
  output.flush()
  assert.ok(readFileSync(path, 'utf8').endsWith('x\nlast\n'))
})

for (const end of ['process.exit(3)', 'throw new Error("ours")', '']) {
  test(`nothing is missing of a process that ends by ${end || 'itself'}`, async () => {
    const program = `import { LineOutput } from ${MODULE}
      new LineOutput(1, String).write('last words\\n')
      ${end}`
    const { stdout } = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    assert.equal(await text(stdout), 'last words\n')
  })
}

test('whole lines go in pieces that a pipe takes as one, and a longer line by itself', () => {
  const lengths = (lines: readonly number[]) =>
    [...piecesOf(Buffer.from(lines.map(each => `${'é'.repeat(each / 2 - 1)}.\n`).join('')))].map(
      ({ length }) => length,
    )
  assert.deepEqual(lengths([]), [])
  assert.deepEqual(lengths([4096, 2, 4094, 2]), [4096, 4096, 2])
  assert.deepEqual(lengths([100, 9000, 4098, 4000, 96]), [100, 9000, 4098, 4096])
})

test('a full pipe that does not wait is waited for', async t => {
  const { path, reader, writer } = fifo(t)
  let filled = 0
  assert.throws(() => {
    for (;;) filled += writeSync(writer, Buffer.alloc(4096, 'x'))
  }, /EAGAIN/)
  const line = 'at last\n'
  const head = spawn('head', ['-c', String(filled + line.length), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = new LineOutput(writer, complain)
  output.write(line)
  // Blocks this process until the other one reads.
  output.flush()
  assert.ok((await text(head.stdout)).endsWith(`x${line}`))
  closeSync(reader)
})

test('what could not be written is counted, and told when a line can be written again', t => {
  const { path, reader, writer } = fifo(t)
  const output = new LineOutput(writer, complain)
  closeSync(reader)
  for (const words of [['one', 'two'], ['three']]) {
    for (const word of words) output.write(`${word}\n`)
    output.flush()
  }
  const again = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  t.after(() => closeSync(again))
  output.write('four\n')
  output.write('five\n')
  output.flush()
  assert.equal(readNow(again), '3 missing\nfour\nfive\n')
})

test('behind a line that was cut short the next one begins', t => {
  const path = join(temporaryFolder(t), 'log')
  const program = `import { ftruncateSync, openSync } from 'node:fs'
    import { LineOutput } from ${MODULE}
    const descriptor = openSync(${JSON.stringify(path)}, 'a')
    const output = new LineOutput(descriptor, lost => lost + ' missing\\n')
    for (const length of [5000, 500]) output.write('x'.repeat(length) + '\\n')
    output.flush()
    ftruncateSync(descriptor, 3)
    output.write('more\\n')`
  // Files may have one block: of what is longer the beginning is written.
  const command = `trap '' XFSZ; ulimit -f 1; exec "$0" --input-type=module --eval "$1"`
  execFileSync('sh', ['-c', command, process.execPath, program])
  assert.equal(readFileSync(path, 'utf8'), 'xxx\n2 missing\nmore\n')
})
