/** Replies of servers, and the client session that reads them. */

import assert from 'node:assert/strict'
import { ClientSession } from '../../../src/smtp/client.ts'
import { SmtpError } from '../../../src/smtp/error.ts'
import { EXTENSIONS } from '../../../src/smtp/extension.ts'
import { encodeReply, formatReply, type Reply, ReplyParser } from '../../../src/smtp/reply.ts'
import { expected, sameHoweverCut, shape, type Target } from '../target.ts'
import { HANDSHAKE, segments } from './handshake.ts'
import { CLIENT_CRYPTO } from './scram.ts'

const REPLIES = [
  '220 ',
  '250 ',
  '250-',
  '334 ',
  '354 ',
  '421 ',
  '451 ',
  '550 5.7.1 ',
  '554-5.7.1 ',
  '235 2.7.0 ',
].concat(['2.0.0 ', '4.4.2 ', '5.1.1 ', '\r\n', '\n', '\r', '-', '2.999.999', 'x'.repeat(500), '\xe9', '\0'])

export const reply: Target = {
  name: 'smtp-reply',
  words: REPLIES,
  maxOctets: 6000,
  run(input) {
    let complaint = ''
    const { replies, broken } = sameHoweverCut(input, pieces => {
      const parser = new ReplyParser()
      const read: Reply[] = []
      try {
        for (const piece of pieces) for (const each of parser.push(piece)) read.push(each)
      } catch (thrown) {
        // A line with several faults: which is seen first depends on how it was cut.
        complaint = expected(thrown, SmtpError)
        return { replies: read, broken: true }
      }
      return { replies: read, broken: false }
    })
    for (const each of replies) {
      assert.ok(each.code >= 200 && each.code <= 599 && each.lines.length > 0)
      assert.doesNotMatch(formatReply(each), /[\0-\x08\x0a-\x1f\x7f]/, 'fit for a log')
      const encoded = encodeReply(each)
      const [again, ...more] = new ReplyParser().push(encoded)
      assert.ok(again !== undefined && more.length === 0, 'one reply of one reply')
      assert.equal(again.code, each.code)
      for (const line of Buffer.from(encoded).toString('latin1').split('\r\n')) assert.ok(line.length <= 510)
    }
    return `${broken} ${complaint} ${replies.map(({ code, status, lines }) => `${code}${status ?? ''}${lines.length}`).join()}`
  },
  stream() {
    const parser = new ReplyParser()
    let broken = false
    return chunk => {
      if (broken) return
      try {
        for (const _ of parser.push(chunk));
      } catch (error) {
        broken = expected(error, SmtpError) !== ''
      }
    }
  },
}

/** How the client below behaves: bits of the first octet. */
const PIPELINES = 1
const SECURES = 2
const SIGNS_IN = 4
const LOGIN = 8
const CHUNKS = 16
const UTF8 = 32
const SCRAM = 64

const ME = { localPart: 'alice', domain: 'example.com' }
const WHOM = { localPart: 'bob', domain: 'example.net' }
const FOREIGN = { localPart: 'zoë', domain: 'münchen.example' }
const CREDENTIALS = { username: 'user', password: 'pencil' }

/** A client that goes through a session as `net/connection` does, whatever the server says. */
class Client {
  readonly session = new ClientSession({ hostname: 'client.example.com' })
  readonly log: string[] = []
  readonly #ways: number
  #handshake = false

  constructor(ways: number) {
    this.#ways = ways
  }

  /** The TLS handshake, where one is due. */
  secure(): void {
    if (!this.#handshake) return
    this.#handshake = false
    this.session.secured()
    this.#sends(() => this.session.ehlo())
  }

  receive(chunk: Buffer): void {
    for (const event of this.session.receive(chunk)) {
      if ('send' in event) {
        this.#sends(() => event.send)
        continue
      }
      this.log.push(`${event.verb} ${event.reply.code}`)
      this.#next(event.verb, event.reply)
    }
  }

  #can(way: number): boolean {
    return (this.#ways & way) !== 0
  }

  #next(verb: string, { code }: Reply): void {
    const { session } = this
    const positive = code < 400
    if (verb === 'CONNECT') this.#sends(() => session.ehlo())
    else if (verb === 'EHLO' && !positive) this.#sends(() => session.helo())
    else if ((verb === 'EHLO' || verb === 'HELO') && positive) {
      if (this.#can(SECURES) && session.extensions.has('STARTTLS')) this.#sends(() => session.starttls())
      else if (this.#can(SIGNS_IN))
        this.#sends(() => session.auth(this.#mechanism(), CREDENTIALS, { scram: CLIENT_CRYPTO }))
      else this.#begin()
    } else if (verb === 'STARTTLS' && positive) this.#handshake = true
    else if (verb === 'AUTH' && positive) this.#begin()
    else if (verb === 'MAIL' && !this.#can(PIPELINES) && positive) this.#recipients()
    else if (verb === 'RCPT' && !this.#can(PIPELINES) && positive) this.#content()
    else if (verb === 'DATA' && code === 354) session.endOfData()
    else if (verb === 'MESSAGE') this.#begin()
    else if (session.outstanding === 0) this.#sends(() => session.rset())
  }

  #mechanism(): string {
    if (this.#can(SCRAM)) return 'SCRAM-SHA-256'
    return this.#can(LOGIN) ? 'LOGIN' : 'PLAIN'
  }

  #begin(): void {
    this.#sends(() =>
      this.session.mail(this.#can(UTF8) ? FOREIGN : ME, {
        smtputf8: this.#can(UTF8),
        sizeOctets: 100,
        body: '8BITMIME',
        authenticatedAs: 'alice@example.com',
        envelopeId: 'a b=c',
        ret: 'HDRS',
      }),
    )
    if (!this.#can(PIPELINES)) return
    this.#recipients()
    this.#content()
  }

  #recipients(): void {
    this.#sends(() =>
      this.session.rcpt({ forwardPath: this.#can(UTF8) ? FOREIGN : WHOM, notify: ['FAILURE'] }),
    )
  }

  #content(): void {
    if (this.#can(CHUNKS) && this.session.extensions.has('CHUNKING')) {
      this.#sends(() => this.session.bdat(10, false))
      this.#sends(() => this.session.bdat(0, true))
    } else this.#sends(() => this.session.data())
  }

  #sends(command: () => Uint8Array): void {
    try {
      const line = Buffer.from(command()).toString('latin1')
      assert.match(line, /^[^\r\n\0]*\r\n$/, 'one command line')
      this.log.push(`> ${line}`)
    } catch (error) {
      this.log.push(expected(error, SmtpError))
    }
  }
}

const WORDS = [
  ...REPLIES,
  ...EXTENSIONS.map(({ keyword }) => `250-${keyword}\r\n`),
  '334 \r\n',
  '334 VXNlcm5hbWU6\r\n',
].concat([
  '250-AUTH PLAIN LOGIN\r\n',
  '250 SIZE 1000\r\n',
  '354 go\r\n',
  '220 go ahead\r\n',
  '250 ok\r\n',
  '250-LIMITS MAILMAX=1\r\n',
])

export const client: Target = {
  name: 'smtp-client',
  words: [HANDSHAKE, ...WORDS],
  run(input) {
    const [first = Buffer.alloc(0), ...others] = segments(input.subarray(1))
    const log = sameHoweverCut(first, pieces => {
      const peer = new Client(input[0] ?? 0)
      try {
        for (const piece of pieces) peer.receive(piece)
        for (const segment of others) {
          peer.secure()
          peer.receive(segment)
        }
      } catch (error) {
        peer.log.push(expected(error, SmtpError))
      }
      return peer.log
    })
    return `${log
      .map(line => line.replace(/^> (....).*/s, '$1').slice(0, 8))
      .join()
      .slice(-40)} ${shape(log.at(-1) ?? '')}`
  },
  stream(input) {
    const peer = new Client(input[0] ?? 0)
    let broken = false
    return chunk => {
      if (broken) return
      try {
        peer.receive(chunk)
      } catch (error) {
        broken = expected(error, SmtpError) !== ''
      }
      peer.log.length = 0
    }
  },
}
