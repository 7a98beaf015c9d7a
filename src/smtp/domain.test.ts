import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { addressOfLiteral, isAddressLiteral, isDomain, normalizeDomain, parseDomain } from './domain.ts'
import { SmtpError } from './error.ts'

const label63 = 'a'.repeat(63)

const domains: [text: string, ascii: boolean, utf8: boolean][] = [
  ['bar.com', true, true], // RFC 5321 App. D.1
  ['XYZ.COM', true, true],
  ['localhost', true, true],
  ['d.bar.org', true, true],
  ['3com.com', true, true],
  ['a--b.example', true, true],
  ['xn--bcher-kva.example', true, true],
  ['-ß.example', false, false],
  ['ß-.example', false, false],
  ['bücher.example', false, true], // RFC 6531 §3.3
  ['例え.テスト', false, true],
  [label63, true, true],
  [`${label63}a`, false, false], // RFC 1035 §2.3.4
  [`${label63}.${label63}.${label63}.${'a'.repeat(63)}`, true, true], // 255 octets
  [`${label63}.${label63}.${label63}.${'a'.repeat(62)}.b`, false, false], // 256
  ['', false, false],
  ['.', false, false],
  ['a..b', false, false],
  ['.a', false, false],
  ['a.', false, false],
  ['-a', false, false],
  ['a-', false, false],
  ['a_b', false, false], // RFC 5321 §4.1.2: no underscore
  ['a b', false, false],
  ['a@b', false, false],
  ['bücher/../x', false, false],
  ['bü:80', false, false],
  ['℀.example', false, false], // maps to "a/c"
  ['bü%41', false, false],
]

test('Domain, RFC 5321 §4.1.2', () => {
  for (const [text, ascii, utf8] of domains) {
    assert.equal(isDomain(text), ascii, text)
    assert.equal(isDomain(text, { utf8: true }), utf8, text)
    if (ascii) assert.equal(parseDomain(text), text)
    else assert.throws(() => parseDomain(text), { code: 501, status: '5.1.2' })
  }
})

const literals: [text: string, address: string | null, valid: boolean][] = [
  ['[123.255.37.2]', '123.255.37.2', true], // RFC 5321 §4.1.3
  ['[0.0.0.0]', '0.0.0.0', true],
  ['[IPv6:2001:db8::1]', '2001:db8::1', true],
  ['[ipv6:2001:db8::1]', '2001:db8::1', true],
  ['[IPv6:::1]', '::1', true],
  ['[IPv6:::]', '::', true],
  ['[IPv6:1:2:3:4:5:6:7:8]', '1:2:3:4:5:6:7:8', true],
  ['[IPv6:1:2:3:4:5:6::]', '1:2:3:4:5:6::', true],
  ['[IPv6:::ffff:192.0.2.1]', '::ffff:192.0.2.1', true],
  ['[IPv6:1:2:3:4:5:6:192.0.2.1]', '1:2:3:4:5:6:192.0.2.1', true],
  ['[X-Tag:some.content]', null, true], // General-address-literal
  ['[123.255.37]', null, false],
  ['[256.0.0.1]', null, false],
  ['[1.2.3.4.5]', null, false],
  ['[IPv6:1:2:3:4:5:6:7]', null, false],
  ['[IPv6:1:2:3:4:5:6:7:8:9]', null, false],
  ['[IPv6:1:2:3:4:5:6:7::]', null, false], // "::" is at least two groups
  ['[IPv6:1::2::3]', null, false],
  ['[IPv6:12345::]', null, false],
  ['[IPv6:g::]', null, false],
  ['[IPv6:]', null, false],
  ['[IPv6::1]', null, false],
  ['[IPv6:::1.2.3]', null, false],
  ['[IPv6:1.2.3.4]', null, false],
  ['[2001:db8::1]', null, true], // reads as Standardized-tag "2001"
  ['[]', null, false],
  ['[x]', null, false],
  ['[x:[y]', null, false],
  ['1.2.3.4', null, false],
  ['[1.2.3.4', null, false],
]

test('address-literal, RFC 5321 §4.1.3', () => {
  for (const [text, address, valid] of literals) {
    assert.equal(isAddressLiteral(text), valid, text)
    assert.equal(addressOfLiteral(text), address, text)
  }
})

const normalized: [domain: string, normal: string][] = [
  ['XYZ.COM', 'xyz.com'],
  ['Bücher.Example', 'xn--bcher-kva.example'],
  ['faß.example', 'xn--fa-hia.example'],
  ['例え.テスト', 'xn--r8jz45g.xn--zckzah'],
  ['[IPv6:2001:DB8::1]', '[ipv6:2001:db8::1]'],
  ['123.45', '123.45'],
]

test('as DNS and comparison want it', () => {
  for (const [domain, normal] of normalized) assert.equal(normalizeDomain(domain), normal)
  assert.throws(() => normalizeDomain('é/x'), { code: 501, status: '5.1.2' })
})

test('property: any text is a domain or it is not, and normalization is idempotent', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.domain(), fc.string()), text => {
      for (const utf8 of [false, true]) {
        if (!isDomain(text, { utf8 })) continue
        const normal = normalizeDomain(text)
        assert.ok(isDomain(normal), normal)
        assert.equal(normalizeDomain(normal), normal)
      }
      isAddressLiteral(text)
      addressOfLiteral(`[${text}]`)
      try {
        parseDomain(text, { utf8: true })
      } catch (error) {
        assert.ok(error instanceof SmtpError)
      }
    }),
    { seed: 5321, numRuns: 500 },
  )
})
