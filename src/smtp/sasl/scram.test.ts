import assert from 'node:assert/strict'
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { SmtpError } from '../error.ts'
import { reply } from '../reply.ts'
import { formatSaslName, parseSaslName } from './gs2.ts'
import type { ClientContext, ClientCredentials, Credentials, ServerContext, ServerStep } from './mechanism.ts'
import {
  parseServerFirst,
  type ScramClientCrypto,
  type ScramHash,
  type ScramVerifier,
  sameOctets,
} from './scram.ts'
import { ScramClient } from './scram-client.ts'
import { ScramServer } from './scram-server.ts'

const seed = 5802
const DIGEST = { 'SHA-1': 'sha1', 'SHA-256': 'sha256' } as const
const KEY_OCTETS = { 'SHA-1': 20, 'SHA-256': 32 } as const

/** The real thing, with a nonce that is known. */
const cryptoWith = (nonce: string): ScramClientCrypto => ({
  nonce: () => nonce,
  hash: (name, text) => createHash(DIGEST[name]).update(text).digest(),
  hmac: (name, key, text) => createHmac(DIGEST[name], key).update(text).digest(),
  saltedPassword: (name, password, salt, iterations) =>
    pbkdf2Sync(password, salt, iterations, KEY_OCTETS[name], DIGEST[name]),
})

function verifierOf(hash: ScramHash, password: string, salt: Uint8Array, iterations = 4096): ScramVerifier {
  const { hash: h, hmac, saltedPassword } = cryptoWith('')
  const salted = saltedPassword(hash, password, salt, iterations)
  const storedKey = h(hash, hmac(hash, salted, 'Client Key'))
  return { iterations, salt, storedKey, serverKey: hmac(hash, salted, 'Server Key') }
}

const text = (octets: Uint8Array | null) => (octets === null ? null : Buffer.from(octets).toString())
const octets = (message: string) => Buffer.from(message)
const YES = reply(235, '2.7.0', 'Yes')
const NO = reply(535, '5.7.8', 'No')

interface Example {
  readonly where: string
  readonly hash: ScramHash
  readonly salt: string
  readonly clientNonce: string
  readonly serverNonce: string
  /** C, S, C, S. */
  readonly messages: readonly [string, string, string, string]
}

const EXAMPLES: readonly Example[] = [
  {
    where: 'RFC 5802 §5',
    hash: 'SHA-1',
    salt: 'QSXCR+Q6sek8bf92',
    clientNonce: 'fyko+d2lbbFgONRv9qkxdawL',
    serverNonce: '3rfcNHYJY1ZVvWVs7j',
    messages: [
      'n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL',
      'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
      'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
      'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
    ],
  },
  {
    where: 'RFC 7677 §3',
    hash: 'SHA-256',
    salt: 'W22ZaJ0SNY7soEsUEjb6gQ==',
    clientNonce: 'rOprNGfwEbeRWgbNEkqO',
    serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
    messages: [
      'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
      'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
    ],
  },
]

for (const { where, hash, salt, clientNonce, serverNonce, messages } of EXAMPLES)
  test(`${where}: both sides, octet for octet`, () => {
    const [clientFirst, serverFirst, clientFinal, serverFinal] = messages
    const verifier = verifierOf(hash, 'pencil', Buffer.from(salt, 'base64'))
    const server = new ScramServer(hash, 'plain', {
      offered: [`SCRAM-${hash}`],
      channelBinding: null,
      scram: cryptoWith(serverNonce),
    })
    assert.deepEqual(server.start(octets(clientFirst)), { type: 'verifier', username: 'user' })
    assert.equal(text(server.verifier(verifier)), serverFirst)
    assert.deepEqual(server.respond(octets(clientFinal)), {
      type: 'credentials',
      credentials: {
        type: 'scram',
        mechanism: `SCRAM-${hash}`,
        authorizationIdentity: '',
        authenticationIdentity: 'user',
        failure: null,
      },
    })
    assert.equal(text(server.conclude(YES)), serverFinal)

    const scram = cryptoWith(clientNonce)
    const client = new ScramClient(hash, 'plain', { username: 'user', password: 'pencil' }, { scram })
    assert.equal(text(client.initialResponse), clientFirst)
    assert.equal(text(client.respond(octets(serverFirst))), clientFinal)
    assert.equal(client.satisfied, false)
    assert.equal(text(client.respond(octets(serverFinal))), '')
    assert.equal(client.satisfied, true)
  })

const SALT = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
const VERIFIER = verifierOf('SHA-256', 'pencil', SALT)
const PLAIN = 'SCRAM-SHA-256'
const PLUS = 'SCRAM-SHA-256-PLUS'
const TIM: ClientCredentials = { username: 'tim', password: 'pencil' }
const binding = (value: string) => () => Buffer.from(value)

function serverOf(variant: 'plain' | 'plus', context: Partial<ServerContext> = {}): ScramServer {
  return new ScramServer('SHA-256', variant, {
    offered: [PLAIN],
    channelBinding: null,
    scram: cryptoWith('server'),
    ...context,
  })
}

/** The whole exchange: what the server thinks of the client, and whether the client is content. */
function run(
  server: ScramServer,
  client: ScramClient,
  verifier = VERIFIER,
): { shown: Credentials; content: boolean } {
  let step: ServerStep = server.start(client.initialResponse)
  while (step.type !== 'credentials') {
    const challenge: Uint8Array = step.type === 'verifier' ? server.verifier(verifier) : step.challenge
    step = server.respond(client.respond(challenge) ?? assert.fail('the client cancels'))
  }
  const { credentials } = step
  const accepted = credentials.type === 'scram' && credentials.failure === null
  const last = server.conclude(accepted ? YES : NO)
  assert.equal(last === null, !accepted)
  return { shown: credentials, content: last !== null && client.respond(last) !== null && client.satisfied }
}

const failureOf = (credentials: Credentials) =>
  credentials.type === 'scram' ? credentials.failure : assert.fail()

test('-PLUS: bound to the connection on which it was begun', () => {
  const context = { offered: [PLAIN, PLUS], channelBinding: binding('channel') }
  const clientOf = (value: string) =>
    new ScramClient('SHA-256', 'plus', TIM, { scram: cryptoWith('c'), channelBinding: binding(value) })
  const ours = clientOf('channel')
  assert.equal(text(ours.initialResponse), 'p=tls-exporter,,n=tim,r=c')
  const { shown, content } = run(serverOf('plus', context), ours)
  assert.equal(failureOf(shown), null)
  assert.equal(shown.mechanism, PLUS)
  assert.ok(content)
  // Somebody in between has a connection to either side.
  const relayed = run(serverOf('plus', context), clientOf('another channel'))
  assert.match(failureOf(relayed.shown) ?? '', /channel bindings do not match/)
})

test('what a client may say of channel binding (RFC 5802 §6)', () => {
  const bare = 'n=tim,r=c'
  const both = { offered: [PLAIN, PLUS], channelBinding: binding('x') }
  const cases: [
    variant: 'plain' | 'plus',
    context: Partial<ServerContext>,
    gs2: string,
    code: number | null,
  ][] = [
    ['plain', {}, 'n,,', null],
    // The client could, and we did not offer it: true.
    ['plain', {}, 'y,,', null],
    ['plain', both, 'n,,', null],
    // The client could, and saw no offer: somebody has removed it.
    ['plain', both, 'y,,', 535],
    ['plain', both, 'p=tls-exporter,,', 501],
    ['plus', both, 'p=tls-exporter,,', null],
    ['plus', both, 'p=tls-unique,,', 535],
    ['plus', both, 'p=tls-server-end-point,,', 535],
    ['plus', both, 'n,,', 501],
    ['plus', both, 'y,,', 501],
  ]
  for (const [variant, context, gs2, code] of cases) {
    const start = () => serverOf(variant, context).start(octets(gs2 + bare))
    const what = `${variant} ${gs2} ${JSON.stringify(context.offered)}`
    if (code === null) assert.deepEqual(start(), { type: 'verifier', username: 'tim' }, what)
    else assert.throws(start, { code }, what)
  }
})

const first: [message: string, username: string | null, authzid?: string][] = [
  ['n,,n=user,r=a', 'user'],
  ['n,a=boss,n=user,r=a', 'user', 'boss'],
  ['n,a=,n=user,r=a', 'user'],
  ['n,a=b=2Co=3Ds,n=a=2Cb=3D,r=a', 'a,b=', 'b,o=s'],
  ['n,,n=用户,r=a', '用户'],
  ['n,,n=user,r=!~', 'user'],
  // "Unknown optional extensions MUST be ignored upon receipt."
  ['n,,n=user,r=a,x=1,y=2', 'user'],
  // "m": its presence "MUST cause authentication failure"
  ['n,,m=1,n=user,r=a', null],
  ['n,,n=user,r=a,m=1', null],
  ['n,,n=a=2c,r=a', null],
  ['n,,n=a=,r=a', null],
  ['n,,n=a=41,r=a', null],
  ['n,,n=,r=a', null],
  ['n,,n=a\0b,r=a', null],
  ['n,,n=user,r=', null],
  ['n,,n=user,r=a b', null],
  ['n,,n=user,r=a,', null],
  ['n,,n=user,r=a,x', null],
  ['n,,n=user,r=é', null],
  ['n,,r=a,n=user', null],
  ['n,,n=user', null],
  ['n,n=user,r=a', null],
  ['x,,n=user,r=a', null],
  ['p=,,n=user,r=a', null],
  ['N,,n=user,r=a', null],
  ['', null],
  ['\0', null],
]
for (const [message, username, authzid = ''] of first)
  test(`client-first-message ${JSON.stringify(message)}`, () => {
    const server = serverOf('plain')
    if (username === null)
      return assert.throws(() => server.start(octets(message)), { code: 501, status: '5.5.2' })
    assert.deepEqual(server.start(octets(message)), { type: 'verifier', username })
    server.verifier(VERIFIER)
    const step = server.respond(octets('c=biws,r=aserver,p=AAAA'))
    assert.ok(step.type === 'credentials')
    assert.equal(step.credentials.authorizationIdentity, authzid)
  })

test('a first message that is not UTF-8', () => {
  const message = Buffer.from([...octets('n,,n='), 0xff, ...octets(',r=a')])
  assert.throws(() => serverOf('plain').start(message), { code: 501, status: '5.5.2' })
})

test('without an initial response there is an empty challenge', () => {
  const server = serverOf('plain')
  assert.deepEqual(server.start(null), { type: 'challenge', challenge: new Uint8Array(0) })
  assert.deepEqual(server.respond(octets('n,,n=user,r=a')), { type: 'verifier', username: 'user' })
})

// Of an exchange in which "c=biws,r=cserver,p=<proof>" is right.
const PROOF = (() => {
  const client = new ScramClient('SHA-256', 'plain', TIM, { scram: cryptoWith('c') })
  const server = serverOf('plain')
  server.start(client.initialResponse)
  return text(client.respond(server.verifier(VERIFIER)))?.split(',p=')[1] ?? assert.fail()
})()
const WRONG = Buffer.alloc(32).toString('base64')

const final: [message: string, outcome: RegExp | null | 501][] = [
  [`c=biws,r=cserver,p=${PROOF}`, null],
  [`c=biws,r=cserver,p=${WRONG}`, /^wrong password$/],
  // Extensions are under the proof too.
  [`c=biws,r=cserver,x=1,p=${PROOF}`, /^wrong password$/],
  [`c=biws,r=cserver,p=AAAA`, /^wrong password$/],
  [`c=biws,r=cother,p=${PROOF}`, /nonce/],
  [`c=biws,r=c,p=${PROOF}`, /nonce/],
  // "y,,": not what it began with.
  [`c=eSws,r=cserver,p=${PROOF}`, /GS2 header/],
  [`c=biws,r=cserver,m=1,p=${PROOF}`, 501],
  [`c=biws,r=cserver,p=`, 501],
  [`c=biws,r=cserver,p=${PROOF.slice(1)}`, 501],
  [`c=biws,r=cserver,p=${PROOF},x=1`, 501],
  ['c=biws,r=cserver', 501],
  [`r=cserver,c=biws,p=${PROOF}`, 501],
  [`n,,n=user,r=a`, 501],
  ['', 501],
]
for (const [message, outcome] of final)
  test(`client-final-message ${JSON.stringify(message)}`, () => {
    const server = serverOf('plain')
    server.start(octets('n,,n=tim,r=c'))
    server.verifier(VERIFIER)
    const respond = () => server.respond(octets(message))
    if (outcome === 501) return assert.throws(respond, { code: 501, status: '5.5.2' })
    const step = respond()
    assert.ok(step.type === 'credentials')
    const failure = failureOf(step.credentials)
    if (outcome === null) assert.equal(failure, null)
    else assert.match(failure ?? '', outcome)
    // Whatever a service says: no signature without a proof (RFC 5802 §5).
    if (failure !== null) assert.throws(() => server.conclude(YES), /without a proof/)
    assert.equal(server.conclude(NO), null)
  })

test('an unknown user and a wrong password take the same work', () => {
  const work = (username: string, verifier: ScramVerifier): string[] => {
    const done: string[] = []
    const scram = cryptoWith('server')
    const counted: ScramClientCrypto = {
      ...scram,
      hash(...all) {
        done.push('hash')
        return scram.hash(...all)
      },
      hmac(...all) {
        done.push('hmac')
        return scram.hmac(...all)
      },
    }
    const server = serverOf('plain', { scram: counted })
    server.start(octets(`n,,n=${username},r=c`))
    server.verifier(verifier)
    server.respond(octets(`c=biws,r=cserver,p=${WRONG}`))
    return done
  }
  const decoy = { ...VERIFIER, storedKey: Buffer.alloc(32), serverKey: Buffer.alloc(32) }
  assert.deepEqual(work('tim', VERIFIER), work('tom', decoy))
})

test('the flag of a client: what it can and what it was offered', () => {
  const flags: [variant: 'plain' | 'plus', channelBinding: ClientContext['channelBinding'], flag: string][] =
    [
      ['plain', null, 'n,,'],
      ['plain', binding('x'), 'y,,'],
      ['plus', binding('x'), 'p=tls-exporter,,'],
    ]
  for (const [variant, channelBinding, flag] of flags) {
    const context = { scram: cryptoWith('c'), ...(channelBinding === undefined ? {} : { channelBinding }) }
    const client = new ScramClient('SHA-256', variant, TIM, context)
    assert.equal(text(client.initialResponse), `${flag}n=tim,r=c`)
  }
  const acting = { ...TIM, username: 'a,b=', authorizationIdentity: 'b,o=s' }
  const client = new ScramClient('SHA-256', 'plain', acting, { scram: cryptoWith('c') })
  assert.equal(text(client.initialResponse), 'n,a=b=2Co=3Ds,n=a=2Cb=3D,r=c')
})

const salt = SALT.toString('base64')
const refusedByClient: [serverFirst: string, why: string][] = [
  [`r=xserver,s=${salt},i=4096`, "not the client's nonce"],
  [`r=c,s=${salt},i=4096`, 'nothing of the server in the nonce'],
  [`r=cserver,s=${salt},i=4095`, 'weak'],
  [`r=cserver,s=${salt},i=10000001`, 'it would take seconds'],
  [`r=cserver,s=${salt},i=0`, 'no number'],
  [`r=cserver,s=${salt},i=-4096`, 'no number'],
  [`r=cserver,s=${salt.slice(1)},i=4096`, 'no base64'],
  [`m=1,r=cserver,s=${salt},i=4096`, 'an extension that must be understood'],
  [`r=cserver,s=${salt},i=4096,m=1`, 'an extension that must be understood'],
  ['e=other-error', 'an error'],
  ['\xff', 'nothing that is known'],
]
test('a client cancels when the server makes no sense', () => {
  for (const [serverFirst, why] of refusedByClient) {
    const client = new ScramClient('SHA-256', 'plain', TIM, { scram: cryptoWith('c') })
    assert.equal(client.respond(Buffer.from(serverFirst, 'latin1')), null, why)
    assert.equal(client.satisfied, false)
  }
  // "Unknown optional extensions MUST be ignored upon receipt."
  const client = new ScramClient('SHA-256', 'plain', TIM, { scram: cryptoWith('c') })
  assert.notEqual(client.respond(octets(`r=cserver,s=${salt},i=4096,x=y`)), null)
})

test('a client cancels when the server cannot prove that it knows the password', () => {
  for (const last of [`v=${WRONG}`, 'v=', 'e=other-error', '']) {
    const client = new ScramClient('SHA-256', 'plain', TIM, { scram: cryptoWith('c') })
    client.respond(octets(`r=cserver,s=${salt},i=4096`))
    assert.equal(client.respond(octets(last)), null)
    assert.equal(client.satisfied, false)
  }
})

test('an empty challenge asks for the first message', () => {
  const client = new ScramClient('SHA-256', 'plain', TIM, { scram: cryptoWith('c') })
  assert.equal(text(client.respond(octets(''))), text(client.initialResponse))
})

test('property: who knows the password is let in, who does not is not', () => {
  const name = fc.stringMatching(/^[^\0\ud800-\udfff]{1,20}$/u)
  // What goes through Normalize is the caller's business here.
  fc.assert(
    fc.property(
      name,
      name,
      name,
      fc.uint8Array({ minLength: 8, maxLength: 24 }),
      (username, password, given, salt) => {
        const verifier = verifierOf('SHA-256', password, salt)
        const client = new ScramClient(
          'SHA-256',
          'plain',
          { username, password: given },
          { scram: cryptoWith('c') },
        )
        const { shown, content } = run(serverOf('plain'), client, verifier)
        assert.ok(shown.type === 'scram')
        assert.equal(shown.authenticationIdentity, username)
        assert.equal(shown.failure === null, password === given)
        assert.equal(content, password === given)
      },
    ),
    { seed, numRuns: 50 },
  )
})

test('property: saslname there and back', () => {
  const name = fc.stringMatching(/^[^\0\ud800-\udfff]{1,20}$/u)
  fc.assert(
    fc.property(name, value => assert.equal(parseSaslName(formatSaslName(value)), value)),
    { seed },
  )
})

test('property: whatever a client sends, the server says something or throws an SmtpError', () => {
  const shape = fc.stringMatching(/^[nyp=a,mrcsiv0-9A-Z+/ \x01é-]{0,60}$/)
  const message = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    shape.map(octets),
    shape.map(rest => octets(`n,,n=a,r=b${rest}`)),
    shape.map(rest => octets(`c=biws,r=bserver${rest}`)),
  )
  fc.assert(
    fc.property(fc.array(message, { maxLength: 4 }), fc.boolean(), (messages, plus) => {
      const server = plus
        ? serverOf('plus', { offered: [PLAIN, PLUS], channelBinding: binding('x') })
        : serverOf('plain')
      try {
        let step = server.start(null)
        for (const each of messages) {
          if (step.type === 'credentials') break
          if (step.type === 'verifier') server.verifier(VERIFIER)
          step = server.respond(each)
        }
      } catch (error) {
        assert.ok(error instanceof SmtpError, String(error))
      }
    }),
    { seed, numRuns: 2000 },
  )
})

test('property: whatever a server sends, the client answers or cancels', () => {
  const shape = fc.stringMatching(/^[rsivem=,A-Za-z0-9+/]{0,60}$/)
  const challenge = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    shape.map(octets),
    shape.map(s => octets(`r=cx,s=AAAA,i=${s}`)),
  )
  fc.assert(
    fc.property(fc.array(challenge, { maxLength: 4 }), challenges => {
      const client = new ScramClient('SHA-256', 'plain', TIM, {
        scram: { ...cryptoWith('c'), saltedPassword: () => Buffer.alloc(32) },
      })
      for (const each of challenges) client.respond(each)
      assert.equal(client.satisfied, false)
    }),
    { seed, numRuns: 1000 },
  )
})

test('sameOctets compares', () => {
  assert.ok(sameOctets(octets('abc'), octets('abc')))
  for (const other of ['abd', 'ab', 'abcd', '']) assert.ok(!sameOctets(octets('abc'), octets(other)))
})

test('server-first-message as a value', () => {
  assert.deepEqual(parseServerFirst(`r=x,s=${salt},i=4096`), { nonce: 'x', salt: SALT, iterations: 4096 })
  assert.equal(parseServerFirst('r=x'), null)
})

test('a user with several passwords under one salt: the proof tells which, and the server proves that one', () => {
  const salt = Buffer.from('0123456789abcdef')
  const [own, phone, printer] = ['pencil', 'phone-secret', 'printer-secret'].map(password =>
    verifierOf('SHA-256', password, salt),
  )
  assert.ok(own && phone && printer)
  const attempt = (password: string) => {
    const scram = cryptoWith('nonce')
    const server = new ScramServer('SHA-256', 'plain', { offered: [], channelBinding: null, scram })
    const client = new ScramClient('SHA-256', 'plain', { username: 'user', password }, { scram })
    server.start(client.initialResponse ?? assert.fail())
    const challenge = server.verifier({ ...own, others: [phone, printer] })
    const step = server.respond(client.respond(challenge) ?? assert.fail())
    assert.ok(step.type === 'credentials' && step.credentials.type === 'scram')
    const { failure, keys } = step.credentials
    // RFC 5802 §3: the client checks the signature, which is of the password it has used.
    if (failure === null) client.respond(server.conclude(YES) ?? assert.fail())
    return [failure, keys, client.satisfied]
  }
  assert.deepEqual(attempt('pencil'), [null, undefined, true])
  assert.deepEqual(attempt('phone-secret'), [null, 1, true])
  assert.deepEqual(attempt('printer-secret'), [null, 2, true])
  assert.deepEqual(attempt('guess'), ['wrong password', undefined, false])
})
