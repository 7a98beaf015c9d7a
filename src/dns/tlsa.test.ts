import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { suite, test } from 'node:test'
import { issue, makeAuthority } from '../cli/authority.ts'
import type { Tlsa } from './rdata.ts'
import { formatTlsa, usableTlsa, verifyChain } from './tlsa.ts'

const NOW = Date.now()
const NAMES = ['mx.example.net', 'example.net']
const authority = await makeAuthority('example.net')
const stranger = await makeAuthority('elsewhere.test')
const der = (pem: string) => new X509Certificate(pem).raw
const spki = (pem: string) => new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })
const leafPem = (await issue(authority, { names: ['mx.example.net'] })).certificate
const otherName = (await issue(authority, { names: ['mx.elsewhere.test'] })).certificate
const issuedFor = async (...names: [string]) => der((await issue(authority, { names })).certificate)
const WILDCARD = await issuedFor('*.example.net')
const PARTIAL_WILDCARD = await issuedFor('m*.example.net')
const LEAF = der(leafPem)
const CA = der(authority.certificate)
const STRANGER = der(stranger.certificate)
const sha = (algorithm: string, octets: Uint8Array) => createHash(algorithm).update(octets).digest()
const tlsa = (usage: number, selector: number, matchingType: number, certificate: Uint8Array): Tlsa => ({
  usage,
  selector,
  matchingType,
  certificate,
})
const EE = tlsa(3, 1, 1, sha('sha256', spki(leafPem)))
const TA = tlsa(2, 0, 1, sha('sha256', CA))

suite('which records are usable', () => {
  const rows: [what: string, record: Tlsa, usable: boolean][] = [
    ['DANE-EE SPKI SHA2-256', EE, true],
    ['DANE-TA certificate SHA2-256', TA, true],
    ['DANE-EE certificate SHA2-512', tlsa(3, 0, 2, sha('sha512', LEAF)), true],
    ['DANE-EE certificate in full', tlsa(3, 0, 0, LEAF), true],
    ['PKIX-TA (RFC 7672 §3.1.3)', { ...TA, usage: 0 }, false],
    ['PKIX-EE (RFC 7672 §3.1.3)', { ...EE, usage: 1 }, false],
    ['an unknown usage', { ...EE, usage: 255 }, false],
    ['an unknown selector', { ...EE, selector: 2 }, false],
    ['an unknown matching type', { ...EE, matchingType: 3 }, false],
    ['a hash that is too short', { ...EE, certificate: EE.certificate.subarray(1) }, false],
    ['a certificate that is none', tlsa(3, 0, 0, Buffer.from('x')), false],
  ]
  for (const [what, record, usable] of rows)
    test(`${what}: ${usable ? 'yes' : 'no'}`, () => assert.equal(usableTlsa([record]).length, usable ? 1 : 0))

  test('RFC 7671 §9: of each usage and selector the strongest hash', () => {
    const strong = tlsa(3, 1, 2, sha('sha512', spki(leafPem)))
    const full = tlsa(3, 1, 0, spki(leafPem))
    assert.deepEqual(usableTlsa([EE, strong, full, TA]), [strong, full, TA])
  })
})

suite('whether a chain matches', () => {
  const other = { ...EE, certificate: sha('sha256', Buffer.from('x')) }
  const rows: [
    what: string,
    records: Tlsa[],
    chain: Uint8Array[],
    names: string[],
    nowMs: number,
    reason: RegExp | null,
  ][] = [
    ['DANE-EE by key', [EE], [LEAF], NAMES, NOW, null],
    ['DANE-EE by certificate', [tlsa(3, 0, 1, sha('sha256', LEAF))], [LEAF], NAMES, NOW, null],
    ['DANE-EE in full', [tlsa(3, 1, 0, spki(leafPem))], [LEAF], NAMES, NOW, null],
    ['DANE-EE: the name does not count', [EE], [LEAF], ['other.test'], NOW, null],
    ['DANE-EE: nor do dates', [EE], [LEAF], NAMES, NOW + 400 * 365 * 86_400_000, null],
    ['one of two matches', [other, EE], [LEAF], NAMES, NOW, null],
    ['DANE-EE of another key', [other], [LEAF, CA], NAMES, NOW, /no TLSA record matches the certificate/],
    [
      'DANE-EE does not match an issuer',
      [tlsa(3, 0, 1, sha('sha256', CA))],
      [LEAF, CA],
      NAMES,
      NOW,
      /no TLSA record/,
    ],
    ['DANE-TA', [TA], [LEAF, CA], NAMES, NOW, null],
    [
      'DANE-TA by key',
      [tlsa(2, 1, 1, sha('sha256', spki(authority.certificate)))],
      [LEAF, CA],
      NAMES,
      NOW,
      null,
    ],
    ['DANE-TA for the next-hop domain', [TA], [LEAF, CA], ['x', 'mx.example.net'], NOW, null],
    ['DANE-TA in full, not shown', [tlsa(2, 0, 0, CA)], [LEAF], NAMES, NOW, null],
    ['DANE-TA not shown', [TA], [LEAF], NAMES, NOW, /matches an issuer in the chain/],
    [
      'DANE-TA: the name counts',
      [TA],
      [der(otherName), CA],
      NAMES,
      NOW,
      /is for DNS:mx\.elsewhere\.test, not for mx\.example\.net/,
    ],
    ['DANE-TA: dates count', [TA], [LEAF, CA], NAMES, NOW + 400 * 365 * 86_400_000, /not valid at this time/],
    [
      'DANE-TA of another CA that is shown',
      [tlsa(2, 0, 1, sha('sha256', STRANGER))],
      [LEAF, STRANGER],
      NAMES,
      NOW,
      /issuer in the chain/,
    ],
    [
      'DANE-TA that matches the leaf itself',
      [tlsa(2, 0, 1, sha('sha256', LEAF))],
      [LEAF, CA],
      NAMES,
      NOW,
      /issuer in the chain/,
    ],
    ['DANE-TA: a wildcard is a whole label', [TA], [WILDCARD, CA], NAMES, NOW, null],
    ['… never a part of one (RFC 7672 §3.2.3)', [TA], [PARTIAL_WILDCARD, CA], NAMES, NOW, /is for DNS:m\*/],
    ['… and never several', [TA], [WILDCARD, CA], ['a.mx.example.net'], NOW, /is for DNS:\*/],
    ['no certificate', [EE], [], NAMES, NOW, /shown no certificate/],
    ['rubbish', [EE], [Buffer.from('x')], NAMES, NOW, /shown no certificate/],
  ]
  for (const [what, records, chain, names, nowMs, reason] of rows) {
    test(what, () => {
      const verdict = verifyChain(records, chain, names, nowMs)
      if (reason === null) assert.equal(verdict.kind, 'match', JSON.stringify(verdict))
      else {
        assert.equal(verdict.kind, 'mismatch')
        assert.match(verdict.kind === 'mismatch' ? verdict.reason : '', reason)
      }
    })
  }
})

test('as in a zone file', () => assert.match(formatTlsa(EE), /^3 1 1 [0-9a-f]{32}…$/))

test('a key that nobody can read, anywhere in the chain, matches nothing, and is no error', async () => {
  const authority = await makeAuthority('x.test')
  const { certificate } = await issue(authority, { names: ['mx.x.test'] })
  const leaf = new X509Certificate(certificate).raw
  // id-ecPublicKey becomes something that is not registered.
  const hex = Buffer.from(new X509Certificate(authority.certificate).raw).toString('hex')
  const strange = Buffer.from(hex.replace('06072a8648ce3d0201', '06072a8648ce3d027f'), 'hex')
  assert.throws(() => new X509Certificate(strange).publicKey)
  const nowMs = Date.now()
  for (const usage of [2, 3])
    for (const selector of [0, 1]) {
      const record = { usage, selector, matchingType: 1, certificate: Buffer.alloc(32) }
      for (const chain of [[strange], [leaf, strange], [strange, leaf]])
        assert.equal(verifyChain([record], chain, ['mx.x.test'], nowMs).kind, 'mismatch')
    }
})
