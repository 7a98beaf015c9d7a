import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { quotedPrintable } from './quoted-printable.ts'

const encoded: [octets: string, text: string][] = [
  ['plain\r\n', 'plain\r\n'],
  ['1 = 1', '1 =3D 1'],
  ['Grüße', 'Gr=C3=BC=C3=9Fe'],
  // RFC 2045 §6.7 (3): no white space at the end of a line.
  ['a \r\nb\t\r\n', 'a=20\r\nb=09\r\n'],
  // A CR or LF alone is an octet.
  ['a\rb\nc', 'a=0Db=0Ac'],
  ['x'.repeat(76), 'x'.repeat(76)],
  ['x'.repeat(77), `${'x'.repeat(75)}=\r\nxx`],
  [`${'x'.repeat(74)}ü`, `${'x'.repeat(74)}=\r\n=C3=BC`],
]

for (const [octets, text] of encoded)
  test(JSON.stringify(octets.slice(0, 20)), () => assert.equal(quotedPrintable(Buffer.from(octets)), text))

test('lines of at most 76 ASCII characters, and every octet comes back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.uint8Array({ maxLength: 100 }), fc.constant(Buffer.from('\r\n'))), {
        maxLength: 8,
      }),
      pieces => {
        const octets = Buffer.concat(pieces)
        const text = quotedPrintable(octets)
        for (const line of text.split('\r\n')) assert.match(line, /^[\t -~]{0,76}$/)
        assert.doesNotMatch(text, /[ \t](\r\n|$)/)
        const decoded = text
          .replace(/=\r\n/g, '')
          .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
        assert.deepEqual(Buffer.from(decoded, 'latin1'), octets)
      },
    ),
    { seed: 2045 },
  )
})
