import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ContentDecoder, dotStuff } from './data.ts'
import { LIMITS } from './limits.ts'

const seed = 5321
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

interface Outcome {
  readonly content: string
  /** Octets behind the end of data; `null` while it has not come. */
  readonly rest: string | null
  readonly fault: string | null
}

/** Decodes the pieces one after another. */
function decode(
  pieces: readonly string[],
  options: { transparency?: boolean; limits?: Partial<typeof LIMITS> } = {},
): Outcome {
  const { transparency = true, limits = {} } = options
  const decoder = new ContentDecoder(transparency, { ...LIMITS, ...limits })
  let content = ''
  let rest: string | null = null
  for (const piece of pieces) {
    if (rest !== null) {
      rest += piece
      continue
    }
    // In the middle of a larger buffer, as chunks of a socket are.
    const octets = latin1(`<<${piece}>>`)
    const decoded = decoder.decode(octets, 2, octets.length - 2)
    if (decoded.content !== null) content += Buffer.from(decoded.content).toString('latin1')
    if (decoded.done) rest = octets.toString('latin1', decoded.end, octets.length - 2)
    else assert.equal(decoded.end, octets.length - 2)
  }
  if (!transparency) decoder.finish()
  if (decoder.fault === null) assert.equal(decoder.sizeOctets, content.length)
  return {
    content,
    rest,
    fault:
      decoder.fault === null
        ? null
        : `${decoder.fault.code} ${decoder.fault.status} ${decoder.fault.message}`,
  }
}

const cuts = (text: string): string[][] => Array.from(text, (_, i) => [text.slice(0, i), text.slice(i)])

const data: [wire: string, content: string, rest?: string][] = [
  ['Blah blah blah...\r\n...etc. etc. etc.\r\n.\r\n', 'Blah blah blah...\r\n..etc. etc. etc.\r\n'], // RFC 5321 App. D.1, as a dot-unaware client sends it
  ['.\r\n', ''], // RFC 5321 §4.1.1.4: the CRLF of DATA begins the end
  ['\r\n.\r\n', '\r\n'],
  ['..\r\n.\r\n', '.\r\n'], // RFC 5321 §4.5.2
  ['.a\r\n.\r\n', 'a\r\n'],
  ['...\r\n.\r\n', '..\r\n'],
  ['..\r\n..\r\n..a\r\n.\r\n', '.\r\n.\r\n.a\r\n'],
  ['a.\r\nb\r\n.\r\n', 'a.\r\nb\r\n'],
  ['a\r\n.\r\nQUIT\r\n', 'a\r\n', 'QUIT\r\n'], // RFC 2920 §3.1: commands may follow
  ['a\r\n.\r\n.\r\n', 'a\r\n', '.\r\n'],
  ['\xe9\xff\t\x01\x7f\r\n.\r\n', '\xe9\xff\t\x01\x7f\r\n'], // RFC 5321 §4.5.2: other control characters pass
]

test('DATA, whole and cut anywhere', () => {
  for (const [wire, content, rest = ''] of data) {
    for (const pieces of [[wire], [...wire], ...cuts(wire)]) {
      assert.deepEqual(decode(pieces), { content, rest, fault: null }, JSON.stringify(pieces))
    }
  }
})

/** What servers elsewhere took for the end of data: it ends nothing, and spoils the message. */
const smuggled: [wire: string, fault: string][] = [
  ['a\n.\nMAIL FROM:<x>\r\n', '550 5.5.2 Bare LF in line 1: lines end with CRLF only'],
  ['a\r.\rMAIL FROM:<x>\r\n', '550 5.5.2 Bare CR in line 1: lines end with CRLF only'],
  ['a\n.\r\nMAIL FROM:<x>\r\n', '550 5.5.2 Bare LF in line 1: lines end with CRLF only'],
  ['a\r\n.\nMAIL FROM:<x>\r\n', '550 5.5.2 Bare LF in line 2: lines end with CRLF only'],
  ['a\r\n.\rMAIL FROM:<x>\r\n', '550 5.5.2 Bare CR in line 2: lines end with CRLF only'],
  ['a\r.\r\nMAIL FROM:<x>\r\n', '550 5.5.2 Bare CR in line 1: lines end with CRLF only'],
  ['a\r\n\r.\r\nMAIL FROM:<x>\r\n', '550 5.5.2 Bare CR in line 2: lines end with CRLF only'],
  ['a\r\n.\r\r\nMAIL FROM:<x>\r\n', '550 5.5.2 Bare CR in line 2: lines end with CRLF only'],
  ['a\r\n\0.\r\nMAIL FROM:<x>\r\n', '550 5.5.2 NUL octet in line 2: lines end with CRLF only'],
  ['a\r\n.\0\r\nMAIL FROM:<x>\r\n', '550 5.5.2 NUL octet in line 2: lines end with CRLF only'],
  ['a\r\n.\r\0\nMAIL FROM:<x>\r\n', '550 5.5.2 Bare CR in line 2: lines end with CRLF only'],
  ['\n.\r\nMAIL FROM:<x>\r\n', '550 5.5.2 Bare LF in line 1: lines end with CRLF only'],
  ['.\nMAIL FROM:<x>\r\n', '550 5.5.2 Bare LF in line 1: lines end with CRLF only'],
  ['a\r\r\nMAIL FROM:<x>\r\n', '550 5.5.2 Bare CR in line 1: lines end with CRLF only'],
]

test('smuggling: refused, and the true end is found, cut anywhere', () => {
  for (const [wire, fault] of smuggled) {
    const whole = `${wire}.\r\nNOOP\r\n`
    for (const pieces of [[whole], [...whole], ...cuts(whole)]) {
      const outcome = decode(pieces)
      assert.equal(outcome.rest, 'NOOP\r\n', JSON.stringify(pieces))
      assert.equal(outcome.fault, fault, JSON.stringify(pieces))
    }
    assert.equal(decode([wire]).rest, null)
  }
})

test('BDAT: octets are counted, lines are checked, dots mean nothing', () => {
  for (const text of ['a\r\n.\r\nb\r\n', '..\r\n', '', 'no end of line', 'To: Susan@random.com\r\n']) {
    for (const pieces of [[text], [...text], ...cuts(text)]) {
      assert.deepEqual(decode(pieces, { transparency: false }), { content: text, rest: null, fault: null })
    }
  }
  for (const text of ['a\nb\r\n', 'a\rb\r\n', 'a\0b\r\n', 'a\r', 'a\r\n\r', '\n', '\r\r\n']) {
    for (const pieces of [[text], [...text], ...cuts(text)]) {
      assert.match(
        decode(pieces, { transparency: false }).fault ?? '',
        /^550 5\.5\.2 /,
        JSON.stringify(pieces),
      )
    }
  }
})

test('a text line has at most 1000 octets with its CRLF, RFC 5321 §4.5.3.1.6', () => {
  const line = 'x'.repeat(998)
  for (const transparency of [true, false]) {
    assert.equal(decode([`${line}\r\n`], { transparency }).fault, null)
    for (const pieces of [
      [...`a\r\n${line}y\r\n`],
      [`a\r\n${line}y\r\n`],
      [`a\r\n${line}`, 'y\r\n'],
      ['a\r\n', line, 'y', '\r\n'],
      [`a\r\n${line}yyy`],
    ]) {
      const fault = '550 5.6.0 Line 2 is longer than 998 octets'
      assert.equal(decode(pieces, { transparency }).fault, fault)
    }
  }
  // The dot doubled for transparency does not count.
  assert.equal(decode([`..${line.slice(1)}\r\n.\r\n`]).fault, null)
  assert.equal(decode(['.', `.${line.slice(1)}\r`, '\n.\r\n']).fault, null)
  assert.match(decode([`..${line}\r\n.\r\n`]).fault ?? '', /^550 5\.6\.0 Line 1 /)
  // The CRLF of the long line may begin the end of data.
  assert.equal(decode([`${line}y\r\n.\r\nNOOP`]).rest, 'NOOP')
})

test('a message has at most as many octets as the limit, without its doubled dots: RFC 1870 §5', () => {
  const limits = { messageOctets: 6 as never }
  assert.equal(decode(['..a\r\nb\r\n.\r\n'], { limits: { messageOctets: 7 as never } }).fault, null)
  for (const pieces of [['..a\r\nb\r\n.\r\nNOOP'], [...'..a\r\nb\r\n.\r\nNOOP']]) {
    assert.deepEqual(decode(pieces, { limits }).rest, 'NOOP')
    assert.equal(decode(pieces, { limits }).fault, '552 5.3.4 Message larger than 6 octets')
  }
})

test('content in one piece is a subarray of the chunk', () => {
  const chunk = latin1('a\r\nb\r\n.\r\n')
  const { content } = new ContentDecoder(true, LIMITS).decode(chunk, 0, chunk.length)
  assert.ok(content !== null)
  assert.equal(content.buffer, chunk.buffer)
  assert.equal(content.byteOffset, chunk.byteOffset)
})

const SHORT = { textLineOctets: 5 as never }

/** RFC 5321 §4.5.2 in the plainest words: what a decoder must say about a stream that has its end of data. */
function oracle(stream: string): Outcome | null {
  const end = `\r\n${stream}`.indexOf('\r\n.\r\n')
  if (end < 0) return null
  const content = stream.slice(0, end)
  const rest = stream.slice(end + 3)
  if (/\r(?!\n)|(?<!\r)\n|\0/.test(content)) return { content: '', rest, fault: '550 5.5.2' }
  const decoded = content.replace(/^\./gm, '')
  const long = decoded.split('\n').some(line => line.length + 1 > SHORT.textLineOctets)
  return { content: long ? '' : decoded, rest, fault: long ? '550 5.6.0' : null }
}

function assertLikeOracle(pieces: readonly string[]): void {
  const expected = oracle(pieces.join(''))
  const actual = decode(pieces, { limits: SHORT })
  assert.equal(actual.rest, expected?.rest ?? null, JSON.stringify(pieces))
  if (expected === null) return
  assert.equal(actual.fault !== null, expected.fault !== null, JSON.stringify(pieces))
  if (expected.fault === null) assert.equal(actual.content, expected.content, JSON.stringify(pieces))
}

test('every stream of up to 6 octets of CR, LF, dot and letter, cut anywhere, is as the oracle says', () => {
  for (let length = 0; length <= 6; length++) {
    for (let n = 0; n < 4 ** length; n++) {
      let text = ''
      for (let i = 0, rest = n; i < length; i++, rest >>= 2) text += '\r\n.a'[rest & 3]
      for (let cut = 0; cut <= length; cut++) {
        assertLikeOracle([text.slice(0, cut), text.slice(cut)])
        assertLikeOracle([text.slice(0, cut), `${text.slice(cut)}\r\n.\r\nb\r\n.\r\n`])
      }
    }
  }
})

const token = fc.constantFrom('\r\n', '\r\n.', '\r', '\n', '.', 'a', '\xe9', '\0', 'bc')
const stream = fc.array(token, { maxLength: 24 }).map(tokens => tokens.join(''))

test('property: any stream in any pieces is as the oracle says', () => {
  fc.assert(
    fc.property(fc.array(stream, { maxLength: 6 }), fc.boolean(), (pieces, ended) => {
      assertLikeOracle(ended ? [...pieces, '\r\n.\r\n'] : pieces)
    }),
    { seed, numRuns: 2000 },
  )
})

// Message content as RFC 5321 §2.3.8 has it: lines with CRLF.
const content = fc
  .array(fc.stringMatching(/^[. a-c\xe9]{0,8}$/), { maxLength: 8 })
  .map(lines => lines.map(line => `${line}\r\n`).join(''))

/** `text` in pieces, cut at some of the given places. */
function cutAt(text: string, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.map(place => place % (text.length + 1)).sort((a, b) => a - b), text.length]
  return sorted.slice(1).map((end, i) => latin1(text.slice(sorted[i] ?? 0, end)))
}

test('property: decode(dotStuff(x)) = x, in any pieces', () => {
  fc.assert(
    fc.property(
      content,
      fc.array(fc.nat(), { maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 5 }),
      (text, before, after) => {
        const wire = Buffer.concat(dotStuff(cutAt(text, before))).toString('latin1')
        assert.ok(wire.endsWith('.\r\n'))
        const pieces = cutAt(wire, after).map(piece => piece.toString('latin1'))
        assert.deepEqual(decode(pieces), { content: text, rest: '', fault: null })
      },
    ),
    { seed, numRuns: 1000 },
  )
})

test('property: dotStuff(decode(x)) = x where dots stand only where they must', () => {
  fc.assert(
    fc.property(content, text => {
      const wire = `${text.replace(/^\./gm, '..')}.\r\n`
      assert.equal(Buffer.concat(dotStuff([latin1(decode([wire]).content)])).toString('latin1'), wire)
    }),
    { seed },
  )
})

test('dotStuff ends a last line that has no CRLF, RFC 5321 §4.1.1.4', () => {
  const stuffed = (...pieces: string[]) => Buffer.concat(dotStuff(pieces.map(latin1))).toString('latin1')
  assert.equal(stuffed(), '.\r\n')
  assert.equal(stuffed(''), '.\r\n')
  assert.equal(stuffed('a'), 'a\r\n.\r\n')
  assert.equal(stuffed('a\r\n', '.b\r', '\n', '.'), 'a\r\n..b\r\n..\r\n.\r\n')
  assert.equal(stuffed('a', '.b'), 'a.b\r\n.\r\n')
})
