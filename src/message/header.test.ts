import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SmtpError } from '../smtp/error.ts'
import { endOfHeader, field, fieldBody, fieldsNamed, parseHeader } from './header.ts'

const ends: [octets: string, end: number][] = [
  ['', -1],
  ['\r', -1],
  ['\r\n', 2],
  ['\r\nbody', 2],
  ['A: b\r\n', -1],
  ['A: b\r\n\r', -1],
  ['A: b\r\n\r\n', 8],
  ['A: b\r\n\r\nbody\r\n\r\n', 8],
  ['A: b\n\n', -1],
]

for (const [octets, end] of ends)
  test(`the end of ${JSON.stringify(octets)}`, () => {
    assert.equal(endOfHeader(Buffer.from(octets)), end)
    assert.equal(endOfHeader(Uint8Array.from(Buffer.from(octets))), end)
  })

test('the search goes on where it stopped, wherever the content was cut', () => {
  for (const text of ['A: b\r\nC: d\r\n\r\nbody\r\n\r\n', '\r\nx', '\r\n\r\n']) {
    const octets = Buffer.from(text)
    for (let cut = 0; cut < octets.length; cut++) {
      if (endOfHeader(octets.subarray(0, cut)) >= 0) continue
      assert.equal(endOfHeader(octets, cut), endOfHeader(octets), `${JSON.stringify(text)} cut at ${cut}`)
    }
  }
})

/** [name, value] of each field. */
const headers: [section: string, fields: [string, string][]][] = [
  // RFC 5322 App. A.1.1.
  [
    'From: John Doe <jdoe@machine.example>\r\nTo: Mary Smith <mary@example.net>\r\nSubject: Saying Hello\r\n\r\n',
    [
      ['From', 'John Doe <jdoe@machine.example>'],
      ['To', 'Mary Smith <mary@example.net>'],
      ['Subject', 'Saying Hello'],
    ],
  ],
  // RFC 5322 §2.2.3.
  ['Subject: This\r\n is a test\r\n', [['Subject', 'This is a test']]],
  ['Subject:\r\n\tx\r\n \t \r\n y \r\n\r\n', [['Subject', 'x \t  y']]],
  // RFC 5322 App. A.6.3: white space before the colon is obsolete, but exists.
  [
    'From  : John Doe <jdoe@machine(comment).  example>\r\n',
    [['From', 'John Doe <jdoe@machine(comment).  example>']],
  ],
  ['X:\r\n\r\n', [['X', '']]],
  ['X: no line end', [['X', 'no line end']]],
  ['Subject: Grüße 你好\r\n\r\n', [['Subject', 'Grüße 你好']]],
  ['\r\nX: body\r\n\r\n', []],
  ['', []],
  ['A: b\r\n\r\nnot: a field\r\n', [['A', 'b']]],
]

for (const [section, fields] of headers)
  test(`parse ${JSON.stringify(section)}`, () => {
    const header = parseHeader(Buffer.from(section))
    assert.deepEqual(
      header.map(field => [field.name, fieldBody(field)]),
      fields,
    )
    const end = endOfHeader(Buffer.from(section))
    const octets = Buffer.concat(header.map(field => field.octets)).toString()
    assert.equal(
      octets,
      end < 0
        ? section
        : Buffer.from(section)
            .subarray(0, end - 2)
            .toString(),
      'octet for octet',
    )
  })

const malformed: [section: string, text: RegExp][] = [
  ['From: a@b.example\r\nrubbish\r\n\r\n', /line 2 is not a field.*: rubbish$/],
  [' begins with a space\r\n\r\n', /line 1 continues a field, but none was begun/],
  ['A: b\r\n c\r\n d\r\nTwo words: x\r\n\r\n', /line 4 is not a field.*: Two words: x$/],
  ['From joe@example.com Fri Jul 11\r\nA: b\r\n\r\n', /line 1/],
  [': no name\r\n\r\n', /line 1/],
  ['Naïve: x\r\n\r\n', /line 1 .*: Na\?\?ve: x$/],
  [`${'x'.repeat(1000)}\r\n\r\n`, /x{40}\.\.\.$/],
]

for (const [section, text] of malformed)
  test(`malformed ${JSON.stringify(section.slice(0, 50))}`, () => {
    assert.throws(
      () => parseHeader(Buffer.from(section)),
      error =>
        error instanceof SmtpError &&
        error.code === 554 &&
        error.status === '5.6.0' &&
        text.test(error.message),
    )
  })

test('fields are found whatever the case of their name', () => {
  const header = parseHeader(Buffer.from('to: a\r\nX: b\r\nTO: c\r\n\r\n'))
  assert.deepEqual(fieldsNamed(header, 'To').map(fieldBody), ['a', 'c'])
  assert.deepEqual(fieldsNamed(header, 'Cc'), [])
})

const written: [value: string, octets: string][] = [
  ['short', 'X: short\r\n'],
  ['', 'X: \r\n'],
  [
    'words that are together longer than the seventy-eight characters a line should have at most',
    'X: words that are together longer than the seventy-eight characters a line\r\n should have at most\r\n',
  ],
  // A word too long for a line goes on a line of its own.
  [`a ${'b'.repeat(90)} c`, `X: a\r\n ${'b'.repeat(90)}\r\n c\r\n`],
  // White space stays what it was.
  [`${'a'.repeat(70)}  \t  ${'b'.repeat(20)}`, `X: ${'a'.repeat(70)}\r\n  \t  ${'b'.repeat(20)}\r\n`],
]

for (const [value, octets] of written)
  test(`write ${JSON.stringify(value.slice(0, 30))}`, () => {
    assert.equal(Buffer.from(field('X', value).octets).toString(), octets)
  })

for (const [name, value] of [
  ['X', 'a\r\nEvil: b'],
  ['X', 'a\nb'],
  ['X', 'a\0b'],
  ['X Y', 'z'],
  ['', 'z'],
  ['X:', 'z'],
  ['X', 'é'.repeat(600)],
] as const)
  test(`refuse to write ${JSON.stringify([name, value.slice(0, 20)])}`, () => {
    assert.throws(() => field(name, value), RangeError)
  })

test('what is written is read as it was', () => {
  const word = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
  fc.assert(
    fc.property(fc.array(word, { maxLength: 20 }), words => {
      const value = words
        .join(' ')
        .replace(/[\r\n\0]/g, '')
        .trim()
      const written = field('X-Test', value).octets
      const [read, ...more] = parseHeader(Buffer.concat([written, Buffer.from('\r\n')]))
      assert.ok(read)
      assert.equal(more.length, 0)
      assert.equal(fieldBody(read), value.replace(/^[ \t]+|[ \t]+$/g, ''))
      for (const line of Buffer.from(written).toString().slice(0, -2).split('\r\n'))
        assert.notEqual(line.trim(), '')
    }),
    { seed: 5322 },
  )
})

test('any octets are fields or an SmtpError, nothing else', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom('A', ':', ' ', '\r\n', '\t', '\xff', 'b: c', '\r', '\n', '\0')),
      pieces => {
        const octets = Buffer.from(pieces.join(''), 'latin1')
        try {
          for (const field of parseHeader(octets)) fieldBody(field)
        } catch (error) {
          assert.ok(error instanceof SmtpError, String(error))
        }
      },
    ),
    { seed: 5322, numRuns: 1000 },
  )
})
