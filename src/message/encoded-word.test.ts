import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeEncodedWords, encodeWords } from './encoded-word.ts'

const words: [encoded: string, text: string][] = [
  // RFC 2047 §8.
  ['=?ISO-8859-1?Q?Patrik_F=E4ltstr=F6m?= <paf@nada.kth.se>', 'Patrik Fältström <paf@nada.kth.se>'],
  ['(=?ISO-8859-1?Q?a?=)', '(a)'],
  ['(=?ISO-8859-1?Q?a?= b)', '(a b)'],
  ['(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)', '(ab)'],
  ['(=?ISO-8859-1?Q?a?=   =?ISO-8859-1?Q?b?=)', '(ab)'],
  ['(=?ISO-8859-1?Q?a_b?=)', '(a b)'],
  [
    '=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=',
    'If you can read this you understand the example.',
  ],
  ['=?utf-8?b?R3LDvMOfZQ==?= =?utf-8?q?=20=E4=BD=A0?=', 'Grüße 你'],
  // RFC 2231 §5: a language.
  ['=?US-ASCII*EN?Q?Keith_Moore?=', 'Keith Moore'],
  // Not decodable: as it is.
  ['=?x-unknown?Q?a?=', '=?x-unknown?Q?a?='],
  ['=?utf-8?Q?=FF?=', '=?utf-8?Q?=FF?='],
  ['=?utf-8?X?a?= =? 1 + 1 =?', '=?utf-8?X?a?= =? 1 + 1 =?'],
  ['plain', 'plain'],
]

for (const [encoded, text] of words) test(encoded, () => assert.equal(decodeEncodedWords(encoded), text))

for (const text of ['plain', 'Non distribué', 'é è à', 'Verzögert', 'a é b ü ü c', '日本 語']) {
  test(`encoded and decoded: ${text}`, () => {
    const encoded = encodeWords(text)
    assert.match(encoded, /^[ -~]*$/)
    assert.equal(decodeEncodedWords(encoded), text)
  })
}
