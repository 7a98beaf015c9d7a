import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { need } from '../../test/peers/need.ts'
import { git } from './git.ts'
import { ObjectReader } from './object-reader.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptt-objects-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const run = async (args: string[], input = '') =>
  (await git(args, { folder, timeoutMs: 30_000, input })).toString().trim()

test('objects of any size, in the order asked for; null where there is none', async t => {
  if (!need(t, 'git')) return
  await run(['init', '--quiet', '--bare', '--', folder])
  const texts = ['', 'one\n', 'x'.repeat(3_000_000), '0123 blob 5\nabcde\n']
  const oids: string[] = []
  for (const text of texts) oids.push(await run(['hash-object', '-w', '--stdin'], text))
  const reader = new ObjectReader(folder)
  t.after(() => reader.close())
  const missing = '0'.repeat(40)
  const [one, other] = await Promise.all([
    reader.read([...oids, missing, 'no such name']),
    reader.read([oids[1] ?? '']),
  ])
  assert.deepEqual(
    one.map(found => found?.octets.toString() ?? null),
    [...texts, null, null],
  )
  assert.deepEqual(one.map(found => found?.oid ?? null).slice(0, 4), oids)
  assert.deepEqual(
    other.map(found => [found?.type, found?.octets.toString()]),
    [['blob', 'one\n']],
  )
  assert.deepEqual(await reader.read([]), [])
  // Written while it runs.
  const later = await run(['hash-object', '-w', '--stdin'], 'later')
  assert.equal((await reader.read([later]))[0]?.octets.toString(), 'later')
  // Ended: started again when it is needed.
  reader.close()
  assert.equal((await reader.read([later]))[0]?.octets.toString(), 'later')
})

test('what is too much is refused, and the next answer is its own', async t => {
  if (!need(t, 'git')) return
  const large = await run(['hash-object', '-w', '--stdin'], 'y'.repeat(65 * 1024 * 1024))
  const small = await run(['hash-object', '-w', '--stdin'], 'small')
  const reader = new ObjectReader(folder)
  t.after(() => reader.close())
  await assert.rejects(reader.read([large, small]), { code: 'TOO_MUCH' })
  assert.equal((await reader.read([small]))[0]?.octets.toString(), 'small')
})

test('a folder that is no repository is a failure', async t => {
  if (!need(t, 'git')) return
  await assert.rejects(new ObjectReader(tmpdir()).read(['x']), { name: 'GitError', code: 'FAILED' })
})

test('a program that has read does not wait for it', t => {
  if (!need(t, 'git')) return
  const code = `
    import { ObjectReader } from ${JSON.stringify(join(import.meta.dirname, 'object-reader.ts'))}
    await new ObjectReader(${JSON.stringify(folder)}).read(['x'])
    console.log('read')`
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', code], {
    timeout: 30_000,
  })
  assert.deepEqual([stdout.toString(), status], ['read\n', 0])
})
