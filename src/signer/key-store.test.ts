import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto'
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import { inspect } from 'node:util'
import { FileError } from '../config/file.ts'
import type { KeySource } from '../config/tables/signer.ts'
import { formatKeyRecord } from '../dkim/key-record.ts'
import { earlierRecords, type KeyOptions, keysFromPem, keysFromSeed, type LoadedKey } from './key-store.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptt-key-store-'))
after(() => rmSync(folder, { recursive: true }))

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const PKCS8 = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

let files = 0
function file(content: string, mode = 0o600): string {
  const path = join(folder, `key-${files++}`)
  writeFileSync(path, content)
  chmodSync(path, mode)
  return path
}

function options(
  from: { key: string } | { seed: string } | object,
  more: Partial<KeyOptions['signer']> = {},
): KeyOptions {
  const source = (path: string): KeySource => ({ kind: 'file', path })
  const key = 'key' in from ? [source(from.key)] : []
  const seed = 'seed' in from ? { seed: source(from.seed) } : {}
  const signer: KeyOptions['signer'] = {
    selector: 'ptt',
    bits: 2048,
    seedFor: 'domain',
    algorithms: ['rsa-sha256'],
    key,
    ...seed,
  }
  return { domain: 'Example.com', signer: { ...signer, ...more } }
}

/** The one key of the deployment's domain. */
function loadKey(given: KeyOptions): LoadedKey {
  const loaded = given.signer.seed === undefined ? keysFromPem(given) : keysFromSeed(given)(given.domain)
  const [first, ...others] = loaded
  assert.ok(first !== undefined && others.length === 0)
  return first
}

for (const type of ['pkcs1', 'pkcs8'] as const)
  test(`a key in ${type}`, () => {
    const pem = pair.privateKey.export({ type, format: 'pem' }).toString()
    const { key, record } = loadKey(options({ key: file(pem) }))
    assert.equal(record, formatKeyRecord(pair.publicKey))
    assert.equal(key.signingDomain, 'example.com')
    assert.equal(key.selector, 'ptt')
    const data = Buffer.from('x')
    assert.ok(verify('sha256', data, pair.publicKey, sign('sha256', data, key.privateKey)))
  })

test('a seed gives the same key each time, with or without a line end', () => {
  const seed = randomBytes(32).toString('base64')
  const { record } = loadKey(options({ seed: file(seed) }))
  assert.equal(loadKey(options({ seed: file(`${seed}\n`) })).record, record)
  assert.notEqual(loadKey({ ...options({ seed: file(seed) }), domain: 'example.net' }).record, record)
})

const rsa = PKCS8
const secret = 'c2VjcmV0IHNlY3JldCBzZWNyZXQ='
const damaged = PKCS8.replace(/\n.{20}/, `\n${'A'.repeat(20)}`)
/** A PEM whose numbers do not fit together: one octet of the modulus is another. */
const inconsistent = (() => {
  const der = Buffer.from(pair.privateKey.export({ type: 'pkcs1', format: 'der' }))
  der[40] = (der[40] ?? 0) ^ 0xff
  return `-----BEGIN RSA PRIVATE KEY-----\n${der.toString('base64')}\n-----END RSA PRIVATE KEY-----\n`
})()
const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
})
const ed25519 = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
})
const encrypted = pair.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes256', passphrase: 'x' })
mkdirSync(join(folder, 'is-a-folder'), { mode: 0o700 })

const refused: [what: string, options: KeyOptions, ...says: RegExp[]][] = [
  ['a key its group may read', options({ key: file(PKCS8, 0o640) }), /mode 640/, /chmod 600/],
  ['a key the world may read', options({ key: file(PKCS8, 0o604) }), /mode 604/, /chmod 600/],
  [
    'a seed the world may read',
    options({ seed: file(randomBytes(32).toString('base64'), 0o644) }),
    /chmod 600/,
  ],
  ['no file', options({ key: join(folder, 'none') }), /no such file/],
  [
    'an empty folder',
    options({ key: join(folder, 'is-a-folder') }),
    /is a folder without keys.*<selector>\.pem/,
  ],
  [
    'a credential without systemd',
    options({}, { key: [{ kind: 'credential', credential: 'k' }] }),
    /LoadCredential=k/,
  ],
  [
    'a descriptor that is not open',
    options({}, { key: [{ kind: 'descriptor', descriptor: 999 }] }),
    /^fd:999: .*999< key\.pem/,
  ],
  [
    'two keys of one algorithm',
    options({}, { key: [rsa, rsa].map(text => ({ kind: 'given', option: '-p', text })) }),
    /-p and -p: are both for the selector ptt/,
  ],
  ['not PEM', options({ key: file(secret) }), /is not a private key in PEM/, /openssl genrsa/],
  ['a public key', options({ key: file(formatPublic()) }), /holds a public key/],
  ['a passphrase', options({ key: file(encrypted.toString()) }), /passphrase/, /openssl pkey/],
  ['a damaged key', options({ key: file(damaged) }), /damaged/],
  ['a key that does not fit its own public key', options({ key: file(inconsistent) }), /damaged/],
  ['RSA of 1024 bits', options({ key: file(small.toString()) }), /1024 bits, less than 2048/],
  [
    'neither RSA nor Ed25519',
    options({ key: file(ec.toString()) }),
    /is a key for ec, neither RSA nor Ed25519/,
  ],
  ['a seed that is not base64', options({ seed: file(`${secret} ${secret} ${secret}`) }), /base64/],
  ['a short seed', options({ seed: file(secret) }), /20 octets, less than 32/, /openssl rand/],
  ['an empty seed', options({ seed: file('\n') }), /base64/],
]

for (const [what, given, ...says] of refused)
  test(`refused: ${what}`, () => {
    assert.throws(
      () => loadKey(given),
      error => {
        assert.ok(error instanceof FileError)
        for (const pattern of says) assert.match(error.message, pattern)
        return true
      },
    )
  })

test('RSA and Ed25519 beside each other have a selector each', () => {
  const given = (text: string): KeySource => ({ kind: 'given', option: '-p', text })
  const both = keysFromPem(options({}, { key: [given(ed25519.toString()), given(PKCS8)] }))
  assert.deepEqual(
    both.map(({ key, record }) => [key.selector, key.algorithm, /k=\w+/.exec(record)?.[0]]),
    [
      ['ptt-ed25519', 'ed25519-sha256', 'k=ed25519'],
      ['ptt', 'rsa-sha256', 'k=rsa'],
    ],
  )
  const [alone] = keysFromPem(options({ key: file(ed25519.toString()) }))
  assert.equal(alone?.key.selector, 'ptt')
  const seed = file(randomBytes(32).toString('base64'))
  const derive = keysFromSeed(options({ seed }, { algorithms: ['rsa-sha256', 'ed25519-sha256'] }))
  assert.deepEqual(
    derive('example.org').map(({ key }) => [key.signingDomain, key.selector]),
    [
      ['example.org', 'ptt'],
      ['example.org', 'ptt-ed25519'],
    ],
  )
})

test('a seed for each selector: another selector is another key, the same one the same', () => {
  // Golden, of src/dkim/seed.test.ts.
  const seed = file(
    Buffer.from('8bb3e4f2a1c09d5768f1e2d3c4b5a69788796a5b4c3d2e1f0011223344556677', 'hex').toString('base64'),
  )
  const recordAt = (selector: string, seedFor: 'domain' | 'selector'): string =>
    loadKey(options({ seed }, { selector, seedFor, algorithms: ['ed25519-sha256'] })).record
  const golden = {
    none: 'v=DKIM1; k=ed25519; p=Wai6S6QcnDvMFry6VZHrZ47U6BUHt8QA0mfnY5mqKlE=',
    'ptt-1': 'v=DKIM1; k=ed25519; p=6slbtQgMSvikeWEDVWB0yo2acxQ1W7eI4JN2POQC4oQ=',
    'ptt-2': 'v=DKIM1; k=ed25519; p=RPxs+sUolPWjZe8RMBIKuha8Q4b51tNhiBttDXZQUAk=',
  }
  for (const selector of ['ptt-1', 'ptt-2'] as const) {
    assert.equal(recordAt(selector, 'selector'), golden[selector])
    assert.equal(recordAt(selector, 'domain'), golden.none)
  }
})

test('a folder of keys: the names say whose they are', () => {
  const keys = join(folder, 'keys')
  mkdirSync(join(keys, 'example.org'), { recursive: true })
  const write = (name: string, text: string): void => writeFileSync(join(keys, name), text, { mode: 0o600 })
  write('2026a.pem', PKCS8)
  write('2026b.pem', ed25519.toString())
  write('example.org/x.pem', PKCS8)
  write('README', 'not a key')
  assert.deepEqual(
    keysFromPem(options({ key: keys })).map(({ key }) => `${key.selector} ${key.signingDomain}`),
    ['2026a example.com', '2026b example.com', 'x example.org'],
  )
  chmodSync(join(keys, '2026b.pem'), 0o644)
  assert.throws(() => keysFromPem(options({ key: keys })), /2026b\.pem: others may read it/)
})

test('a descriptor, and a credential of systemd', t => {
  const descriptor = openSync(file(PKCS8), 'r')
  t.after(() => closeSync(descriptor))
  const { record } = loadKey(options({}, { key: [{ kind: 'descriptor', descriptor }] }))
  assert.equal(record, formatKeyRecord(pair.publicKey))
  const before = process.env.CREDENTIALS_DIRECTORY
  t.after(() => {
    if (before === undefined) delete process.env.CREDENTIALS_DIRECTORY
    else process.env.CREDENTIALS_DIRECTORY = before
  })
  process.env.CREDENTIALS_DIRECTORY = folder
  const credential = (mode: number): KeyOptions =>
    options({}, { key: [{ kind: 'credential', credential: basename(file(PKCS8, mode)) }] })
  // What an ACL allows shows as a right of the group.
  assert.equal(loadKey(credential(0o440)).record, record)
  assert.throws(() => loadKey(credential(0o444)), /others may read it \(mode 444\)/)
})

test('no error and no inspection shows any of the key', () => {
  const body = PKCS8.split('\n').slice(1, -2)
  const shown: string[] = [inspect(loadKey(options({ key: file(PKCS8) })), { depth: 9, showHidden: true })]
  for (const content of [damaged, inconsistent, PKCS8.replace('BEGIN PRIVATE', 'BEGIN EC PRIVATE'), secret])
    assert.throws(
      () => loadKey(options({ key: file(content) })),
      error => shown.push(inspect(error, { depth: 9 })) > 0,
    )
  for (const text of shown)
    for (const line of [...body, secret]) assert.ok(!text.includes(line.slice(0, 16)), text)
})

function formatPublic(): string {
  return pair.publicKey.export({ type: 'spki', format: 'pem' }).toString()
}

test('the records of earlier keys, from what is left of them', () => {
  const earlier = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = earlier.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const records = earlierRecords({ signer: { earlierKeys: [file(PKCS8), file(pem, 0o644)] } })
  assert.deepEqual(records, [formatKeyRecord(pair.publicKey), formatKeyRecord(earlier.publicKey)])
  assert.throws(
    () => earlierRecords({ signer: { earlierKeys: [file('-----BEGIN NOTHING-----')] } }),
    /no key that can be read/,
  )
})
