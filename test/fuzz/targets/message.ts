/** What `message/` reads: header sections, addresses, encoded words. */

import assert from 'node:assert/strict'
import { authorsOf, parseAddressList } from '../../../src/message/address.ts'
import { authenticationService } from '../../../src/message/authentication-results.ts'
import { charactersOf } from '../../../src/message/character.ts'
import { withoutComments } from '../../../src/message/comment.ts'
import { formatDate, parseDate } from '../../../src/message/date.ts'
import { decodeEncodedWords } from '../../../src/message/encoded-word.ts'
import { endOfHeader, type Field, field, fieldBody, parseHeader } from '../../../src/message/header.ts'
import { isMessageId } from '../../../src/message/message-id.ts'
import { quotedPrintable } from '../../../src/message/quoted-printable.ts'
import { readReceived } from '../../../src/message/received.ts'
import { latestResent } from '../../../src/message/resent.ts'
import { headerSection } from '../../../src/message/section.ts'
import { addressShown } from '../../../src/message/shown-address.ts'
import { SmtpError } from '../../../src/smtp/error.ts'
import { attempt, randomCuts, type Target } from '../target.ts'

const FIELDS = [
  'From: ',
  'To: ',
  'Sender: ',
  'Date: ',
  'Message-ID: ',
  'Received: ',
  'DKIM-Signature: ',
  'Bcc: ',
]
  .concat(['Return-Path: ', 'Authentication-Results: ', 'Subject: ', 'MIME-Version: 1.0', 'Content-Type: '])
  .concat(['\r\n\r\n', '\r\n ', '\r\n\t', '\r\n', ' :', ':', 'alice@example.com'])

export const header: Target = {
  name: 'header',
  words: FIELDS,
  longestOctets: 256 * 1024,
  run(input) {
    const end = endOfHeader(input)
    assert.ok(end === -1 || (end >= 2 && end <= input.length))
    for (const searched of [1, 2, 3, Math.max(0, end - 5)]) {
      if (end < 0 || searched < end - 1) assert.equal(endOfHeader(input, end < 0 ? 0 : searched), end)
    }
    assert.deepEqual(Buffer.from(headerSection(randomCuts(input))), end < 0 ? input : input.subarray(0, end))
    const { value: fields, error } = attempt(() => parseHeader(input), SmtpError)
    if (fields === null) return error
    const section = end < 0 ? input : input.subarray(0, end - 2)
    assert.deepEqual(Buffer.concat(fields.map(({ octets }) => octets)), section, 'no octet is lost')
    for (const each of fields) checkField(each)
    latestResent(fields)
    charactersOf(section)
    const { error: authors } = attempt(() => authorsOf(fields), SmtpError)
    return `${fields.length} ${end < 0} ${authors}`
  },
}

function checkField(each: Field): void {
  assert.match(each.name, /^[!-9;-~]+$/)
  const body = fieldBody(each)
  readReceived(each)
  authenticationService(each)
  parseDate(body)
  isMessageId(body)
  withoutComments(body)
  addressShown(body, () => false)
  assert.ok(!body.includes('\r\n'), 'unfolded')
  // One of ours with that body reads the same.
  if (/[\r\n\0]/.test(body)) return
  const { value: own } = attempt(() => field(each.name, body), RangeError)
  if (own === null) return
  const [again, ...more] = parseHeader(own.octets)
  assert.ok(again !== undefined && more.length === 0, 'one field')
  assert.equal(again.name, each.name)
  assert.equal(fieldBody(again), body)
}

export const addresses: Target = {
  name: 'address-list',
  words: [
    'alice@example.com',
    '<alice@example.com>',
    '"A. B" ',
    'group: ',
    ';',
    ', ',
    '(comment)',
    '((nested))',
    '\\)',
  ].concat([
    '"',
    '\\"',
    '[192.0.2.1]',
    '<@a.example,@b.example:c@d.example>',
    '=?utf-8?q?a?=',
    'é',
    '.',
    ' . ',
    '@',
    ':',
  ]),
  longestOctets: 256 * 1024,
  run(input) {
    const strict = attempt(
      () => parseAddressList(input.toString(), { obsolete: false, field: 'From' }),
      SmtpError,
    )
    const { value: list, error } = attempt(() => parseAddressList(input.toString()), SmtpError)
    if (strict.value !== null) assert.deepEqual(strict.value, list, 'what is written well reads the same')
    if (list === null) return error
    for (const { mailbox } of list) assert.ok(mailbox.domain !== '', 'a domain')
    // Twice the list, with a comma between, is all its addresses twice.
    const { value: twice } = attempt(() => parseAddressList(`${input}, ${input}`), SmtpError)
    assert.deepEqual(twice, [...list, ...list])
    return `${list.length} ${list.map(({ group, displayName }) => [group !== undefined, displayName !== ''])}`.slice(
      0,
      60,
    )
  },
}

export const encodedWord: Target = {
  name: 'encoded-word',
  words: [
    '=?utf-8?q?',
    '=?iso-8859-1*en?b?',
    '?=',
    '=C3=A9',
    '=',
    '_',
    'w6k=',
    '?',
    '=?',
    ' ',
    'utf-16',
    'x-user-defined',
  ],
  longestOctets: 64 * 1024,
  run(input) {
    const text = input.toString()
    const decoded = decodeEncodedWords(text)
    if (!text.includes('=?')) assert.equal(decoded, text)
    return `${decoded === text} ${decoded.length < text.length}`
  },
}

export const encoding: Target = {
  name: 'quoted-printable',
  words: ['\r\n', '=', ' \r\n', '\t', '.', 'x'.repeat(75), 'x'.repeat(76), 'é', '\r', '\n'],
  run(input) {
    const encoded = quotedPrintable(input)
    assert.match(encoded, /^[\t\r\n -~]*$/)
    for (const line of encoded.split('\r\n')) assert.ok(line.length <= 76 && !/[ \t\r\n]$/.test(line), line)
    // RFC 2045 §6.7: how anybody decodes it.
    const text = encoded
      .replace(/=\r\n/g, '')
      .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
    assert.deepEqual(Buffer.from(text, 'latin1'), input)
    return `${/=\r\n/.test(encoded)} ${/=[0-9A-F]/.test(encoded)} ${encoded.split('\r\n').length}`
  },
}

export const date: Target = {
  name: 'date',
  words: [
    'Thu, ',
    '1 ',
    'Jan',
    ' 2026 ',
    '00:00:00',
    ':60',
    '+0000',
    '-9959',
    'GMT',
    'EST',
    ' (',
    ')',
    '99',
    '29 Feb 2024',
  ],
  run(input) {
    const text = input.toString()
    const ms = parseDate(text)
    if (ms === null) return 'no'
    assert.ok(Number.isFinite(ms))
    const { value: written } = attempt(() => formatDate(ms), RangeError)
    if (written !== null) assert.equal(parseDate(written), ms)
    return `${written === null} ${ms < 0} ${text.includes('(')} ${/[A-Z]$/.test(text)}`
  },
}

export const messageTargets: readonly Target[] = [header, addresses, encodedWord, encoding, date]
