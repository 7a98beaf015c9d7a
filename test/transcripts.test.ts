/**
 * The transcripts of `transcripts/*.md`, in the notation of RFC 5321 Appendix D, replayed against `ServerSession`.
 *
 * - `C: text` the client sends a line; `C~ octets` it sends octets as they are, with `\r \n \0 \t \\ \xHH` and `{x*998}` for
 *   998 times x. `S: text` is a line of the server; a space that ends one is written `\x20`.
 * - `E:` is an event: what a service is asked and told. Content is shown when the message is whole.
 * - `TLS`: here the handshake is done.
 * - The list above the dialogue says how the server is made and what its service answers; the rest is `DEFAULTS` and `OK`.
 *   `offers: DSN FUTURERELEASE=3600` names extensions with what they announce; the time is `NOW`. `verifier NAME:` is what
 *   is kept of NAME's password, `nonce:` the server's part of it, `binding:` the channel binding of the connection, in hex.
 *
 * Each is replayed step by step, each step octet by octet, and as two chunks cut at every position.
 * `UPDATE_TRANSCRIPTS=1` writes down what the server says: read the difference before it is committed.
 */

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { parseSha1Verifier, parseVerifier } from '../src/directory/password.ts'
import { scramCrypto } from '../src/directory/scram.ts'
import { parameterTable, writeParameters } from '../src/smtp/extension.ts'
import { LIMITS } from '../src/smtp/limits.ts'
import { formatParameters } from '../src/smtp/parameter.ts'
import { formatPath } from '../src/smtp/path.ts'
import { type Reply, ReplyParser, reply } from '../src/smtp/reply.ts'
import type { Credentials, ScramVerifier } from '../src/smtp/sasl.ts'
import { type Offers, type ServerEvent, type ServerOptions, ServerSession } from '../src/smtp/server.ts'

const DEFAULTS: ServerOptions = {
  hostname: 'foo.com',
  limits: LIMITS,
  tls: 'none',
  tlsRequired: false,
  auth: [],
  authRequired: false,
  hop: false,
}

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5)

/** By keyword, from what stands behind "=". */
const OFFERS: Readonly<Record<string, (value: string) => Offers>> = {
  DSN: () => ({ dsn: true }),
  REQUIRETLS: () => ({ requireTls: true }),
  LIMITS: () => ({ limits: true }),
  FUTURERELEASE: value => ({ futureRelease: { longestSeconds: Number(value), now: () => NOW } }),
  DELIVERBY: value => ({ deliverBy: { leastSeconds: Number(value) } }),
  'MT-PRIORITY': value => ({ priority: { profile: value === '' ? null : value } }),
}

const OK: Readonly<Record<string, Reply>> = {
  mail: reply(250, '2.1.0', 'OK'),
  rcpt: reply(250, '2.1.5', 'OK'),
  message: reply(250, '2.6.0', 'OK'),
  auth: reply(235, '2.7.0', 'Authentication successful'),
  starttls: reply(220, '2.0.0', 'Ready to start TLS'),
}

interface Transcript {
  readonly options: ServerOptions
  /** `rcpt <Green@foo.com>` → what the service answers. */
  readonly answers: ReadonlyMap<string, Reply>
  /** Username → what is kept of the password. */
  readonly verifiers: ReadonlyMap<string, ScramVerifier>
  /** The channel binding of the TLS connection, in hex. */
  readonly binding: string | null
  readonly steps: readonly Step[]
}

/** What the client sends at once, or the handshake, and what comes of it. */
interface Step {
  readonly sent: Buffer | 'TLS' | 'CONNECT'
  /** `S:` and `E:` lines. */
  readonly expected: readonly string[]
}

/** A session with its service. */
class Replay {
  readonly #session: ServerSession
  readonly #answers: ReadonlyMap<string, Reply>
  readonly #verifiers: ReadonlyMap<string, ScramVerifier>
  #content: Buffer[] = []
  #discarded = 0
  #log: string[] = []

  constructor({ options, answers, verifiers, binding }: Transcript) {
    this.#session = new ServerSession(options)
    this.#session.channel(options.auth, binding === null ? null : () => Buffer.from(binding, 'hex'))
    this.#answers = answers
    this.#verifiers = verifiers
  }

  /** What has happened since it was asked last. */
  take(): string[] {
    const log = this.#log
    this.#log = []
    return log
  }

  connect(): void {
    this.#said(this.#session.greeting())
  }

  secured(): void {
    this.#session.secured()
    const discarded = this.#session.discardedOctets - this.#discarded
    this.#discarded += discarded
    if (discarded > 0) this.#log.push(`E: discarded ${discarded} octets`)
  }

  send(octets: Buffer): void {
    for (const event of this.#session.receive(octets)) {
      const { type } = event
      if (type === 'reply') this.#said(event.octets)
      else if (type === 'content') this.#content.push(Buffer.from(event.octets))
      else {
        this.#log.push(`E: ${this.#describe(event)}`)
        if (type === 'message' || type === 'reset') this.#content = []
        const verifier = type === 'verifier' ? this.#verifiers.get(event.username) : undefined
        if (verifier !== undefined) this.#said(this.#session.verifier(verifier))
        else if (type !== 'reset' && type !== 'close') this.#said(this.#session.reply(this.#answer(event)))
      }
    }
  }

  #said(octets: Uint8Array): void {
    const lines = Buffer.from(octets).toString('latin1').split('\r\n')
    assert.equal(lines.pop(), '', 'a reply ends with CRLF')
    for (const line of lines) this.#log.push(`S: ${line.replace(/ $/, '\\x20')}`)
  }

  #answer(event: ServerEvent): Reply {
    const found = this.#answers.get(subject(event)) ?? this.#answers.get(event.type) ?? OK[event.type]
    assert.ok(found)
    return found
  }

  #describe(event: ServerEvent): string {
    if (event.type === 'mail') {
      const parameters = formatParameters(writeParameters(event.parameters, EVERYTHING.mail))
      return `${subject(event)} ${parameters}`.trimEnd()
    }
    if (event.type === 'rcpt') {
      const parameters = formatParameters(writeParameters(event.parameters, EVERYTHING.rcpt))
      return `${subject(event)} ${parameters}`.trimEnd()
    }
    if (event.type === 'verifier') return `verifier ${event.mechanism} ${quote(event.username)}`
    if (event.type === 'auth') return `auth ${event.credentials.mechanism} ${shown(event.credentials)}`
    if (event.type !== 'message') return subject(event)
    const content = Buffer.concat(this.#content)
    assert.equal(content.length, event.sizeOctets, 'the message is as large as its content')
    return `message ${this.#session.protocol} ${summary(content)}`
  }
}

function shown(credentials: Credentials): string {
  const { type, authorizationIdentity } = credentials
  switch (type) {
    case 'password':
      return [authorizationIdentity, credentials.authenticationIdentity, credentials.password]
        .map(quote)
        .join(' ')
    case 'scram': {
      const { authenticationIdentity, failure } = credentials
      return `${[authorizationIdentity, authenticationIdentity].map(quote).join(' ')} ${failure ?? 'proved'}`
    }
    case 'token':
      return [authorizationIdentity, credentials.token, credentials.host ?? ''].map(quote).join(' ')
    case 'external':
      return quote(authorizationIdentity)
  }
}

const EVERYTHING = parameterTable({ has: () => true })
const quote = (text: string): string => JSON.stringify(text)

function subject(event: ServerEvent): string {
  if (event.type === 'mail') return `mail ${formatPath(event.reversePath)}`
  if (event.type === 'rcpt') return `rcpt ${formatPath(event.recipient.forwardPath)}`
  if (event.type === 'auth') {
    const { credentials } = event
    const who = 'authenticationIdentity' in credentials ? credentials.authenticationIdentity : ''
    return `auth ${who || credentials.authorizationIdentity}`
  }
  return event.type
}

function summary(content: Buffer): string {
  if (content.length <= 400) return quote(content.toString('latin1'))
  return `${content.length} octets, SHA-256 ${createHash('sha256').update(content).digest('hex').slice(0, 16)}`
}

function play(transcript: Transcript, feed: (replay: Replay, octets: Buffer) => void): string[][] {
  const replay = new Replay(transcript)
  return transcript.steps.map(({ sent }) => {
    if (sent === 'CONNECT') replay.connect()
    else if (sent === 'TLS') replay.secured()
    else feed(replay, sent)
    return replay.take()
  })
}

/** The same with the steps between two handshakes as one. */
function merged(transcript: Transcript): Transcript {
  const steps: Step[] = []
  for (const step of transcript.steps) {
    const last = steps.at(-1)
    if (Buffer.isBuffer(step.sent) && last !== undefined && Buffer.isBuffer(last.sent)) {
      steps[steps.length - 1] = {
        sent: Buffer.concat([last.sent, step.sent]),
        expected: [...last.expected, ...step.expected],
      }
    } else steps.push(step)
  }
  return { ...transcript, steps }
}

const OPTION = /^- ([A-Za-z]+(?: <.*?>| [^:]*)?|limits\.[A-Za-z]+): (.*)$/
const DIALOGUE = /^```text\n(.*?)^```$/ms

function parse(text: string): Transcript {
  const [head = '', dialogue = ''] = [text.slice(0, text.search(DIALOGUE)), DIALOGUE.exec(text)?.[1]]
  const options: Record<string, unknown> = { ...DEFAULTS }
  const limits: Record<string, number> = { ...LIMITS }
  const answers = new Map<string, Reply>()
  const verifiers = new Map<string, ScramVerifier>()
  let binding: string | null = null
  for (const line of head.split('\n')) {
    const [, key, value = ''] = OPTION.exec(line) ?? []
    if (key === undefined) continue
    const [word = '', name = ''] = key.split('.')
    if (word === 'limits') {
      assert.ok(name in limits, `no limit is called ${name}`)
      limits[name] = Number(value)
    } else if (key === 'offers') options.offers = offersOf(value)
    else if (key in DEFAULTS) options[key] = key === 'auth' ? value.split(' ') : (WORDS[value] ?? value)
    else if (key === 'nonce') options.sasl = { scram: { ...scramCrypto, nonce: () => value } }
    else if (key === 'scope') options.sasl = { scope: value }
    else if (key === 'binding') binding = value
    else if (key.startsWith('verifier ')) verifiers.set(key.slice(9), verifierOf(value))
    else answers.set(key, only([...new ReplyParser().push(Buffer.from(`${octetsOf(value)}\r\n`))]))
  }
  return {
    options: { ...(options as unknown as ServerOptions), limits: limits as typeof LIMITS },
    answers,
    verifiers,
    binding,
    steps: stepsOf(dialogue),
  }
}

function verifierOf(text: string): ScramVerifier {
  const verifier = text.startsWith('SCRAM-SHA-1$') ? parseSha1Verifier(text) : parseVerifier(text)
  assert.ok('salt' in verifier)
  return verifier
}

const WORDS: Readonly<Record<string, boolean>> = { yes: true, no: false }

function offersOf(text: string): Offers {
  const offers = text.split(' ').map(part => {
    const [keyword = '', value = ''] = part.split('=')
    const offer = OFFERS[keyword]
    assert.ok(offer, `no offer is called ${keyword}`)
    return offer(value)
  })
  return Object.assign({}, ...offers)
}

function only<T>(values: readonly T[]): T {
  const [value, ...more] = values
  assert.ok(value !== undefined && more.length === 0)
  return value
}

function stepsOf(dialogue: string): Step[] {
  const steps: { sent: Step['sent']; expected: string[] }[] = [{ sent: 'CONNECT', expected: [] }]
  for (const line of dialogue.split('\n').slice(0, -1)) {
    const last = steps.at(-1)
    const sent = sentBy(line)
    if (sent === null) {
      assert.match(line, /^[SE]: /)
      last?.expected.push(line)
    } else if (Buffer.isBuffer(sent) && Buffer.isBuffer(last?.sent) && last.expected.length === 0) {
      last.sent = Buffer.concat([last.sent, sent])
    } else steps.push({ sent, expected: [] })
  }
  return steps
}

function sentBy(line: string): Buffer | 'TLS' | null {
  if (line === 'TLS') return 'TLS'
  if (line.startsWith('C~ ')) return Buffer.from(octetsOf(line.slice(3)), 'latin1')
  if (line === 'C:') return Buffer.from('\r\n')
  return line.startsWith('C: ') ? Buffer.from(`${line.slice(3)}\r\n`) : null
}

function octetsOf(text: string): string {
  return text
    .replace(/\{(.+?)\*(\d+)\}/g, (_, piece, times) => String(piece).repeat(Number(times)))
    .replace(/\\(x[0-9a-f]{2}|.)/gi, (_, code) => {
      if (code[0] === 'x') return String.fromCharCode(Number.parseInt(code.slice(1), 16))
      const octet = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' }[String(code)]
      assert.ok(octet !== undefined, `no escape is called \\${code}`)
      return octet
    })
}

/** The text with what the server says now. */
function rewrite(text: string, transcript: Transcript): string {
  const logs = play(transcript, (replay, octets) => replay.send(octets))
  const lines: string[] = []
  let step = -1
  let sending = false
  const flush = () => lines.push(...(logs[step] ?? []))
  step = 0
  for (const line of (DIALOGUE.exec(text)?.[1] ?? '').split('\n').slice(0, -1)) {
    const sent = sentBy(line)
    if (sent === null) {
      sending = false
      continue
    }
    if (!(sending && Buffer.isBuffer(sent))) {
      flush()
      step++
    }
    sending = Buffer.isBuffer(sent)
    lines.push(line)
  }
  flush()
  return text.replace(DIALOGUE, () => `\`\`\`text\n${lines.join('\n')}\n\`\`\``)
}

const files = globSync(join(import.meta.dirname, 'transcripts', '*.md')).sort()

for (const file of files) {
  const text = readFileSync(file, 'utf8')
  const transcript = parse(text)
  if (process.env.UPDATE_TRANSCRIPTS === '1') writeFileSync(file, rewrite(text, transcript))
  else test(`transcript: ${basename(file, '.md')}`, () => replay(transcript))
}

test('there are transcripts', () => assert.ok(files.length >= 75))

function replay(transcript: Transcript): void {
  const expected = transcript.steps.map(step => step.expected)
  assert.deepEqual(
    play(transcript, (session, octets) => session.send(octets)),
    expected,
    'step by step',
  )
  const octetwise = (session: Replay, octets: Buffer) => {
    for (let i = 0; i < octets.length; i++) session.send(octets.subarray(i, i + 1))
  }
  assert.deepEqual(play(transcript, octetwise), expected, 'octet by octet')
  const whole = merged(transcript)
  const wholeExpected = whole.steps.map(step => step.expected)
  const longest = Math.max(...whole.steps.map(({ sent }) => sent.length))
  assert.ok(longest <= 8192, 'too long to be cut everywhere')
  for (let cut = 0; cut <= longest; cut++) {
    const twoChunks = (session: Replay, octets: Buffer) => {
      session.send(octets.subarray(0, cut))
      session.send(octets.subarray(cut))
    }
    assert.deepEqual(play(whole, twoChunks), wholeExpected, `cut at ${cut}`)
  }
}
