import assert from 'node:assert/strict'
import { createSecretKey } from 'node:crypto'
import { test } from 'node:test'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'
import { localKeys, type TokenKeys, type TokenVerdict, TokenVerifier } from './oauth.ts'

const NOW_MS = Date.UTC(2026, 0, 2, 3, 4, 5)
const now = NOW_MS / 1000
const OPTIONS = {
  issuer: 'https://login.example.com',
  audience: 'https://mail.example.com',
  usernameClaim: 'email',
  now: () => NOW_MS,
}
const ours = await generateKeyPair('ES256')
const theirs = await generateKeyPair('ES256')
const rsa = await generateKeyPair('RS256')
const jwk = { ...(await exportJWK(ours.publicKey)), kid: 'k', alg: 'ES256' }
const document = { keys: [jwk, { ...(await exportJWK(rsa.publicKey)), kid: 'r' }] }
const keys = localKeys(document)

const CLAIMS: JWTPayload = {
  iss: OPTIONS.issuer,
  aud: OPTIONS.audience,
  exp: now + 60,
  email: 'alice@example.com',
}

const signed = (
  claims: JWTPayload,
  key = ours.privateKey,
  header = { alg: 'ES256', kid: 'k' },
): Promise<string> => new SignJWT(claims).setProtectedHeader(header).sign(key)

const check = async (
  token: string | Promise<string>,
  options = {},
  from: TokenKeys = keys,
): Promise<TokenVerdict> => new TokenVerifier({ ...OPTIONS, ...options }, from).check(await token)

const said = (verdict: TokenVerdict): string =>
  verdict.kind === 'valid' ? `valid ${verdict.username}` : `${verdict.kind} ${verdict.reason}`

const { email: _, ...nameless } = CLAIMS
const { exp: __, ...endless } = CLAIMS
const claims: [claims: JWTPayload, said: RegExp][] = [
  [CLAIMS, /^valid alice@example\.com$/],
  [{ ...CLAIMS, aud: ['x', OPTIONS.audience] }, /^valid/],
  [{ ...CLAIMS, email_verified: true }, /^valid/],
  // Clocks differ by less.
  [{ ...CLAIMS, exp: now - 20 }, /^valid/],
  [{ ...CLAIMS, nbf: now + 20 }, /^valid/],
  [{ ...CLAIMS, exp: now - 40 }, /^invalid .*"exp"/],
  [{ ...CLAIMS, nbf: now + 40 }, /^invalid .*"nbf"/],
  [endless, /^invalid .*"exp"/],
  [{ ...CLAIMS, iss: 'https://evil.example' }, /^invalid .*"iss"/],
  [{ ...CLAIMS, aud: 'https://other.example.com' }, /^invalid .*"aud"/],
  [nameless, /^invalid the token has no claim email$/],
  [{ ...CLAIMS, email: '' }, /^invalid the token has no claim email$/],
  [{ ...CLAIMS, email: ['alice@example.com'] }, /^invalid the token has no claim email$/],
  [{ ...CLAIMS, email_verified: false }, /^invalid the issuer has not verified the address alice@/],
]
for (const [claim, expected] of claims)
  test(`a token with ${JSON.stringify(claim)}`, async () => {
    assert.match(said(await check(signed(claim))), expected)
  })

test('the user is in the claim that is configured', async () => {
  const token = signed({ ...CLAIMS, preferred_username: 'bob', email_verified: false })
  assert.equal(said(await check(token, { usernameClaim: 'preferred_username' })), 'valid bob')
})

test('a scope that is asked for', async () => {
  const cases: [claims: JWTPayload, valid: boolean][] = [
    [{}, false],
    [{ scope: 'smtp' }, true],
    [{ scope: 'openid smtp' }, true],
    [{ scope: 'smtps imap' }, false],
    [{ scp: 'smtp' }, true],
    [{ scp: ['imap', 'smtp'] }, true],
    [{ scope: { smtp: true } }, false],
  ]
  for (const [more, valid] of cases) {
    const verdict = await check(signed({ ...CLAIMS, ...more }), { scope: 'smtp' })
    assert.equal(verdict.kind, valid ? 'valid' : 'invalid', JSON.stringify(more))
  }
})

test('what is signed with the keys of the issuer, and no other way', async () => {
  const publicKey = createSecretKey(Buffer.from(JSON.stringify(jwk)))
  const valid = await signed(CLAIMS)
  const [header = '', , signature = ''] = valid.split('.')
  const forged = Buffer.from(JSON.stringify({ ...CLAIMS, email: 'bob@example.com' })).toString('base64url')
  const cases: [what: string, token: string | Promise<string>, kind: TokenVerdict['kind']][] = [
    ['RSA', signed(CLAIMS, rsa.privateKey, { alg: 'RS256', kid: 'r' }), 'valid'],
    ['another key under the name of ours', signed(CLAIMS, theirs.privateKey), 'invalid'],
    ['a key nobody knows', signed(CLAIMS, theirs.privateKey, { alg: 'ES256', kid: 'x' }), 'invalid'],
    ['other claims', `${header}.${forged}.${signature}`, 'invalid'],
    ['no signature', new UnsecuredJWT(CLAIMS).encode(), 'invalid'],
    [
      'an HMAC with the public key',
      new SignJWT(CLAIMS).setProtectedHeader({ alg: 'HS256', kid: 'k' }).sign(publicKey),
      'invalid',
    ],
    ['no token', '', 'invalid'],
    ['no JWT', 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==', 'invalid'],
    ['three dots', '...', 'invalid'],
    ['half of one', valid.slice(0, valid.length / 2), 'invalid'],
  ]
  for (const [what, token, kind] of cases) {
    const verdict = await check(token)
    assert.equal(verdict.kind, kind, `${what}: ${said(verdict)}`)
    assert.ok(!said(verdict).includes(signature.slice(0, 10)), 'nothing of it is told')
  }
})

test('keys that cannot be had: nothing is known', async () => {
  const failing: TokenKeys = async () => {
    throw new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') })
  }
  const verdict = await check(signed(CLAIMS), {}, failing)
  assert.match(said(verdict), /^unknown the keys of the issuer cannot be had: fetch failed \(ECONNREFUSED\)$/)
})

test('new keys are for the tokens to come', async () => {
  const verifier = new TokenVerifier(OPTIONS, keys)
  const token = await signed(CLAIMS, theirs.privateKey, { alg: 'ES256', kid: 't' })
  assert.equal((await verifier.check(token)).kind, 'invalid')
  verifier.renew(localKeys({ keys: [{ ...(await exportJWK(theirs.publicKey)), kid: 't' }] }))
  assert.equal((await verifier.check(token)).kind, 'valid')
})

test('a document that is no JSON Web Key Set', () => {
  for (const document of [null, [], {}, { keys: {} }, { keys: [1] }]) assert.throws(() => localKeys(document))
})
