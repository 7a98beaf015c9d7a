import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SmtpError } from './error.ts'
import {
  encodeReply,
  fixedReply,
  formatReply,
  isPositive,
  isTransient,
  type Reply,
  ReplyParser,
  reply,
} from './reply.ts'
import type { EnhancedStatusCode } from './status.ts'

const seed = 5321
const decode = (octets: Uint8Array): Reply[] => [...new ReplyParser().push(octets)]
const text = (octets: Uint8Array): string => Buffer.from(octets).toString('latin1')

const replies: [wire: string, reply: Reply][] = [
  ['250 OK\r\n', { code: 250, lines: ['OK'] }], // RFC 5321 App. D.1
  [
    '354 Start mail input; end with <CRLF>.<CRLF>\r\n',
    { code: 354, lines: ['Start mail input; end with <CRLF>.<CRLF>'] },
  ],
  ['250 2.1.5 Recipient ok\r\n', { code: 250, status: '2.1.5', lines: ['Recipient ok'] }], // RFC 2034 §6
  [
    '551-5.7.1 Forwarding to remote hosts disabled\r\n551 5.7.1 Select another host to act as your forwarder\r\n',
    {
      code: 551,
      status: '5.7.1',
      lines: ['Forwarding to remote hosts disabled', 'Select another host to act as your forwarder'],
    },
  ],
  [
    '250-foo.com greets bar.com\r\n250-8BITMIME\r\n250-SIZE\r\n250-DSN\r\n250 HELP\r\n', // RFC 5321 App. D.1
    { code: 250, lines: ['foo.com greets bar.com', '8BITMIME', 'SIZE', 'DSN', 'HELP'] },
  ],
  ['334 \r\n', { code: 334, lines: [''] }], // RFC 4954 §4
  [
    '235 2.7.0 Authentication successful\r\n',
    { code: 235, status: '2.7.0', lines: ['Authentication successful'] },
  ],
]

test('replies, there and back', () => {
  for (const [wire, value] of replies) {
    assert.equal(text(encodeReply(value)), wire)
    assert.deepEqual(decode(Buffer.from(wire)), [value])
  }
})

const borne: [wire: string, reply: Reply][] = [
  ['250\r\n', { code: 250, lines: [''] }], // RFC 5321 §4.2: the code alone
  ['250 \r\n', { code: 250, lines: [''] }],
  ['599 What?\r\n', { code: 599, lines: ['What?'] }], // RFC 5321 §4.2: unknown codes
  ['250-2.1.0 one\r\n250 two\r\n', { code: 250, status: '2.1.0', lines: ['one', 'two'] }],
  ['550-5.1.1 one\r\n550 5.7.1 two\r\n', { code: 550, status: '5.1.1', lines: ['one', '5.7.1 two'] }],
  ['450 5.1.1 no\r\n', { code: 450, lines: ['5.1.1 no'] }], // RFC 2034 §4: the class must agree
  ['354 2.0.0 go\r\n', { code: 354, lines: ['2.0.0 go'] }],
  ['250 2.0.0\r\n', { code: 250, status: '2.0.0', lines: [''] }],
  ['550 5.1.1   indented\r\n', { code: 550, status: '5.1.1', lines: ['indented'] }],
  ['550 Un caf\xc3\xa9\r\n', { code: 550, lines: ['Un café'] }], // RFC 6531 §3.7.4
  ['550 a\x1b[2Jb\0c\rd\r\n', { code: 550, lines: ['a?[2Jb?c?d'] }],
]

test('replies that servers send nevertheless', () => {
  for (const [wire, value] of borne) assert.deepEqual(decode(Buffer.from(wire, 'latin1')), [value], wire)
})

const malformed = [
  '250 OK\n',
  'hello\r\n',
  '150 no\r\n',
  '650 no\r\n',
  '25 no\r\n',
  '250_no\r\n',
  '250-a\r\n251 b\r\n',
  '\r\n',
  '\n',
]

test('what is no reply throws a temporary error', () => {
  for (const wire of malformed) {
    assert.throws(
      () => decode(Buffer.from(wire)),
      (error: unknown) => error instanceof SmtpError && error.code === 451,
      wire,
    )
  }
})

test('a reply is bounded', () => {
  assert.throws(() => decode(Buffer.from(`250 ${'a'.repeat(5000)}`)), SmtpError)
  assert.throws(() => decode(Buffer.from(`250 ${'a'.repeat(5000)}\r\n`)), SmtpError)
  assert.throws(() => decode(Buffer.from('250-a\r\n'.repeat(129))), SmtpError)
  assert.equal(decode(Buffer.from(`${'250-a\r\n'.repeat(127)}250 a\r\n`)).length, 1)
})

test('a line at the limit is borne or not, however it is cut', () => {
  for (const [octets, borne] of [
    [4096, true],
    [4097, false],
  ] as const) {
    const wire = Buffer.from(`250 ${'a'.repeat(octets - 6)}\r\n`)
    for (const cut of [0, 4095, 4096]) {
      const parser = new ReplyParser()
      const read = () => [...parser.push(wire.subarray(0, cut)), ...parser.push(wire.subarray(cut))]
      if (borne) assert.equal(read().length, 1, `${octets} cut at ${cut}`)
      else assert.throws(read, SmtpError, `${octets} cut at ${cut}`)
    }
  }
})

test('what we send has no line over 512 octets and nothing but printable ASCII', () => {
  const long = encodeReply(
    reply(550, '5.7.1', `${'word '.repeat(300)}end`, 'x'.repeat(1200), 'a\r\n250 b', 'é\t\x7f'),
  )
  const lines = text(long).split('\r\n')
  assert.equal(lines.pop(), '')
  for (const line of lines) {
    assert.match(line, /^550[- ]5\.7\.1 [\t -~]*$/)
    assert.ok(line.length <= 510)
  }
  assert.equal(lines.filter(line => line[3] === ' ').length, 1)
  assert.ok(lines.includes('550-5.7.1 a??250 b'))
  assert.equal(lines.at(-1), '550 5.7.1 ?\t?')
})

test('in one line, for logs', () => {
  assert.equal(formatReply(reply(550, '5.1.1', 'No such user', 'here')), '550 5.1.1 No such user here')
  assert.equal(formatReply(reply(354, null)), '354')
})

test('severities, RFC 5321 §4.2.1', () => {
  assert.deepEqual(
    [250, 354, 451, 550].map(code => isPositive(reply(code, null))),
    [true, true, false, false],
  )
  assert.deepEqual(
    [250, 354, 451, 550].map(code => isTransient(reply(code, null))),
    [false, false, true, false],
  )
})

test('an error is its reply', () => {
  const error = new SmtpError(552, '5.3.4', 'Too large')
  assert.deepEqual(error.reply, reply(552, '5.3.4', 'Too large'))
  assert.equal(text(encodeReply(error.reply)), '552 5.3.4 Too large\r\n')
})

// A line of text as we send it: printable, no status code of its own, not folded.
const line = fc.stringMatching(/^[A-Za-z<][\t -~]{0,80}$/)
const lines = fc.array(line, { minLength: 1, maxLength: 5 })
const number = (max: number) => fc.integer({ min: 0, max })
const plain = fc
  .tuple(fc.integer({ min: 200, max: 599 }), lines)
  .map(([code, lines]): Reply => ({ code, lines }))
const enhanced = fc
  .tuple(fc.constantFrom(2 as const, 4 as const, 5 as const), number(99), number(999), number(999), lines)
  .map(([digit, rest, subject, detail, lines]): Reply => {
    const status: EnhancedStatusCode = `${digit}.${subject}.${detail}`
    return { code: digit * 100 + rest, status, lines }
  })
const anyReply = fc.oneof(plain, enhanced)

test('property: decode(encode(x)) = x, cut anywhere', () => {
  fc.assert(
    fc.property(fc.array(anyReply, { minLength: 1, maxLength: 4 }), fc.nat(), (values, cut) => {
      const wire = Buffer.concat(values.map(value => encodeReply(value)))
      const parser = new ReplyParser()
      const at = cut % (wire.length + 1)
      assert.deepEqual([...parser.push(wire.subarray(0, at)), ...parser.push(wire.subarray(at))], values)
      assert.equal(parser.partial, false)
    }),
    { seed },
  )
})

test('property: encode(decode(x)) = x for what we would send', () => {
  fc.assert(
    fc.property(anyReply, value => {
      const wire = encodeReply(value)
      assert.deepEqual(decode(wire).map(encodeReply), [wire])
    }),
    { seed },
  )
})

test('property: octets are replies or an SmtpError, and what was decoded can be sent', () => {
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .stringMatching(/^([2-6]?[05][05][ -]?(2\.1\.0 )?[\r\na-z\0\x80-\xff ]{0,9}(\r\n)?){0,5}$/)
      .map(s => Buffer.from(s, 'latin1')),
  )
  fc.assert(
    fc.property(octets, chunk => {
      try {
        for (const value of decode(chunk)) assert.deepEqual(decode(encodeReply(value))[0]?.code, value.code)
      } catch (error) {
        assert.ok(error instanceof SmtpError, String(error))
      }
    }),
    { seed, numRuns: 500 },
  )
})

test('a fixed reply is the same as any other', () => {
  const fixed = fixedReply(250, '2.1.5', 'OK', 'of two lines')
  assert.deepEqual(fixed, reply(250, '2.1.5', 'OK', 'of two lines'))
  assert.equal(text(encodeReply(fixed)), '250-2.1.5 OK\r\n250 2.1.5 of two lines\r\n')
  assert.equal(encodeReply(fixed), encodeReply(fixed))
})
