import assert from 'node:assert/strict'
import { checkPrimeSync, createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { test } from 'node:test'
import { formatKeyRecord } from './key-record.ts'
import { deriveEd25519Key, deriveKey, HmacDrbg } from './seed.ts'

const seed = Buffer.from('8bb3e4f2a1c09d5768f1e2d3c4b5a69788796a5b4c3d2e1f0011223344556677', 'hex')

/** SHA-256 of the SubjectPublicKeyInfo. These never change: a signer that starts again must find its own record in DNS. */
const keys: [signingDomain: string, bits: number, digest: string, selector?: string][] = [
  ['example.com', 2048, '6b0ae5931dcc599981b669d4cb1a1ac60ccf6017342f00cd5c590632783b7c28'],
  ['example.net', 2048, '9d50c3cd57bc948710f6f8a479024c71c12ec116048b0d6e73a4c0db27722408'],
  ['example.com', 3072, 'ae7ebec15085c3421b78e52dddef05fa13ac704a3557dd7bfa10345939d88b94'],
  ['example.com', 4096, '8fb4aa82fb2e0fa649c3f6c1880148ca382b92dfc1ebee23e0380af47aed2b3b'],
  ['example.com', 2048, '42d8fd3c7ee1cbb237c4dab1f84c2db135b4090308a0eb9f3303da9d07aeb1e3', 'ptt-1'],
]

for (const [signingDomain, bits, digest, selector] of keys)
  test(`golden: ${signingDomain}, ${bits} bits, ${selector ?? 'no selector'}`, () => {
    const key = deriveKey(seed, signingDomain, bits, selector)
    const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
    assert.equal(createHash('sha256').update(spki).digest('hex'), digest)
  })

/** p= of the record: computed by another program too (Python and libsodium), from what seed.ts says at its top. */
const ed25519Keys: [signingDomain: string, selector: string | undefined, publicKey: string][] = [
  ['example.com', undefined, 'Wai6S6QcnDvMFry6VZHrZ47U6BUHt8QA0mfnY5mqKlE='],
  ['example.com', 'ptt-1', '6slbtQgMSvikeWEDVWB0yo2acxQ1W7eI4JN2POQC4oQ='],
  ['example.com', 'ptt-2', 'RPxs+sUolPWjZe8RMBIKuha8Q4b51tNhiBttDXZQUAk='],
  ['example.net', undefined, 'cUHmWVYUMjwp8BWv9FKVuLMdy13wSb2XFvPm/qGecvs='],
]

for (const [signingDomain, selector, publicKey] of ed25519Keys)
  test(`golden: ${signingDomain}, Ed25519, ${selector ?? 'no selector'}`, () => {
    const key = deriveEd25519Key(seed, signingDomain, selector)
    assert.equal(formatKeyRecord(key), `v=DKIM1; k=ed25519; p=${publicKey}`)
  })

test('another seed gives another key', () => {
  const other = Buffer.from(seed)
  other[31] = 0
  assert.notEqual(
    formatKeyRecord(deriveKey(other, 'example.com', 2048)),
    formatKeyRecord(deriveKey(seed, 'example.com', 2048)),
  )
})

test('the numbers satisfy FIPS 186-5 §A.1.1', () => {
  const { n, e, d, p, q, dp, dq, qi } = numbers(deriveKey(seed, 'example.com', 2048))
  assert.equal(n, p * q)
  assert.equal(n.toString(2).length, 2048)
  assert.equal(e, 65537n)
  assert.ok(checkPrimeSync(p, { checks: 40 }) && checkPrimeSync(q, { checks: 40 }))
  // √2·2^1023 ≤ p, q: squared, 2^2047 ≤ p².
  assert.ok(p * p >= 1n << 2047n && q * q >= 1n << 2047n)
  assert.ok(p - q > 1n << 924n)
  assert.ok(d > 1n << 1024n)
  assert.equal((e * d) % (p - 1n), 1n)
  assert.equal((e * d) % (q - 1n), 1n)
  assert.equal(dp, d % (p - 1n))
  assert.equal(dq, d % (q - 1n))
  assert.equal((qi * q) % p, 1n)
})

test('a seed too short, a size too small', () => {
  assert.throws(() => deriveKey(seed.subarray(1), 'example.com', 2048), RangeError)
  assert.throws(() => deriveEd25519Key(seed.subarray(1), 'example.com'), RangeError)
  assert.throws(() => deriveKey(seed, 'example.com', 1024), RangeError)
  assert.throws(() => deriveKey(seed, 'example.com', 2049), RangeError)
})

test('HMAC_DRBG, NIST CAVS drbgvectors_no_reseed, SHA-256, no personalization, COUNT = 0', () => {
  const entropyInput = 'ca851911349384bffe89de1cbdc46e6831e44d34a4fb935ee285dd14b71a7488'
  const nonce = '659ba96c601dc69fc902940805ec0ca8'
  const generator = new HmacDrbg(Buffer.from(entropyInput + nonce, 'hex'), '')
  generator.generate(128)
  assert.equal(
    generator.generate(128).toString('hex'),
    'e528e9abf2dece54d47c7e75e5fe302149f817ea9fb4bee6f4199697d04d5b89d54fbb978a15b5c443c9ec21036d2460' +
      'b6f73ebad0dc2aba6e624abf07745bc107694bb7547bb0995f70de25d6b29e2d3011bb19d27676c07162c8b5ccde0668' +
      '961df86803482cb37ed6d5c0bb8d50cf1f50d476aa0458bdaba806f48be9dcb8',
  )
})

function numbers(key: KeyObject): Record<'n' | 'e' | 'd' | 'p' | 'q' | 'dp' | 'dq' | 'qi', bigint> {
  const jwk = key.export({ format: 'jwk' })
  const of = (name: keyof typeof jwk): bigint =>
    BigInt(`0x${Buffer.from(String(jwk[name]), 'base64url').toString('hex')}`)
  return {
    n: of('n'),
    e: of('e'),
    d: of('d'),
    p: of('p'),
    q: of('q'),
    dp: of('dp'),
    dq: of('dq'),
    qi: of('qi'),
  }
}
