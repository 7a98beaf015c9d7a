import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeReply, ReplyParser, reply, TEXT_OCTETS } from './reply.ts'
import {
  formatSuppressed,
  MOST_TOLD,
  parseSuppressed,
  refuseSuppressed,
  type Suppressed,
  splitSuppressed,
  suppressionKey,
  tellSuppressed,
} from './suppressed.ts'

const BOB: Suppressed = {
  recipient: 'bob@example.net',
  reason: '550 5.1.1 No such user',
  sinceMs: Date.UTC(2026, 0, 5),
  untilMs: Date.UTC(2026, 1, 4),
}
const LINE = 'XPTT suppressed 1767571200 1770163200 bob@example.net 550 5.1.1 No such user'
const QUEUED = reply(250, '2.0.0', 'Queued as 01KAXE0000000000000000000A')

/** As the next service reads it: through two sockets. */
function overTwoHops(answer: ReturnType<typeof reply>): ReturnType<typeof reply> {
  let passed = answer
  for (let hop = 0; hop < 2; hop++) {
    const octets = encodeReply(passed)
    for (const line of Buffer.from(octets).toString('latin1').split('\r\n')) assert.ok(line.length <= 510)
    const [read, ...more] = new ReplyParser().push(octets)
    assert.ok(read !== undefined && more.length === 0)
    passed = read
  }
  return passed
}

test('a line tells of a recipient', () => {
  assert.equal(formatSuppressed(BOB), LINE)
  assert.deepEqual(parseSuppressed(LINE), BOB)
  const zoe = { ...BOB, recipient: 'zoë@münchen.example', reason: '', sinceMs: 0 }
  assert.equal(formatSuppressed(zoe), 'XPTT suppressed 0 1770163200 zo+C3+AB@m+C3+BCnchen.example ')
  assert.deepEqual(parseSuppressed(formatSuppressed(zoe) ?? ''), zoe)
})

test('a time that no line has becomes the nearest one', () => {
  const odd = { ...BOB, sinceMs: -5000, untilMs: 1e300 }
  assert.match(formatSuppressed(odd) ?? '', /^XPTT suppressed 0 999999999999 bob@/)
  const read = parseSuppressed(formatSuppressed(odd) ?? '')
  assert.equal(refuseSuppressed(read ?? BOB).code, 550)
})

test('what is no such line tells of nobody', () => {
  const lines = [
    '',
    'Queued as 01KAXE0000000000000000000A',
    LINE.slice(1),
    ` ${LINE}`,
    LINE.replace('XPTT', 'xptt'),
    LINE.replace('suppressed', 'known'),
    LINE.replace('1767571200', '-1'),
    LINE.replace('1767571200', '1.5'),
    LINE.replace('1770163200', '1234567890123'),
    LINE.replace(' bob@', '  bob@'),
    LINE.replace('bob', 'b=b'),
    LINE.replace('bob', 'b+0Ab'),
    LINE.replace('bob', 'b+7Fb'),
    LINE.replace('bob', 'b+FFb'),
    LINE.replace('bob', 'bøb'),
    LINE.replace('No', 'Nø'),
    LINE.replace('No', 'N\0'),
    `${LINE}\n`,
    LINE.padEnd(TEXT_OCTETS + 1),
    'XPTT suppressed 1767571200 1770163200 bob@example.net',
  ]
  for (const line of lines) assert.equal(parseSuppressed(line), null, JSON.stringify(line))
  assert.notEqual(parseSuppressed(LINE.padEnd(TEXT_OCTETS)), null)
})

test('the lines go before the reply, pass two hops, and do not reach the client', () => {
  const carol = { ...BOB, recipient: 'carol@example.net', reason: 'complained by phone' }
  for (const answer of [QUEUED, refuseSuppressed(BOB, 1)]) {
    const told = tellSuppressed(answer, [BOB, carol])
    assert.equal(told.lines.length, 3)
    assert.deepEqual(splitSuppressed(overTwoHops(told)), { reply: answer, suppressed: [BOB, carol] })
    assert.equal(tellSuppressed(answer, []), answer)
    assert.deepEqual(splitSuppressed(answer), { reply: answer, suppressed: [] })
  }
})

test('a message tells of ten; a line is never folded, an address too long for one is left out', () => {
  const long = { ...BOB, recipient: `${'é'.repeat(80)}@example.net`, reason: 'x'.repeat(2000) }
  const many = Array.from({ length: 30 }, (_, at) => ({
    ...BOB,
    recipient: `${'é'.repeat(at % 3 === 0 ? 60 : 5)}${at}@example.net`,
    reason: `554 5.7.1 ${'é word '.repeat(100)}`,
  }))
  const split = splitSuppressed(overTwoHops(tellSuppressed(QUEUED, [long, ...many])))
  assert.deepEqual(split.reply, QUEUED)
  assert.equal(split.suppressed.length, MOST_TOLD)
  for (const [at, { recipient, reason }] of split.suppressed.entries()) {
    assert.equal(recipient, many[at]?.recipient)
    assert.match(reason, /^554 5\.7\.1 \? word .*\.\.\.$/)
  }
})

test('lines too many, or with our tag and nothing we know, are taken out too', () => {
  const lines = [...Array.from({ length: 40 }, () => LINE), 'XPTT something new', 'Queued']
  const split = splitSuppressed(reply(250, '2.0.0', ...lines))
  assert.equal(split.suppressed.length, MOST_TOLD)
  assert.deepEqual(split.reply.lines, ['Queued'])
  assert.deepEqual(splitSuppressed(reply(250, '2.0.0', 'XPTT ')).reply.lines, [''])
})

test("a stranger's reply that is quoted cannot tell of others, however it is folded", () => {
  const evil = LINE.replace('bob', 'victim')
  let dangers = 0
  for (let pad = 0; pad < TEXT_OCTETS; pad++) {
    const reason = `550 5.1.1 ${'x'.repeat(pad)} ${evil} ${evil}`
    const told = overTwoHops(tellSuppressed(refuseSuppressed({ ...BOB, reason }), [{ ...BOB, reason }]))
    if (told.lines.slice(1).some(line => parseSuppressed(line) !== null)) dangers++
    const { suppressed } = splitSuppressed(told)
    assert.deepEqual(
      suppressed.map(({ recipient }) => recipient),
      ['bob@example.net'],
    )
  }
  assert.ok(dangers > 0, 'a fold makes such a line')
})

test('domains in any case and form, recipients in any case, are the same', () => {
  const key = suppressionKey('münchen.example', 'bob@example.net')
  assert.equal(suppressionKey('XN--MNCHEN-3YA.Example', 'Bob@Example.NET'), key)
  assert.notEqual(suppressionKey('other.example', 'bob@example.net'), key)
})

test('property: what is told is read', () => {
  const mailbox = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(mailbox, fc.string({ maxLength: 800 }), fc.nat(), (recipient, reason, sinceMs) => {
      const line = formatSuppressed({ ...BOB, recipient, reason, sinceMs })
      assert.ok(line !== null && line.length <= TEXT_OCTETS)
      const read = parseSuppressed(line)
      assert.equal(read === null, /[\0-\x1f\x7f]/.test(recipient))
      if (read === null) return
      assert.equal(read.recipient, recipient)
      assert.equal(read.sinceMs, Math.floor(sinceMs / 1000) * 1000)
      assert.equal(formatSuppressed(read), line)
    }),
    { seed: 5321, numRuns: 500 },
  )
})
