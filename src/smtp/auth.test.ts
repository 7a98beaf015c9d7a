/** AUTH in a session, for every mechanism: RFC 4954 §4, §6 and §9. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scramCrypto } from '../directory/scram.ts'
import { LIMITS } from './limits.ts'
import { type Reply, ReplyParser, reply } from './reply.ts'
import {
  CLIENT_MECHANISMS,
  type ClientMechanism,
  encodeBase64,
  type ScramHash,
  type ScramVerifier,
  SERVER_MECHANISMS,
} from './sasl.ts'
import { type ServerEvent, type ServerOptions, ServerSession } from './server.ts'

const MECHANISMS = [...SERVER_MECHANISMS.keys()]
const YES = reply(235, '2.7.0', 'Yes')
const NO = reply(535, '5.7.8', 'No')
const LATER = reply(454, '4.7.0', 'Later')
const base64 = (text: string) => Buffer.from(text).toString('base64')
const channelBinding = () => Buffer.from('the channel')

function verifierOf(hash: ScramHash, password: string): ScramVerifier {
  const salt = Buffer.from('a grain of salt')
  const salted = scramCrypto.saltedPassword(hash, password, salt, 4096)
  const hmac = (key: Uint8Array, text: string) => scramCrypto.hmac(hash, key, text)
  const storedKey = scramCrypto.hash(hash, hmac(salted, 'Client Key'))
  return { iterations: 4096, salt, storedKey, serverKey: hmac(salted, 'Server Key') }
}

/** A session behind EHLO; the service says `verdict` to who is right, and NO to others. */
class Peer {
  readonly session: ServerSession
  readonly events: ServerEvent[] = []
  readonly #verdict: Reply
  readonly #parser = new ReplyParser()
  #closed = false

  constructor(verdict = YES, options: Partial<ServerOptions> = {}) {
    this.#verdict = verdict
    this.session = new ServerSession({
      hostname: 'foo.com',
      limits: LIMITS,
      tls: 'implicit',
      tlsRequired: false,
      auth: MECHANISMS,
      sasl: { scram: scramCrypto, scope: 'smtp' },
      authRequired: true,
      hop: false,
      ...options,
    })
    this.session.channel(options.auth ?? MECHANISMS, channelBinding)
    this.say('EHLO client.example')
  }

  get closed(): boolean {
    return this.#closed
  }

  /** A line; the last reply to it. */
  say(line: string): Reply {
    const replies: Reply[] = []
    const said = (octets: Uint8Array) => replies.push(...this.#parser.push(octets))
    for (const event of this.session.receive(Buffer.from(`${line}\r\n`))) {
      this.events.push(event)
      if (event.type === 'reply') said(event.octets)
      else if (event.type === 'verifier') {
        const hash = event.mechanism.startsWith('SCRAM-SHA-256') ? 'SHA-256' : 'SHA-1'
        said(this.session.verifier(verifierOf(hash, 'pencil')))
      } else if (event.type === 'auth') {
        const { credentials } = event
        const right = credentials.type !== 'scram' || credentials.failure === null
        said(this.session.reply(right ? this.#verdict : NO))
      } else if (event.type === 'mail') said(this.session.reply(reply(250, '2.1.0', 'OK')))
      else if (event.type === 'close') this.#closed = true
      else if (event.type === 'reset') continue
      else assert.fail(event.type)
    }
    return replies.at(-1) ?? assert.fail(`nothing was said to ${line}`)
  }

  get authenticated(): boolean {
    return this.say('MAIL FROM:<>').code === 250
  }
}

/** What a client says, one response after the other. */
function clientOf(name: string, password = 'pencil'): ClientMechanism {
  const messages: Readonly<Record<string, string>> = {
    OAUTHBEARER: 'n,,\x01auth=Bearer abc\x01\x01',
    XOAUTH2: 'user=tim\x01auth=Bearer abc\x01\x01',
    EXTERNAL: '',
  }
  const message = messages[name]
  if (message !== undefined) {
    return {
      initialResponse: Buffer.from(message),
      respond: c => Buffer.from(c.length === 0 ? message : '\x01'),
      satisfied: true,
    }
  }
  const bound = name.endsWith('-PLUS') ? { channelBinding } : {}
  const context = { scram: scramCrypto, ...bound }
  const begin = CLIENT_MECHANISMS.get(name) ?? CLIENT_MECHANISMS.get(name.replace('-1', '-256'))
  return begin?.({ username: 'tim', password }, context) ?? assert.fail()
}

/** SCRAM-SHA-1 has no client here. */
const SPOKEN = MECHANISMS.filter(name => !name.startsWith('SCRAM-SHA-1'))

function converse(peer: Peer, name: string, how: 'initial' | 'asked', client = clientOf(name)): Reply {
  const first = client.initialResponse
  const text = first === null || how === 'asked' ? '' : ` ${first.length === 0 ? '=' : encodeBase64(first)}`
  let answer = peer.say(`AUTH ${name}${text}`)
  if (how === 'asked' && first !== null) assert.deepEqual(answer.lines, [''], 'an empty challenge')
  while (answer.code === 334) {
    const response = client.respond(Buffer.from(answer.lines.join(''), 'base64'))
    answer = peer.say(response === null ? '*' : encodeBase64(response))
  }
  return answer
}

for (const name of SPOKEN) {
  test(`${name}: accepted, with an initial response and without`, () => {
    for (const how of ['initial', 'asked'] as const) {
      const peer = new Peer()
      assert.ok(!peer.authenticated)
      assert.deepEqual(converse(peer, name, how), YES)
      assert.ok(peer.authenticated)
      // RFC 4954 §4: once, and not in a transaction.
      assert.equal(peer.say(`AUTH ${name}`).code, 503)
      assert.equal(peer.say('RSET').code, 250)
      assert.equal(peer.say(`AUTH ${name}`).code, 503)
    }
  })

  test(`${name}: refused, and tried again`, () => {
    const peer = new Peer(NO)
    assert.deepEqual(converse(peer, name, 'initial'), NO)
    assert.ok(!peer.authenticated)
    // RFC 9266 §4.1: a channel binding serves one exchange of a connection.
    if (name.endsWith('-PLUS')) assert.equal(peer.say(`AUTH ${name}`).code, 421)
    else assert.deepEqual(converse(peer, name, 'asked'), NO)
  })

  test(`${name}: a temporary failure is told at once, and is no guess`, () => {
    for (let n = 0, peer = new Peer(LATER); n < LIMITS.authFailures + 2; n++) {
      if (name.endsWith('-PLUS')) peer = new Peer(LATER)
      assert.deepEqual(converse(peer, name, 'initial'), LATER)
      assert.equal(peer.say('NOOP').code, 250)
    }
  })
}

for (const name of MECHANISMS) {
  test(`${name}: cancelled, not base64, too long: the session goes on`, () => {
    const cases: [response: string, code: number, status: string][] = [
      ['*', 501, '5.7.0'],
      ['=AAA', 501, '5.5.2'],
      ['AAA=BBB', 501, '5.5.2'],
      ['not base64!', 501, '5.5.2'],
      ['A'.repeat(LIMITS.authLineOctets - 1), 500, '5.5.6'],
      // Base64 of what is not UTF-8.
      ['////', 501, '5.5.2'],
    ]
    for (const [response, code, status] of cases) {
      const peer = new Peer(NO)
      assert.equal(peer.say(`AUTH ${name}`).code, 334)
      const answer = peer.say(response)
      assert.deepEqual([answer.code, answer.status], [code, status], response.slice(0, 20))
      assert.equal(peer.say('NOOP').code, 250)
      assert.equal(peer.session.state, 'greeted')
    }
    assert.equal(new Peer().say(`AUTH ${name} =AAA`).code, 501)
  })

  test(`${name}: not offered; in a transaction`, () => {
    const offered = MECHANISMS.filter(other => other !== name)
    const refused = new Peer(YES, { auth: offered }).say(`AUTH ${name}`)
    assert.deepEqual([refused.code, refused.status], [504, '5.5.4'])
    const peer = new Peer(YES, { authRequired: false })
    assert.equal(peer.say('MAIL FROM:<>').code, 250)
    assert.equal(peer.say(`AUTH ${name}`).code, 503)
  })
}

test('EHLO shows what the connection has, and what it has not is 504', () => {
  const peer = new Peer()
  peer.session.channel(['PLAIN', 'XOAUTH2'], null)
  assert.ok(peer.say('EHLO client.example').lines.includes('AUTH PLAIN XOAUTH2'))
  assert.equal(peer.say('AUTH SCRAM-SHA-256').code, 504)
  peer.session.channel([], null)
  assert.ok(!peer.say('EHLO client.example').lines.some(line => line.startsWith('AUTH')))
  assert.equal(peer.say('AUTH PLAIN').code, 504)
})

test('the signature of the server comes before 235, and the client may refuse it', () => {
  const begin = () => {
    const peer = new Peer()
    const client = clientOf('SCRAM-SHA-256')
    const challenge = peer.say(
      `AUTH SCRAM-SHA-256 ${encodeBase64(client.initialResponse ?? Buffer.alloc(0))}`,
    )
    const proof = client.respond(Buffer.from(challenge.lines.join(''), 'base64')) ?? assert.fail()
    const last = peer.say(encodeBase64(proof))
    assert.equal(last.code, 334)
    assert.match(Buffer.from(last.lines.join(''), 'base64').toString(), /^v=/)
    return peer
  }
  const content = begin()
  assert.deepEqual(content.say(''), YES)
  assert.ok(content.authenticated)
  const cancels = begin()
  assert.equal(cancels.say('*').code, 501)
  assert.ok(!cancels.authenticated)
  const talks = begin()
  assert.equal(talks.say(base64('v=')).code, 501)
  assert.ok(!talks.authenticated)
})

test('RFC 7628 §4.4: the reasons of a refusal, whatever is said to them, and then the refusal', () => {
  const json = '{"status":"invalid_token","schemes":"bearer","scope":"smtp"}'
  for (const [dummy, code] of [
    ['AQ==', 535],
    ['', 535],
    ['*', 501],
    ['!', 501],
  ] as const) {
    const peer = new Peer(NO)
    const challenge = peer.say(`AUTH OAUTHBEARER ${base64('n,,\x01auth=Bearer abc\x01\x01')}`)
    assert.equal(challenge.code, 334)
    assert.equal(Buffer.from(challenge.lines.join(''), 'base64').toString(), json)
    assert.equal(peer.say(dummy).code, code)
    assert.ok(!peer.authenticated)
  }
})

test('a refusal counts, also for whoever cancels rather than hear it', () => {
  const peer = new Peer(NO)
  for (let n = 0; n < LIMITS.authFailures; n++) {
    assert.equal(peer.say(`AUTH XOAUTH2 ${base64('user=a\x01auth=Bearer b\x01\x01')}`).code, 334)
    assert.equal(peer.say('*').code, 501)
  }
  assert.equal(peer.say('AUTH PLAIN').code, 421)
  assert.ok(peer.closed)
})

test('a wrong password counts, found out by the mechanism or by the service', () => {
  const peer = new Peer(NO)
  assert.deepEqual(converse(peer, 'SCRAM-SHA-256', 'initial', clientOf('SCRAM-SHA-256', 'wrong')), NO)
  assert.deepEqual(converse(peer, 'PLAIN', 'initial'), NO)
  assert.equal(peer.say(`AUTH PLAIN ${base64('\0tim\0')}`).code, 535)
  assert.equal(peer.say('NOOP').code, 421)
})

test('a held verdict is marked as such, and is the only one', () => {
  const peer = new Peer()
  converse(peer, 'SCRAM-SHA-256', 'initial')
  const verdicts = peer.events.flatMap(event =>
    event.type === 'reply' && event.verdict === true ? [event.reply] : [],
  )
  assert.deepEqual(verdicts, [YES])
})

test('a challenge is one line, however long (RFC 4954 §4)', () => {
  const nonce = 'n'.repeat(5000)
  const session = new Peer().session
  const octets: string[] = []
  for (const event of session.receive(
    Buffer.from(`AUTH SCRAM-SHA-256\r\n${base64(`n,,n=tim,r=${nonce}`)}\r\n`),
  )) {
    if (event.type === 'reply') octets.push(Buffer.from(event.octets).toString())
    else octets.push(Buffer.from(session.verifier(verifierOf('SHA-256', 'pencil'))).toString())
  }
  assert.equal(octets.length, 2)
  assert.match(octets[1] ?? '', /^334 [A-Za-z0-9+/]+=*\r\n$/)
  assert.ok((octets[1]?.length ?? 0) > 5000)
})

test('a long token comes with the command, and nothing else that is as long', () => {
  const token = 'x'.repeat(4000)
  const peer = new Peer()
  assert.equal(peer.say(`NOOP ${token}`).code, 500)
  assert.deepEqual(peer.say(`auth XOAUTH2 ${base64(`user=tim\x01auth=Bearer ${token}\x01\x01`)}`), YES)
  assert.equal(peer.say(`AUTH XOAUTH2 ${base64(token)}`).code, 500)
  const refused = new Peer(NO)
  assert.equal(refused.say(`AUTH XOAUTH2 ${base64('x'.repeat(LIMITS.authLineOctets))}`).code, 500)
  assert.equal(refused.say('NOOP').code, 250)
})

test('a verifier that cannot be had ends the exchange', () => {
  const { session } = new Peer()
  const line = `AUTH SCRAM-SHA-256 ${base64('n,,n=tim,r=x')}\r\n`
  for (const event of session.receive(Buffer.from(line))) {
    assert.equal(event.type, 'verifier')
    assert.equal(Buffer.from(session.reply(LATER)).toString(), '454 4.7.0 Later\r\n')
  }
  assert.equal(session.state, 'greeted')
})
