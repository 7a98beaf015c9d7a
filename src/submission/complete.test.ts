import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { User } from '../directory/directory.ts'
import { parseHeader } from '../message/header.ts'
import { SmtpError } from '../smtp/error.ts'
import { LIMITS } from '../smtp/limits.ts'
import { ADDED, type Completed, complete, type Submission } from './complete.ts'
import { REMOVED } from './removal.ts'

const user: User = {
  name: 'alice@example.test',
  localPart: 'alice',
  domain: 'example.test',
  verifier: { scheme: 'BLAKE2B-512', digest: new Uint8Array(64) },
  senders: ['sales@example.test'],
  targets: [],
}
const submission: Submission = {
  stamp: {
    from: 'client.test',
    address: '192.0.2.7',
    by: 'mail.example.test',
    protocol: 'ESMTPSA',
    id: '01KAXE0000000000000000000A',
    dateMs: Date.UTC(2026, 10, 21, 20, 0, 0),
  },
  user,
  envelope: {
    reversePath: user,
    recipients: [{ forwardPath: { localPart: 'bob', domain: 'internet.test' } }],
    smtputf8: false,
  },
  domain: 'example.test',
  limits: LIMITS,
  whole: true,
}

const octets = (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'))
const text = ({ content }: Completed) => Buffer.concat(content).toString().replaceAll('\r\n', '\n')
const completed = (content: string) => text(complete([octets(content)], submission))

const RECEIVED =
  'Received: from client.test ([192.0.2.7]) by mail.example.test with ESMTPSA\n id 01KAXE0000000000000000000A; Sat, 21 Nov 2026 20:00:00 +0000\n'
const DATE = 'Date: Sat, 21 Nov 2026 20:00:00 +0000\n'
const ID = 'Message-ID: <01KAXE0000000000000000000A@example.test>\n'
const OWN = 'Date: Thu, 1 Jan 1970 00:00:00 +0000\nMessage-ID: <x@y>\n'
const FROM = 'From: alice@example.test\n'

/** [what, header as it came, what was added, header as it goes on]. */
const changes: [what: string, header: string, added: string, kept: string][] = [
  ['Date and Message-ID are missing', FROM, RECEIVED + DATE + ID, FROM],
  ['nothing is missing', FROM + OWN, RECEIVED, FROM + OWN],
  ['whatever their case', `date: 21 Nov 97 09:55:06 GMT\n${FROM}MESSAGE-Id: <x@y>\n`, RECEIVED, ''],
  ['a Date that is none', `${FROM}Date: yesterday\n`, RECEIVED + DATE + ID, FROM],
  ['an empty Message-ID', `Message-ID:\n${FROM}`, RECEIVED + DATE + ID, FROM],
  ['a Message-ID without brackets', `${FROM}Message-ID: x@y\n`, RECEIVED + DATE + ID, FROM],
  [
    'several authors, one of them the user',
    `From: alice@example.test, sales@example.test\n${OWN}`,
    `${RECEIVED}Sender: alice@example.test\n`,
    '',
  ],
  [
    'several authors and a Sender',
    `From: alice@example.test, sales@example.test\nSender: sales@example.test\n${OWN}`,
    RECEIVED,
    '',
  ],
  // Given to him as his own: his login is nobody's business.
  ['another address of his', `From: sales@example.test\n${OWN}`, RECEIVED, ''],
  ['Bcc', `Bcc: x@internet.test\n${FROM}BCC:\n${OWN}bcc : y,\n z\n`, RECEIVED, FROM + OWN],
  ['Resent-Bcc', `Resent-Bcc: x@internet.test\n${FROM}${OWN}`, RECEIVED, FROM + OWN],
  ['Return-Path', `Return-Path: <x@internet.test>\n${FROM}${OWN}`, RECEIVED, FROM + OWN],
  ['a folded field in the middle', `${FROM}Bcc: x,\n y,\n\tz\n${OWN}`, RECEIVED, FROM + OWN],
]

for (const [what, header, added, kept] of changes)
  test(what, () => {
    assert.equal(completed(`${header}\nText.\n`), `${added}${kept === '' ? header : kept}\nText.\n`)
    const { added: names } = complete([octets(`${header}\n`)], submission)
    assert.deepEqual(
      names,
      parseHeader(octets(added)).map(({ name }) => name),
    )
    for (const name of names) assert.ok(Object.keys(ADDED).includes(name))
  })

test('a header section without a body, without an empty line, without a last line end', () => {
  assert.equal(completed(`${FROM}\n`), `${RECEIVED}${DATE}${ID}${FROM}\n`)
  assert.equal(completed(FROM), `${RECEIVED}${DATE}${ID}${FROM}`)
  assert.equal(completed(FROM.trim()), `${RECEIVED}${DATE}${ID}${FROM.trim()}`)
  assert.equal(completed(`${FROM}Bcc: x`), `${RECEIVED}${DATE}${ID}${FROM}`)
})

/** RFC 8601 §5. */
const results: [value: string, removed: boolean][] = [
  ['mail.example.test; dkim=pass header.d=example.test', true],
  ['MAIL.Example.TEST; dkim=pass', true],
  ['mail.example.test.; dkim=pass', true],
  ['example.test; none', true],
  ['mx.example.test; spf=pass', true],
  ['(as seen by) example.test (us) 1; spf=pass', true],
  ['"example.test"; spf=pass', true],
  ['"e\\xample.test"; spf=pass', true],
  ['example.test', true],
  // A version nobody here knows, and what nobody can read.
  ['internet.test 2; spf=pass', true],
  ['; spf=pass', true],
  ['example.test, internet.test; spf=pass', true],
  ['', true],
  ['internet.test; dkim=pass header.d=example.test', false],
  ['internet.test 1; none', false],
  ['notexample.test; spf=pass', false],
  ['example.test.internet.test; spf=pass', false],
  ['internet.test (example.test); spf=pass', false],
  ['"two words"; spf=pass', false],
]

for (const [value, removed] of results)
  test(`Authentication-Results: ${JSON.stringify(value)}`, () => {
    const field = `Authentication-Results: ${value}\n`
    const done = complete([octets(`${field}${FROM}${OWN}\n`)], submission)
    assert.equal(text(done), `${RECEIVED}${removed ? '' : field}${FROM}${OWN}\n`)
    assert.deepEqual(done.removed, removed ? ['Authentication-Results'] : [])
  })

test('our name in letters beyond ASCII', () => {
  const ours = { ...submission, domain: 'bücher.example' }
  for (const name of ['"bücher.example"', 'xn--bcher-kva.example', '"mx.BÜCHER.example"']) {
    const done = complete([octets(`Authentication-Results: ${name}; none\n${FROM}${OWN}\n`)], {
      ...ours,
      envelope: { ...ours.envelope, smtputf8: true },
    })
    assert.deepEqual(done.removed, ['Authentication-Results'])
  }
})

/** [what, whether MAIL said SMTPUTF8, content, whether it goes on with SMTPUTF8, what is different]. */
const MULTIPART = `${FROM}Content-Type: multipart/mixed; boundary=x\n`
const utf8: [string, boolean, string, boolean, Partial<Submission>?][] = [
  ['ASCII, and not said', false, `${FROM}\nText.\n`, false],
  ['ASCII, though said', true, `${FROM}\nText.\n`, false],
  ['a Subject in UTF-8, and said', true, `${FROM}Subject: grüße\n\n`, true],
  // RFC 6531 §3.2: it must not go to a server without SMTPUTF8, whatever the client knew.
  ['a Subject in UTF-8, and not said', false, `${FROM}Subject: grüße\n\n`, true],
  ['a Bcc in UTF-8, which is taken out', true, `${FROM}Bcc: jörg@internet.test\n\n`, false],
  ['text in UTF-8 is 8BITMIME', true, `${FROM}\nGrüße.\n`, false],
  ['text in UTF-8, by its type', true, `${FROM}Content-Type: (x) TEXT/plain\n\nGrüße.\n`, false],
  [
    'parts may have UTF-8 in their headers',
    true,
    `${MULTIPART}\n--x\nContent-Description: Grüße\n\n--x--\n`,
    true,
  ],
  ['so may a message in a message', true, `${FROM}Content-Type: message/global\n\nSubject: Grüße\n`, true],
  ['parts in ASCII', true, `${MULTIPART}\n--x\n\n--x--\n`, false],
  ['parts of which not all are here', true, `${MULTIPART}\n--x\n\n`, true, { whole: false }],
  ['text of which not all is here', true, `${FROM}\nText.\n`, false, { whole: false }],
  ['not said, and parts', false, `${MULTIPART}\n--x\nContent-Description: Grüße\n\n--x--\n`, false],
  ...[
    { reversePath: { localPart: 'jörg', domain: 'example.test' } },
    { recipients: [{ forwardPath: { localPart: '用户', domain: 'internet.test' } }] },
    { recipients: [{ forwardPath: { localPart: 'bob', domain: 'bücher.example' } }] },
  ].map((envelope): [string, boolean, string, boolean, Partial<Submission>] => [
    `a path beyond ASCII: ${JSON.stringify(envelope)}`,
    true,
    `${FROM}\nText.\n`,
    true,
    { envelope: { ...submission.envelope, ...envelope, smtputf8: true } },
  ]),
]

for (const [what, said, content, goesOn, different = {}] of utf8)
  test(`SMTPUTF8: ${what}`, () => {
    const envelope = { ...submission.envelope, smtputf8: said }
    const done = complete([octets(content)], { ...submission, envelope, ...different })
    assert.equal(done.smtputf8, goesOn)
  })

/** A field, and whether it stays. */
type Sample = readonly [field: string, stays: boolean]
const value = fc
  .tuple(
    fc.string({ unit: 'grapheme-ascii', maxLength: 30 }),
    fc.constantFrom('', '\r\n\tx', '\r\n  , y', ' \r\n (z) '),
  )
  .map(([words, more]) => `${words}${more}\r\n`)
const anyField = fc.tuple(
  fc.constantFrom<Sample>(
    ...(['Bcc', 'Resent-BCC', 'return-path', 'Bcc '] as const).map((name): Sample => [name, false]),
    ...(['X-Any', 'Received', 'Comments', 'KEYWORDS', 'X-Bcc', 'DKIM-Signature'] as const).map(
      (name): Sample => [name, true],
    ),
  ),
  value,
)
const fields = fc.array(
  fc.oneof(
    anyField.map(([[name, stays], one]): Sample => [`${name}:${one}`, stays]),
    fc.constantFrom<Sample>(
      ['authentication-results: example.test; none\r\n', false],
      ['Authentication-Results:\r\n mail.example.test;\r\n\tspf=pass\r\n', false],
      ['Authentication-Results: "x\r\n', false],
      ['Authentication-Results: internet.test; none\r\n', true],
    ),
  ),
  { maxLength: 12 },
)
const once = fc.subarray<Sample>([
  ['Date: yesterday\r\n', false],
  ['Message-ID: <a@b>\r\n', true],
  ['Message-ID: none\r\n', false],
  ['Subject: =?utf-8?q?x?=\r\n  y \r\n', true],
  ['To: bob@internet.test\r\n', true],
])
const FROM_ALICE: Sample = ['From: Alice\r\n <alice@example.test>\r\n', true]
const body = fc.uint8Array({ maxLength: 200 }).map(one => `\r\n${Buffer.from(one).toString('latin1')}`)

test('what goes on is what was added and what came, without whole fields; wherever the pieces were cut', () => {
  fc.assert(
    fc.property(
      fields,
      once,
      fields,
      body,
      fc.array(fc.nat(), { maxLength: 6 }),
      (above, ones, below, rest, cuts) => {
        const header = [...above, FROM_ALICE, ...ones, ...below]
        const message = Buffer.from(header.map(([field]) => field).join('') + rest, 'latin1')
        const done = complete(cut(message, cuts), submission)
        const sent = Buffer.concat(done.content).toString('latin1')
        const kept = header.filter(([, stays]) => stays).map(([field]) => field)
        assert.ok(sent.endsWith(kept.join('') + rest))
        const added = parseHeader(
          Buffer.from(sent.slice(0, sent.length - kept.join('').length - rest.length), 'latin1'),
        )
        assert.deepEqual(
          added.map(field => field.name),
          done.added,
        )
        assert.deepEqual(done.added, [
          'Received',
          'Date',
          ...(ones.some(([field]) => field.startsWith('Message-ID: <')) ? [] : ['Message-ID']),
        ])
        assert.deepEqual(
          done.removed,
          header.filter(([, stays]) => !stays).map(([field]) => /^[\w-]+/.exec(field)?.[0]),
        )
        for (const name of done.removed)
          assert.ok(
            Object.keys(REMOVED).some(one => one.toLowerCase() === name.toLowerCase()),
            name,
          )
      },
    ),
    { seed: 6409, numRuns: 1000 },
  )
})

function cut(message: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map(one => one % (message.length + 1)).sort((a, b) => a - b), message.length]
  return at.slice(1).map((end, i) => message.subarray(at[i] ?? 0, end))
}

test('the same at every cut', () => {
  const message = octets(`Bcc: a@b.test\n${FROM}Subject: =?utf-8?q?=C3=A9?=\n  folded \nBcc:\n\nline \n\n`)
  const whole = Buffer.concat(complete([message], submission).content)
  for (let at = 0; at <= message.length; at++) {
    const { content } = complete([message.subarray(0, at), message.subarray(at)], submission)
    assert.ok(Buffer.concat(content).equals(whole), `cut at ${at}`)
  }
  const { content } = complete(
    [...message].map(octet => Buffer.of(octet)),
    submission,
  )
  assert.ok(Buffer.concat(content).equals(whole), 'octet for octet')
})

/** Readers of From as they are met: each takes something else for the author. */
const READERS: ((value: string) => string[])[] = [
  value => [/<([^<>]*)>/.exec(value)?.[1] ?? ''],
  value => [/.*<([^<>]*)>/.exec(value)?.[1] ?? ''],
  value => value.match(/[\w.]+@[\w.]+/g) ?? [],
  value => value.replace(/\([^)]*\)/g, '').match(/[\w.]+@[\w.]+/g) ?? [],
  value => value.replace(/"[^"]*"/g, '').match(/[\w.]+@[\w.]+/g) ?? [],
  value => value.split(',').map(one => one.replace(/^.*</, '').replace(/>.*$/, '').trim()),
]

test('whatever address a reader finds in From, the user may use it', () => {
  const piece = fc.constantFrom(
    ...[
      'alice@example.test',
      'sales@example.test',
      'ceo@bank.example',
      'Alice',
      'ceo',
      'bank.example',
      '@',
      '.',
    ],
    ...['<', '>', '(', ')', '"', ',', ';', ':', '\\', ' ', '\r\n ', '=?utf-8?q?', '=40', '?=', '\t', 'x'],
  )
  let accepted = 0
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 12 }), pieces => {
      const value = pieces.join('')
      const message = Buffer.from(`From: ${value}\r\n\r\n`)
      try {
        complete([message], submission)
      } catch (error) {
        assert.ok(error instanceof SmtpError && error.code >= 500, String(error))
        return
      }
      accepted++
      for (const read of READERS)
        for (const found of read(value.replaceAll('\r\n', '')))
          if (found.includes('@') && found.includes('.'))
            assert.match(found, /(?:alice|sales)@example\.test/, value)
    }),
    { seed: 6854, numRuns: 20_000 },
  )
  assert.ok(accepted > 100, `only ${accepted} were accepted`)
})

test('any octets are sent on or refused, and soon', () => {
  const piece = fc.constantFrom(
    ...[
      'From: alice@example.test\r\n',
      'Bcc: x\r\n',
      'Sender:',
      'Date:',
      'To:',
      'Resent-From:',
      'Received:',
      ' ',
    ],
    ...[
      '\r\n',
      '\t',
      ':',
      '@',
      '\xff',
      'é',
      '\0',
      '\r',
      '\n',
      'a',
      '(',
      '"',
      'Authentication-Results:',
      'From:',
    ],
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), fc.boolean(), (pieces, whole) => {
      try {
        complete([Buffer.from(pieces.join(''), 'latin1')], { ...submission, whole })
      } catch (error) {
        assert.ok(error instanceof SmtpError && error.code >= 500, String(error))
      }
    }),
    { seed: 5322, numRuns: 3000 },
  )
  // As many fields as a header section can hold: quadratic time would be minutes.
  const startedMs = performance.now()
  for (const field of [
    'Bcc:\r\n',
    'X:\r\n',
    'Authentication-Results:\r\n',
    'Resent-Bcc:\r\n',
    'To:,\r\n ,,,\r\n',
  ])
    try {
      complete(
        [Buffer.from(`${field.repeat(260_000 / field.length)}From: alice@example.test\r\n\r\n`)],
        submission,
      )
    } catch (error) {
      assert.ok(error instanceof SmtpError)
    }
  assert.ok(performance.now() - startedMs < 20_000)
})
