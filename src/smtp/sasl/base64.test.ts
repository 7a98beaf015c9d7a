import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeBase64, encodeBase64 } from './base64.ts'

const base64: [text: string, decoded: string | null][] = [
  ['dGVzdAB0ZXN0ADEyMzQ=', 'test\0test\x001234'], // RFC 4954 §4.1
  ['', ''],
  ['=AAA', null], // RFC 4954 §4
  ['AAA=BBB', null], // RFC 4954 §4
  ['=', null],
  ['AAA', null],
  ['AA=A', null],
  ['AAAA ', null],
  ['A A=', null],
  ['AA-_', null],
  ['*', null],
]

test('base64, RFC 4954 §8', () => {
  for (const [text, decoded] of base64) {
    assert.equal(decodeBase64(text)?.toString() ?? null, decoded && Buffer.from(decoded).toString(), text)
  }
})

test('property: base64 there and back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), value => {
      assert.deepEqual(Buffer.from(decodeBase64(encodeBase64(value)) ?? []), Buffer.from(value))
    }),
    { seed: 4954 },
  )
})
