import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatNotify,
  formatOriginalRecipient,
  parseEnvelopeId,
  parseNotify,
  parseOriginalRecipient,
  parseRet,
} from './dsn.ts'
import { SmtpError } from './error.ts'
import { encodeXtext } from './xtext.ts'

fc.configureGlobal({ seed: 3461 })

const invalid = (parse: (value: string) => unknown, ...values: string[]) => {
  for (const value of values) assert.throws(() => parse(value), { code: 501, status: '5.5.4' }, value)
}

test('RET, RFC 3461 §4.3', () => {
  assert.equal(parseRet('FULL'), 'FULL')
  assert.equal(parseRet('hdrs'), 'HDRS')
  invalid(parseRet, '', 'HEADERS', 'FULL,HDRS')
})

test('ENVID, RFC 3461 §4.4', () => {
  assert.equal(parseEnvelopeId('QQ314159'), 'QQ314159') // §10.1
  assert.equal(parseEnvelopeId('a+20b+2Bc+3d+09'), 'a b+c=\t')
  assert.equal(parseEnvelopeId('x'.repeat(100)), 'x'.repeat(100))
  invalid(parseEnvelopeId, 'x'.repeat(101), '+00', '+0D+0A', '+7F', '+C3+A9', 'é', 'a b', '+4', '=')
})

const notifications: [value: string, notify: string[]][] = [
  ['NEVER', []],
  ['SUCCESS', ['SUCCESS']],
  ['SUCCESS,FAILURE', ['SUCCESS', 'FAILURE']], // RFC 3461 §10.1
  ['DELAY,FAILURE,SUCCESS', ['DELAY', 'FAILURE', 'SUCCESS']],
]

test('NOTIFY, RFC 3461 §4.1', () => {
  for (const [value, notify] of notifications) {
    assert.deepEqual(parseNotify(value), notify)
    assert.deepEqual(parseNotify(value.toLowerCase()), notify)
    assert.equal(formatNotify(parseNotify(value)), value)
  }
  assert.deepEqual(parseNotify('Failure,failure'), ['FAILURE'])
  invalid(parseNotify, '', 'NEVER,SUCCESS', 'NEVER,NEVER', 'SUCCESS,', ',', 'ALWAYS', 'SUCCESS, FAILURE')
})

const originals: [value: string, addressType: string, address: string][] = [
  ['rfc822;Bob@Example.COM', 'rfc822', 'Bob@Example.COM'], // RFC 3461 §10.1
  ['rfc822;a+2Bb+3Dc@example.com', 'rfc822', 'a+b=c@example.com'],
  ['X400;/S+3Dx+20y/', 'X400', '/S=x y/'],
  ['rfc822;', 'rfc822', ''],
  ['rfc822;a;b', 'rfc822', 'a;b'],
]

test('ORCPT, RFC 3461 §4.2: the case of letters stays (§5.2.1 d)', () => {
  for (const [value, addressType, address] of originals) {
    assert.deepEqual(parseOriginalRecipient(value), { addressType, address })
    assert.equal(formatOriginalRecipient({ addressType, address }, true), value)
    assert.equal(formatOriginalRecipient({ addressType, address }, false), value)
  }
  invalid(
    parseOriginalRecipient,
    '',
    ';',
    ';a@b',
    'a@b.example',
    'rf c;a',
    'r@f;a',
    'rfc822;a+0Ab',
    'rfc822;a=b',
    'rfc822;é@b',
  )
  assert.equal(parseOriginalRecipient(`rfc822;${'x'.repeat(493)}`).address.length, 493)
  invalid(parseOriginalRecipient, `rfc822;${'x'.repeat(494)}`)
})

test('ORCPT of type utf-8, RFC 6533 §3', () => {
  const jörg = { addressType: 'utf-8', address: 'jörg+a@example.com' }
  assert.deepEqual(parseOriginalRecipient('utf-8;jörg\\x{2B}a@example.com'), jörg)
  assert.deepEqual(parseOriginalRecipient('utf-8;j\\x{f6}rg\\x{2B}a@example.com'), jörg)
  assert.deepEqual(parseOriginalRecipient('utf-8;j+C3+B6rg+2Ba@example.com'), jörg)
  assert.equal(formatOriginalRecipient(jörg, true), 'utf-8;jörg\\x{2B}a@example.com')
  assert.equal(formatOriginalRecipient(jörg, false), 'utf-8;j\\x{F6}rg\\x{2B}a@example.com')
  assert.equal(
    formatOriginalRecipient({ addressType: 'UTF-8', address: '𝄞 \\' }, false),
    'UTF-8;\\x{1D11E}\\x{20}\\x{5C}',
  )
  invalid(
    parseOriginalRecipient,
    'utf-8;\\x{D800}',
    'utf-8;\\x{110000}',
    'utf-8;\\x{00}',
    'utf-8;\\x{85}',
    'utf-8;+C3',
  )
  // The limit is for what we would have to pass on, too: 167 times "+5C" is short, 167 times "\x{5C}" is not.
  invalid(parseOriginalRecipient, `utf-8;${'+5C'.repeat(164)}`)
})

const printable = fc.stringMatching(/^[\t -~]{1,33}$/)
const addressType = fc.constantFrom('rfc822', 'X400', 'unknown', "a!#$%&'*+-/^_`{|}~")

test('property: what is encoded is decoded to the same', () => {
  fc.assert(
    fc.property(printable, envelopeId => {
      assert.equal(parseEnvelopeId(encodeXtext(envelopeId)), envelopeId)
    }),
  )
  fc.assert(
    fc.property(addressType, printable, fc.boolean(), (type, address, utf8) => {
      const original = { addressType: type, address }
      assert.deepEqual(parseOriginalRecipient(formatOriginalRecipient(original, utf8)), original)
    }),
  )
  const text = fc.string({ unit: 'binary', maxLength: 40 }).filter(string => !/[\p{Cc}\p{Cs}]/u.test(string))
  fc.assert(
    fc.property(text, fc.boolean(), (address, utf8) => {
      const original = { addressType: 'utf-8', address }
      const value = formatOriginalRecipient(original, utf8)
      assert.match(value, utf8 ? /^[!-<>-~\u0080-\u{10ffff}]+$/u : /^[!-<>-~]+$/)
      assert.deepEqual(parseOriginalRecipient(value), original)
    }),
  )
})

test('property: any value is decoded, and encoded again decodes to the same; or it is an SmtpError', () => {
  const value = fc.oneof(
    fc.string(),
    fc.stringMatching(/^(rfc822|utf-8);([a-z@]|\+[0-9A-F]{2}|\\x\{[0-9A-F]{2,6}\}){0,20}$/),
    fc.stringMatching(/^((NEVER|SUCCESS|FAILURE|DELAY),?){1,4}$/),
  )
  const again = <T>(text: string, parse: (text: string) => T, format: (value: T) => string) => {
    let parsed: T
    try {
      parsed = parse(text)
    } catch (error) {
      assert.ok(error instanceof SmtpError)
      return
    }
    assert.deepEqual(parse(format(parsed)), parsed)
  }
  fc.assert(
    fc.property(value, text => {
      again(text, parseRet, ret => ret)
      again(text, parseEnvelopeId, encodeXtext)
      again(text, parseNotify, formatNotify)
      // To a peer without SMTPUTF8 it may become longer than we would read.
      again(text, parseOriginalRecipient, original => formatOriginalRecipient(original, true))
    }),
  )
})
