import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SmtpError } from './error.ts'
import {
  formatMailbox,
  formatPath,
  isAsciiPath,
  type Mailbox,
  parseForwardPath,
  parseMailbox,
  parseReversePath,
  sameMailbox,
} from './path.ts'

const seed = 5321
const local64 = 'a'.repeat(64)

/** What is written, what it means, and how we write it when that is another way. */
const paths: [text: string, mailbox: Mailbox | null, formatted?: string][] = [
  ['<Smith@bar.com>', { localPart: 'Smith', domain: 'bar.com' }], // RFC 5321 App. D.1
  ['<>', null], // RFC 5321 §4.5.5
  ['<@hosta.int,@jkl.org:userc@d.bar.org>', { localPart: 'userc', domain: 'd.bar.org' }, '<userc@d.bar.org>'], // §4.1.1.3
  ['<"Joe\\,Smith"@x.org>', { localPart: 'Joe,Smith', domain: 'x.org' }, '<"Joe,Smith"@x.org>'], // §4.1.2
  ['<"joe"@x.org>', { localPart: 'joe', domain: 'x.org' }, '<joe@x.org>'],
  ['<"a b"@x.org>', { localPart: 'a b', domain: 'x.org' }],
  ['<"a@b"@x.org>', { localPart: 'a@b', domain: 'x.org' }],
  ['<"a\\"b\\\\c"@x.org>', { localPart: 'a"b\\c', domain: 'x.org' }],
  ['<"a..b"@x.org>', { localPart: 'a..b', domain: 'x.org' }],
  ['<""@x.org>', { localPart: '', domain: 'x.org' }],
  ['<"<x>"@x.org>', { localPart: '<x>', domain: 'x.org' }],
  ["<!#$%&'*+-/=?^_`{|}~@x.org>", { localPart: "!#$%&'*+-/=?^_`{|}~", domain: 'x.org' }],
  ['<first.last@x.org>', { localPart: 'first.last', domain: 'x.org' }],
  ['<a@[123.255.37.2]>', { localPart: 'a', domain: '[123.255.37.2]' }], // §4.1.3
  ['<a@[IPv6:2001:db8::1]>', { localPart: 'a', domain: '[IPv6:2001:db8::1]' }],
  [`<${local64}@x.org>`, { localPart: local64, domain: 'x.org' }], // §4.5.3.1.1
  ['<user%other@x.org>', { localPart: 'user%other', domain: 'x.org' }],
]

test('Path, RFC 5321 §4.1.2', () => {
  for (const [text, mailbox, formatted = text] of paths) {
    assert.deepEqual(parseReversePath(text), mailbox, text)
    assert.equal(formatPath(mailbox), formatted)
    if (mailbox !== null) {
      assert.deepEqual(parseForwardPath(text), mailbox)
      assert.deepEqual(parseMailbox(formatMailbox(mailbox)), mailbox)
    }
  }
})

test('<Postmaster> in any case, RFC 5321 §4.1.1.3', () => {
  assert.deepEqual(parseForwardPath('<Postmaster>'), { localPart: 'Postmaster', domain: '' })
  assert.deepEqual(parseForwardPath('<POSTMASTER>'), { localPart: 'POSTMASTER', domain: '' })
  assert.equal(formatPath({ localPart: 'Postmaster', domain: '' }), '<Postmaster>')
  assert.throws(() => parseReversePath('<Postmaster>'), { code: 501, status: '5.1.7' })
  assert.throws(() => parseForwardPath('<Smith>'), { code: 501, status: '5.1.3' })
})

const malformed = [
  '',
  'Smith@bar.com',
  '<Smith@bar.com',
  'Smith@bar.com>',
  '<Smith>',
  '<@bar.com>',
  '<Smith@>',
  '<Smith@bar..com>',
  '<Smith@-bar.com>',
  '<Smith@[1.2.3]>',
  '<.smith@bar.com>',
  '<smith.@bar.com>',
  '<smi..th@bar.com>',
  '<smi th@bar.com>',
  '<smi"th@bar.com>',
  '<"smith@bar.com>',
  '<"smi"th"@bar.com>',
  '<"smith\\"@bar.com>',
  '<a@b@bar.com>',
  '<a,b@bar.com>',
  '<a\0b@bar.com>',
  '<a\x7fb@bar.com>',
  '<"a\tb"@bar.com>',
  '<@hosta.int userc@d.bar.org>',
  '<@hosta.int,jkl.org:userc@d.bar.org>',
  '<@bad_host:userc@d.bar.org>',
  '<@hosta.int:>',
  '<Smith@bar.com> ',
  `<${local64}a@x.org>`, // RFC 5321 §4.5.3.1.1
  `<${local64}@${'a.'.repeat(96)}org>`, // §4.5.3.1.3: 258 octets
]

test('what is no path', () => {
  for (const text of malformed) {
    assert.throws(() => parseReversePath(text), { code: 501, status: '5.1.7' }, text)
    assert.throws(() => parseForwardPath(text), { code: 501, status: '5.1.3' }, text)
  }
  assert.throws(() => parseForwardPath('<>'), { code: 501, status: '5.1.3' })
})

test('addresses that are not ASCII need SMTPUTF8, RFC 6531 §3.5', () => {
  const utf8 = { utf8: true }
  for (const text of [
    '<用户@例え.テスト>',
    '<José@bar.com>',
    '<Smith@bücher.example>',
    '<"用 户"@bar.com>',
  ]) {
    assert.throws(() => parseReversePath(text), { code: 550, status: '5.6.7' }, text)
    assert.throws(() => parseForwardPath(text), { code: 553, status: '5.6.7' }, text)
    assert.equal(formatPath(parseReversePath(text, utf8)), text)
  }
  // Limits are octets, and C1 controls and lone surrogates are no UTF8-non-ascii.
  assert.throws(() => parseMailbox(`${'é'.repeat(33)}@bar.com`, utf8), { code: 501 })
  assert.throws(() => parseMailbox('a\x80b@bar.com', utf8), { code: 501 })
  assert.throws(() => parseMailbox('a\ud800b@bar.com', utf8), { code: 501 })
  assert.equal(isAsciiPath({ localPart: 'a', domain: 'bücher.example' }), true)
  assert.equal(isAsciiPath({ localPart: 'é', domain: 'bar.com' }), false)
  assert.equal(isAsciiPath(null), true)
})

const same: [a: string, b: string, same: boolean][] = [
  ['Smith@bar.com', 'Smith@BAR.com', true],
  ['Smith@bar.com', 'smith@bar.com', false], // RFC 5321 §2.4: local-parts may be case-sensitive
  ['"Smith"@bar.com', 'Smith@bar.com', true], // RFC 5321 §4.1.2
  ['postmaster@bar.com', 'Postmaster@bar.com', true], // RFC 5321 §4.5.1
  ['a@bücher.example', 'a@xn--bcher-kva.example', true],
  ['a@b.example', 'a@c.example', false],
]

test('same mailbox', () => {
  for (const [a, b, equal] of same) {
    const [x, y] = [a, b].map(text => parseMailbox(text, { utf8: true }))
    assert.ok(x && y)
    assert.equal(sameMailbox(x, y), equal, `${a} ${b}`)
  }
})

const mailboxes = fc
  .tuple(
    fc.oneof(
      fc.stringMatching(/^[ -~]{0,24}$/),
      fc.stringMatching(/^[\w.+-]{1,20}$/),
      fc.stringMatching(/^[\wé用🙂" .\\]{1,12}$/u),
    ),
    fc.oneof(fc.domain(), fc.constantFrom('[192.0.2.1]', '[IPv6:2001:db8::1]', 'bücher.example')),
  )
  .map(([localPart, domain]): Mailbox => ({ localPart, domain }))

test('property: decode(encode(x)) = x', () => {
  fc.assert(
    fc.property(mailboxes, mailbox => {
      assert.deepEqual(parseReversePath(formatPath(mailbox), { utf8: true }), mailbox)
      assert.deepEqual(parseForwardPath(formatPath(mailbox), { utf8: true }), mailbox)
    }),
    { seed },
  )
})

test('property: encode(decode(x)) is a fixed point, and nothing but SmtpError is thrown', () => {
  const texts = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.stringMatching(/^<?[a-z"\\@.,:<>[\] é]{0,20}@?[a-z.]{0,9}>?$/u),
  )
  fc.assert(
    fc.property(texts, fc.boolean(), (text, utf8) => {
      try {
        const formatted = formatPath(parseForwardPath(text, { utf8 }))
        assert.equal(formatPath(parseForwardPath(formatted, { utf8 })), formatted)
      } catch (error) {
        assert.ok(error instanceof SmtpError, String(error))
      }
    }),
    { seed, numRuns: 1000 },
  )
})
