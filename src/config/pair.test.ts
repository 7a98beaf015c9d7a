import assert from 'node:assert/strict'
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../test/peers/program.ts'
import { issue, makeAuthority } from '../cli/authority.ts'
import type { KeyPair } from '../net/tls.ts'
import { PairWatch, readPair } from './pair.ts'

const DAY = 86_400_000
const NOW = Date.now()
const authority = await makeAuthority('example.com')
const make = (nowMs = NOW) => issue(authority, { names: ['mail.example.com'] }, nowMs)
const [first, second, third] = [await make(), await make(), await make()]

test('a pair is read with what it says of itself', async t => {
  const { files, write } = folder(t)
  write(first)
  const pair = readPair(files)
  assert.equal(pair.certificate, first.certificate)
  assert.equal(pair.key, first.key)
  assert.ok(pair.notBeforeMs <= NOW && pair.notAfterMs > NOW + 300 * DAY)
  assert.match(pair.fingerprint, /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/)
})

const broken: [what: string, spoil: (files: { certificate: string; key: string }) => void, said: RegExp][] = [
  ['the key of another', ({ key }) => put(key, second.key), /submission\.key: is not the key of/],
  ['no key', ({ key }) => rmSync(key), /submission\.key: there is no such file/],
  ['no certificate', ({ certificate }) => rmSync(certificate), /submission\.pem: there is no such file/],
  ['half a key', ({ key }) => put(key, first.key.slice(0, 60)), /submission\.key: is not a private key/],
  [
    'half a certificate',
    ({ certificate }) => put(certificate, first.certificate.slice(0, 300)),
    /submission\.pem: holds no certificate/,
  ],
  ['a key for all to read', ({ key }) => chmodSync(key, 0o644), /submission\.key: others may read it/],
]
for (const [what, spoil, said] of broken) {
  test(`a pair is refused: ${what}`, t => {
    const { files, write } = folder(t)
    write(first)
    spoil(files)
    assert.throws(() => readPair(files), { message: said })
  })
  test(`a pair in use stays in use: ${what}`, t => {
    const { files, write } = folder(t)
    write(first)
    const { watch, used, alarms } = watched(t, files)
    spoil(files)
    watch.look()
    assert.deepEqual(alarms, [], 'it may be half-written')
    watch.look()
    watch.look()
    assert.equal(alarms.length, 1, 'told once')
    assert.match(alarms[0] ?? '', said)
    assert.match(alarms[0] ?? '', /stays in use$/)
    assert.throws(() => watch.reload(), { message: said })
    assert.equal(watch.pair.certificate, first.certificate)
    write(second)
    watch.look()
    assert.deepEqual(used, [second.certificate])
  })
}

test('a pair whose second half comes later is taken when it is whole', t => {
  const { files, write } = folder(t)
  write(first)
  const { watch, used, alarms } = watched(t, files)
  put(files.key, second.key)
  watch.look()
  assert.deepEqual(used, [])
  put(files.certificate, second.certificate)
  watch.look()
  assert.deepEqual(used, [second.certificate])
  assert.equal(watch.pair.key, second.key)
  assert.deepEqual(alarms, [])
})

test('a file that is only touched is no new pair; one alarm for each new thing that is wrong', t => {
  const { files, write } = folder(t)
  write(first)
  const { watch, used, alarms } = watched(t, files)
  write(first)
  watch.look()
  assert.deepEqual(used, [])
  for (const key of [second.key, third.key]) {
    put(files.key, key)
    watch.look()
    watch.look()
  }
  assert.equal(alarms.length, 1, 'the same is wrong with another key')
  write(second)
  watch.look()
  put(files.key, first.key)
  watch.look()
  watch.look()
  assert.equal(alarms.length, 2, 'wrong again after it had been right')
})

test('an expired certificate does not take the place of a good one', async t => {
  const { files, write } = folder(t)
  write(first)
  const { watch, used, alarms } = watched(t, files)
  write(await make(NOW - 3000 * DAY))
  watch.look()
  watch.look()
  assert.deepEqual(used, [])
  assert.match(alarms[0] ?? '', /expired on \d{4}-\d{2}-\d{2}: the certificate in use stays/)
})

test('what the user of a pair objects to is broken', t => {
  const { files, write } = folder(t)
  write(first)
  const alarms: string[] = []
  const renewed = () => {
    throw new Error('key too small')
  }
  const watch = new PairWatch({ files, renewed, alarm: reason => alarms.push(reason) })
  t.after(() => watch.close())
  write(second)
  watch.look()
  watch.look()
  assert.deepEqual(alarms, ['key too small: the certificate in use stays in use'])
  assert.equal(watch.pair.certificate, first.certificate)
})

test('the end of the one in use is told a week before, at the end, and then once a day', t => {
  const { files, write } = folder(t)
  write(first)
  let now = NOW
  const { watch, alarms } = watched(t, files, () => now)
  const endMs = watch.pair.notAfterMs
  const at = (ms: number): number => {
    now = ms
    watch.look()
    watch.look()
    return alarms.length
  }
  assert.equal(at(endMs - 8 * DAY), 0)
  assert.equal(at(endMs - 7 * DAY), 1)
  assert.match(alarms[0] ?? '', /submission\.pem: expires on/)
  assert.equal(at(endMs - DAY), 1)
  assert.equal(at(endMs), 2)
  assert.match(alarms[1] ?? '', /submission\.pem: expired on .*, and mail programs refuse it/)
  assert.equal(at(endMs + DAY - 1), 2)
  assert.equal(at(endMs + DAY), 3)
})

test('one that has expired is served from the start, and told', async t => {
  const { files, write } = folder(t)
  write(await make(NOW - 3000 * DAY))
  const { watch, alarms, used } = watched(t, files)
  assert.equal(alarms.length, 1)
  write(first)
  watch.look()
  assert.deepEqual(used, [first.certificate])
})

/** Replaced, not written over: two writes within one tick of the clock would look the same. */
function put(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

function folder(t: TestContext) {
  const { path, remove } = temporaryFolder('pair')
  t.after(remove)
  const files = { certificate: join(path, 'submission.pem'), key: join(path, 'submission.key') }
  const write = ({ certificate, key }: KeyPair) => {
    put(files.key, key)
    put(files.certificate, certificate)
  }
  return { files, write }
}

/** Looked at by the test only: the interval is longer than the test. */
function watched(t: TestContext, files: { certificate: string; key: string }, now: () => number = Date.now) {
  const used: string[] = []
  const alarms: string[] = []
  const watch = new PairWatch({
    files,
    renewed: pair => used.push(pair.certificate),
    alarm: reason => alarms.push(reason),
    intervalMs: 3_600_000,
    now,
  })
  t.after(() => watch.close())
  return { watch, used, alarms }
}
