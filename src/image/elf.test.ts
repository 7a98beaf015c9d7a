import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readElf } from './elf.ts'

test('Node: its loader, and the libraries that ldd(1) finds', () => {
  const wants = readElf(readFileSync(process.execPath))
  assert.ok(wants !== null)
  assert.match(wants.interpreter ?? '', /^\/lib64\/ld-linux-x86-64\.so\.2$/)
  const found = execFileSync('ldd', [process.execPath], { encoding: 'utf8' })
  for (const name of wants.libraries) assert.ok(found.includes(name), name)
  assert.ok(wants.libraries.includes('libc.so.6'))
})

const noElf: [name: string, octets: Buffer][] = [
  ['empty', Buffer.alloc(0)],
  ['a script', Buffer.from('#!/bin/sh\n'.padEnd(80))],
  ['of 32 bits', Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 1, 1]), Buffer.alloc(80)])],
  ['big-endian', Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 2]), Buffer.alloc(80)])],
]
for (const [name, octets] of noElf) {
  test(`no program: ${name}`, () => assert.equal(readElf(octets), null))
}

test('a static program wants nothing', () => {
  const octets = Buffer.concat([Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]), Buffer.alloc(80)])
  assert.deepEqual(readElf(octets), { interpreter: null, libraries: [] })
})
