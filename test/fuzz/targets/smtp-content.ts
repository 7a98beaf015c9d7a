/** Content by DATA and by BDAT, held against the plainest reading of RFC 5321 §4.5.2 there can be. */

import assert from 'node:assert/strict'
import { ContentDecoder, dotStuff } from '../../../src/smtp/data.ts'
import { LIMITS, type Limits } from '../../../src/smtp/limits.ts'
import { LineReader } from '../../../src/smtp/line.ts'
import { sameHoweverCut, type Target } from '../target.ts'

const SMALL: Limits = { ...LIMITS, textLineOctets: 60, messageOctets: 300 }
const DOTS = [
  '\r\n.\r\n',
  '\r\n..\r\n',
  '\n.\n',
  '\r.\r',
  '\n.\r\n',
  '\r\n.\n',
  '\r\n.\r',
  '.',
  '..',
  '\r\n',
  '\r\r\n',
  '\0',
]

interface Outcome {
  readonly sizeOctets: number
  readonly content: string
  /** Of the octets: where the content ended. */
  readonly end: number | null
  readonly fault: string | null
}

function decode(pieces: readonly Buffer[], transparency: boolean, limits: Limits): Outcome {
  const decoder = new ContentDecoder(transparency, limits)
  const content: Buffer[] = []
  let at = 0
  for (const piece of pieces) {
    const decoded = decoder.decode(piece, 0, piece.length)
    if (decoded.content !== null) content.push(Buffer.from(decoded.content))
    assert.ok(decoded.done || decoded.end === piece.length)
    if (decoded.done) return outcome(decoder, content, at + decoded.end)
    at += piece.length
  }
  if (transparency) return outcome(decoder, content, null)
  decoder.finish()
  return outcome(decoder, content, at)
}

function outcome(decoder: ContentDecoder, content: readonly Buffer[], end: number | null): Outcome {
  const { fault, sizeOctets } = decoder
  // What came of a message before its fault is dropped by the session.
  if (fault !== null) return { fault: `${fault.code} ${fault.message}`, sizeOctets: 0, content: '', end }
  return { fault: null, sizeOctets, content: Buffer.concat(content).toString('latin1'), end }
}

/** The whole content in hand, searched once for each rule. */
function reference(octets: Buffer, transparency: boolean, limits: Limits): Outcome {
  const text = `\r\n${octets.toString('latin1')}`
  const last = transparency ? text.indexOf('\r\n.\r\n') : text.length
  const end = transparency ? last + 3 : octets.length
  const lines = text.slice(2, transparency ? last + 2 : undefined)
  const content = transparency ? lines.replace(/(^|\r\n)\./g, '$1') : lines
  const bare = /\0|(?<!\r)\n|\r(?!\n)/.test(content)
  const long = content.split(/(?<=\r\n)/).some(line => line.length > limits.textLineOctets)
  const fault = bare ? '550 bare' : long ? '550 long' : content.length > limits.messageOctets ? '552' : null
  if (fault !== null) return { fault, sizeOctets: 0, content: '', end }
  return { fault: null, sizeOctets: content.length, content, end }
}

/** `D` or `B`, with small limits in lower case; then octets. */
export const content: Target = {
  name: 'smtp-content',
  words: [...DOTS, 'a'.repeat(58), 'a'.repeat(996), `${'a'.repeat(76)}\r\n`],
  maxOctets: 6000,
  run(input) {
    const kind = String.fromCharCode(input[0] ?? 0)
    const transparency = kind.toUpperCase() !== 'B'
    const limits = kind === kind.toLowerCase() ? SMALL : LIMITS
    const octets = input.subarray(1)
    const read = sameHoweverCut(octets, pieces => {
      // Which of several faults is told first depends on what was seen first.
      const { fault, ...rest } = decode(pieces, transparency, limits)
      return { ...rest, fault: fault === null ? null : true }
    })
    const text = `\r\n${octets.toString('latin1')}`
    const ended = !transparency || text.includes('\r\n.\r\n')
    assert.equal(read.end !== null, ended, 'the end of data is seen where it is')
    const whole = decode([octets], transparency, limits)
    if (!ended) return `open ${whole.fault?.slice(0, 20)}`
    const wanted = reference(octets, transparency, limits)
    assert.deepEqual({ ...read, fault: read.fault !== null }, { ...wanted, fault: wanted.fault !== null })
    return `${kind} ${whole.fault?.replace(/\d+/g, '#').slice(0, 20)} ${Math.ceil(read.content.length / 100)}`
  },
  stream(input) {
    const decoder = new ContentDecoder(((input[0] ?? 0) & 1) === 0, {
      ...LIMITS,
      messageOctets: Number.MAX_SAFE_INTEGER,
    })
    return chunk => void decoder.decode(chunk, 0, chunk.length)
  },
}

/** Any pieces: the end of data is at the end of what we send, and nowhere before. */
export const stuffing: Target = {
  name: 'smtp-dot-stuffing',
  words: DOTS,
  run(input) {
    const sent = sameHoweverCut(input, pieces => Buffer.concat(dotStuff(pieces)).toString('latin1'))
    assert.equal(`\r\n${sent}`.indexOf('\r\n.\r\n'), sent.length - 3, 'one end of data')
    const text = input.toString('latin1')
    const received = decode([Buffer.from(sent, 'latin1')], true, {
      ...LIMITS,
      textLineOctets: Number.MAX_SAFE_INTEGER,
    })
    if (received.fault !== null) {
      assert.match(text, /\0|(?<!\r)\n|\r(?!\n)/, 'only what is illegal is refused')
      return received.fault
    }
    assert.equal(received.content, text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`)
    return String(text.match(/(^|\r\n)\./g)?.length)
  },
}

/** Command lines: however cut, and never more of a line held than the limit. */
export const line: Target = {
  name: 'smtp-line',
  words: ['\r\n', '\n', '\r', '\0', 'a'.repeat(100), '\xc3', 'é'],
  run(input) {
    const lines = sameHoweverCut(input, pieces => {
      const reader = new LineReader()
      const read: string[] = []
      for (const piece of pieces) {
        for (let at = 0; at < piece.length; ) {
          const found = reader.read(piece, at, 80)
          if (found === null) break
          assert.ok(found.end > at)
          at = found.end
          read.push(found.text ?? `! ${found.fault.message}`)
        }
      }
      return read
    })
    assert.equal(lines.length, input.toString('latin1').split('\r\n').length - 1)
    for (const text of lines) if (!text.startsWith('! ')) assert.doesNotMatch(text, /[\r\n\0]/)
    return lines.map(text => (text.startsWith('! ') ? text : Math.ceil(text.length / 20))).join()
  },
  stream() {
    const reader = new LineReader()
    return chunk => {
      for (let at = 0; at < chunk.length; ) {
        const found = reader.read(chunk, at, 512)
        if (found === null) return
        at = found.end
      }
    }
  },
}

export const contentTargets: readonly Target[] = [content, stuffing, line]
