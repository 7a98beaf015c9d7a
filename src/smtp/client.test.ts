import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ClientSession } from './client.ts'
import { dotStuff } from './data.ts'
import type { Envelope } from './envelope.ts'
import { SmtpError } from './error.ts'
import { LIMITS } from './limits.ts'
import { formatReply, reply } from './reply.ts'
import { ServerSession } from './server.ts'

const text = (octets: Uint8Array): string => Buffer.from(octets).toString()
const client = () => new ClientSession({ hostname: 'bar.com' })

/** What the client makes of `octets`: replies with what they answer, and what it sends of itself. */
function hear(session: ClientSession, octets: string): string[] {
  return [...session.receive(Buffer.from(octets))].map(event =>
    'send' in event ? `send ${text(event.send)}` : `${event.verb}: ${formatReply(event.reply)}`,
  )
}

/** Greeted, with the given extensions. */
function greeted(...keywords: string[]): ClientSession {
  const session = client()
  hear(session, '220 foo.com\r\n')
  session.ehlo()
  hear(
    session,
    [`foo.com`, ...keywords].map((line, i) => `250${i < keywords.length ? '-' : ' '}${line}\r\n`).join(''),
  )
  return session
}

test('a typical session, RFC 5321 App. D.1', () => {
  const session = client()
  assert.equal(session.outstanding, 1)
  assert.deepEqual(hear(session, '220 foo.com Simple Mail Transfer Service Ready\r\n'), [
    'CONNECT: 220 foo.com Simple Mail Transfer Service Ready',
  ])
  assert.equal(text(session.ehlo()), 'EHLO bar.com\r\n')
  hear(session, '250-foo.com greets bar.com\r\n250-8BITMIME\r\n250-SIZE\r\n250-DSN\r\n250 HELP\r\n')
  assert.deepEqual(session.extensions.keywords, ['8BITMIME', 'SIZE', 'DSN', 'HELP'])
  assert.equal(text(session.mail({ localPart: 'Smith', domain: 'bar.com' })), 'MAIL FROM:<Smith@bar.com>\r\n')
  assert.deepEqual(hear(session, '250 OK\r\n'), ['MAIL: 250 OK'])
  assert.equal(
    text(session.rcpt({ forwardPath: { localPart: 'Green', domain: 'foo.com' } })),
    'RCPT TO:<Green@foo.com>\r\n',
  )
  assert.deepEqual(hear(session, '550 No such user here\r\n'), ['RCPT: 550 No such user here'])
  assert.equal(text(session.data()), 'DATA\r\n')
  assert.deepEqual(hear(session, '354 Start\r\n'), ['DATA: 354 Start'])
  session.endOfData()
  assert.deepEqual(hear(session, '250 OK\r\n'), ['MESSAGE: 250 OK'])
  assert.equal(text(session.quit()), 'QUIT\r\n')
  assert.deepEqual(hear(session, '221 foo.com Service closing\r\n'), ['QUIT: 221 foo.com Service closing'])
  assert.equal(session.outstanding, 0)
})

test('replies are matched by counting, RFC 2920 §3.1', () => {
  const session = greeted('PIPELINING', 'CHUNKING')
  session.mail(null)
  session.rcpt({ forwardPath: { localPart: 'a', domain: 'b.example' } })
  session.rcpt({ forwardPath: { localPart: 'c', domain: 'b.example' } })
  assert.equal(text(session.bdat(5, false)), 'BDAT 5\r\n')
  assert.equal(text(session.bdat(0, true)), 'BDAT 0 LAST\r\n')
  session.rset()
  session.noop()
  assert.equal(session.outstanding, 7)
  assert.deepEqual(
    hear(session, '250 1\r\n550-2\r\n550 2\r\n250 3\r\n250 4\r\n250 5\r\n250 6\r\n250 7\r\n'),
    [
      'MAIL: 250 1',
      'RCPT: 550 2 2',
      'RCPT: 250 3',
      'BDAT: 250 4',
      'MESSAGE: 250 5',
      'RSET: 250 6',
      'NOOP: 250 7',
    ],
  )
})

test('HELO where EHLO is not known: no extensions', () => {
  const session = greeted('PIPELINING')
  session.ehlo()
  hear(session, '500 What?\r\n')
  assert.equal(text(session.helo()), 'HELO bar.com\r\n')
  hear(session, '250-foo.com\r\n250 PIPELINING\r\n')
  assert.deepEqual(session.extensions.keywords, [])
})

const parameters = {
  sizeOctets: 500,
  body: '8BITMIME',
  smtputf8: true,
  authenticatedAs: 'a@b.example',
  xptt: { id: '01' },
} as const

const offers: [keywords: string[], line: string][] = [
  [[], 'MAIL FROM:<>'],
  [['SIZE', '8BITMIME'], 'MAIL FROM:<> SIZE=500 BODY=8BITMIME'],
  [['SMTPUTF8'], 'MAIL FROM:<> SMTPUTF8'],
  [['AUTH PLAIN'], 'MAIL FROM:<> AUTH=a@b.example'],
  [['SIZE 1000', 'XPTT'], 'MAIL FROM:<> SIZE=500 XPTT=01 AUTH=a@b.example'],
]

test('MAIL says what the server offers, and nothing else', () => {
  for (const [keywords, line] of offers)
    assert.equal(text(greeted(...keywords).mail(null, parameters)), `${line}\r\n`)
})

test('addresses that are not ASCII, RFC 6531 §3.2', () => {
  const local = { localPart: '用户', domain: 'b.example' }
  const domain = { localPart: 'a', domain: 'bücher.example' }
  assert.equal(
    text(greeted('SMTPUTF8').mail(local, { smtputf8: true })),
    'MAIL FROM:<用户@b.example> SMTPUTF8\r\n',
  )
  assert.throws(() => greeted().mail(local), { code: 550, status: '5.6.7' })
  assert.throws(() => greeted().rcpt({ forwardPath: local }), { code: 553, status: '5.6.7' })
  assert.equal(text(greeted().rcpt({ forwardPath: domain })), 'RCPT TO:<a@xn--bcher-kva.example>\r\n')
})

test('a command that is not sent awaits no reply', () => {
  const session = greeted()
  assert.throws(() => session.mail({ localPart: 'é', domain: 'b.example' }), SmtpError)
  assert.equal(session.outstanding, 0)
})

const tim = { username: 'tim', password: 'tanstaaftanstaaf' }

test('AUTH PLAIN, RFC 4954 §4', () => {
  const session = greeted('AUTH PLAIN')
  assert.equal(text(session.auth('plain', tim)), 'AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n')
  assert.deepEqual(hear(session, '235 2.7.0 Welcome\r\n'), ['AUTH: 235 2.7.0 Welcome'])
  // An initial response that would not fit into a command line waits for the empty challenge.
  const long = { username: 'tim', password: 'x'.repeat(500) }
  assert.equal(text(session.auth('PLAIN', long)), 'AUTH PLAIN\r\n')
  const [sent] = hear(session, '334 \r\n')
  assert.equal(sent, `send ${Buffer.from(`\0tim\0${long.password}`).toString('base64')}\r\n`)
  assert.deepEqual(hear(session, '535 5.7.8 No\r\n'), ['AUTH: 535 5.7.8 No'])
  assert.throws(() => session.auth('GSSAPI', tim), { code: 504 })
})

test('AUTH LOGIN', () => {
  const session = greeted('AUTH LOGIN')
  assert.equal(text(session.auth('LOGIN', tim)), 'AUTH LOGIN\r\n')
  assert.deepEqual(hear(session, '334 VXNlcm5hbWU6\r\n'), ['send dGlt\r\n'])
  assert.deepEqual(hear(session, '334 UGFzc3dvcmQ6\r\n'), ['send dGFuc3RhYWZ0YW5zdGFhZg==\r\n'])
  assert.equal(session.outstanding, 1)
  assert.deepEqual(hear(session, '235 2.7.0 Welcome\r\n'), ['AUTH: 235 2.7.0 Welcome'])
  // A challenge that cannot be decoded, or one too many, is answered "*" (RFC 4954 §4).
  session.auth('LOGIN', tim)
  assert.deepEqual(hear(session, '334 User Name?\r\n'), ['send *\r\n'])
  assert.deepEqual(hear(session, '501 5.7.0 Cancelled\r\n'), ['AUTH: 501 5.7.0 Cancelled'])
})

test('STARTTLS: what was said in clear is forgotten, RFC 3207 §4.2', () => {
  const session = greeted('STARTTLS', 'PIPELINING')
  assert.equal(text(session.starttls()), 'STARTTLS\r\n')
  assert.deepEqual(hear(session, '220 Go\r\n250-in'), ['STARTTLS: 220 Go'])
  session.secured()
  assert.deepEqual(session.extensions.keywords, [])
  session.ehlo()
  assert.deepEqual(hear(session, '250-foo.com\r\n250 SIZE\r\n'), ['EHLO: 250 foo.com SIZE'])
  assert.deepEqual(session.extensions.keywords, ['SIZE'])
})

test('a reply that nobody asked for, or that is none, ends it', () => {
  const unasked = greeted()
  assert.throws(() => hear(unasked, '250 OK\r\n'), { code: 451, status: '4.5.0' })
  assert.throws(() => hear(greeted(), '421 4.4.2 Idle for too long\r\n'), { code: 421, status: '4.4.2' })
  assert.throws(() => hear(greeted(), '421 Bye\r\n'), { code: 421, status: '4.3.2' })
  assert.throws(() => hear(client(), 'HTTP/1.1 400 Bad Request\r\n'), { code: 451 })
  const injected = greeted('STARTTLS')
  injected.starttls()
  assert.throws(() => hear(injected, '220 Go\r\n250 injected\r\n'), SmtpError)
})

/** Delivers one message from a client session to a server session, in pieces of `size` octets. */
function deliver(
  envelope: Envelope,
  content: string,
  size: number,
  byBdat: boolean,
): { envelope: Envelope | null; content: string } {
  const server = new ServerSession({
    hostname: 'foo.com',
    limits: LIMITS,
    tls: 'implicit',
    tlsRequired: true,
    auth: [],
    authRequired: false,
    hop: true,
  })
  const session = client()
  let received = ''
  let arrived: Envelope | null = null
  const exchange = (...octets: Uint8Array[]): string[] => {
    const all = Buffer.concat(octets)
    const heard: string[] = []
    for (let at = 0; at < all.length; at += size) {
      for (const event of server.receive(all.subarray(at, at + size))) {
        if (event.type === 'content') received += Buffer.from(event.octets).toString('latin1')
        if (event.type === 'message') arrived = server.envelope
        const said =
          event.type === 'reply'
            ? event.octets
            : event.type === 'mail' || event.type === 'rcpt' || event.type === 'message'
              ? server.reply(reply(250, '2.0.0', event.type))
              : Buffer.alloc(0)
        heard.push(...[...session.receive(said)].map(answer => `${answer.verb}`))
      }
    }
    return heard
  }
  assert.deepEqual(hear(session, text(server.greeting())).length, 1)
  assert.deepEqual(exchange(session.ehlo()), ['EHLO'])
  const octets = Buffer.from(content, 'latin1')
  const group = [
    session.mail(envelope.reversePath, envelope),
    ...envelope.recipients.map(to => session.rcpt(to)),
  ]
  const answered = ['MAIL', ...envelope.recipients.map(() => 'RCPT')]
  if (byBdat)
    assert.deepEqual(exchange(...group, session.bdat(octets.length, true), octets), [...answered, 'MESSAGE'])
  else {
    assert.deepEqual(exchange(...group, session.data()), [...answered, 'DATA'])
    const stuffed = dotStuff([octets])
    session.endOfData()
    assert.deepEqual(exchange(...stuffed), ['MESSAGE'])
  }
  assert.equal(session.outstanding, 0)
  return { envelope: arrived, content: received }
}

const mailbox = fc
  .tuple(fc.stringMatching(/^[ -~é]{1,12}$/u), fc.domain())
  .map(([localPart, domain]) => ({ localPart, domain }))
const content = fc
  .array(fc.stringMatching(/^[. a-c\xe9]{0,8}$/), { maxLength: 8 })
  .map(lines => lines.map(line => `${line}\r\n`).join(''))

test('property: what a client session sends is what a server session gets', () => {
  fc.assert(
    fc.property(
      fc.option(mailbox),
      fc.array(mailbox, { minLength: 1, maxLength: 4 }),
      fc.stringMatching(/^[0-9A-Z]{26}$/),
      content,
      fc.integer({ min: 1, max: 64 }),
      fc.boolean(),
      (reversePath, mailboxes, id, text, size, byBdat) => {
        const envelope: Envelope = {
          reversePath,
          recipients: mailboxes.map(forwardPath => ({ forwardPath })),
          body: '8BITMIME',
          smtputf8: true,
          sizeOctets: text.length,
          authenticatedAs: null,
          xptt: { id },
        }
        assert.deepEqual(deliver(envelope, text, size, byBdat), { envelope, content: text })
      },
    ),
    { seed: 5321, numRuns: 300 },
  )
})

test('property: any octets of a server are replies or an SmtpError', () => {
  const token = fc.constantFrom(
    '250 OK\r\n',
    '250-OK\r\n',
    '354 Go\r\n',
    '334 \r\n',
    '334 YQ==\r\n',
    '421 Bye\r\n',
    '25',
    '\r',
    '\n',
    'x',
  )
  fc.assert(
    fc.property(fc.array(token, { maxLength: 12 }), tokens => {
      const session = client()
      session.ehlo()
      session.auth('LOGIN', tim)
      session.data()
      try {
        for (const piece of tokens) hear(session, piece)
      } catch (error) {
        assert.ok(error instanceof SmtpError, String(error))
      }
    }),
    { seed: 5321, numRuns: 500 },
  )
})
