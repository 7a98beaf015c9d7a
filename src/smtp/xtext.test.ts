import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SmtpError } from './error.ts'
import { decodeXtext, encodeXtext } from './xtext.ts'

const seed = 5321

const texts: [xtext: string, text: string][] = [
  ['e+3Dmc2@example.com', 'e=mc2@example.com'], // RFC 4954 §5.1
  ['<>', '<>'],
  ['', ''],
  ['a+20b+2Bc', 'a b+c'],
  ['+C3+A9', 'é'],
  ['+00', '\0'],
]

test('xtext, RFC 3461 §4', () => {
  for (const [xtext, text] of texts) {
    assert.equal(decodeXtext(xtext), text)
    assert.equal(encodeXtext(text), xtext)
  }
  assert.equal(decodeXtext('+3d+41'), '=A')
})

test('what is no xtext', () => {
  for (const text of ['a b', 'a=b', '+', '+4', '+4G', 'é', '+FF', 'a\r\n']) {
    assert.throws(() => decodeXtext(text), { code: 501, status: '5.5.4' }, text)
  }
})

test('property: decode(encode(x)) = x', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), text => {
      assert.equal(decodeXtext(encodeXtext(text)), text)
      assert.match(encodeXtext(text), /^[!-<>-~]*$/)
    }),
    { seed },
  )
})

test('property: encode(decode(x)) decodes to the same, and nothing but SmtpError is thrown', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^([!-~]|\+[0-9A-F]{2}){0,9}$/)), xtext => {
      try {
        const text = decodeXtext(xtext)
        assert.equal(decodeXtext(encodeXtext(text)), text)
      } catch (error) {
        assert.ok(error instanceof SmtpError, String(error))
      }
    }),
    { seed, numRuns: 500 },
  )
})
