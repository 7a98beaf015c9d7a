/** What people write: ptt.toml, the users' files, verifiers, endpoints. */

import assert from 'node:assert/strict'
import { ConfigError, parseConfig } from '../../../src/config/load.ts'
import { EditError } from '../../../src/directory/edit.ts'
import { readPostfixVirtual } from '../../../src/directory/import/postfix-virtual.ts'
import { formatVerifier, parseVerifier, VerifierError } from '../../../src/directory/password.ts'
import { isBranch, parseRemote } from '../../../src/directory/remote.ts'
import { type Parsed, Schema } from '../../../src/directory/schema.ts'
import { EndpointError, formatEndpoint, parseEndpoint } from '../../../src/net/endpoint.ts'
import { attempt, shape, type Target } from '../target.ts'

const TOML = [
  '[',
  ']',
  '[[',
  ']]',
  '= ',
  '"',
  '"""',
  "'",
  "'''",
  '\n',
  '#',
  'true',
  'false',
  '1979-05-27',
  '0x',
  '1e999',
].concat([
  'inf',
  'nan',
  '{',
  '}',
  ',',
  '\\u0041',
  '\\',
  '__proto__ = 1\n',
  'constructor = {}\n',
  '"" = 1\n',
  '.',
])

const SCRAM = `SCRAM-SHA-256$4096:${'A'.repeat(22)}==$${'A'.repeat(43)}=:${'A'.repeat(43)}=`
const schema = new Schema('example.com')

function describe(parsed: Parsed<unknown>, file: string, text: string): string {
  if (parsed.ok) return 'ok'
  assert.ok(parsed.problems.length > 0)
  const lines = linesOf(text)
  const secret = text.includes(SECRET) && !text.replaceAll(`password = "${SECRET}"`, '').includes(SECRET)
  for (const problem of parsed.problems) {
    assert.equal(problem.file, file)
    assert.ok(problem.line >= 1 && problem.line <= lines + 1, `line ${problem.line} of ${lines}`)
    assert.ok(!secret || !problem.rule.includes(SECRET), 'no rule repeats a password')
  }
  return parsed.problems.map(({ rule }) => shape(rule)).join()
}

/** A bare CR ends a line for the TOML parser too. */
const linesOf = (text: string): number => text.split(/\r\n|\n|\r/).length

/** As the value of `password`: no message may show it. */
const SECRET = 'hunter2hunter2'

/** The first octet: which of the files. */
export const users: Target = {
  name: 'users-toml',
  words: [
    ...TOML,
    `password = "${SCRAM}"\n`,
    `password = "${SECRET}"\n`,
    'senders = ["*@example.com", "alice"]\n',
  ]
    .concat([
      'targets = ["bob@example.com"]\n',
      'info = ["alice"]\n',
      '"first.last" = ["x@y.example"]\n',
      SECRET,
    ])
    .concat([
      '{"targets": [], "password": "',
      '"insecure": false',
      'limits = 1\n',
      SCRAM,
      'a'.repeat(128),
      '0'.repeat(128),
    ]),
  maxOctets: 3000,
  longestOctets: 64 * 1024,
  run(input) {
    const text = input.toString('utf8', 1)
    switch ((input[0] ?? 0) % 4) {
      case 0:
        return describe(schema.user('alice.toml', text), 'alice.toml', text)
      case 1:
        return describe(schema.original('alice', text), 'alice', text)
      case 2:
        return describe(schema.aliases('aliases.toml', text), 'aliases.toml', text)
      default:
        return describe(schema.domain('domain.toml', text), 'domain.toml', text)
    }
  },
}

export const config: Target = {
  name: 'ptt-toml',
  words: [
    ...TOML,
    'domain = "example.com"\n',
    '[submission]\n',
    '[signer]\n',
    '[relay]\n',
    '[directory]\n',
    '[hop]\n',
  ]
    .concat([
      'listen = "127.0.0.1:465"\n',
      '"5 min"',
      '"25 MiB"',
      '"4h"',
      '["5m", "1h"]',
      'resolver = ["[::1]:53"]\n',
    ])
    .concat([
      'retry = ["5m"]\n',
      'selector = "ptt"\n',
      'bits = 2048\n',
      'max_message = "1 GiB"\n',
      'repository = "x"\n',
    ]),
  maxOctets: 3000,
  longestOctets: 64 * 1024,
  run(input) {
    const text = input.toString()
    const lines = linesOf(text)
    try {
      const read = parseConfig(text, '/etc/ptt/ptt.toml')
      assert.equal(typeof read.domain, 'string')
      return Object.keys(read).join()
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      assert.ok(error.problems.length > 0)
      for (const { line } of error.problems)
        assert.ok(line === null || (line >= 1 && line <= lines + 1), `line ${line} of ${lines}`)
      return error.problems
        .map(({ key, message }) => `${shape(key)} ${shape(message)}`)
        .join()
        .slice(0, 200)
    }
  },
}

export const verifier: Target = {
  name: 'verifier',
  words: [
    SCRAM,
    'SCRAM-SHA-256$',
    ':',
    '$',
    '=',
    '4096',
    '999999999',
    '$2b$',
    '{SSHA}',
    '0'.repeat(128),
    SECRET,
  ],
  run(input) {
    const text = input.toString()
    const { value: read, error } = attempt(() => parseVerifier(text), VerifierError)
    if (read === null) return error
    assert.deepEqual(parseVerifier(formatVerifier(read)), read)
    return read.scheme
  },
}

export const endpoint: Target = {
  name: 'endpoint',
  words: [
    '127.0.0.1',
    '[::1]',
    '::1',
    ':',
    ':465',
    ':65535',
    ':65536',
    'mail.example.com',
    '%eth0',
    '[',
    ']',
    '_',
  ],
  run(input) {
    const { value: read, error } = attempt(() => parseEndpoint(input.toString(), 25), EndpointError)
    if (read === null) return error
    assert.ok(read.port >= 0 && read.port <= 65535 && read.host !== '')
    assert.deepEqual(parseEndpoint(formatEndpoint(read)), read)
    return `${read.host.includes(':')} ${/^[\d.]+$/.test(read.host)} ${read.port === 25}`
  },
}

/** virtual(5) of Postfix, which `ptt user import` reads. */
export const virtual: Target = {
  name: 'postfix-virtual',
  words: [
    'alice@example.com ',
    'bob, carol@example.org',
    'example.com anything',
    '@example.com ',
    '#',
    '\n ',
    '\n',
  ].concat(['"first last"@example.com', ' |program', ' :include:/etc/list', '"', ',', '\t']),
  maxOctets: 3000,
  run(input) {
    const text = input.toString()
    const { value: read, error } = attempt(
      () => readPostfixVirtual('virtual', text, 'example.com'),
      EditError,
    )
    if (read === null) return error
    for (const { mailbox, targets } of read.aliases) {
      assert.ok(read.domains.includes(mailbox.domain) && targets.length > 0)
      for (const target of targets) assert.doesNotMatch(target, /[\0\r\n]/)
    }
    return `${read.aliases.length} ${read.domains.length}`
  },
}

/** What `[directory] repository` says; what comes of it is an argument of git. */
export const remote: Target = {
  name: 'git-remote',
  words: [
    'https://',
    'ssh://',
    'file:///',
    'http://localhost/',
    'git@',
    'example.com:',
    '/srv/users',
    '-oProxyCommand=',
    'ext::',
  ].concat([':secret@', '%00', '\n', '..', 'main', '.lock', '@{', 'refs/heads/']),
  run(input) {
    const text = input.toString()
    // git-check-ref-format(1): spaces and controls of ASCII; those of others are letters like any.
    if (isBranch(text)) assert.doesNotMatch(text, /^-|[\x00-\x20\x7f:*]|\.\./)
    const { value: read, error } = attempt(() => parseRemote(text), Error)
    if (read === null) return shape(`${error}`)
    assert.doesNotMatch(read.url, /^-|[\0\r\n]/)
    if (read.protocol === 'file') assert.match(read.url, /^\/|^file:\/\//i)
    else assert.equal(new URL(read.url).password, '')
    return `${read.protocol} ${isBranch(text)} ${URL.canParse(text)}`
  },
}

export const settingsTargets: readonly Target[] = [users, config, verifier, endpoint, virtual, remote]
