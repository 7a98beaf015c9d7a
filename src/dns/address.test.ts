import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inPrefix, parseAddress, reverseName, sameAddress } from './address.ts'

const reverseNames: [address: string, name: string][] = [
  // RFC 1035 §3.5, RFC 3596 §2.5.
  ['10.2.0.52', '52.0.2.10.in-addr.arpa'],
  ['4321:0:1:2:3:4:567:89ab', 'b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa'],
  ['255.255.255.255', '255.255.255.255.in-addr.arpa'],
  ['::1', `1.${'0.'.repeat(31)}ip6.arpa`],
  ['::', `${'0.'.repeat(32)}ip6.arpa`],
  ['fe80::', `${'0.'.repeat(28)}0.8.e.f.ip6.arpa`],
  ['::ffff:192.0.2.1', `1.0.2.0.0.0.0.c.f.f.f.f.${'0.'.repeat(20)}ip6.arpa`],
]
for (const [text, name] of reverseNames) {
  test(`address: ${text}`, () => {
    const address = parseAddress(text)
    assert.ok(address !== null)
    assert.equal(reverseName(address), name)
  })
}

const none = [
  '',
  '1.2.3',
  '1.2.3.4.5',
  '1.2.3.256',
  '01.2.3.4',
  '1.2.3.4/32',
  'example.com',
  ':',
  ':::',
  '1::2::3',
]
none.push(
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  '1:2:3:4:5:6:7::8',
  '12345::',
  'g::',
  '::1.2.3',
  '1.2.3.4::',
  'fe80::1%eth0',
)
for (const text of none) {
  test(`no address: '${text}'`, () => assert.equal(parseAddress(text), null))
}

test('address: the same however it is written', () => {
  assert.ok(sameAddress('2001:DB8::0:1', '2001:db8:0:0:0:0:0:1'))
  assert.ok(!sameAddress('192.0.2.1', '192.0.2.2'))
  assert.ok(!sameAddress('::c000:201', '192.0.2.1'))
  assert.ok(!sameAddress('nonsense', 'nonsense'))
})

const prefixes: [address: string, prefix: string, bits: number, inside: boolean][] = [
  ['192.0.2.129', '192.0.2.128', 28, true],
  ['192.0.2.65', '192.0.2.128', 28, false],
  ['192.0.2.65', '10.0.0.0', 0, true],
  ['192.0.2.1', '192.0.2.1', 32, true],
  ['2001:db8::1', '2001:db8::', 32, true],
  ['2001:db9::1', '2001:db8::', 32, false],
  ['2001:db8::1', '192.0.2.1', 0, false],
]
for (const [address, prefix, bits, inside] of prefixes) {
  test(`address: ${address} is ${inside ? '' : 'not '}in ${prefix}/${bits}`, () => {
    const [one, other] = [parseAddress(address), parseAddress(prefix)]
    assert.ok(one !== null && other !== null)
    assert.equal(inPrefix(one, other, bits), inside)
  })
}
