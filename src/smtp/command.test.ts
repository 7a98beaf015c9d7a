import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Command, type CommandContext, formatCommand, parseCommand } from './command.ts'
import { SmtpError } from './error.ts'
import { Extensions, parameterTable } from './extension.ts'

const seed = 5321
const all: CommandContext = { table: parameterTable({ has: () => true }), utf8: true }
const none: CommandContext = { table: parameterTable(Extensions.none), utf8: false }

const smith = { localPart: 'Smith', domain: 'bar.com' }
const plain = { body: '7BIT', smtputf8: false } as const

/** As we write them too. */
const commands: [line: string, command: Command][] = [
  ['EHLO bar.com', { verb: 'EHLO', domain: 'bar.com' }], // RFC 5321 App. D.1
  ['HELO dbc.mtview.ca.us', { verb: 'HELO', domain: 'dbc.mtview.ca.us' }], // RFC 2920 §4
  ['EHLO [192.0.2.1]', { verb: 'EHLO', domain: '[192.0.2.1]' }], // RFC 5321 §4.1.4
  ['EHLO [IPv6:2001:db8::1]', { verb: 'EHLO', domain: '[IPv6:2001:db8::1]' }],
  ['MAIL FROM:<Smith@bar.com>', { verb: 'MAIL', reversePath: smith, parameters: plain }],
  ['MAIL FROM:<>', { verb: 'MAIL', reversePath: null, parameters: plain }],
  [
    'MAIL FROM:<ned@thor.innosoft.com> SIZE=500000', // RFC 1870 §8
    {
      verb: 'MAIL',
      reversePath: { localPart: 'ned', domain: 'thor.innosoft.com' },
      parameters: { ...plain, sizeOctets: 500000 },
    },
  ],
  [
    'MAIL FROM:<e=mc2@example.com> AUTH=e+3Dmc2@example.com', // RFC 4954 §5.1
    {
      verb: 'MAIL',
      reversePath: { localPart: 'e=mc2', domain: 'example.com' },
      parameters: { ...plain, authenticatedAs: 'e=mc2@example.com' },
    },
  ],
  [
    'MAIL FROM:<john+@example.org> AUTH=<>', // RFC 4954 §5.1
    {
      verb: 'MAIL',
      reversePath: { localPart: 'john+', domain: 'example.org' },
      parameters: { ...plain, authenticatedAs: null },
    },
  ],
  [
    'MAIL FROM:<用户@例え.テスト> BODY=8BITMIME SMTPUTF8', // RFC 6531 §3.4
    {
      verb: 'MAIL',
      reversePath: { localPart: '用户', domain: '例え.テスト' },
      parameters: { body: '8BITMIME', smtputf8: true },
    },
  ],
  [
    'RCPT TO:<Jones@foo.com>',
    { verb: 'RCPT', forwardPath: { localPart: 'Jones', domain: 'foo.com' }, parameters: {} },
  ],
  [
    'RCPT TO:<Postmaster>',
    { verb: 'RCPT', forwardPath: { localPart: 'Postmaster', domain: '' }, parameters: {} },
  ],
  [
    'RCPT TO:<"a > b"@foo.com>',
    { verb: 'RCPT', forwardPath: { localPart: 'a > b', domain: 'foo.com' }, parameters: {} },
  ],
  ['DATA', { verb: 'DATA' }],
  ['RSET', { verb: 'RSET' }],
  ['QUIT', { verb: 'QUIT' }],
  ['STARTTLS', { verb: 'STARTTLS' }],
  ['BDAT 86 LAST', { verb: 'BDAT', sizeOctets: 86, last: true }], // RFC 3030 §4.1
  ['BDAT 100000', { verb: 'BDAT', sizeOctets: 100000, last: false }], // RFC 3030 §4.2
  ['BDAT 0 LAST', { verb: 'BDAT', sizeOctets: 0, last: true }],
  ['NOOP', { verb: 'NOOP', text: '' }],
  ['NOOP are you there?', { verb: 'NOOP', text: 'are you there?' }],
  ['HELP MAIL', { verb: 'HELP', text: 'MAIL' }],
  ['VRFY Crispin', { verb: 'VRFY', text: 'Crispin' }], // RFC 5321 App. D.4
  ['EXPN Example-People', { verb: 'EXPN', text: 'Example-People' }],
  ['AUTH PLAIN', { verb: 'AUTH', mechanism: 'PLAIN', initialResponse: null }],
  [
    'AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=', // RFC 4954 §4.1
    { verb: 'AUTH', mechanism: 'PLAIN', initialResponse: Buffer.from('test\0test\x001234') },
  ],
  ['AUTH EXTERNAL =', { verb: 'AUTH', mechanism: 'EXTERNAL', initialResponse: new Uint8Array(0) }], // RFC 4954 §4.1
]

test('commands, there and back', () => {
  for (const [line, command] of commands) {
    assert.deepEqual(parseCommand(line, all), command, line)
    assert.equal(formatCommand(command, all.table), line)
  }
})

const lenient: [line: string, same: string][] = [
  ['ehlo bar.com', 'EHLO bar.com'], // RFC 5321 §2.4
  ['mail from:<Smith@bar.com>', 'MAIL FROM:<Smith@bar.com>'],
  ['MAIL FROM: <Smith@bar.com>', 'MAIL FROM:<Smith@bar.com>'],
  ['rcpt To:<a@b.example>', 'RCPT TO:<a@b.example>'],
  ['RSET  \t', 'RSET'], // RFC 5321 §4.1.1: trailing white space
  ['MAIL   FROM:<>   SIZE=5  ', 'MAIL FROM:<> SIZE=5'],
  ['MAIL FROM:<> size=5 body=7bit', 'MAIL FROM:<> SIZE=5'],
  ['MAIL FROM:<> SIZE=99999999999999999999', `MAIL FROM:<> SIZE=${Number.MAX_SAFE_INTEGER}`],
  ['bdat 5 last', 'BDAT 5 LAST'],
  ['auth plain', 'AUTH PLAIN'],
]

test('what is borne', () => {
  for (const [line, same] of lenient) assert.equal(formatCommand(parseCommand(line, all), all.table), same)
  // Machines whose names have underscores, and literals without a tag.
  assert.deepEqual(parseCommand('EHLO MY_PC', all), { verb: 'EHLO', domain: 'MY_PC' })
  assert.deepEqual(parseCommand('EHLO [::1]', all), { verb: 'EHLO', domain: '[::1]' })
})

const refused: [line: string, reply: string, context?: CommandContext][] = [
  ['', '500 5.5.2'],
  [' ', '500 5.5.2'],
  ['FOO', '500 5.5.2'],
  ['XPTT', '500 5.5.2'],
  ['MAILFROM:<a@b.example>', '500 5.5.2'],
  ['NOOPS', '500 5.5.2'],
  ['\tNOOP', '500 5.5.2'],
  ['constructor', '500 5.5.2'],
  ['EHLO', '501 5.5.4'],
  ['EHLO foo bar', '501 5.5.4'],
  ['EHLO bücher.example', '501 5.5.4'], // RFC 6531 §3.7.1
  ['EHLO <script>', '501 5.5.4'],
  ['HELO a\x07b', '501 5.5.4'],
  ['MAIL', '501 5.5.4'],
  ['MAIL TO:<a@b.example>', '501 5.5.4'],
  ['MAIL FROM:a@b.example', '501 5.5.4'],
  ['MAIL FROM <a@b.example>', '501 5.5.4'],
  ['MAIL FROM:<a@b.example>SIZE=1', '501 5.5.4'],
  ['MAIL FROM:<a@b..example>', '501 5.1.7'],
  ['MAIL FROM:<a@b.example> SIZE', '501 5.5.4'],
  ['MAIL FROM:<a@b.example> SIZE=x', '501 5.5.4'],
  ['MAIL FROM:<a@b.example> SIZE=1 SIZE=2', '501 5.5.4'], // RFC 1870 §6
  ['MAIL FROM:<a@b.example> SMTPUTF8=1', '501 5.5.4'], // RFC 6531 §3.4
  ['MAIL FROM:<a@b.example> BODY=BINARYMIME', '555 5.6.3'],
  ['MAIL FROM:<a@b.example> RET=HDRS', '555 5.5.4', none],
  ['MAIL FROM:<a@b.example> HOLDFOR=60 HOLDUNTIL=2007-05-10T15:00:00Z', '501 5.5.4'], // RFC 4865 §4.2.9
  ['MAIL FROM:<a@b.example> SIZE=1', '555 5.5.4', none],
  ['MAIL FROM:<é@b.example>', '550 5.6.7'],
  ['RCPT TO:<>', '501 5.1.3'],
  ['RCPT TO:<a>', '501 5.1.3'],
  ['RCPT FROM:<a@b.example>', '501 5.5.4'],
  ['RCPT TO:<a@b.example> NOTIFY=NEVER', '555 5.5.4', none],
  ['RCPT TO:<é@b.example>', '553 5.6.7', none],
  ['DATA now', '501 5.5.4'],
  ['RSET 1', '501 5.5.4'],
  ['QUIT now', '501 5.5.4'],
  ['STARTTLS now', '501 5.5.4'], // RFC 3207 §4
  ['BDAT', '501 5.5.4'],
  ['BDAT x', '501 5.5.4'],
  ['BDAT -1', '501 5.5.4'],
  ['BDAT 1 FIRST', '501 5.5.4'],
  ['BDAT 1 LAST LAST', '501 5.5.4'],
  ['BDAT 1234567890123456', '501 5.5.4'],
  ['VRFY', '501 5.5.4'],
  ['AUTH', '501 5.5.4'],
  ['AUTH PLAIN a b', '501 5.5.4'],
  ['AUTH PLAIN =AAA', '501 5.5.2'], // RFC 4954 §4
  ['AUTH PLAIN *', '501 5.5.2'],
]

test('what is refused, and with which reply', () => {
  for (const [line, reply, context = all] of refused) {
    assert.throws(
      () => parseCommand(line, context),
      (error: unknown) => error instanceof SmtpError && `${error.code} ${error.status}` === reply,
      line,
    )
  }
})

const path = fc
  .tuple(fc.stringMatching(/^[ -~é]{0,16}$/u), fc.domain())
  .map(([localPart, domain]) => ({ localPart, domain }))
const text = fc.stringMatching(/^([!-~é]([ -~]{0,8}[!-~])?)?$/u)
const command: fc.Arbitrary<Command> = fc.oneof(
  fc
    .tuple(fc.constantFrom('EHLO' as const, 'HELO' as const), fc.domain())
    .map(([verb, domain]): Command => ({ verb, domain })),
  fc
    .tuple(fc.option(path), fc.option(fc.nat()), fc.boolean(), fc.option(fc.emailAddress({ size: '-1' })))
    .map(([reversePath, size, eightBit, identity]): Command => {
      const size1870 = size === null ? {} : { sizeOctets: size }
      const body = eightBit ? '8BITMIME' : '7BIT'
      const auth = identity === null ? {} : { authenticatedAs: identity }
      return { verb: 'MAIL', reversePath, parameters: { body, smtputf8: true, ...size1870, ...auth } }
    }),
  path.map((forwardPath): Command => ({ verb: 'RCPT', forwardPath, parameters: {} })),
  fc.tuple(fc.nat(), fc.boolean()).map(([sizeOctets, last]): Command => ({ verb: 'BDAT', sizeOctets, last })),
  fc
    .uint8Array()
    .map((octets): Command => ({ verb: 'AUTH', mechanism: 'PLAIN', initialResponse: Buffer.from(octets) })),
  fc
    .tuple(fc.constantFrom('NOOP' as const, 'HELP' as const), text)
    .map(([verb, text]): Command => ({ verb, text })),
  fc
    .constantFrom('DATA' as const, 'RSET' as const, 'QUIT' as const, 'STARTTLS' as const)
    .map((verb): Command => ({ verb })),
)

test('property: decode(encode(x)) = x', () => {
  fc.assert(
    fc.property(command, value => {
      const back = parseCommand(formatCommand(value, all.table), all)
      if (back.verb === 'AUTH' && value.verb === 'AUTH') {
        assert.deepEqual(Buffer.from(back.initialResponse ?? []), value.initialResponse)
      } else assert.deepEqual(back, value)
    }),
    { seed, numRuns: 500 },
  )
})

test('property: encode(decode(x)) is a fixed point, and nothing but SmtpError is thrown', () => {
  const verb = fc.constantFrom(
    'EHLO ',
    'MAIL FROM:<',
    'RCPT TO:<',
    'BDAT ',
    'AUTH PLAIN ',
    'NOOP',
    'VRFY ',
    'DATA',
    '',
  )
  const rest = fc.oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[a-z0-9@."\\<>= A-Zé-]{0,30}$/u))
  fc.assert(
    fc.property(verb, rest, fc.constantFrom(all, none), (start, end, context) => {
      try {
        const line = formatCommand(parseCommand(start + end, context), all.table)
        assert.equal(formatCommand(parseCommand(line, context), all.table), line)
      } catch (error) {
        assert.ok(error instanceof SmtpError, String(error))
      }
    }),
    { seed, numRuns: 2000 },
  )
})
