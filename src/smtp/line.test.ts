import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LineReader } from './line.ts'

const LIMIT = 20

/** The lines in the pieces: their text, or what is wrong with them; and what is left in the last piece is taken. */
function read(pieces: readonly string[]): string[] {
  const reader = new LineReader()
  const lines: string[] = []
  for (const piece of pieces) {
    const octets = Buffer.from(piece, 'latin1')
    for (let at = 0; at < octets.length; ) {
      const line = reader.read(octets, at, LIMIT)
      if (line === null) break
      lines.push(line.text ?? line.fault.message)
      at = line.end
    }
  }
  return lines
}

const BARE = 'Bare CR, bare LF or NUL in a command: lines end with CRLF only'
const LONG = 'Line too long'

const streams: [octets: string, lines: string[]][] = [
  ['NOOP\r\nQUIT\r\n', ['NOOP', 'QUIT']],
  ['\r\n', ['']],
  ['NOOP', []],
  ['NOOP\r', []],
  ['NOOP\nQUIT\r\nRSET\r\n', [BARE, 'RSET']],
  ['NOOP\rQUIT\r\nRSET\r\n', [BARE, 'RSET']],
  ['NOOP\r\r\nRSET\r\n', [BARE, 'RSET']],
  ['\nNOOP\r\nRSET\r\n', [BARE, 'RSET']],
  ['NO\0OP\r\nRSET\r\n', [BARE, 'RSET']],
  [`${'x'.repeat(LIMIT - 2)}\r\n`, ['x'.repeat(LIMIT - 2)]],
  [`${'x'.repeat(LIMIT - 1)}\r\nRSET\r\n`, [LONG, 'RSET']],
  [`${'x\n'.repeat(LIMIT * 9)}\r\nRSET\r\n`, [LONG, 'RSET']],
  [`${'x'.repeat(LIMIT)}\r`, []],
  ['n\xc3\xa9\r\n', ['né']], // RFC 6531: UTF-8
  ['n\xe9\r\n', ['Command is neither ASCII nor UTF-8']],
]

test('lines end with CRLF and with nothing else, cut anywhere', () => {
  for (const [octets, lines] of streams) {
    assert.deepEqual(read([octets]), lines, JSON.stringify(octets))
    assert.deepEqual(read([...octets]), lines, JSON.stringify(octets))
    for (let i = 0; i <= octets.length; i++)
      assert.deepEqual(read([octets.slice(0, i), octets.slice(i)]), lines)
  }
})

test('property: as many lines as CRLFs, however it is cut', () => {
  const token = fc.constantFrom('\r\n', '\r', '\n', '\0', 'abc')
  const stream = fc.array(token, { maxLength: 20 }).map(tokens => tokens.join(''))
  fc.assert(
    fc.property(fc.array(stream), pieces => {
      const whole = pieces.join('')
      assert.equal(read(pieces).length, whole.split('\r\n').length - 1)
      assert.deepEqual(read(pieces), read([whole]))
    }),
    { seed: 5321, numRuns: 500 },
  )
})
