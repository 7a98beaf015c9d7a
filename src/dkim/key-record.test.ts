import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, createSecretKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { formatKeyRecord, formatRevokedRecord, keyRecordName, parseKeyRecord, sameKey } from './key-record.ts'

/** RFC 6376 App. C. */
const P =
  'MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq' +
  '631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB'
/** RFC 8463 App. A.2. */
const ED25519 = '11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='
const publicKey = createPublicKey(`-----BEGIN PUBLIC KEY-----\n${P}\n-----END PUBLIC KEY-----`)

test('a public key is written as in RFC 6376 App. C', () => {
  assert.equal(formatKeyRecord(publicKey), `v=DKIM1; k=rsa; p=${P}`)
})

test('a private key is written as its public half', () => {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  assert.equal(formatKeyRecord(pair.privateKey), formatKeyRecord(pair.publicKey))
})

test('an Ed25519 key is written as in RFC 8463 App. A.2', () => {
  // RFC 8463 App. A.1: the secret key of RFC 8032 §7.1, test 1.
  const d = Buffer.from('nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=', 'base64').toString('base64url')
  const privateKey = createPrivateKey({
    key: { kty: 'OKP', crv: 'Ed25519', d, x: Buffer.from(ED25519, 'base64').toString('base64url') },
    format: 'jwk',
  })
  assert.equal(formatKeyRecord(privateKey), `v=DKIM1; k=ed25519; p=${ED25519}`)
  assert.equal(formatKeyRecord(createPublicKey(privateKey)), `v=DKIM1; k=ed25519; p=${ED25519}`)
})

test('only RSA and Ed25519', () => {
  assert.throws(() => formatKeyRecord(generateKeyPairSync('ed448').publicKey), RangeError)
  assert.throws(() => formatKeyRecord(createSecretKey(Buffer.alloc(32))), RangeError)
})

test('a revoked key', () => {
  assert.equal(formatRevokedRecord('rsa'), 'v=DKIM1; k=rsa; p=')
  assert.equal(parseKeyRecord(formatRevokedRecord('ed25519'))?.revoked, true)
  assert.equal(parseKeyRecord(`p=${P}`)?.revoked, false)
})

test('the name', () => {
  // RFC 6376 §3.6.2.1.
  assert.equal(keyRecordName('foo.bar', 'example.com'), 'foo.bar._domainkey.example.com')
})

const records: [text: string, publicKey: string | null][] = [
  [`v=DKIM1; p=${P}`, P],
  [`p=${P.slice(0, 50)} ${P.slice(50)}`, P],
  [`k=rsa; p=${P}; n=a note; x=unknown tags are ignored`, P],
  [`v=DKIM1; h=sha1:sha256; s=email; t=s; p=${P}`, P],
  // RFC 6376 §3.6.1: an empty p= means that the key was revoked.
  ['v=DKIM1; p=', ''],
  // v= must be the first tag, and DKIM1.
  [`p=${P}; v=DKIM1`, null],
  [`v=DKIM2; p=${P}`, null],
  [`v=DKIM1; k=ed25519; p=${ED25519}`, ED25519],
  [`v=DKIM1; k=ed25519; p=${ED25519.slice(0, 20)} ${ED25519.slice(20)}`, ED25519],
  ['v=DKIM1; k=ed25519; p=', ''],
  // RFC 8463 §4.2: the 32 octets themselves, not a SubjectPublicKeyInfo around them.
  [`v=DKIM1; k=ed25519; p=MCowBQYDK2VwAyEA${ED25519}`, null],
  [`v=DKIM1; k=ed448; p=${ED25519}`, null],
  [`v=DKIM1; h=sha1; p=${P}`, null],
  [`v=DKIM1; s=tlsrpt; p=${P}`, null],
  ['v=DKIM1; k=rsa', null],
  ['v=DKIM1; p=not base64!', null],
  ['v=spf1 -all', null],
]

for (const [text, expected] of records)
  test(`${text.slice(0, 60)}`, () => {
    assert.equal(parseKeyRecord(text)?.publicKey ?? null, expected)
  })

test('flags and notes', () => {
  assert.deepEqual(parseKeyRecord(`v=DKIM1; n=made=20by=20ptt; t=s : y; p=${P}`), {
    keyType: 'rsa',
    publicKey: P,
    revoked: false,
    testing: true,
    strict: true,
    notes: 'made=20by=20ptt',
  })
  const { testing, strict, notes } = parseKeyRecord(`p=${P}`) ?? {}
  assert.deepEqual([testing, strict, notes], [false, false, ''])
})

test('the same key, however it is written', () => {
  assert.ok(sameKey(formatKeyRecord(publicKey), `p=${P.slice(0, 9)}\t${P.slice(9)}`))
  assert.ok(!sameKey(formatKeyRecord(publicKey), `v=DKIM1; p=${P.replace('MIGf', 'MIGg')}`))
  assert.ok(!sameKey(`k=rsa; p=${ED25519}`, `k=ed25519; p=${ED25519}`))
  assert.ok(!sameKey('p=', 'p='), 'revoked keys are no keys')
  assert.ok(!sameKey('v=spf1 -all', 'v=spf1 -all'))
})
