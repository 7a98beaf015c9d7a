import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { canonicalName, formatLabels, isHostName, isInZone, labelsOf, sameName } from './name.ts'
import { readName, writeName } from './wire.ts'

const canonical: [name: string, expected: string][] = [
  ['Example.COM', 'example.com'],
  ['example.com.', 'example.com'],
  ['.', '.'],
  ['_dmarc.example.com', '_dmarc.example.com'],
  [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`], // RFC 1035 §2.3.4
  // RFC 1035 §5.1, RFC 4343 §2.1
  ['A\\.B.example', 'a\\.b.example'],
  ['\\065.example', 'a.example'],
  ['a\\b.example', 'ab.example'],
  ['a\\\\.example', 'a\\\\.example'],
  ['co\\.', 'co\\.'],
  ['co\\..', 'co\\.'],
  ['é.example', '\\195\\169.example'],
  ['a b.example', 'a\\032b.example'],
  // What means something in zone files and in keys.
  ['a\\058b\\;.example', 'a\\058b\\059.example'],
  [`${`${'a'.repeat(49)}.`.repeat(5)}abc`, `${`${'a'.repeat(49)}.`.repeat(5)}abc`], // 255 octets on the wire
]
for (const [name, expected] of canonical) {
  test(`canonical name: ${name.slice(0, 40)}`, () => assert.equal(canonicalName(name), expected))
}

test('a name of ordinary characters is what taking it apart and putting it together makes of it', () => {
  const label = fc.string({ unit: fc.constantFrom(...'aZ09-_'), minLength: 1, maxLength: 66 })
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 9 }), labels => {
      const name = labels.join('.')
      const apart = () => formatLabels(labelsOf(name).map(each => each.toLowerCase()))
      let expected: string
      try {
        expected = apart()
      } catch (error) {
        assert.throws(() => canonicalName(name), { message: (error as Error).message })
        return
      }
      assert.equal(canonicalName(name), expected)
    }),
    { numRuns: 2000 },
  )
})

const malformed = [
  '',
  '..',
  '.example.com',
  'a..example.com',
  `${'a'.repeat(64)}.example`, // RFC 1035 §2.3.4
  `${`${'a'.repeat(49)}.`.repeat(5)}abcd`, // 256 octets on the wire
  `${'é'.repeat(32)}.example`, // 64 octets
  `${'\\001'.repeat(64)}.example`,
  'a\\',
  'a\\256.example',
  'a\\12.example',
]
for (const name of malformed) {
  test(`malformed name: '${name.slice(0, 40)}'`, () => {
    assert.throws(() => canonicalName(name), { name: 'NameError' })
  })
}

test('names are compared without case, in ASCII only (RFC 4343 §3)', () => {
  assert.ok(sameName('Example.com', 'eXAMPLE.COM.'))
  assert.ok(sameName('.', '.'))
  assert.ok(!sameName('É.example', 'é.example'))
  assert.ok(!sameName('a.example', 'b.example'))
  assert.ok(sameName('\\065.example', 'a.example'))
  assert.ok(!sameName('a\\.example', 'a.example'))
})

const zones: [name: string, zone: string, inside: boolean][] = [
  ['a.example.com', 'Example.COM', true],
  ['example.com.', 'example.com', true],
  ['a.b.example.com', 'example.com', true],
  ['notexample.com', 'example.com', false],
  ['com', 'example.com', false],
  ['anything.test', '.', true],
  ['a\\.example.com', 'example.com', false],
  ['a\\.example.com', 'com', true],
  ['a\\\\.example.com', 'example.com', true],
]
for (const [name, zone, inside] of zones) {
  test(`${name} is ${inside ? '' : 'not '}in zone ${zone}`, () => assert.equal(isInZone(name, zone), inside))
}

const hosts: [name: string, isHost: boolean][] = [
  ['mx1.example.com', true],
  ['mx1.example.com.', true],
  ['a_b.example.com', true],
  ['3com.example', true],
  ['xn--bcher-kva.example', true],
  ['localhost', true],
  ['.', false],
  ['', false],
  ['192.0.2.1', false],
  ['mail', true],
  ['-a.example', false],
  ['a-.example', false],
  ['a b.example', false],
  ['mail@example.com', false],
  ['a..example', false],
]
for (const [name, isHost] of hosts) {
  test(`'${name}' is ${isHost ? 'a' : 'no'} host name`, () => assert.equal(isHostName(name), isHost))
}

test('any labels are a name that is read as they are, in text and on the wire', () => {
  const label = fc
    .uint8Array({ minLength: 1, maxLength: 63 })
    .map(octets => Buffer.from(octets).toString('latin1'))
  fc.assert(
    fc.property(fc.array(label, { maxLength: 3 }), labels => {
      const text = formatLabels(labels)
      assert.match(text, /^[!-~]+$/)
      assert.deepEqual(labelsOf(text), labels)
      const octets = writeName(text)
      assert.deepEqual(readName(octets, 0), { text, end: octets.length })
    }),
    { seed: 1035 },
  )
})

test('any text is a name or a NameError', () => {
  const piece = fc.constantFrom('a', 'B', '.', '\\', '0', '65', '255', '256', ' ', 'é', '\0', 'x'.repeat(62))
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      const text = pieces.join('')
      try {
        const name = canonicalName(text)
        assert.equal(canonicalName(name), name)
        assert.ok(sameName(name, text))
      } catch (error) {
        assert.equal((error as Error).name, 'NameError')
      }
    }),
    { seed: 1035, numRuns: 2000 },
  )
})
