import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BodyCanonicalizer, type Canonicalization, canonicalizeField } from './canonicalization.ts'

function canonicalizeBody(canonicalization: Canonicalization, ...chunks: string[]): string {
  let canonical = ''
  const body = new BodyCanonicalizer(canonicalization, octets => {
    canonical += Buffer.from(octets).toString('latin1')
  })
  for (const chunk of chunks) body.update(Buffer.from(chunk, 'latin1'))
  body.finish()
  return canonical
}

/** RFC 6376 §3.4.3 and §3.4.4 step by step, on the body as a whole. */
function reference(canonicalization: Canonicalization, body: string): string {
  let text = body
  if (canonicalization === 'relaxed') {
    const lines = text.split('\r\n').map(line => line.replace(/[ \t]+/g, ' '))
    text = lines.map(line => line.replace(/ $/, '')).join('\r\n')
  }
  text = text.replace(/(\r\n)+$/, '')
  return text === '' && canonicalization === 'relaxed' ? '' : `${text}\r\n`
}

const fields: [canonicalization: Canonicalization, field: string, canonical: string][] = [
  // RFC 6376 §3.4.5, examples 1 and 2.
  ['relaxed', 'A: X\r\n', 'a:X\r\n'],
  ['relaxed', 'B : Y\t\r\n\tZ  \r\n', 'b:Y Z\r\n'],
  ['simple', 'A: X\r\n', 'A: X\r\n'],
  ['simple', 'B : Y\t\r\n\tZ  \r\n', 'B : Y\t\r\n\tZ  \r\n'],
  // RFC 6376 §3.4.2.
  ['relaxed', 'SUBJect: AbC\r\n', 'subject:AbC\r\n'],
  ['relaxed', 'Subject:\r\n', 'subject:\r\n'],
  ['relaxed', 'Subject: \t \r\n', 'subject:\r\n'],
  ['relaxed', 'Subject:\r\n \r\n x\r\n', 'subject:x\r\n'],
  ['relaxed', 'Subject: a:b : c\r\n', 'subject:a:b : c\r\n'],
  // Only SP and HTAB are white space: not the no-break space in either charset, nor VT and FF.
  ['relaxed', 'Subject: \xa0a\x0b\x0c \xc2\xa0\r\n', 'subject:\xa0a\x0b\x0c \xc2\xa0\r\n'],
  ['relaxed', 'Subject: x', 'subject:x\r\n'],
]

for (const [canonicalization, field, canonical] of fields)
  test(`${canonicalization} field ${JSON.stringify(field)}`, () => {
    const octets = Buffer.from(field, 'latin1')
    const apart = Buffer.alloc(octets.length + 3)
    const end = canonicalizeField(canonicalization, octets, apart, 1)
    assert.equal(apart.toString('latin1', 1, end), canonical)
    // In place, with the room that is promised to be enough.
    const place = Buffer.concat([octets, Buffer.alloc(2)])
    assert.equal(canonicalizeField(canonicalization, place.subarray(0, octets.length), place, 0), end - 1)
    assert.equal(place.toString('latin1', 0, end - 1), canonical)
  })

const bodies: [canonicalization: Canonicalization, body: string, canonical: string][] = [
  // RFC 6376 §3.4.5, examples 1 and 2.
  ['relaxed', ' C \r\nD \t E\r\n\r\n\r\n', ' C\r\nD E\r\n'],
  ['simple', ' C \r\nD \t E\r\n\r\n\r\n', ' C \r\nD \t E\r\n'],
  // §3.4.3, §3.4.4: no body, a body of line ends, a body without a line end.
  ['simple', '', '\r\n'],
  ['relaxed', '', ''],
  ['simple', '\r\n\r\n', '\r\n'],
  ['relaxed', '\r\n\r\n', ''],
  ['relaxed', ' \r\n\t\r\n  ', ''],
  ['simple', 'x', 'x\r\n'],
  ['relaxed', 'x', 'x\r\n'],
  ['relaxed', 'x \t', 'x\r\n'],
  ['relaxed', '\r\n\r\nx\r\n', '\r\n\r\nx\r\n'],
  ['relaxed', 'a\r\n \t \r\n\r\nb\r\n', 'a\r\n\r\n\r\nb\r\n'],
  // A CR or LF alone is an octet like any other (they are refused long before).
  ['relaxed', 'a \rb \nc\r\n', 'a \rb \nc\r\n'],
  ['relaxed', 'a\r', 'a\r\r\n'],
  ['relaxed', 'a \r\r\n', 'a \r\r\n'],
  ['simple', '\n', '\n\r\n'],
]

for (const [canonicalization, body, canonical] of bodies)
  test(`${canonicalization} body ${JSON.stringify(body)}`, () => {
    assert.equal(canonicalizeBody(canonicalization, body), canonical)
    assert.equal(canonicalizeBody(canonicalization, ...body), canonical, 'octet by octet')
    assert.equal(reference(canonicalization, body), canonical, 'the reference agrees')
  })

const canonicalizations: Canonicalization[] = ['simple', 'relaxed']
/** Bodies made of what matters, cut anywhere, empty chunks among them. */
const chunks = fc.array(
  fc.array(fc.constantFrom('\r\n', '\r\n\r\n', ' ', '\t', '\r', '\n', 'x', 'yz', '.', '\xa0', '   '), {
    maxLength: 12,
  }),
  { maxLength: 8 },
)

for (const canonicalization of canonicalizations) {
  test(`${canonicalization} body: how it is cut makes no difference`, () => {
    fc.assert(
      fc.property(chunks, pieces => {
        const texts = pieces.map(piece => piece.join(''))
        const canonical = canonicalizeBody(canonicalization, ...texts)
        assert.equal(canonical, reference(canonicalization, texts.join('')))
        assert.equal(canonical, canonicalizeBody(canonicalization, ...texts.join('')))
      }),
      { seed: 6376, numRuns: 2000 },
    )
  })

  test(`${canonicalization} body: doing it twice changes nothing`, () => {
    fc.assert(
      fc.property(chunks, pieces => {
        const once = canonicalizeBody(canonicalization, pieces.flat().join(''))
        assert.equal(canonicalizeBody(canonicalization, once), once)
      }),
      { seed: 6376, numRuns: 500 },
    )
  })
}

/** Longer than what is worked on at once, so that white space and line ends come to stand at each place in it. */
const piece = fc.constantFrom(
  '\r\n',
  ' ',
  '\t',
  'x',
  'yz',
  '  ',
  '.\r\n',
  ' \r\n',
  '\r\n\r\n',
  'a word and more of them ',
)

for (const rare of ['', '\r', '\n'])
  test(`relaxed body of 100 KB${rare === '' ? '' : `, with ${JSON.stringify(rare)} somewhere`}`, () => {
    fc.assert(
      fc.property(fc.array(piece, { minLength: 50, maxLength: 60 }), fc.nat(60), (pieces, at) => {
        const some = [...pieces.slice(0, at), rare, ...pieces.slice(at)].join('')
        const body = some.repeat(Math.ceil(100_000 / some.length))
        assert.ok(canonicalizeBody('relaxed', body) === reference('relaxed', body))
      }),
      { seed: 6376, numRuns: 30 },
    )
  })

test('empty lines held back are counted, not kept, however many', () => {
  let length = 0
  const body = new BodyCanonicalizer('relaxed', octets => {
    length += octets.length
  })
  body.update(Buffer.from('x'))
  const lines = Buffer.alloc(1 << 20, '\r\n')
  for (let i = 0; i < 8; i++) body.update(lines)
  assert.equal(length, 1)
  body.update(Buffer.from('y'))
  assert.equal(length, 2 + 8 * lines.length)
  body.finish()
  assert.equal(length, 4 + 8 * lines.length)
})
