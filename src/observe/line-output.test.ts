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
import { LineOutput } from './line-output.ts'

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

test('a line is there when `write` returns', t => {
  const path = join(temporaryFolder(t), 'log')
  const descriptor = openSync(path, 'a')
  t.after(() => closeSync(descriptor))
  const output = new LineOutput(descriptor, complain)
  for (const line of ['one\n', 'zwölf\n', `${'x'.repeat(70_000)}\n`]) {
    output.write(line)
    assert.ok(readFileSync(path, 'utf8').endsWith(line))
  }
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
  // Blocks this process until the other one reads.
  output.write(line)
  assert.ok((await text(head.stdout)).endsWith(`x${line}`))
  closeSync(reader)
})

test('what could not be written is counted, and told when a line can be written again', t => {
  const { path, reader, writer } = fifo(t)
  const output = new LineOutput(writer, complain)
  closeSync(reader)
  for (const word of ['one', 'two', 'three']) output.write(`${word}\n`)
  const again = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  t.after(() => closeSync(again))
  output.write('four\n')
  output.write('five\n')
  assert.equal(readNow(again), '3 missing\nfour\nfive\n')
})

test('behind a line that was cut short the next one begins', t => {
  const path = join(temporaryFolder(t), 'log')
  const module = JSON.stringify(new URL('./line-output.ts', import.meta.url).href)
  const program = `import { ftruncateSync, openSync } from 'node:fs'
    import { LineOutput } from ${module}
    const descriptor = openSync(${JSON.stringify(path)}, 'a')
    const output = new LineOutput(descriptor, lost => lost + ' missing\\n')
    output.write('x'.repeat(5000) + '\\n')
    ftruncateSync(descriptor, 3)
    output.write('more\\n')`
  // Files may have one block: of what is longer the beginning is written.
  const command = `trap '' XFSZ; ulimit -f 1; exec "$0" --input-type=module --eval "$1"`
  execFileSync('sh', ['-c', command, process.execPath, program])
  assert.equal(readFileSync(path, 'utf8'), 'xxx\n1 missing\nmore\n')
})
