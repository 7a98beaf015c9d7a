import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { claim, SandboxError } from './folder.ts'

test('a folder belongs to one sandbox at a time', t => {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-claim-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const release = claim(folder)
  assert.throws(() => claim(folder), new RegExp(`already at work in ${folder} \\(process ${process.pid}\\)`))
  assert.throws(() => claim(folder), SandboxError)
  release()
  claim(folder)()
})

const stale: [what: string, claim: string][] = [
  ['of a process that is gone', '999999999 1\n'],
  ['of a process whose number is another now', `${process.pid} 1\n`],
  ['that was never written', ''],
]

for (const [what, text] of stale) {
  test(`the claim ${what} is void`, t => {
    const folder = mkdtempSync(join(tmpdir(), 'ptt-claim-'))
    t.after(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'sandbox.pid'), text)
    const release = claim(folder)
    assert.match(readFileSync(join(folder, 'sandbox.pid'), 'utf8'), new RegExp(`^${process.pid} `))
    release()
  })
}
