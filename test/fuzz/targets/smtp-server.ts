/** A server session, whatever a client sends, however it is cut, and whatever the service answers. */

import assert from 'node:assert/strict'
import { LIMITS, type Limits, MOST } from '../../../src/smtp/limits.ts'
import type { Offers } from '../../../src/smtp/offer.ts'
import { formatPath } from '../../../src/smtp/path.ts'
import { type Reply, ReplyParser, reply } from '../../../src/smtp/reply.ts'
import { type ServerEvent, type ServerOptions, ServerSession } from '../../../src/smtp/server.ts'
import type { Question } from '../../../src/smtp/server-event.ts'
import { sameHoweverCut, shape, type Target } from '../target.ts'
import { HANDSHAKE, segments } from './handshake.ts'
import { RFC_7677, SASL, verifierOf } from './scram.ts'
import { VERBS } from './smtp-codecs.ts'

const SMALL: Limits = { ...LIMITS, messageOctets: 400, recipients: 2, errors: 4, textLineOctets: 100 }
const AUTH = ['PLAIN', 'LOGIN', 'SCRAM-SHA-256', 'SCRAM-SHA-1', 'OAUTHBEARER', 'XOAUTH2', 'EXTERNAL']
const OFFERS: Offers = {
  dsn: true,
  requireTls: true,
  limits: true,
  futureRelease: { longestSeconds: 86400, now: () => 1_767_225_600_000 },
  deliverBy: { leastSeconds: 60 },
  priority: { profile: 'MIXER' },
}
const BASE: ServerOptions = {
  hostname: 'foo.com',
  limits: LIMITS,
  tls: 'none',
  tlsRequired: false,
  auth: [],
  authRequired: false,
  hop: false,
}

/** By the first octet of an input. */
const SERVERS: Readonly<Record<string, ServerOptions>> = {
  plain: BASE,
  hop: { ...BASE, limits: { ...LIMITS, ...MOST }, hop: true, offers: OFFERS },
  limits: { ...BASE, limits: SMALL },
  submission: {
    ...BASE,
    tls: 'implicit',
    auth: AUTH,
    sasl: SASL,
    offers: OFFERS,
    authRequired: true,
    tlsRequired: true,
  },
  starttls: {
    ...BASE,
    tls: 'starttls',
    auth: AUTH,
    sasl: SASL,
    offers: OFFERS,
    authRequired: true,
    tlsRequired: true,
  },
  lenient: { ...BASE, tls: 'starttls', auth: AUTH, sasl: SASL, offers: OFFERS, limits: SMALL },
}
const NAMES = Object.keys(SERVERS)

/** By the second: `y` says yes to everything. */
const ANSWERS = [
  reply(250, '2.0.0', 'OK'),
  reply(550, '5.7.1', 'No'),
  reply(451, '4.3.0', 'Later'),
  reply(250, '2.0.0', 'OK'),
  reply(535, '5.7.8', 'Wrong'),
  reply(250, '2.0.0', 'Two', 'lines'),
  reply(421, '4.3.2', 'Going'),
]

const WRONG_PASSWORD = reply(535, '5.7.8', 'Wrong')
const CONTENT_FAULT = /^(?:Bare (?:CR|LF) in line|NUL octet in line|Line \d+ is longer|Message larger than)/

class Peer {
  readonly session: ServerSession
  readonly log: string[] = []
  readonly #options: ServerOptions
  readonly #answers: string
  readonly #parser = new ReplyParser()
  #content: Buffer[] = []
  #answered = 0
  #closed = false
  #authenticated = false
  readonly #keeps: boolean

  /** `keeps`: the content of a message, to look at it when it is whole. */
  constructor(head: Buffer, keeps = true) {
    this.#keeps = keeps
    this.#options = SERVERS[NAMES[(head[0] ?? 0) % NAMES.length] ?? ''] ?? BASE
    this.#answers = String.fromCharCode(head[1] ?? 0)
    this.session = new ServerSession(this.#options)
  }

  receive(chunk: Buffer): void {
    for (const event of this.session.receive(chunk)) this.#take(event)
  }

  /** The TLS handshake, where one is due. */
  secure(): void {
    if (this.session.state !== 'handshake') return
    this.session.secured()
    this.#authenticated = false
    this.log.push('secured')
  }

  #take(event: ServerEvent): void {
    assert.ok(!this.#closed, `${event.type} after close`)
    const { session } = this
    const { type } = event
    if (type === 'reply') {
      if (event.verdict) this.#authenticated = event.reply.code < 400
      this.#said(event.octets, event.reply)
    } else if (type === 'content') {
      assert.ok(session.envelope !== null && event.octets.length > 0)
      if (this.#keeps) this.#content.push(Buffer.from(event.octets))
    } else if (type === 'reset' || type === 'close') {
      if (type === 'reset') this.#content = []
      else assert.equal(session.state, 'closed')
      this.#closed = type === 'close'
      this.log.push(type)
    } else {
      this.log.push(this.#asked(event))
      this.#decide(event)
    }
  }

  /** What it says of a question, which must be one that may be asked now. */
  #asked(event: Question): string {
    const { session } = this
    const { authRequired, tlsRequired } = this.#options
    switch (event.type) {
      case 'mail':
        assert.ok(this.#authenticated || !authRequired, 'MAIL without AUTH')
        assert.ok(session.secure || !tlsRequired, 'MAIL without TLS')
        return `mail ${formatPath(event.reversePath)}`
      case 'rcpt':
        assert.ok(session.envelope !== null)
        return `rcpt ${formatPath(event.recipient.forwardPath)}`
      case 'message':
        return this.#message(event.sizeOctets)
      case 'auth':
      case 'verifier':
        assert.ok(session.secure, 'AUTH without TLS')
        return event.type
      default:
        assert.ok(!session.secure, 'STARTTLS under TLS')
        return event.type
    }
  }

  #decide(event: Question): void {
    const { session } = this
    // No service says yes to who has not proved anything.
    const isFalse =
      event.type === 'auth' && event.credentials.type === 'scram' && event.credentials.failure !== null
    const answer = isFalse ? WRONG_PASSWORD : this.#answer()
    if (event.type === 'verifier' && answer.code < 400) {
      this.#challenged(session.verifier(verifierOf(event.mechanism)))
      return
    }
    const octets = session.reply(answer)
    // A mechanism may have something to say before.
    if (event.type === 'auth' && session.state === 'authenticating') {
      this.#challenged(octets)
      return
    }
    if (event.type === 'auth') this.#authenticated = answer.code < 400
    this.#said(octets, answer)
  }

  #message(sizeOctets: number): string {
    const { limits } = this.#options
    const { envelope } = this.session
    const content = Buffer.concat(this.#content)
    this.#content = []
    const text = content.toString('latin1')
    assert.ok(
      envelope !== null && envelope.recipients.length > 0 && envelope.recipients.length <= limits.recipients,
    )
    assert.ok(content.length === sizeOctets || !this.#keeps)
    assert.ok(sizeOctets <= limits.messageOctets)
    assert.doesNotMatch(text, /\0|(?<!\r)\n|\r(?!\n)/)
    assert.ok(text.split(/(?<=\r\n)/).every(line => line.length <= limits.textLineOctets))
    return `message ${this.session.protocol} ${JSON.stringify(text)}`
  }

  #answer(): Reply {
    const [yes] = ANSWERS
    const index =
      this.#answers === 'y' ? 0 : (this.#answers.charCodeAt(0) + this.#answered++ * 5) % ANSWERS.length
    const answer = ANSWERS[index] ?? yes
    assert.ok(answer !== undefined)
    return answer
  }

  #challenged(octets: Uint8Array): void {
    assert.match(Buffer.from(octets).toString(), /^334 [A-Za-z0-9+/=]*\r\n$/)
    this.log.push('334')
  }

  /** Octets that go out are one reply, that one. */
  #said(octets: Uint8Array, wanted: Reply): void {
    const [said, ...more] = this.#parser.push(octets)
    assert.ok(said !== undefined && more.length === 0 && !this.#parser.partial, 'one reply')
    assert.equal(said.code, wanted.code)
    // Of a message with several faults the client hears which was seen first: that depends on how it was cut.
    if (CONTENT_FAULT.test(said.lines.join())) this.log.push('content refused')
    else this.log.push(`${said.code} ${said.status ?? ''} ${said.lines.join('|')}`)
  }
}

const WORDS = [
  ...VERBS.map(verb => `${verb}\r\n`),
  ...VERBS,
  'EHLO client.example\r\n',
  'MAIL FROM:<a@b.example>\r\n',
]
  .concat([
    'RCPT TO:<c@d.example>\r\n',
    'MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n',
    '\r\n.\r\n',
    '.\r\n',
  ])
  .concat([
    'BDAT 10 LAST\r\n',
    'BDAT 0 LAST\r\n',
    'BDAT 5\r\n',
    'AUTH PLAIN AGEAYg==\r\n',
    'AUTH LOGIN\r\nYQ==\r\nYg==\r\n',
  ])
  .concat(RFC_7677)
  .concat([
    '\n.\n',
    '\r.\r',
    '\n.\r\n',
    '\r\n.\n',
    '\r\n.\r',
    '\0',
    '*\r\n',
    '=\r\n',
    ' SIZE=',
    ' BODY=8BITMIME',
  ])
  .concat([' SMTPUTF8', ' AUTH=<>', ' XPTT=01J9ZK4V8Y3QW5T7N2M6C1D0EX', 'x'.repeat(98)])

/** Which server, what its service answers (two octets), then what the client sends. */
export const server: Target = {
  name: 'smtp-server',
  words: [HANDSHAKE, Buffer.concat([Buffer.from('STARTTLS\r\n'), HANDSHAKE]), ...WORDS],
  run(input) {
    const head = input.subarray(0, 2)
    const all = segments(input.subarray(2))
    let log: readonly string[] = []
    // Each segment in turn is cut; the others come whole.
    for (const [cut, segment] of all.slice(0, 4).entries()) {
      log = sameHoweverCut(segment, pieces => {
        const peer = new Peer(head)
        for (const [at, whole] of all.entries()) {
          if (at > 0) peer.secure()
          for (const piece of at === cut ? pieces : [whole]) peer.receive(piece)
        }
        return peer.log
      })
    }
    const codes = log.map(line => (line.startsWith('message') ? 'M' : line.slice(0, 3))).join(' ')
    return `${(head[0] ?? 0) % NAMES.length} ${codes.slice(-40)} ${shape(log.at(-1) ?? '')}`
  },
  stream(input) {
    const peer = new Peer(input.subarray(0, 2), false)
    return chunk => {
      peer.receive(chunk)
      peer.log.length = 0
    }
  },
}
