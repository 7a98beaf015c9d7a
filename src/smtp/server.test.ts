import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LIMITS } from './limits.ts'
import { type Reply, ReplyParser, reply } from './reply.ts'
import { type ServerEvent, type ServerOptions, ServerSession } from './server.ts'

const seed = 5321

const OPTIONS: ServerOptions = {
  hostname: 'foo.com',
  limits: LIMITS,
  tls: 'implicit',
  tlsRequired: false,
  auth: ['PLAIN', 'LOGIN'],
  authRequired: false,
  hop: false,
}

const ANSWERS: Readonly<Record<string, Reply>> = {
  mail: reply(250, '2.1.0', 'OK'),
  rcpt: reply(250, '2.1.5', 'OK'),
  message: reply(250, '2.6.0', 'OK'),
  auth: reply(235, '2.7.0', 'OK'),
  starttls: reply(220, '2.0.0', 'OK'),
}

/** A session whose service says yes to everything, or what `answers` says. */
class Peer {
  readonly session: ServerSession
  readonly #answers: Readonly<Record<string, Reply>>
  readonly #parser = new ReplyParser()
  readonly events: ServerEvent[] = []
  readonly replies: Reply[] = []
  readonly messages: string[] = []
  #content = ''

  constructor(options: Partial<ServerOptions> = {}, answers: Readonly<Record<string, Reply>> = {}) {
    this.session = new ServerSession({ ...OPTIONS, ...options })
    this.#answers = { ...ANSWERS, ...answers }
  }

  send(octets: Uint8Array | string): this {
    for (const event of this.session.receive(
      typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets,
    )) {
      this.events.push(event)
      if (event.type === 'reply') this.#said(event.octets)
      else if (event.type === 'content') this.#content += Buffer.from(event.octets).toString('latin1')
      else if (event.type === 'reset') this.#content = ''
      else if (event.type !== 'close') {
        if (event.type === 'message') this.messages.push(this.#content)
        if (event.type === 'message') this.#content = ''
        this.#said(this.session.reply(this.#answers[event.type] ?? assert.fail()))
      }
    }
    return this
  }

  get codes(): number[] {
    return this.replies.map(({ code }) => code)
  }

  #said(octets: Uint8Array): void {
    this.replies.push(...this.#parser.push(octets))
  }
}

test('the greeting', () => {
  assert.equal(Buffer.from(new Peer().session.greeting()).toString(), '220 foo.com ESMTP ptt\r\n')
})

const protocols: [protocol: string, options: Partial<ServerOptions>, dialogue: string][] = [
  // RFC 3848, RFC 6531 §4.3
  ['SMTP', { tls: 'none' }, 'HELO a.example\r\nMAIL FROM:<>\r\n'],
  ['SMTP', {}, 'HELO a.example\r\nMAIL FROM:<>\r\n'],
  ['ESMTP', { tls: 'none' }, 'EHLO a.example\r\nMAIL FROM:<>\r\n'],
  ['ESMTPS', {}, 'EHLO a.example\r\nMAIL FROM:<>\r\n'],
  ['ESMTPSA', {}, 'EHLO a.example\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<>\r\n'],
  ['UTF8SMTP', { tls: 'none' }, 'EHLO a.example\r\nMAIL FROM:<> SMTPUTF8\r\n'],
  ['UTF8SMTPS', {}, 'EHLO a.example\r\nMAIL FROM:<> SMTPUTF8\r\n'],
  ['UTF8SMTPSA', {}, 'EHLO a.example\r\nAUTH PLAIN AGEAYg==\r\nMAIL FROM:<> SMTPUTF8\r\n'],
]

test('the protocol for the Received field', () => {
  for (const [protocol, options, dialogue] of protocols) {
    const { session } = new Peer(options).send(dialogue)
    assert.equal(session.protocol, protocol, dialogue)
    assert.equal(session.helo, 'a.example')
  }
})

test('the envelope is what was accepted', () => {
  const peer = new Peer({}, { rcpt: reply(250, '2.1.5', 'OK') }).send('EHLO a.example\r\n')
  assert.equal(peer.session.envelope, null)
  peer.send('MAIL FROM:<a@b.example> SIZE=5 BODY=8BITMIME\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<bad>\r\n')
  assert.deepEqual(peer.session.envelope, {
    reversePath: { localPart: 'a', domain: 'b.example' },
    sizeOctets: 5,
    body: '8BITMIME',
    smtputf8: false,
    recipients: [{ forwardPath: { localPart: 'c', domain: 'd.example' } }],
  })
  assert.equal(peer.session.state, 'recipients')
  peer.send('DATA\r\nhello\r\n.\r\n')
  assert.equal(peer.session.envelope, null)
  assert.deepEqual(peer.messages, ['hello\r\n'])
})

test('a refused MAIL or RCPT leaves the state as it was', () => {
  const no = reply(550, '5.7.1', 'No')
  const peer = new Peer({}, { mail: no }).send('EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n')
  assert.deepEqual(peer.codes, [250, 550, 503])
  const other = new Peer({}, { rcpt: no }).send(
    'EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n',
  )
  assert.deepEqual(other.codes, [250, 250, 550, 554])
})

test('a caller that stops pulling holds the rest back', () => {
  const { session } = new Peer().send('EHLO a.example\r\n')
  const events = session.receive(Buffer.from('NOOP\r\nMAIL FROM:<>\r\nNOOP\r\n'))
  assert.equal(events.next().value?.type, 'reply')
  assert.equal(events.next().value?.type, 'mail')
  assert.equal(session.state, 'greeted')
  assert.throws(() => session.receive(Buffer.from('NOOP\r\n')).next(), /not all pulled/)
  session.reply(reply(250, '2.1.0', 'OK'))
  assert.equal(session.state, 'mail')
  assert.equal(events.next().value?.type, 'reply')
  assert.equal(events.next().done, true)
})

test('an answer belongs to an event, and an event wants its answer', () => {
  const { session } = new Peer().send('EHLO a.example\r\n')
  assert.throws(() => session.reply(reply(250, '2.0.0', 'OK')), /without an event/)
  const events = session.receive(Buffer.from('MAIL FROM:<>\r\nNOOP\r\n'))
  events.next()
  assert.throws(() => events.next(), /not answered/)
})

test('421 to a client that stalled, and to all when the server goes (RFC 5321 §3.8)', () => {
  for (const [name, code] of [
    ['idle', '421 4.4.2 '],
    ['shutdown', '421 4.3.2 '],
  ] as const) {
    const peer = new Peer().send(
      'EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\nhalf a mess',
    )
    assert.ok(Buffer.from(peer.session[name]()).toString().startsWith(code))
    assert.equal(peer.session.state, 'closed')
    const before = peer.events.length
    peer.send('age\r\n.\r\nNOOP\r\n')
    assert.equal(peer.events.length, before)
  }
})

test('a shutdown while a message waits for its answer lets the answer through', () => {
  const { session } = new Peer().send('EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n')
  const events = session.receive(Buffer.from('BDAT 0 LAST\r\nNOOP\r\n'))
  assert.equal(events.next().value?.type, 'message')
  session.shutdown()
  assert.deepEqual([...session.receive(Buffer.from('NOOP\r\n'))], [])
  assert.match(Buffer.from(session.reply(reply(250, '2.6.0', 'OK'))).toString(), /^250 /)
  assert.equal(events.next().done, true)
})

test('a 421 of the service closes', () => {
  const peer = new Peer({}, { rcpt: reply(421, '4.3.2', 'Bye') })
  peer.send('EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nNOOP\r\n')
  assert.deepEqual(
    peer.events.slice(-3).map(({ type }) => type),
    ['rcpt', 'reset', 'close'],
  )
})

test('secured() is for after STARTTLS only', () => {
  assert.throws(() => new Peer().session.secured(), /SECURED in state connected/)
})

test('a temporary failure of the message does not clear the count of errors, an accepted one does', () => {
  const deliver = 'MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nBDAT 0 LAST\r\n'
  const limits = { ...LIMITS, errors: 1 as never }
  const start = `EHLO a.example\r\nFOO\r\n${deliver}FOO\r\n`
  assert.equal(new Peer({ limits }).send(start).session.state, 'greeted')
  assert.equal(
    new Peer({ limits }, { message: reply(451, '4.3.0', 'No') }).send(start).session.state,
    'closed',
  )
})

test('a message that is answered later ends its transaction at once, whatever comes of it', () => {
  const { session } = new Peer().send('EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n')
  const next = 'MAIL FROM:<c@d.example>\r\n'
  const events = session.receive(Buffer.from(`BDAT 0 LAST\r\n${next}`))
  assert.throws(() => session.postpone(), /without a message/)
  assert.equal(events.next().value?.type, 'message')
  session.postpone()
  assert.deepEqual([session.state, session.envelope], ['greeted', null])
  const mail = events.next().value
  assert.equal(mail?.type, 'mail')
  session.reply(reply(250, '2.1.0', 'OK'))
  assert.deepEqual(session.envelope?.reversePath, { localPart: 'c', domain: 'd.example' })
})

test('memory: an endless line, DATA without lines and refused content are not kept', () => {
  const peer = new Peer().send('EHLO a.example\r\n')
  const chunk = Buffer.alloc(65536, 'x')
  for (let i = 0; i < 200; i++) peer.send(chunk)
  peer.send('\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n')
  for (let i = 0; i < 200; i++) peer.send(chunk)
  peer.send('\r\n.\r\nNOOP\r\n')
  assert.deepEqual(peer.codes, [250, 500, 250, 250, 354, 550, 250])
  assert.equal(peer.events.filter(({ type }) => type === 'content').length, 0)
})

/** Octets that look like something to somebody. */
const token = fc.constantFrom(
  ...[
    '\r\n',
    '\r\n.\r\n',
    '\n.\n',
    '\r.\r',
    '\n.\r\n',
    '\r\n.\n',
    '\r',
    '\n',
    '\0',
    '.',
    '..',
    ' ',
    'a',
    '\xe9',
    '*',
  ],
  ...[
    'EHLO a.example\r\n',
    'HELO a.example\r\n',
    'MAIL FROM:<a@b.example>\r\n',
    'MAIL FROM:<> SIZE=5\r\n',
    'DATA\r\n',
  ],
  ...[
    'RCPT TO:<a@b.example>\r\n',
    'BDAT 5\r\n',
    'BDAT 5 LAST\r\n',
    'BDAT 0 LAST\r\n',
    'RSET\r\n',
    'NOOP\r\n',
    'QUIT\r\n',
  ],
  ...[
    'AUTH PLAIN AGEAYg==\r\n',
    'AUTH LOGIN\r\n',
    'YQ==\r\n',
    'VRFY a\r\n',
    'STARTTLS\r\n',
    'BDAT x\r\n',
    'DATA',
    'BDAT 9',
  ],
)
const chunks = fc.array(
  fc.oneof(
    token,
    fc.array(token, { maxLength: 12 }).map(tokens => tokens.join('')),
  ),
  { maxLength: 30 },
)
const options = fc.record({
  tls: fc.constantFrom('implicit' as const, 'starttls' as const, 'none' as const),
  tlsRequired: fc.boolean(),
  authRequired: fc.boolean(),
  hop: fc.boolean(),
})

test('property: any octets make events, replies that are replies, and the same however they are cut', () => {
  fc.assert(
    fc.property(options, chunks, (some, pieces) => {
      const whole = new Peer(some).send(pieces.join(''))
      const cut = new Peer(some)
      for (const piece of pieces) cut.send(piece)
      assert.deepEqual(cut.replies, whole.replies)
      assert.deepEqual(cut.messages, whole.messages)
      assert.equal(cut.session.state, whole.session.state)
      for (const { code, status } of whole.replies) {
        // RFC 2034 §4: a status in every reply but those to EHLO, HELO and 3yz, and of the class of its code.
        if (status !== undefined) assert.equal(Number(status[0]), Math.floor(code / 100))
        else assert.ok(code === 250 || code === 334 || code === 354)
      }
    }),
    { seed, numRuns: 2000 },
  )
})

const content = fc.array(token, { maxLength: 12 }).map(tokens => tokens.join(''))
const START = 'EHLO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n'

test('property: no octet of content is ever a command, and nothing malformed is a message', () => {
  fc.assert(
    fc.property(content, fc.boolean(), (text, byBdat) => {
      const stuffed = text.replace(/\r\n\.|^\./g, '$&.')
      const wire = byBdat ? `BDAT ${text.length} LAST\r\n${text}` : `DATA\r\n${stuffed}\r\n.\r\n`
      const peer = new Peer().send(`${START}${wire}NOOP\r\nQUIT\r\n`)
      const malformed = /\r(?!\n)|(?<!\r)\n|\0/.test(text)
      const answer = malformed ? 550 : 250
      assert.deepEqual(peer.codes, [250, 250, 250, ...(byBdat ? [] : [354]), answer, 250, 221])
      assert.deepEqual(peer.messages, malformed ? [] : [byBdat ? text : `${text}\r\n`])
    }),
    { seed, numRuns: 1000 },
  )
})
