import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SmtpError } from '../smtp/error.ts'
import { authorsOf, parseAddressList } from './address.ts'
import { parseHeader } from './header.ts'

/** Each address as [display name, local part, domain, group?]. */
const lists: [text: string, addresses: [string, string, string, string?][]][] = [
  // RFC 5322 App. A.1.1 to A.1.3.
  ['John Doe <jdoe@machine.example>', [['John Doe', 'jdoe', 'machine.example']]],
  ['"Joe Q. Public" <john.q.public@example.com>', [['Joe Q. Public', 'john.q.public', 'example.com']]],
  [
    'Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>',
    [
      ['Mary Smith', 'mary', 'x.test'],
      ['', 'jdoe', 'example.org'],
      ['Who?', 'one', 'y.test'],
    ],
  ],
  [
    '<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
    [
      ['', 'boss', 'nil.test'],
      ['Giant; "Big" Box', 'sysservices', 'example.net'],
    ],
  ],
  [
    'A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;',
    [
      ['Ed Jones', 'c', 'a.test', 'A Group'],
      ['', 'joe', 'where.test', 'A Group'],
      ['John', 'jdoe', 'one.test', 'A Group'],
    ],
  ],
  ['Undisclosed recipients:;', []],
  // App. A.5: comments and white space.
  ['Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>', [['Pete', 'pete', 'silly.test']]],
  [
    "A Group(Some people)\t:Chris Jones <c@(Chris's host.)public.example>, joe@example.org, John <jdoe@one.test> (my dear friend); (the end of the group)",
    [
      ['Chris Jones', 'c', 'public.example', 'A Group'],
      ['', 'joe', 'example.org', 'A Group'],
      ['John', 'jdoe', 'one.test', 'A Group'],
    ],
  ],
  ['(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;', []],
  // App. A.6.1: obsolete addressing.
  ['Joe Q. Public <john.q.public@example.com>', [['Joe Q. Public', 'john.q.public', 'example.com']]],
  [
    'Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example',
    [
      ['Mary Smith', 'mary', 'example.net'],
      ['', 'jdoe', 'test.example'],
    ],
  ],
  ['<@a.test,@b.test:c@d.test>', [['', 'c', 'd.test']]],
  // App. A.6.3.
  ['John Doe <jdoe@machine(comment).  example>', [['John Doe', 'jdoe', 'machine.example']]],
  // Quoted local parts, address literals, encoded words, UTF-8 (RFC 6532).
  ['"john smith"@example.com', [['', 'john smith', 'example.com']]],
  ['"a\\"b".c@example.com', [['', 'a"b.c', 'example.com']]],
  ['x@[192.0.2.1]', [['', 'x', '[192.0.2.1]']]],
  ['x@[IPv6:2001:db8::1]', [['', 'x', '[IPv6:2001:db8::1]']]],
  ['=?utf-8?Q?J=C3=B6rg?= <j@example.com>', [['=?utf-8?Q?J=C3=B6rg?=', 'j', 'example.com']]],
  ['"Jörg" <jörg@exämple.example>', [['Jörg', 'jörg', 'exämple.example']]],
  ['用户@例子.example', [['', '用户', '例子.example']]],
  ['"a@b.example" <real@example.com>', [['a@b.example', 'real', 'example.com']]],
  // obs-group-list, RFC 5322 §4.4.
  ['a: , ,;', []],
  [
    'a: ,b@c.example, ;, d@e.example',
    [
      ['', 'b', 'c.example', 'a'],
      ['', 'd', 'e.example'],
    ],
  ],
  ['', []],
  [' , ,', []],
]

for (const [text, addresses] of lists)
  test(JSON.stringify(text), () => {
    assert.deepEqual(
      parseAddressList(text).map(({ displayName, mailbox, group }) => [
        displayName,
        mailbox.localPart,
        mailbox.domain,
        ...(group === undefined ? [] : [group]),
      ]),
      addresses,
    )
  })

for (const text of [
  'joe',
  'joe@',
  '@example.com',
  'joe@example.com joe@example.com',
  'Joe <joe@example.com',
  'Joe <joe@example.com> x',
  'a@b.example <c@d.example>',
  'Joe joe@example.com>',
  '"Joe <joe@example.com>',
  'Joe (a comment <joe@example.com>',
  'joe@exa mple.com',
  'joe@example..com',
  'joe@.example.com',
  '.joe@example.com',
  'Group: a@b.example',
  'Group: Inner: a@b.example;;',
  ': a@b.example;',
  'a@[192.0.2.1',
  'a;b@example.com',
])
  test(`malformed ${JSON.stringify(text)}`, () => {
    assert.throws(
      () => parseAddressList(text),
      error => error instanceof SmtpError && error.code === 554 && error.status === '5.6.0',
    )
  })

/** What may be written (RFC 5322 §3.4), where groups have no place. */
const current: [text: string, addresses: string[] | RegExp][] = [
  ['John Doe <jdoe@machine.example>', ['jdoe@machine.example']],
  ['a@b.example, "C, D" <c@d.example>', ['a@b.example', 'c@d.example']],
  // App. A.5: comments and white space are no obsolete syntax here.
  ['Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>', ['pete@silly.test']],
  [' (x) a (y) @ (z) b.example (w) ', ['a@b.example']],
  ['"john smith"@example.com', ['john smith@example.com']],
  ['x@[192.0.2.1]', ['x@[192.0.2.1]']],
  ['"Jörg" <jörg@exämple.example>', ['jörg@exämple.example']],
  // Obsolete, but so frequent in names that no reader stumbles over it.
  ['Joe Q. Public <john.q.public@example.com>', ['john.q.public@example.com']],
  ['', []],
  // App. A.6.1, A.6.3.
  ['Mary Smith <@node.test:mary@example.net>', /The From field is malformed: a source route/],
  ['mary@example.net, , jdoe@example.com', /an element of the list is empty/],
  [',mary@example.net', /an element of the list is empty/],
  ['mary@example.net,', /an element of the list is empty/],
  ['jdoe@test  . example', /malformed/],
  ['John Doe <jdoe@machine(comment).  example>', /malformed/],
  ['j . doe@example.com', /malformed/],
  ['j."d"@example.com', /malformed/],
  ['"j"."d"@example.com', /malformed/],
  ['a\x01@example.com', /a control character/],
  ['"\x1b[2J" <a@example.com>', /a control character/],
  ['a@example.com (\x7f)', /a control character/],
  ['<>', /no address between/],
  ['Nobody <>', /no address between/],
  // RFC 6854 §4.
  ['Nightly Monitor Robot:;', /a group has no place here/],
  ['Managing Partners:ben@example.com,carol@example.com;', /a group has no place here/],
]

for (const [text, expected] of current)
  test(`to be written: ${JSON.stringify(text)}`, () => {
    const parse = (): string[] =>
      parseAddressList(text, { field: 'From', obsolete: false, groups: false }).map(
        ({ mailbox }) => `${mailbox.localPart}@${mailbox.domain}`,
      )
    if (expected instanceof RegExp)
      assert.throws(parse, error => error instanceof SmtpError && expected.test(error.message))
    else assert.deepEqual(parse(), expected)
  })

const authors: [header: string, addresses: string[] | RegExp][] = [
  ['From: a@example.com\r\n', ['a@example.com']],
  // RFC 5322 App. A.1.2: more than one author; RFC 6854: a group.
  [
    'from: a@example.com,\r\n\tB <b@example.net>\r\nSender: a@example.com\r\n',
    ['a@example.com', 'b@example.net'],
  ],
  ['From: Us: a@example.com;\r\n', ['a@example.com']],
  ['Subject: x\r\n', /no From/],
  ['From: a@example.com\r\nFrom: b@example.com\r\n', /more than one From/],
  ['From: Nobody:;\r\n', /names no mailbox/],
  ['From:\r\n', /names no mailbox/],
  ['From: rubbish\r\n', /malformed/],
]

for (const [header, expected] of authors)
  test(`authors of ${JSON.stringify(header)}`, () => {
    const parse = (): string[] =>
      authorsOf(parseHeader(Buffer.from(header))).map(
        ({ mailbox }) => `${mailbox.localPart}@${mailbox.domain}`,
      )
    if (expected instanceof RegExp)
      assert.throws(parse, error => error instanceof SmtpError && expected.test(error.message))
    else assert.deepEqual(parse(), expected)
  })

test('any text is addresses or an SmtpError, and soon: comments and groups may nest as they like', () => {
  const piece = fc.constantFrom(
    'a',
    '@',
    '.',
    ' ',
    ',',
    ';',
    ':',
    '<',
    '>',
    '(',
    ')',
    '"',
    '\\',
    '[',
    ']',
    'é',
    'b.example',
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), pieces => {
      try {
        const text = pieces.join('')
        const read = parseAddressList(text)
        for (const { mailbox } of read) assert.ok(mailbox.domain !== '')
        // What may be written is read the same by who reads the obsolete forms too.
        assert.deepEqual(parseAddressList(text, { obsolete: false }), read)
      } catch (error) {
        assert.ok(error instanceof SmtpError, String(error))
      }
    }),
    { seed: 5322, numRuns: 3000 },
  )
  for (const text of [
    '('.repeat(200_000),
    `${'('.repeat(200_000)}${')'.repeat(200_000)}a@b.example`,
    'a:'.repeat(100_000),
  ])
    try {
      parseAddressList(text)
    } catch (error) {
      assert.ok(error instanceof SmtpError)
    }
})
