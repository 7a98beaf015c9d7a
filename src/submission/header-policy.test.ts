import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { User } from '../directory/directory.ts'
import { SmtpError } from '../smtp/error.ts'
import { LIMITS } from '../smtp/limits.ts'
import { complete } from './complete.ts'
import { REFUSALS, type Rule } from './refusal.ts'

const alice: User = {
  name: 'alice@example.test',
  localPart: 'alice',
  domain: 'example.test',
  verifier: { scheme: 'BLAKE2B-512', digest: new Uint8Array(64) },
  senders: ['sales@example.test', '*@news.example.test', 'jörg@example.test'],
  targets: [],
}
/** Who sent the examples of RFC 5322. */
const john: User = {
  ...alice,
  senders: [
    'jdoe@machine.example',
    'mjones@machine.example',
    'john.q.public@example.com',
    'pete@silly.example',
  ]
    .concat(
      'mary@example.net',
      'pete@silly.test',
      'jdoe@node.example',
      'ben@example.com',
      'carol@example.com',
    )
    .concat('dave@example.com'),
}

function submit(header: string, options: { user?: User; smtputf8?: boolean } = {}): void {
  complete([Buffer.from(`${header.replaceAll('\n', '\r\n')}\r\n\r\nText.\r\n`, 'latin1')], {
    stamp: {
      from: 'client.test',
      address: '192.0.2.7',
      by: 'mail.example.test',
      protocol: 'ESMTPSA',
      id: ID,
      dateMs: Date.UTC(2026, 10, 21, 20, 0, 0),
    },
    user: options.user ?? alice,
    envelope: {
      reversePath: alice,
      recipients: [{ forwardPath: { localPart: 'bob', domain: 'internet.test' } }],
      smtputf8: options.smtputf8 ?? false,
    },
    domain: 'example.test',
    limits: LIMITS,
    whole: true,
  })
}

const ID = '01KAXE0000000000000000000A'
const utf8 = (text: string) => Buffer.from(text).toString('latin1')
const FROM = 'From: alice@example.test\n'

/** [header, why it is refused, what is said]; a header that ends in FROM's line is whole. */
type Row = readonly [header: string, rule: Rule | null, said?: RegExp]

const seen = new Set<string>()
let rows = 0

function check(table: readonly Row[], options: { user?: User; smtputf8?: boolean } = {}): void {
  for (const [header, rule, said] of table) {
    rows++
    if (rule !== null) seen.add(rule)
    test(`${rule ?? 'accepted'}: ${JSON.stringify(header.slice(0, 90))}`, () => {
      if (rule === null) return submit(header, options)
      const { code, status } = REFUSALS[rule]
      assert.throws(
        () => submit(header, options),
        error => {
          assert.ok(error instanceof SmtpError, String(error))
          assert.equal(`${error.code} ${error.status}`, `${code} ${status}`, error.message)
          if (said !== undefined) assert.match(error.message, said)
          return true
        },
      )
    })
  }
}

// From alone: one address of the user.
check([
  ['From: alice@example.test', null],
  ['from: alice@example.test', null],
  ['FROM: Alice <alice@example.test>', null],
  ['From: "Alice, of Sales" <ALICE@Example.TEST>', null],
  ['From: Alice Q. Liddell <alice@example.test>', null],
  ['From: =?utf-8?q?Al=C3=AFce?= <alice@example.test>', null],
  ['From: alice@example.test (Alice)', null],
  ['From:\n Alice\n <alice@example.test>', null],
  ['From: sales@example.test', null],
  ['From: anything@news.example.test', null],
  ['From: "two words"@news.example.test', null],
  ['From: "alice@example.test" <alice@example.test>', null],
  ['From: "\'sales@example.test\'" <alice@example.test>', null],
  ['From: "Meet@Noon" <alice@example.test>', null],
  ['From: alice@example.test <alice@example.test>', 'address'],
  ['From: bob@example.test', 'permission', /From: alice@example\.test may not send as bob@example\.test$/],
  ['From: alice@elsewhere.test', 'permission', /alice@elsewhere\.test/],
  ['From: alice@example.test.elsewhere.test', 'permission'],
  ['From: alice+tag@example.test', 'permission'],
  ['From: alice@sub.news.example.test', 'permission'],
  ['Sender: alice@example.test\nFrom: bob@example.test', 'permission', /From: .* bob@example\.test/],
])

// No From, several of them, none that can be read, or read alike.
check([
  ['Subject: no author', 'author', /no From field/],
  ['From:', 'author', /no address/],
  ['From: (nobody)', 'author', /no address/],
  ['From: <>', 'address', /no address between/],
  ['From: "Nobody" <>', 'address', /no address between/],
  [`${FROM}From: alice@example.test`, 'once', /more than one From/],
  [`${FROM}FROM: bob@example.test`, 'once', /more than one From/],
  [`${FROM}From : bob@example.test`, 'name'],
  ['From : alice@example.test', 'name', /"From" and its colon/],
  ['From\t: alice@example.test', 'name'],
  ['From: alice', 'address', /The From field is malformed/],
  ['From: alice@', 'address'],
  ['From: alice@example.test, ', 'address', /an element of the list is empty/],
  ['From: alice@example.test bob@example.test', 'address'],
  ['From: alice@example.test <bob@example.test>', 'address'],
  ['From: Alice <alice@example.test', 'address'],
  ['From: Alice <<alice@example.test>>', 'address'],
  ['From: "Alice <alice@example.test>', 'address', /a quoted string is not closed/],
  ['From: Alice (of Sales <alice@example.test>', 'address', /a comment is not closed/],
  ['From: <@bank.example,@b.example:alice@example.test>', 'address', /a source route/],
  ['From: alice@example . test', 'address'],
  ['From: alice@example(of Sales).test', 'address'],
  ['From: al(of Sales).ice@news.example.test', 'address'],
  ['From: "al"."ice"@news.example.test', 'address'],
  ['From: al\x01ice@news.example.test', 'address', /a control character/],
  ['From: "\x1b[2J" <alice@example.test>', 'address', /a control character/],
  ['From: "a@b"@news.example.test', 'address', /nobody could answer/],
  ['From: "<a>"@news.example.test', 'address', /nobody could answer/],
  [`From: ${'x'.repeat(65)}@news.example.test`, 'address', /nobody could answer/],
  // RFC 6854 §4: it allows groups, and §3 has user agents not send them.
  ['From: Nightly Monitor Robot:;', 'address', /a group has no place here \(RFC 6854/],
  ['From: Us: alice@example.test;', 'address', /a group/],
  ['Sender: Us: alice@example.test;\nFrom: alice@example.test', 'address', /a group/],
  // RFC 2047 §5.
  ['From: =?utf-8?q?alice?=@news.example.test', 'word'],
  ['From: <=?utf-8?q?alice=40example.test?=>', 'address'],
  ['From: alice@=?utf-8?q?example?=.test', 'word'],
  ['From: alice@[192.0.2.1]', 'permission'],
  ['From: alice@localhost', 'unqualified', /write the domain whole/],
])

// Addresses that only show: https://www.usenix.org/conference/usenixsecurity20/presentation/chen-jianjun has most.
check([
  [
    'From: "ceo@bank.example" <alice@example.test>',
    'shown',
    /From shows ceo@bank\.example: alice@example\.test/,
  ],
  ['From: alice@example.test (ceo@bank.example)', 'shown'],
  ['From: (ceo@bank.example) alice@example.test', 'shown'],
  ['From: (<ceo@bank.example>, ) alice@example.test', 'shown'],
  ['From: "a\\" <ceo@bank.example>, \\"" <alice@example.test>', 'shown'],
  ['From: =?utf-8?q?ceo=40bank.example?= <alice@example.test>', 'shown'],
  ['From: =?utf-8?q?ceo=40?= =?utf-8?q?bank.example?= <alice@example.test>', 'shown'],
  ['From: "=?utf-8?b?Y2VvQGJhbmsuZXhhbXBsZQ==?=" <alice@example.test>', 'shown'],
  [utf8('From: ceo＠bank．example <alice@example.test>'), 'shown'],
  ['From: "\'bob@elsewhere.test\' via Sales" <sales@example.test>', 'shown'],
  ['From: "bob@example.test" <alice@example.test>', 'shown'],
  ['From: ceo@bank.example, alice@example.test', 'permission', /ceo@bank\.example/],
  ['From: alice@example.test, ceo@bank.example', 'permission', /ceo@bank\.example/],
  [`Sender: "ceo@bank.example" <alice@example.test>\n${FROM}`, 'shown', /Sender shows/],
])

// Sender, RFC 5322 §3.6.2 and RFC 6409 §8.1.
check([
  [`Sender: alice@example.test\nFrom: sales@example.test`, null],
  [`Sender: sales@example.test\nFrom: alice@example.test`, null],
  [`Sender: alice@example.test\nFrom: alice@example.test`, null],
  ['From: alice@example.test, sales@example.test', null],
  ['Sender: sales@example.test\nFrom: alice@example.test, x@news.example.test', null],
  ['Sender: bob@example.test\nFrom: alice@example.test', 'permission', /Sender: .* bob@example\.test/],
  ['Sender: alice@example.test, sales@example.test\nFrom: alice@example.test', 'sender', /2 addresses/],
  ['Sender:\nFrom: alice@example.test', 'sender', /no addresses/],
  ['Sender: <>\nFrom: alice@example.test', 'address'],
  ['Sender: me\nFrom: alice@example.test', 'address'],
  ['Sender: alice@example.test\nSender: alice@example.test\nFrom: alice@example.test', 'once'],
])

// Fields that may stand there once.
const ONE_OF_EACH = [
  'Reply-To: bob@internet.test',
  'To: bob@internet.test',
  'Cc: bob@internet.test',
  'Date: Fri, 21 Nov 1997 09:55:06 -0600',
  'Message-ID: <a@b>',
  'In-Reply-To: <a@b>',
  'References: <a@b>',
  'Subject: x',
  'MIME-Version: 1.0',
  'Content-Type: text/plain',
  'Content-Transfer-Encoding: 7bit',
  'Content-ID: <a@b>',
  'Content-Description: x',
  'Content-Disposition: inline',
  'List-Unsubscribe: <https://example.test/>',
  'TLS-Required: No',
]
check([
  [FROM + ONE_OF_EACH.join('\n'), null],
  ...ONE_OF_EACH.map((line): Row => [`${FROM}${line}\n${line}`, 'once', /more than one/]),
  [`${FROM}Subject: x\nSUBJECT: y`, 'once', /more than one Subject/],
  [`${FROM}Comments: x\nComments: y\nKeywords: a\nKeywords: b\nX-Any: 1\nX-Any: 2`, null],
  // Those taken out are not counted.
  [`${FROM}Bcc: a@internet.test\nBcc: b@internet.test\nReturn-Path: <a@b.test>\nReturn-Path: <>`, null],
  [`${FROM}Date: yesterday\nDate: Fri, 21 Nov 1997 09:55:06 -0600`, null],
])

// Where a message goes, as the header has it: RFC 6409 §4.2 and §5.1.
check([
  [
    `${FROM}To: A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;\nCc: Undisclosed recipients:;`,
    null,
  ],
  [`${FROM}To: bob@[192.0.2.1], "Giant; \\"Big\\" Box" <sysservices@example.net>`, null],
  [`${FROM}To: bob@xn--bcher-kva.example`, null],
  [`${FROM}To:`, null],
  [`${FROM}To: "bob@internet.test" <carol@internet.test>`, null],
  [`${FROM}Reply-To: Everybody: a@b.test, c@d.test;`, null],
  [`${FROM}To: bob`, 'address', /The To field is malformed/],
  [`${FROM}To: undisclosed-recipients`, 'address'],
  [`${FROM}Cc: Smith, John <john@internet.test>`, 'address', /The Cc field/],
  [`${FROM}To: <>`, 'address'],
  [`${FROM}Reply-To: bob@localhost`, 'unqualified', /Reply-To field has bob@localhost/],
  [`${FROM}Cc: bob@intranet`, 'unqualified'],
  [`${FROM}To: =?utf-8?q?bob?=@internet.test`, 'word'],
])

// Characters: RFC 5322 §2.2, RFC 6532, RFC 6531 §3.4.
check([
  [utf8(`${FROM}Subject: grüße`), null],
  [utf8('From: Jörg <alice@example.test>'), null],
  [utf8(`${FROM}To: "Jörg" <joerg@internet.test>`), null],
  [utf8('From: jörg@example.test'), 'utf8', /say SMTPUTF8/],
  [utf8(`${FROM}To: jörg@internet.test`), 'utf8'],
  [utf8(`${FROM}To: bob@bücher.example`), 'utf8'],
  [utf8(`${FROM}Reply-To: 用户@internet.test`), 'utf8', /Reply-To/],
  [`${FROM}Subject: gr\xfc\xdfe`, 'characters', /The Subject field is neither ASCII nor UTF-8/],
  ['From: J\xf6rg <alice@example.test>', 'characters'],
  // It is taken out.
  [`${FROM}Bcc: J\xf6rg <joerg@internet.test>`, null],
])
check(
  [
    [utf8('From: jörg@example.test'), null],
    [utf8('From: "Jörg" <jörg@EXAMPLE.test>'), null],
    [utf8('From: x@news.example.test, jörg@example.test'), null],
    [utf8(`${FROM}To: 用户@例子.example`), null],
    [utf8('From: örg@example.test'), 'permission'],
    [utf8('From: 用户@例子.example <alice@example.test>'), 'address'],
    [utf8('From: "用户@例子.example" <alice@example.test>'), 'shown'],
    [utf8('From: x@a\u00a0b.news.example.test'), 'address'],
    ['From: J\xf6rg <alice@example.test>', 'characters'],
  ],
  { smtputf8: true },
)

// Lines of the header section.
check([
  [`${FROM}not a field`, 'field', /line 2/],
  [` begins with white space\n${FROM}`, 'field', /line 1/],
  [`From alice@example.test Fri Nov 21 09:55:06 1997\n${FROM}`, 'field', /line 1/],
  [utf8(`${FROM}Frоm: bob@example.test`), 'field', /line 2/],
  [`${FROM}X-Any : x`, 'name', /"X-Any"/],
  [`${FROM}Subject: x\n \n y`, 'fold', /The Subject field has a line of white space/],
  [`${FROM}Subject: x\n\t `, 'fold'],
  [`${FROM}Subject: \n x`, null],
  [`${FROM}Subject:\n x\n\ty`, null],
  [`${FROM}X-Long: ${'x'.repeat(900)}\n ${'y'.repeat(900)}`, null],
])

// Resent fields, RFC 5322 §3.6.6.
const RESENT = 'Resent-From: alice@example.test\nResent-Date: Mon, 24 Nov 1997 14:22:01 -0800\n'
const RESENT_BY_OTHERS = 'Resent-From: x@elsewhere.test\nResent-Subject: rubbish\nResent-Cc: rubbish\n'
check([
  [RESENT + FROM, null],
  [`${RESENT}Resent-To: bob@internet.test\nResent-Message-ID: <a@b>\n${FROM}`, null],
  [`${RESENT}Received: from a by b.test; Fri, 21 Nov 1997 09:55:06 -0600\n${RESENT_BY_OTHERS}${FROM}`, null],
  [`${RESENT}${RESENT_BY_OTHERS}${FROM}`, null],
  [`${RESENT.replace('alice@', 'sales@')}Resent-Sender: alice@example.test\n${FROM}`, null],
  [`Resent-To: bob@internet.test\n${FROM}`, 'resent', /no Resent-From/],
  [`Resent-From: alice@example.test\n${FROM}`, 'resent', /no Resent-Date/],
  [`${RESENT.replace('24 Nov', '31 Nov')}${FROM}`, 'resent', /no Resent-Date that can be read/],
  [`${RESENT.replace('alice@', 'bob@')}${FROM}`, 'permission', /Resent-From: .* bob@example\.test/],
  [`${RESENT.replace('alice@', 'ceo@bank.example (alice@')}${FROM}`, 'address'],
  [`${RESENT.replace(': alice', ': "ceo@bank.example" <>, alice')}${FROM}`, 'address'],
  [`${RESENT.replace(': alice', ': (ceo@bank.example) alice')}${FROM}`, 'shown'],
  [`${RESENT.replace(': alice', ': sales@example.test, alice')}${FROM}`, 'resent', /no Resent-Sender/],
  [`${RESENT}Resent-Sender: bob@example.test\n${FROM}`, 'permission', /Resent-Sender/],
  [`${RESENT}Resent-To: bob\n${FROM}`, 'address', /Resent-To/],
  [`${RESENT}Resent-Cc: bob@localhost\n${FROM}`, 'unqualified'],
  // It is no leave to send as another: it would be signed as his.
  [`${RESENT}From: bob@example.test`, 'permission', /From: .* bob@example\.test/],
])

// RFC 5321 §6.3.
const hop = (by: string, id: string) =>
  `Received: from a.test by ${by} with ESMTPSA id ${id};\n Fri, 21 Nov 1997 09:55:06 -0600\n`
check([
  [hop('x.test', 'ABC').repeat(LIMITS.hops) + FROM, null],
  [hop('x.test', 'ABC').repeat(LIMITS.hops + 1) + FROM, 'hops', /Too many hops: .* 51 Received/],
  [hop('mail.example.test', ID).repeat(LIMITS.ownHops) + FROM, null],
  [hop('Mail.EXAMPLE.test', ID).repeat(LIMITS.ownHops + 1) + FROM, 'loop', /Mail loop: .* 6 times/],
  // Another program on the same host; and our name in a comment.
  [hop('mail.example.test', 'ABC').repeat(LIMITS.ownHops + 1) + FROM, null],
  [hop('x.test (by mail.example.test)', ID).repeat(LIMITS.ownHops + 1) + FROM, null],
])

// RFC 8689 §3.
check([
  [`${FROM}TLS-Required: No`, null],
  [`${FROM}TLS-Required:\n no`, null],
  [`${FROM}TLS-Required: Yes`, 'tls', /REQUIRETLS/],
  [`${FROM}TLS-Required:`, 'tls'],
])

// The examples of RFC 5322 App. A, and of RFC 6854 §4.
const TO = 'To: Mary Smith <mary@example.net>\n'
const HELLO =
  'Subject: Saying Hello\nDate: Fri, 21 Nov 1997 09:55:06 -0600\nMessage-ID: <1234@local.machine.example>'
const A11 = `From: John Doe <jdoe@machine.example>\n${TO}${HELLO}`
check(
  [
    [A11, null],
    [
      `From: John Doe <jdoe@machine.example>\nSender: Michael Jones <mjones@machine.example>\n${TO}${HELLO}`,
      null,
    ],
    [
      'From: "Joe Q. Public" <john.q.public@example.com>\n' +
        'To: Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>\n' +
        'Cc: <boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>\n' +
        'Date: Tue, 1 Jul 2003 10:52:37 +0200\nMessage-ID: <5678.21-Nov-1997@example.com>',
      null,
    ],
    [
      'From: Pete <pete@silly.example>\n' +
        'To: A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;\n' +
        'Cc: Undisclosed recipients:;\n' +
        'Date: Thu, 13 Feb 1969 23:32:54 -0330\nMessage-ID: <testabcd.1234@silly.example>',
      null,
    ],
    // A.2
    [
      'From: Mary Smith <mary@example.net>\nTo: John Doe <jdoe@machine.example>\n' +
        'Reply-To: "Mary Smith: Personal Account" <smith@home.example>\nSubject: Re: Saying Hello\n' +
        'Date: Fri, 21 Nov 1997 10:01:10 -0600\nMessage-ID: <3456@example.net>\n' +
        'In-Reply-To: <1234@local.machine.example>\nReferences: <1234@local.machine.example>',
      null,
    ],
    [
      'To: "Mary Smith: Personal Account" <smith@home.example>\nFrom: John Doe <jdoe@machine.example>\n' +
        'Subject: Re: Saying Hello\nDate: Fri, 21 Nov 1997 11:00:00 -0600\n' +
        'Message-ID: <abcd.1234@local.machine.test>\nIn-Reply-To: <3456@example.net>\n' +
        'References: <1234@local.machine.example> <3456@example.net>',
      null,
    ],
    // A.3: by one who may send as both.
    [
      'Resent-From: Mary Smith <mary@example.net>\nResent-To: Jane Brown <j-brown@other.example>\n' +
        `Resent-Date: Mon, 24 Nov 1997 14:22:01 -0800\nResent-Message-ID: <78910@example.net>\n${A11}`,
      null,
    ],
    // A.4
    [
      'Received: from x.y.test\n   by example.net\n   via TCP\n   with ESMTP\n   id ABC12345\n' +
        '   for <mary@example.net>;  21 Nov 1997 10:05:43 -0600\n' +
        'Received: from node.example by x.y.test; 21 Nov 1997 10:01:22 -0600\n' +
        `From: John Doe <jdoe@node.example>\n${TO}${HELLO}`,
      null,
    ],
    // A.5
    [
      'From: Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>\n' +
        "To:A Group(Some people)\n     :Chris Jones <c@(Chris's host.)public.example>,\n" +
        '         joe@example.org,\n  John <jdoe@one.test> (my dear friend); (the end of the group)\n' +
        'Cc:(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;\n' +
        'Date: Thu,\n      13\n        Feb\n          1969\n      23:32\n               -0330 (Newfoundland Time)\n' +
        'Message-ID:              <testabcd.1234@silly.test>',
      null,
    ],
    // A.6.1, A.6.2: obsolete, but not where readers would disagree about the author.
    [
      'From: Joe Q. Public <john.q.public@example.com>\n' +
        'To: Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example\n' +
        'Date: Tue, 1 Jul 2003 10:52:37 +0200\nMessage-ID: <5678.21-Nov-1997@example.com>',
      null,
    ],
    [A11.replace('Fri, 21 Nov 1997 09:55:06 -0600', '21 Nov 97 09:55:06 GMT'), null],
    // A.6.3, whole and what is in it one by one: names that some programs do not know, a line that some take for the
    // empty one, a domain that some read as "machine".
    [
      'From  : John Doe <jdoe@machine(comment).  example>\nTo    : Mary Smith\n  \n          <mary@example.net>\n' +
        'Subject     : Saying Hello\nDate  : Fri, 21 Nov 1997 09(comment):   55  :  06 -0600\n' +
        'Message-ID  : <1234   @   local(blah)  .machine .example>',
      'name',
      /"From"/,
    ],
    [A11.replace('To: Mary Smith', 'To: Mary Smith\n  \n         '), 'fold', /The To field/],
    [A11.replace('jdoe@machine.example', 'jdoe@machine(comment).  example'), 'address', /The From field/],
    [
      A11.replace('09:55:06', '09(comment):   55  :  06').replace(
        '<1234@local.machine.example>',
        '<1234   @   local(blah)  .machine .example>',
      ),
      null,
    ],
    // RFC 6854 §4.
    ['From: Nightly Monitor Robot:;', 'address', /a group/],
    ['From: ben@example.com,carol@example.com\nSender: dave@example.com', null],
    [
      'From: Managing Partners:ben@example.com,carol@example.com;\nSender: dave@example.com',
      'address',
      /a group/,
    ],
  ],
  { user: john },
)

test('every reason for a refusal has a row', t => {
  for (const rule of Object.keys(REFUSALS)) assert.ok(seen.has(rule), rule)
  t.diagnostic(`${rows} rows`)
})

test('A.3 by Mary, who may not send as John', () => {
  const header = `Resent-From: mary@example.net\nResent-Date: Mon, 24 Nov 1997 14:22:01 -0800\n${A11}`
  assert.throws(
    () => submit(header, { user: { ...alice, senders: ['mary@example.net'] } }),
    /From: alice@example\.test may not send as jdoe@machine\.example/,
  )
})

test('a Sender that would need SMTPUTF8 is the client’s to write', () => {
  const user = { ...alice, name: 'jörg@example.test', localPart: 'jörg', senders: ['*@news.example.test'] }
  const header = 'From: a@news.example.test, b@news.example.test'
  assert.throws(() => submit(header, { user }), /a Sender field is due/)
  submit(header, { user, smtputf8: true })
})
