import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { formatKeyRecord, keyRecordName, parseKeyRecord, sameKey } from './key-record.ts'

/** RFC 6376 App. C. */
const P =
  'MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq' +
  '631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB'
const publicKey = createPublicKey(`-----BEGIN PUBLIC KEY-----\n${P}\n-----END PUBLIC KEY-----`)

test('a public key is written as in RFC 6376 App. C', () => {
  assert.equal(formatKeyRecord(publicKey), `v=DKIM1; k=rsa; p=${P}`)
})

test('a private key is written as its public half', () => {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
  assert.equal(formatKeyRecord(pair.privateKey), formatKeyRecord(pair.publicKey))
})

test('only RSA', () => {
  assert.throws(() => formatKeyRecord(generateKeyPairSync('ed25519').publicKey), RangeError)
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
  [`v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=`, null],
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

test('t=y is testing', () => {
  assert.equal(parseKeyRecord(`t=s:y; p=${P}`)?.testing, true)
  assert.equal(parseKeyRecord(`t=s; p=${P}`)?.testing, false)
})

test('the same key, however it is written', () => {
  assert.ok(sameKey(formatKeyRecord(publicKey), `p=${P.slice(0, 9)}\t${P.slice(9)}`))
  assert.ok(!sameKey(formatKeyRecord(publicKey), `v=DKIM1; p=${P.replace('MIGf', 'MIGg')}`))
  assert.ok(!sameKey('p=', 'p='), 'revoked keys are no keys')
  assert.ok(!sameKey('v=spf1 -all', 'v=spf1 -all'))
})
