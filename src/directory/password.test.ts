import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import {
  DEFAULT_ITERATIONS,
  formatVerifier,
  makeVerifier,
  matchPassword,
  parseSha1Verifier,
  parseVerifier,
  prepareName,
  VerifierError,
  verifyPassword,
} from './password.ts'

// RFC 7677 §3: user "user", password "pencil".
const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const AUTH_MESSAGE = [
  'n=user,r=rOprNGfwEbeRWgbNEkqO',
  'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
].join(',')
const CLIENT_PROOF = 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
const SERVER_SIGNATURE = '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='

test('RFC 7677 §3: the keys of "pencil" give the exchange of the RFC', async () => {
  const { storedKey, serverKey } = await makeVerifier('pencil', { iterations: 4096, salt: SALT })
  const sign = (key: Uint8Array) => createHmac('sha256', key).update(AUTH_MESSAGE).digest()
  assert.equal(sign(serverKey).toString('base64'), SERVER_SIGNATURE)
  // ClientKey = ClientProof XOR ClientSignature, and StoredKey is its hash (RFC 5802 §3).
  const signature = sign(storedKey)
  const clientKey = Buffer.from(CLIENT_PROOF, 'base64').map((octet, i) => octet ^ (signature[i] ?? 0))
  assert.deepEqual(createHash('sha256').update(clientKey).digest(), Buffer.from(storedKey))
})

test('a verifier is written and read back', async () => {
  const verifier = await makeVerifier('pencil', { iterations: 4096, salt: SALT })
  const text = formatVerifier(verifier)
  assert.match(text, /^SCRAM-SHA-256\$4096:W22ZaJ0SNY7soEsUEjb6gQ==\$[^:]{44}:.{44}$/)
  assert.deepEqual(formatVerifier(parseVerifier(text)), text)
  const legacy = createHash('blake2b512').update('pencil').digest('hex')
  assert.equal(formatVerifier(parseVerifier(legacy.toUpperCase())), legacy)
})

test('a verifier for SCRAM-SHA-1 is written and read back', () => {
  // RFC 5802 §5: user "user", password "pencil".
  const text = 'SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE='
  assert.equal(formatVerifier(parseSha1Verifier(text)), text)
  for (const other of ['hunter2', text.replace('SHA-1', 'SHA-256'), text.replace('K9Y=', 'K9Y')]) {
    assert.throws(() => parseSha1Verifier(other), /malformed second verifier: it reads SCRAM-SHA-1/)
  }
  assert.throws(() => parseSha1Verifier(text.replace('4096', '100')), /weak hash: 100 iterations/)
})

const names: [name: string, prepared: string | null][] = [
  ['alice@example.com', 'alice@example.com'],
  ['I\u00adX', 'IX'], // RFC 4013 §3, example 1
  ['\u2168', 'IX'], // example 5
  ['\u0007', null], // example 6
  ['\u0627\u0031', null], // example 7
  ['\u00ad', null], // RFC 4954 §4: it "results in an empty string"
  ['', null],
  // RFC 3454 §7: a query may have code points that are unassigned in Unicode 3.2.
  ['\u0221', '\u0221'],
  ['a'.repeat(1025), null],
]
test('names are prepared as queries', () => {
  for (const [name, prepared] of names) assert.equal(prepareName(name), prepared, JSON.stringify(name))
})

const passwords: [stored: string, given: string, right: boolean][] = [
  ['pencil', 'pencil', true],
  ['pencil', 'Pencil', false],
  ['pencil', '', false],
  ['pencil', 'pencil ', false],
  ['I\u00adX', 'IX', true], // RFC 4013 §3, example 1: SOFT HYPHEN mapped to nothing
  ['user', 'USER', false], // example 3: case preserved
  ['\u00aa', 'a', true], // example 4: NFKC
  ['\u2168', 'IX', true], // example 5: NFKC
  ['IX', '\u0007', false], // example 6: prohibited character
  ['IX', '\u0627\u0031', false], // example 7: bidirectional check
  ['un\u00a0deux', 'un deux', true], // non-ASCII space
  ['p'.repeat(1024), 'p'.repeat(1024), true],
  ['pencil', 'p'.repeat(1_000_000), false],
]
for (const [stored, given, right] of passwords)
  test(`password ${JSON.stringify(stored.slice(0, 20))}, given ${JSON.stringify(given.slice(0, 20))}`, async () => {
    assert.equal(await verifyPassword(await makeVerifier(stored, { iterations: 4096 }), given), right)
  })

test('the legacy verifier takes the octets as they are', async () => {
  const legacy = parseVerifier(createHash('blake2b512').update('I\u00adX', 'utf8').digest('hex'))
  assert.equal(await verifyPassword(legacy, 'I\u00adX'), true)
  assert.equal(await verifyPassword(legacy, 'IX'), false)
  assert.equal(await verifyPassword(parseVerifier(createHash('blake2b512').digest('hex')), ''), false)
})

test('an unknown user has no password', async () => {
  for (const password of ['', 'pencil', '\u0007']) assert.equal(await verifyPassword(null, password), false)
})

test('no password may be stored that could not be given', async () => {
  for (const password of ['', '\u00ad', '\u0007', '\u0627\u0031', '\ud83d\ude00', 'p'.repeat(1025)])
    await assert.rejects(makeVerifier(password), VerifierError)
  await assert.rejects(makeVerifier('pencil', { iterations: 4095 }), VerifierError)
  assert.equal((await makeVerifier('pencil')).iterations, DEFAULT_ITERATIONS)
})

const KEY = Buffer.alloc(32).toString('base64')
const KEY_SHA_1 = Buffer.alloc(20).toString('base64')
const salt = SALT.toString('base64')
const malformed: [text: string, says: RegExp][] = [
  ['hunter2', /password in clear/],
  ['', /password in clear/],
  [`SCRAM-SHA-256$4095:${salt}$${KEY}:${KEY}`, /weak hash: 4095 iterations/],
  [`SCRAM-SHA-256$1000001:${salt}$${KEY}:${KEY}`, /more than 1000000/],
  [`SCRAM-SHA-256$4096:c2FsdA==$${KEY}:${KEY}`, /weak hash: the salt has 4 octets/],
  [`SCRAM-SHA-256$4096:${salt}$${KEY}`, /malformed verifier/],
  [`SCRAM-SHA-256$4096:${salt}$c2hvcnQ=:${KEY}`, /malformed verifier/],
  [`SCRAM-SHA-256$-1:${salt}$${KEY}:${KEY}`, /malformed verifier/],
  [`SCRAM-SHA-256$4096:${salt}$${KEY}:${KEY}\n`, /malformed verifier/],
  [`SCRAM-SHA-1$4096:${salt}$${KEY_SHA_1}:${KEY_SHA_1}`, /stands behind another, in a list/],
  ['$2b$10$hash', /kind of hash is not supported/],
  ['{SSHA}hash', /kind of hash is not supported/],
  ['5f4dcc3b5aa765d61d8327deb882cf99', /weak hash: 128 bits/],
]
for (const [text, says] of malformed)
  test(`refused as a verifier: ${JSON.stringify(text.slice(0, 40))}`, () => {
    assert.throws(
      () => parseVerifier(text),
      (error: unknown) =>
        error instanceof VerifierError && says.test(error.message) && !/hunter2|5f4dcc/.test(error.message),
    )
  })

test('unknown, legacy and known users take the same work', async () => {
  // Work, not wall-clock: the processor time of the whole process, threads included, of 20 checks each, as a ratio.
  const legacy = parseVerifier(createHash('blake2b512').update('pencil').digest('hex'))
  const few = await makeVerifier('pencil', { iterations: 4096 })
  const usual = await makeVerifier('pencil')
  const costs: number[] = []
  for (const verifier of [null, legacy, few, usual]) {
    for (let i = 0; i < 3; i++) await verifyPassword(verifier, 'wrong')
    const before = process.cpuUsage()
    for (let i = 0; i < 20; i++) await verifyPassword(verifier, 'wrong')
    const { user, system } = process.cpuUsage(before)
    costs.push(user + system)
  }
  assert.ok(Math.max(...costs) < 2 * Math.min(...costs), `microseconds: ${costs.join(' ')}`)
})

test('several passwords under one salt: which one it is, after one derivation', async () => {
  const own = await makeVerifier('pencil', { iterations: 4096 })
  const others = await Promise.all(['phone', 'printer'].map(password => makeVerifier(password, own)))
  assert.equal(await matchPassword(own, others, 'pencil'), 0)
  assert.equal(await matchPassword(own, others, 'phone'), 1)
  assert.equal(await matchPassword(own, others, 'printer'), 2)
  assert.equal(await matchPassword(own, others, 'guess'), null)
  assert.equal(await matchPassword(own, others, ''), null)
  assert.equal(await matchPassword(null, [], 'pencil'), null)
})
