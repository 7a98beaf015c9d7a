/** The codecs of `smtp/`: what is read can be written, and reads the same again. */

import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { formatCommand, parseCommand } from '../../../src/smtp/command.ts'
import {
  addressOfLiteral,
  isAddressLiteral,
  isDomain,
  normalizeDomain,
  parseDomain,
} from '../../../src/smtp/domain.ts'
import { SmtpError } from '../../../src/smtp/error.ts'
import {
  EXTENSIONS,
  Extensions,
  type ParameterCodec,
  parameterTable,
  readParameters,
  writeParameters,
} from '../../../src/smtp/extension.ts'
import { type AddressLimits, LIMITS, MOST } from '../../../src/smtp/limits.ts'
import { formatParameters, type Parameter, parseParameters } from '../../../src/smtp/parameter.ts'
import {
  formatMailbox,
  formatPath,
  type Mailbox,
  parseForwardPath,
  parseMailbox,
  parseReversePath,
  sameMailbox,
} from '../../../src/smtp/path.ts'
import { reply as replyOf } from '../../../src/smtp/reply.ts'
import {
  formatSuppressed,
  MOST_TOLD,
  parseSuppressed,
  refuseSuppressed,
  splitSuppressed,
  tellSuppressed,
} from '../../../src/smtp/suppressed.ts'
import { decodeXtext, encodeXtext } from '../../../src/smtp/xtext.ts'
import { attempt, same, shape, type Target } from '../target.ts'

/** All parameters, whatever was offered. */
export const EVERYTHING = parameterTable({ has: () => true })

const PARAMETERS = EXTENSIONS.flatMap(({ mail = {}, rcpt = {} }) => [
  ...Object.keys(mail),
  ...Object.keys(rcpt),
]).map(keyword => `${keyword}=`)
const VALUES = ['7BIT', '8BITMIME', 'BINARYMIME', '<>', 'FULL', 'HDRS', 'NEVER', 'SUCCESS,FAILURE,DELAY']
  .concat(['rfc822;', 'utf-8;', '120;R', '-60;NT', '2030-01-01T00:00:00Z', 'a+3Db@c.example', '+00', '+FF'])
  .concat(['01J9ZK4V8Y3QW5T7N2M6C1D0EX/0123456789012345678901234567890123456789'])
const PATHS = [
  '<>',
  '<',
  '>',
  '@',
  '"',
  '\\"',
  '"a b"',
  'a.b',
  '[127.0.0.1]',
  '[IPv6:::1]',
  '[IPv6:2001:db8::1]',
]
  .concat([
    '<@a.example,@b.example:c@d.example>',
    'Postmaster',
    'xn--mnchen-3ya.example',
    'münchen.example',
    'é',
  ])
  .concat(['a'.repeat(63), 'a'.repeat(64), '[x-tag:data]', 'ß', '１.２', '。', '\u200d', 'İ'])

export const VERBS = [
  'EHLO',
  'HELO',
  'MAIL FROM:',
  'RCPT TO:',
  'DATA',
  'BDAT',
  'LAST',
  'RSET',
  'QUIT',
].concat(['NOOP', 'HELP', 'VRFY', 'EXPN', 'STARTTLS', 'AUTH', 'AUTH PLAIN', 'AUTH LOGIN', 'ETRN'])

/** The first octet says whether SMTPUTF8 is on. */
function split(input: Buffer): { utf8: boolean; limits: AddressLimits; text: string } {
  const [first = 0] = input
  return {
    utf8: (first & 1) === 1,
    limits: (first & 2) === 0 ? LIMITS : MOST,
    text: input.toString('utf8', 1),
  }
}

export const command: Target = {
  name: 'smtp-command',
  words: [...VERBS, ...PARAMETERS, ...VALUES, ...PATHS],
  run(input) {
    const { utf8, limits, text } = split(input)
    const context = { table: EVERYTHING, utf8, limits }
    const { value: read, error } = attempt(() => parseCommand(text, context), SmtpError)
    if (read === null) return error
    const line = formatCommand(read, EVERYTHING)
    assert.doesNotMatch(line, /^[^ ]*[\r\n]/, 'no line end in a verb')
    const bare = /[\r\n\0]/.test(text)
    if (!bare) assert.doesNotMatch(line, /[\r\n\0]/, 'one line of one line')
    same(parseCommand(line, { table: EVERYTHING, utf8: true }), read, `read again: ${line}`)
    return `${read.verb} ${Object.keys('parameters' in read ? read.parameters : {})}`
  },
}

export const parameters: Target = {
  name: 'smtp-parameters',
  words: [...PARAMETERS, ...VALUES, ' ', '='],
  run(input) {
    const { utf8: ofMail, text } = split(input)
    const { value: list, error } = attempt(() => parseParameters(text), SmtpError)
    if (list === null) return error
    same(parseParameters(formatParameters(list)), list, 'read again')
    return ofMail ? inTable(list, EVERYTHING.mail) : inTable(list, EVERYTHING.rcpt)
  },
}

function inTable<Parameters extends object>(
  list: readonly Parameter[],
  table: ReadonlyMap<string, ParameterCodec<Parameters>>,
): string {
  const { value: read, error } = attempt(() => readParameters(list, table), SmtpError)
  if (read === null) return `${error}`
  for (const utf8 of [true, false]) {
    const written = writeParameters(read, table, utf8)
    // What is written is a line again, and says the same.
    same(parseParameters(formatParameters(written)), written, 'written')
    if (!utf8) assert.ok(isAscii(formatParameters(written)), 'ASCII without SMTPUTF8')
    same(sorted(readParameters(written, table)), sorted(read), 'read from what was written')
  }
  return Object.keys(sorted(read)).join(' ')
}

/** With what is meant where nothing is said, as MAIL has it. */
function sorted(parameters: object): object {
  const all = { body: '7BIT', smtputf8: false, ...parameters }
  return Object.fromEntries(Object.entries(all).sort(([one], [other]) => (one < other ? -1 : 1)))
}

export const path: Target = {
  name: 'smtp-path',
  words: PATHS,
  run(input) {
    const { utf8, limits, text } = split(input)
    const options = { utf8, limits }
    const reverse = attempt(() => parseReversePath(text, options), SmtpError)
    const forward = attempt(() => parseForwardPath(text, options), SmtpError)
    const mailbox = attempt(() => parseMailbox(text, options), SmtpError)
    if (reverse.error === null) {
      same(parseReversePath(formatPath(reverse.value), options), reverse.value, 'reverse-path')
      checkMailbox(reverse.value, limits)
    }
    if (forward.error === null) {
      same(parseForwardPath(formatPath(forward.value), options), forward.value, 'forward-path')
      checkMailbox(forward.value, limits)
    }
    if (mailbox.error === null) {
      same(parseMailbox(formatMailbox(mailbox.value), options), mailbox.value, 'mailbox')
      checkMailbox(mailbox.value, limits)
    }
    const kind =
      reverse.value && `${/^[\w.]*$/.test(reverse.value.localPart)} ${isDomain(reverse.value.domain)}`
    return `${reverse.error ?? kind} ${forward.error} ${mailbox.error}`
  },
}

/** What could break out of a command, a header field or a log line. */
function checkMailbox(mailbox: Mailbox | null, limits: AddressLimits): void {
  if (mailbox === null) return
  assert.doesNotMatch(formatPath(mailbox), /[\0\r\n]/)
  assert.ok(Buffer.byteLength(mailbox.domain) <= limits.domainOctets)
  // What a quoted string says without its backslashes is no longer than the string.
  assert.ok(Buffer.byteLength(mailbox.localPart) <= limits.localPartOctets)
  // The upper case of what is not ASCII may be another name, or none.
  assert.ok(
    !isAscii(mailbox.domain) || sameMailbox(mailbox, { ...mailbox, domain: mailbox.domain.toUpperCase() }),
  )
}

const isAscii = (text: string): boolean => !/[^\0-\x7f]/.test(text)

export const domain: Target = {
  name: 'smtp-domain',
  words: PATHS.concat(['xn--', '-', '.', '::', ':', 'IPv6:', '255', '256', '0x', 'ffff']),
  run(input) {
    const { utf8, text } = split(input)
    const { error } = attempt(() => parseDomain(text, { utf8 }), SmtpError)
    assert.equal(error === null, isDomain(text, { utf8 }))
    if (error === null) {
      const normal = normalizeDomain(text)
      assert.ok(isDomain(normal), `an A-label form is a domain: ${normal}`)
      assert.equal(normalizeDomain(normal), normal)
    }
    const literal = isAddressLiteral(text)
    const address = addressOfLiteral(text)
    assert.ok(literal || address === null)
    // RFC 5321 bears zeros in front in Snum, which Node does not.
    if (address !== null && !/(?:^|[.:])0\d/.test(address)) assert.notEqual(isIP(address), 0, address)
    return `${error} ${literal} ${address === null ? '' : address.includes(':')} ${text.split(/[.:]/).length}`
  },
}

export const xtext: Target = {
  name: 'smtp-xtext',
  words: ['+2B', '+3D', '+00', '+C3+A9', '+', '=', '+ff', '+F0+9F+92+8C'],
  run(input) {
    const text = input.toString('utf8')
    // What is not UTF-8 has become U+FFFD, which is text like any other.
    assert.equal(decodeXtext(encodeXtext(text)), text)
    const { value: decoded, error } = attempt(() => decodeXtext(text), SmtpError)
    if (decoded === null) return error
    assert.equal(decodeXtext(encodeXtext(decoded)), decoded)
    return `${text.includes('+')} ${isAscii(decoded)} ${/[\0-\x1f]/.test(decoded)}`
  },
}

export const ehlo: Target = {
  name: 'smtp-ehlo',
  words: EXTENSIONS.map(({ keyword }) => keyword).concat([
    'AUTH=PLAIN LOGIN',
    'SIZE 0',
    'LIMITS RCPTMAX=10',
    'MAILMAX=1 RCPTDOMAINMAX=999999',
    'DELIVERBY 240,',
    ' ',
  ]),
  run(input) {
    // As the reply parser gives them: without control characters.
    const lines = input.toString('utf8').replace(/\r/g, '').split('\n')
    const extensions = new Extensions(lines.map(line => line.replace(/[\0-\x1f]/g, '?')))
    const { size } = extensions
    assert.ok(size === undefined || size > 0, `SIZE ${size}`)
    for (const mechanism of extensions.auth) assert.doesNotMatch(mechanism, /[ \0-\x1f]/)
    for (const limit of Object.values(extensions.limits))
      assert.ok(limit > 0 && limit <= 999_999, `LIMITS ${limit}`)
    const { leastDeliverBy } = extensions
    assert.ok(leastDeliverBy >= 0 && leastDeliverBy <= 999_999_999, `DELIVERBY ${leastDeliverBy}`)
    const table = parameterTable(extensions)
    return `${table.mail.size} ${table.rcpt.size} ${size === undefined} ${extensions.auth.length} ${Object.keys(extensions.limits)} ${leastDeliverBy > 0}`
  },
}

/** A reply of the next hop, a line each. */
export const suppressed: Target = {
  name: 'smtp-suppressed',
  words: [
    'XPTT suppressed ',
    'XPTT ',
    '0 ',
    '999999999999 ',
    '1767571200 ',
    'bob@example.net ',
    '+C3+A9',
    '+0A',
  ]
    .concat(['550 5.1.1 No such user', '\n', '...', ' '.repeat(40), 'x'.repeat(400), '+FF'])
    .concat(['XPTT suppressed 1767571200 1770163200 bob@example.net 550 5.1.1 No such user\n']),
  run(input) {
    const lines = input.toString('utf8').split('\n')
    for (const line of lines) {
      const read = parseSuppressed(line)
      if (read === null) continue
      const written = formatSuppressed(read)
      assert.ok(
        written !== null && written.length <= line.length && isAscii(written),
        'no longer than it was',
      )
      same(parseSuppressed(written), read, 'read again')
      assert.equal(refuseSuppressed(read).code, 550)
    }
    const split = splitSuppressed(replyOf(250, '2.0.0', ...lines))
    assert.ok(split.suppressed.length <= MOST_TOLD && split.reply.lines.length > 0)
    assert.ok(split.reply.lines[0]?.startsWith('XPTT ') !== true, 'not for the client')
    same(splitSuppressed(tellSuppressed(split.reply, split.suppressed)), split, 'told again')
    return `${split.suppressed.length} ${lines.length - split.reply.lines.length} ${shape(split.suppressed[0]?.recipient ?? '')}`
  },
}

export const codecTargets: readonly Target[] = [command, parameters, path, domain, xtext, ehlo, suppressed]
