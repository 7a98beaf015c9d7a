import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { writeCpio } from './cpio.ts'

const octets = Buffer.from('five!')

test('an archive as the kernel reads it: header, name and content at multiples of four', () => {
  const archive = writeCpio([{ path: 'a', octets, executable: true }])
  assert.equal(archive.length % 512, 0)
  // magic, inode 1, mode 0100755, root, one link, no time, five octets, no device, a name of two with its NUL
  const zero = '00000000'
  const header = `070701${'00000001'}${'000081ED'}${zero}${zero}${'00000001'}${zero}${'00000005'}${zero.repeat(4)}${'00000002'}${zero}`
  assert.equal(archive.toString('latin1', 0, 110), header)
  assert.equal(archive.toString('latin1', 110, 112), 'a\0')
  assert.equal(archive.toString('latin1', 112, 120), 'five!\0\0\0')
  assert.equal(archive.toString('latin1', 120, 126), '070701')
  assert.ok(archive.includes('TRAILER!!!\0'))
})

test('the same entries give the same octets, in whatever order they come', () => {
  const entries = [
    { path: 'modules/b', octets },
    { path: 'modules', folder: true as const },
    { path: 'init', octets, executable: true },
  ]
  assert.deepEqual(writeCpio(entries), writeCpio(entries.toReversed()))
})

test('a folder comes before what is in it', () => {
  const archive = writeCpio([
    { path: 'modules/a', octets },
    { path: 'modules', folder: true },
  ])
  assert.ok(archive.indexOf('modules\0') < archive.indexOf('modules/a\0'))
})

test('two entries of one name are a mistake', () => {
  assert.throws(
    () =>
      writeCpio([
        { path: 'a', octets },
        { path: 'a', octets },
      ]),
    /two entries are called a/,
  )
})

test('cpio(1) reads it, where there is one', t => {
  const archive = writeCpio([
    { path: 'modules', folder: true },
    { path: 'modules/a', octets },
  ])
  try {
    const listed = execFileSync('cpio', ['--list', '--quiet'], { input: archive, encoding: 'utf8' })
    assert.deepEqual(listed.trim().split('\n'), ['modules', 'modules/a'])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    t.diagnostic('there is no cpio(1)')
  }
})
