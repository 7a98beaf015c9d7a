import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Command } from 'commander'
import { parseConfig } from '../config/load.ts'
import { keysFromPem, keysFromSeed } from '../signer/key-store.ts'
import { addKeyOptions, adjust, type KeyOptions } from './key-options.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptt-key-options-'))
after(() => rmSync(folder, { recursive: true }))
const config = parseConfig(
  'domain = "example.com"\nsigner.expiration = "7d"\nsigner.key = "mine.pem"',
  join(folder, 'ptt.toml'),
)
const SEED = randomBytes(32).toString('base64')
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const ed25519 = generateKeyPairSync('ed25519').privateKey

/** As commander reads them. */
function options(...args: string[]): KeyOptions {
  const command = addKeyOptions(new Command('signer'))
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
  return command.parse(args, { from: 'user' }).opts()
}

test('without options ptt.toml stands', () => {
  assert.deepEqual(adjust(config, options()), { config, overrides: {}, complaints: [] })
})

test('what is said stands above ptt.toml, and nothing else changes', () => {
  const said = options(
    '-b',
    '4096',
    '-a',
    'ed25519',
    '--selector',
    'S2026',
    '--fields',
    'To, Subject',
    '--timestamp',
    '1000000000',
    '--expiration',
    '2000000000',
  )
  const { config: adjusted, overrides, complaints } = adjust(config, said)
  const { bits, algorithms, selector, fields, ...rest } = adjusted.signer
  assert.deepEqual(
    [bits, algorithms, selector, fields],
    [4096, ['ed25519-sha256'], 's2026', ['To', 'Subject']],
  )
  const { bits: _1, algorithms: _2, selector: _3, fields: _4, ...before } = config.signer
  assert.deepEqual(rest, before)
  assert.deepEqual(overrides, { timestampSeconds: 1_000_000_000, expirationSeconds: 2_000_000_000 })
  assert.deepEqual(complaints, [])
})

test('a seed: its base64, as the original has it, with a complaint; or a file of it', () => {
  const path = join(folder, 'seed')
  writeFileSync(path, SEED, { mode: 0o600 })
  const [given, file] = [SEED, path].map(seed => adjust(config, options('--seed', seed)))
  assert.ok(given !== undefined && file !== undefined)
  assert.deepEqual(given.config.signer.key, [])
  const records = [given, file].map(one =>
    keysFromSeed(one.config)('example.com').map(({ record }) => record),
  )
  assert.deepEqual(records[0], records[1])
  assert.match(given.complaints.join(), /^--seed: a secret on the command line is seen by every user/)
  assert.ok(!given.complaints.join().includes(SEED))
  assert.deepEqual(file.complaints, [])
})

test('a key: its base64 or a file, of the algorithm that is said', () => {
  const path = join(folder, 'key.pem')
  writeFileSync(path, rsa.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 })
  const base64 = ed25519.export({ type: 'pkcs8', format: 'der' }).toString('base64')
  const algorithms = [path, base64].map(key => {
    const { config: adjusted } = adjust(config, options('-p', key))
    return keysFromPem(adjusted).map(one => `${one.key.selector} ${one.key.algorithm}`)
  })
  assert.deepEqual(algorithms, [['ptt rsa-sha256'], ['ptt ed25519-sha256']])
  assert.throws(
    () => adjust(config, options('-p', path, '-a', 'ed25519')),
    /-p is a key for rsa, and --algorithm says ed25519/,
  )
  assert.equal(adjust(config, options('-p', base64, '-a', 'ed25519')).complaints.length, 1)
  assert.deepEqual(adjust(config, options('-p', 'credential:dkim')).config.signer.key, [
    { kind: 'credential', credential: 'dkim' },
  ])
})

const wrong: [what: string, args: string[], says: RegExp][] = [
  ['a seed and a key', ['--seed', SEED, '-p', 'x.pem'], /say one of them/],
  ['an x= before t=', ['--timestamp', '5', '--expiration', '5'], /not later than --timestamp/],
  ['a size of long ago', ['--bits', '1024'], /Allowed choices are 2048, 3072, 4096/],
  ['an algorithm that there is not', ['--algorithm', 'dsa'], /Allowed choices are rsa, ed25519/],
  ['a time in words', ['--timestamp', 'now'], /seconds since 1970/],
  ['a selector that is none', ['--selector', 'a b'], /is not a DKIM selector/],
  ['a field that is none', ['--fields', 'From:,To'], /is not the name of a header field/],
]
for (const [what, args, says] of wrong)
  test(`refused: ${what}`, () => assert.throws(() => adjust(config, options(...args)), says))
