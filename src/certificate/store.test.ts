import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/peers/program.ts'
import { issue, makeAuthority } from '../cli/authority.ts'
import { jitterOf, namesMissing, newKey, Store } from './store.ts'

const DIRECTORY = 'https://ca.example:14000/dir'
const authority = await makeAuthority('example.com')
const make = (...names: [string, ...string[]]) => issue(authority, { names })
const [first, second] = [await make('mail.example.com'), await make('mail.example.com')]

function setUp(t: TestContext) {
  const { path, remove } = temporaryFolder('store')
  t.after(remove)
  const files = { certificate: join(path, 'tls/submission.pem'), key: join(path, 'tls/submission.key') }
  const store = new Store(join(path, 'acme'), files)
  store.checkWritable()
  return { path, files, store }
}

test('the account key is made once for each CA, and nobody else may read it', t => {
  const { path, store } = setUp(t)
  const key = store.accountKey(DIRECTORY)
  assert.equal(store.accountKey('https://ca.example:14000/other'), key)
  assert.notEqual(store.accountKey('https://staging.ca.example/dir'), key)
  const files = readdirSync(join(path, 'acme')).sort()
  assert.deepEqual(files, ['account-ca.example_14000.key', 'account-staging.ca.example.key'])
  for (const file of files) assert.equal(statSync(join(path, 'acme', file)).mode & 0o777, 0o600)
})

test('a note is what was written; one that is damaged is none', t => {
  const { path, store } = setUp(t)
  const empty = store.readNote()
  assert.deepEqual([empty.failures, empty.retryMs, empty.issued, empty.published], [0, null, null, []])
  const place = { name: 'a.example', zone: 'example', primary: { host: '127.0.0.1', port: 53 } }
  const note = { ...empty, failures: 3, retryMs: 17, published: [{ ...place, value: 'x' }] }
  store.writeNote(note)
  assert.deepEqual(store.readNote(), note)
  for (const damaged of ['', '{"failures": 3', 'null', '[]', '{"failures":"3"}']) {
    writeFileSync(join(path, 'acme/note.json'), damaged)
    assert.deepEqual(store.readNote(), empty, damaged)
  }
})

test('a pair takes the place of another, and one that is not ours is kept beside', t => {
  const { files, store } = setUp(t)
  assert.match(JSON.stringify(store.readPair()), /complaint.*there is no such file/)
  store.writePair(first.certificate, first.key, true)
  assert.ok(!existsSync(`${files.key}.replaced`), 'there was nothing')
  store.writePair(second.certificate, second.key, true)
  assert.equal(readFileSync(`${files.certificate}.replaced`, 'utf8'), first.certificate)
  assert.equal(readFileSync(`${files.key}.replaced`, 'utf8'), first.key)
  store.writePair(first.certificate, first.key, false)
  assert.equal(readFileSync(`${files.key}.replaced`, 'utf8'), first.key)
  assert.equal(statSync(files.key).mode & 0o777, 0o600)
  const pair = store.readPair()
  assert.ok('certificate' in pair && pair.certificate === first.certificate)
  assert.deepEqual(
    readdirSync(join(files.key, '..')).filter(name => name.endsWith('.new')),
    [],
  )
})

test('a crash between the two renames is completed at the next start', t => {
  const { files, store } = setUp(t)
  store.writePair(first.certificate, first.key, false)
  assert.equal(store.recover(), false, 'nothing to do')
  // As writePair leaves it when it ends after its first rename.
  writeFileSync(`${files.key}.new`, second.key, { mode: 0o600 })
  writeFileSync(`${files.certificate}.new`, second.certificate)
  assert.equal(store.recover(), false, 'before the first rename the old pair is whole')
  renameSync(`${files.key}.new`, files.key)
  assert.ok('complaint' in store.readPair())
  assert.equal(store.recover(), true)
  const pair = store.readPair()
  assert.ok('certificate' in pair && pair.certificate === second.certificate)
})

test('what does not belong to the key completes nothing', t => {
  const { files, store } = setUp(t)
  store.writePair(first.certificate, second.key, false)
  writeFileSync(`${files.certificate}.new`, first.certificate)
  assert.equal(store.recover(), false)
  assert.equal(readFileSync(files.certificate, 'utf8'), first.certificate)
})

test('a folder that cannot be written is told at the start', t => {
  const { path, files } = setUp(t)
  writeFileSync(join(path, 'file'), '')
  const store = new Store(join(path, 'file/acme'), files)
  assert.throws(() => store.checkWritable(), { message: /file\/acme: cannot be written \(ENOTDIR\)/ })
})

test('names, jitter and keys', async () => {
  const both = await make('mail.example.com', 'smtp.example.com')
  const names = ['mail.example.com', 'smtp.example.com', 'imap.example.com', 'example.com']
  assert.deepEqual(namesMissing(both.certificate, names), ['imap.example.com', 'example.com'])
  const jitters = ['a', 'b', 'c'].map(jitterOf)
  assert.ok(jitters.every(jitter => jitter >= 0 && jitter < 1))
  assert.equal(new Set(jitters).size, 3)
  assert.equal(jitterOf('a'), jitters[0])
  assert.match(newKey('ecdsa-p256'), /^-----BEGIN PRIVATE KEY-----\n/)
})
