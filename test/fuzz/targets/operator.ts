/** What operators and their programs hand to us beside ptt.toml: files of rules, tables of users, requests, messages. */

import assert from 'node:assert/strict'
import { readInput, recipientsOf } from '../../../src/cli/send-input.ts'
import { ConfigError } from '../../../src/config/load.ts'
import { RULE as REPLY } from '../../../src/config/replies.ts'
import { RULE as ROUTE } from '../../../src/config/routes.ts'
import { parseRules } from '../../../src/config/rules.ts'
import { RULE as SHAPING } from '../../../src/config/shaping.ts'
import { RULE as SOURCE } from '../../../src/config/sources.ts'
import { RULE as TLS } from '../../../src/config/tls-levels.ts'
import { readRecords } from '../../../src/directory/import/csv.ts'
import { parseRequest } from '../../../src/signer/request.ts'
import { SmtpError } from '../../../src/smtp/error.ts'
import { attempt, shape, type Target } from '../target.ts'

/** The first octet says which. */
const FILES = [
  (toml: string) => parseRules(toml, '/etc/ptt/replies.toml', 'reply', REPLY),
  (toml: string) => parseRules(toml, '/etc/ptt/routes.toml', 'route', ROUTE),
  (toml: string) => parseRules(toml, '/etc/ptt/shaping.toml', 'shaping', SHAPING),
  (toml: string) => parseRules(toml, '/etc/ptt/sources.toml', 'source', SOURCE),
  (toml: string) => parseRules(toml, '/etc/ptt/tls.toml', 'tls', TLS),
]

const rules: Target = {
  name: 'rules-toml',
  words: [
    '[[reply]]\n',
    '[[route]]\n',
    '[[shaping]]\n',
    '[[source]]\n',
    '[[tls]]\n',
    'name = "x"\n',
    '"*.example.com"',
  ]
    .concat([
      'reply = "a+"\n',
      'category = "spam"\n',
      'host = "smart.example:465"\n',
      'hosts = ["*.example.com"]\n',
    ])
    .concat([
      'domains = ["example.com"]\n',
      'concurrency = 2\n',
      'addresses = ["192.0.2.1"]\n',
      'since = 2026-11-20\n',
    ])
    .concat([
      'level = "verify"\n',
      'wait = "5m"\n',
      'first_day = 50\n',
      '[',
      ']',
      '"',
      "'",
      '\n',
      '#',
      '__proto__ = 1\n',
    ]),
  maxOctets: 3000,
  longestOctets: 64 * 1024,
  run(input) {
    const text = input.toString('utf8', 1)
    const parse = FILES[(input[0] ?? 0) % FILES.length] ?? assert.fail()
    const lines = text.split(/\r\n|\n|\r/).length
    try {
      const read = parse(text)
      for (const { where } of read) assert.match(where, /^\w+\.toml:\d+$/)
      return `${read.length} ${Object.keys(read[0] ?? {})}`
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      for (const { line } of error.problems)
        assert.ok(line === null || (line >= 1 && line <= lines + 1), `line ${line} of ${lines}`)
      const [first] = error.problems
      return `${error.problems.length} ${shape(first?.key ?? '')} ${shape(first?.message ?? '')}`
    }
  },
}

const csv: Target = {
  name: 'users-csv',
  words: [
    'user,password\n',
    'user;password\r\n',
    ',',
    ';',
    '"',
    '""',
    '\r\n',
    '\n',
    '\r',
    'alice@example.com',
    ' ',
    '\ufeff',
  ],
  longestOctets: 64 * 1024,
  run(input) {
    const text = input.toString()
    const records = readRecords(text)
    const lines = text.split('\n').length
    let last = 0
    for (const { line, fields } of records) {
      assert.ok(line >= 1 && line <= lines && line >= last, `line ${line} of ${lines}, after ${last}`)
      assert.ok(fields.join('').length <= text.length)
      last = line
    }
    // RFC 4180 §2.5 to §2.7: what is written in quotes is read as it was.
    const whole = records.filter(({ fields }) => fields.length > 0).map(({ fields }) => fields)
    const quoted = (field: string) => `"${field.replaceAll('"', '""')}"`
    const written = whole.map(fields => `${fields.map(quoted).join(',')}\r\n`).join('')
    const [first = ''] = written.split(/\r?\n/, 1)
    if (!(first.includes(';') && !first.includes(',')))
      assert.deepEqual(
        readRecords(written).map(({ fields }) => fields),
        whole,
      )
    return `${records.length} ${whole.length} ${new Set(records.map(({ fields }) => fields.length)).size}`
  },
}

const request: Target = {
  name: 'key-request',
  words: [
    '{',
    '}',
    '"kind":',
    '"rotate"',
    '"revoke"',
    '"check"',
    '"generate"',
    '"domain":"example.com"',
    '"bits":2048',
    ',',
  ].concat([
    '"gently":true',
    '"reason":"x"',
    '"selector":"a"',
    '"algorithm":"ed25519-sha256"',
    'null',
    '[]',
    '"__proto__":{}',
  ]),
  run(input) {
    const { value: read, error } = attempt(() => parseRequest(input.toString()), SyntaxError)
    if (error !== null) return error
    if (read === null) return 'no'
    assert.deepEqual(parseRequest(JSON.stringify(read)), read)
    if (read.kind !== 'check') assert.ok(read.domain !== '')
    return Object.keys(read).join()
  },
}

/** The first octet: whether a lone dot ends it. */
const sent: Target = {
  name: 'send-input',
  words: [
    'From ',
    'From: ',
    'To: ',
    'Bcc: ',
    'Resent-Cc: ',
    'root',
    '\n',
    '\r\n',
    '\n.\n',
    '.',
    '\r',
    ' ',
    ':',
    'a@b.example',
    '\0',
    'é',
  ],
  longestOctets: 64 * 1024,
  run(input) {
    const text = input.subarray(1)
    const { value: read, error } = attempt(
      () => readInput(text, { ignoreDots: (input[0] ?? 0) % 2 === 1 }),
      SmtpError,
    )
    if (read === null) return error
    const { header, body } = read
    for (const { octets } of header) {
      const field = Buffer.from(octets).toString('latin1')
      assert.match(field, /\r\n$/)
      // A field is folded, or one line: what follows another line end would be another field.
      assert.doesNotMatch(field.slice(0, -2), /\n(?![ \t])/)
    }
    assert.doesNotMatch(body.toString('latin1'), /(?<!\r)\n/)
    const { value: recipients, error: malformed } = attempt(() => recipientsOf(read), SmtpError)
    return `${header.length} ${body.length > 0} ${recipients?.length ?? malformed}`
  },
}

export const operatorTargets: readonly Target[] = [rules, csv, request, sent]
