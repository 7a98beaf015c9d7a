import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { putInPlace, writeBeside, writeWhole } from './whole-file.ts'

const root = mkdtempSync(join(tmpdir(), 'ptt-whole-file-'))
after(() => rmSync(root, { recursive: true }))
const modeOf = (path: string): number => statSync(path).mode & 0o777

test('what a crash has left beside gives a secret neither its text nor its rights', () => {
  const path = join(root, 'secret')
  writeFileSync(`${path}.new`, 'half of an earl')
  chmodSync(`${path}.new`, 0o666)
  writeWhole(path, 'secret\n')
  assert.deepEqual([readFileSync(path, 'utf8'), modeOf(path)], ['secret\n', 0o600])
})

test('the rights are of what is written, not of what was there', () => {
  const path = join(root, 'public')
  writeWhole(path, 'one\n')
  writeWhole(path, 'two\n', 0o644)
  assert.deepEqual([readFileSync(path, 'utf8'), modeOf(path)], ['two\n', 0o644])
})

test('several are put in place together; nothing stays beside them', () => {
  const folder = mkdtempSync(join(root, 'pair-'))
  const [key, certificate] = [join(folder, 'key'), join(folder, 'certificate')]
  for (const path of [key, certificate]) writeBeside(path, 'new\n')
  assert.deepEqual(readdirSync(folder), ['certificate.new', 'key.new'])
  putInPlace(key, certificate)
  assert.deepEqual(readdirSync(folder), ['certificate', 'key'])
})

test('where it cannot be put, the error says so, and nothing stays', () => {
  assert.throws(() => writeWhole(join(root, 'nowhere/file'), ''), { code: 'ENOENT' })
})
