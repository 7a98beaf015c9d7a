/** RFC 2034 §4: a status code in every 2yz, 4yz and 5yz but the greeting and the replies to EHLO and HELO. */

import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { LIMITS } from './limits.ts'
import { reply } from './reply.ts'
import { type ServerOptions, ServerSession } from './server.ts'
import { parseStatus, statusMeaning } from './status.ts'

const root = join(import.meta.dirname, '../..')

/** Those that RFC 2034 §4 excepts: the greeting, EHLO and HELO, 3yz. */
const WITHOUT = new Map([
  ['src/smtp/server.ts', ['220']],
  ['src/smtp/session-state.ts', ['250']],
  ['src/smtp/server-content.ts', ['354']],
  // What STARTTLS, AUTH and DATA go on with.
  ['src/smtp/auth.ts', ['334']],
])

/** `new SmtpError(…)` and `reply(…)` with a code that is written down, as far as their closing parenthesis. */
function* repliesOf(text: string): Generator<string> {
  for (const { index } of text.matchAll(/\b(?:new SmtpError|fixedReply|(?<!\.)reply)\(\s*\d{3},/g)) {
    let depth = 0
    for (let at = text.indexOf('(', index); at < text.length; at++) {
      if (text[at] === '(') depth++
      if (text[at] === ')') depth--
      if (depth > 0) continue
      yield text.slice(index, at)
      break
    }
  }
}

test('every reply in the source has a registered status of the class of its code', () => {
  let seen = 0
  const without = new Map<string, string[]>()
  for (const file of globSync('src/**/*.ts', { cwd: root }).filter(path => !path.endsWith('.test.ts'))) {
    for (const call of repliesOf(readFileSync(join(root, file), 'utf8'))) {
      seen++
      const [code = ''] = /\d{3}/.exec(call) ?? []
      const statuses = [...call.matchAll(/'(\d\.\d+\.\d+)'/g)].map(([, status = '']) => status)
      if (statuses.length === 0 && /^[^,]*,\s*null/.test(call)) {
        without.set(file, [...(without.get(file) ?? []), code])
        continue
      }
      // path.ts: 5.1.7 of a reverse-path, 5.1.3 of a forward-path (path.test.ts).
      assert.ok(statuses.length > 0 || call.includes('role.malformed'), `${file}: ${call}`)
      for (const text of statuses) {
        const status = parseStatus(text)
        assert.ok(status !== null && statusMeaning(status) !== null, `${file}: ${text} is not registered`)
        assert.equal(text[0], code[0], `${file}: ${call}`)
      }
    }
  }
  assert.ok(seen > 100, `only ${seen} replies found`)
  for (const [file, codes] of without) {
    const allowed = WITHOUT.get(file) ?? []
    assert.deepEqual(
      codes.filter(code => !allowed.includes(code)),
      [],
      file,
    )
  }
})

/** One reply on the wire. */
function check(octets: Uint8Array, verb: string, seen: Set<string>): void {
  const text = Buffer.from(octets).toString('latin1')
  seen.add(text)
  for (const line of text.split('\r\n').slice(0, -1)) {
    const [, code = '', rest = ''] = /^(\d{3})[ -](.*)$/.exec(line) ?? []
    if (code.startsWith('3') || ((verb === 'EHLO' || verb === 'HELO') && code.startsWith('2'))) continue
    const [, status = '', said = ''] = /^(\d\.\d{1,3}\.\d{1,3}) (.+)$/.exec(rest) ?? []
    assert.equal(status[0], code[0], `${verb}: ${line}`)
    assert.notEqual(said, '', line)
  }
}

const COMMANDS = [
  'EHLO bar.com',
  'EHLO bar_com',
  'EHLO <>',
  'HELO bar.com',
  'HELO',
  'NOOP',
  'NOOP x',
  'RSET',
  'RSET x',
  'VRFY a',
  'VRFY',
  'EXPN a',
  'HELP',
  'QUIT',
  'STARTTLS',
  'STARTTLS x',
  'WIZ',
  '',
  '\0',
  'a\rb',
  '\xff',
  'x'.repeat(3000),
  'AUTH PLAIN AGEAYg==',
  'AUTH PLAIN',
  'AUTH LOGIN',
  'AUTH PLAIN ?',
  'AUTH X-THING',
  'AUTH',
  '*',
  'AGEAYg==',
  'MAIL FROM:<a@bar.com>',
  'MAIL FROM:<>',
  'MAIL FROM:<é@bar.com>',
  'MAIL FROM:<a@bar.com> SMTPUTF8',
  'MAIL FROM:<a@@bar.com>',
  'MAIL FROM:<a@bar.com> SIZE=99999999999',
  'MAIL FROM:<a@bar.com> BODY=BINARYMIME',
  'MAIL FROM:<a@bar.com> RET=HDRS ENVID=1 REQUIRETLS BY=60;R HOLDFOR=1 MT-PRIORITY=1',
  'MAIL FROM:<a@bar.com> HOLDFOR=100000',
  'MAIL FROM:<a@bar.com> BY=1;R',
  'MAIL FROM:<a@bar.com> MT-PRIORITY=x',
  'MAIL FROM:<a@bar.com> X=1 X=1',
  'MAIL',
  'RCPT TO:<b@foo.com>',
  'RCPT TO:<b@foo.com> NOTIFY=NEVER ORCPT=rfc822;b',
  'RCPT TO:<b@foo.com> NOTIFY=',
  'RCPT TO:<b@[foo.com>',
  'RCPT',
  'DATA',
  'DATA x',
  'BDAT 4 LAST\r\nMAIL',
  'BDAT 4\r\na\0b',
  'BDAT 0 LAST',
  'BDAT 9999999999 LAST',
  'BDAT x',
  '.',
  'hello\n.',
  `${'y'.repeat(1200)}`,
]

const options: fc.Arbitrary<ServerOptions> = fc.record({
  hostname: fc.constant('foo.com'),
  limits: fc
    .record({
      recipients: fc.constantFrom(1, 1000),
      transactions: fc.constantFrom(2, 1000),
      recipientDomains: fc.constantFrom(1, 1000),
      errors: fc.constantFrom(3, 20),
      authFailures: fc.constantFrom(1, 3),
      messageOctets: fc.constantFrom(5, 1000),
    })
    .map(limits => ({ ...LIMITS, ...limits })),
  tls: fc.constantFrom('implicit', 'starttls', 'none'),
  tlsRequired: fc.boolean(),
  auth: fc.constantFrom([], ['PLAIN', 'LOGIN']),
  authRequired: fc.boolean(),
  hop: fc.boolean(),
  offers: fc.constantFrom({}, {
    dsn: true,
    requireTls: true,
    limits: true,
    futureRelease: { longestSeconds: 60, now: () => 0 },
    deliverBy: { leastSeconds: 60 },
    priority: { profile: 'MIXER' },
  } as const),
})

test('property: so has every reply of a session, whatever is said to it and however it is made', () => {
  const seen = new Set<string>()
  const said = fc.array(fc.tuple(fc.constantFrom(...COMMANDS), fc.boolean()), { maxLength: 25 })
  fc.assert(
    fc.property(options, said, fc.constantFrom('idle', 'shutdown'), (made, commands, end) => {
      const session = new ServerSession(made)
      for (const [command, accept] of [['EHLO bar.com', true] as const, ...commands]) {
        for (const event of session.receive(Buffer.from(`${command}\r\n`, 'latin1'))) {
          const { type } = event
          if (type === 'reply') check(event.octets, event.verb, seen)
          else if (type !== 'content' && type !== 'reset' && type !== 'close') {
            const code = type === 'auth' ? 235 : type === 'starttls' ? 220 : 250
            check(session.reply(accept ? reply(code, '2.0.0', 'Yes') : reply(550, '5.0.0', 'No')), type, seen)
          }
        }
        if (session.state === 'handshake') session.secured()
      }
      check(end === 'idle' ? session.idle() : session.shutdown(), end, seen)
    }),
    { numRuns: 2000, seed: 2034 },
  )
  assert.ok(seen.size > 80, `only ${seen.size} different replies`)
})
