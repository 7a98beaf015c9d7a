/** The compiled part of LMDB, loaded by way of folders that are good and bad for it. */

import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { needRoot } from '../../../test/peers/need.ts'
import { run } from '../../../test/peers/program.ts'
import { loadLibrary, UnpackError } from './unpack.ts'

const temporary = mkdtempSync(join(tmpdir(), 'ptt-unpack-'))
after(() => rmSync(temporary, { recursive: true }))
let made = 0

function folder(mode = 0o700): string {
  const path = join(temporary, `${made++}`)
  mkdirSync(path)
  chmodSync(path, mode)
  return path
}

const root = join(import.meta.dirname, '../../..')
const file = globSync('node_modules/@lmdb/*/node.napi.glibc.node', { cwd: root })[0] ?? ''
const library = readFileSync(join(root, file))

test('the library is loaded, and nothing of it stays', () => {
  const place = folder()
  assert.equal(typeof (loadLibrary('lmdb.node', library, place) as { Env: unknown }).Env, 'function')
  assert.deepEqual(readdirSync(place), [])
  const mapped = readFileSync('/proc/self/maps', 'utf8').match(/\S+\/lmdb\.node \(deleted\)/)
  assert.ok(mapped?.[0].startsWith(`${place}/ptt-`), mapped?.[0])
})

test('what cannot be loaded is told, and nothing of it stays', () => {
  const place = folder()
  assert.throws(
    () => loadLibrary('lmdb.node', Buffer.alloc(100, 'no library'), place),
    error => error instanceof UnpackError && error.message.includes(`unpacked to ${place} cannot be loaded`),
  )
  assert.deepEqual(readdirSync(place), [])
})

test('a folder in which others may rename is refused; a sticky one is not', () => {
  const open = folder(0o777)
  assert.throws(() => loadLibrary('lmdb.node', library, open), /others may rename what is in .* \(mode 777\)/)
  mkdirSync(join(open, 'below'), 0o700)
  assert.throws(() => loadLibrary('lmdb.node', library, join(open, 'below')), /others may rename/)
  // What counts is where a link leads.
  symlinkSync(open, join(temporary, 'link'))
  assert.throws(() => loadLibrary('lmdb.node', library, join(temporary, 'link')), /others may rename/)
  loadLibrary('lmdb.node', library, folder(0o1777))
})

test('a folder of somebody else is refused', t => {
  if (!needRoot(t, 'give a folder to another user')) return
  const place = folder()
  chownSync(place, 65534, 65534)
  assert.throws(() => loadLibrary('lmdb.node', library, place), /belongs to another user \(65534\)/)
})

test('a folder that is not there, or may not be written to, is told with what to do', () => {
  const place = join(folder(), 'none')
  assert.throws(() => loadLibrary('lmdb.node', library, place), /ENOENT.*set TMPDIR to a folder of your own/)
  assert.throws(() => loadLibrary('lmdb.node', library, '/proc/self'), /nothing can be put there/)
})

test('a file system from which nothing can be run is told', async t => {
  if (!needRoot(t, 'mount a file system')) return
  const place = folder()
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', 'noexec,mode=700', 'tmpfs', place])
  if (mounted.code !== 0) return t.skip(`SKIPPED: no mount here: ${mounted.output}`)
  try {
    // In a process of its own: where it fails, the dynamic linker keeps the file open.
    const script = `import { loadLibrary } from '${join(import.meta.dirname, 'unpack.ts')}'
      import { readFileSync } from 'node:fs'
      loadLibrary('lmdb.node', readFileSync('${join(root, file)}'))`
    const args = ['--input-type=module', '--eval', script]
    const { code, output } = await run(process.execPath, args, { env: { TMPDIR: place } })
    assert.equal(code, 1)
    assert.match(output, /noexec.*set TMPDIR to a folder of your own/)
  } finally {
    const unmounted = await run('umount', [place])
    assert.equal(unmounted.code, 0, unmounted.output)
  }
})
