import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SmtpError } from './error.ts'
import { CLIENT_MECHANISMS, decodeBase64, encodeBase64, SERVER_MECHANISMS, type ServerStep } from './sasl.ts'

const seed = 4954
const octets = (text: string) => Buffer.from(text)
const server = (name: string) => {
  const mechanism = SERVER_MECHANISMS.get(name)?.()
  assert.ok(mechanism)
  return mechanism
}
const client = (
  name: string,
  credentials: { username: string; password: string; authorizationIdentity?: string },
) => {
  const mechanism = CLIENT_MECHANISMS.get(name)?.(credentials)
  assert.ok(mechanism)
  return mechanism
}
const challenge = (step: ServerStep) =>
  step.type === 'challenge' ? Buffer.from(step.challenge).toString() : null

const plain: [
  message: string,
  identities: [authorization: string, authentication: string, password: string],
][] = [
  ['\0tim\0tanstaaftanstaaf', ['', 'tim', 'tanstaaftanstaaf']], // RFC 4616 §4
  ['Ursel\0Kurt\0xipj3plmq', ['Ursel', 'Kurt', 'xipj3plmq']], // RFC 4616 §4
  ['test\0test\x001234', ['test', 'test', '1234']], // RFC 4954 §4.1
  ['\0é\0用', ['', 'é', '用']],
]

test('PLAIN, RFC 4616', () => {
  for (const [message, [authorizationIdentity, authenticationIdentity, password]] of plain) {
    const expected = {
      type: 'credentials',
      credentials: { mechanism: 'PLAIN', authorizationIdentity, authenticationIdentity, password },
    }
    assert.deepEqual(server('PLAIN').start(octets(message)), expected)
    const late = server('PLAIN')
    assert.equal(challenge(late.start(null)), '')
    assert.deepEqual(late.respond(octets(message)), expected)
    const { initialResponse } = client('PLAIN', {
      username: authenticationIdentity,
      password,
      authorizationIdentity,
    })
    assert.deepEqual(initialResponse, octets(message))
  }
})

test('PLAIN messages that are none', () => {
  for (const message of ['', 'tim', 'tim\0tanstaaftanstaaf', '\0a\0b\0c']) {
    assert.throws(() => server('PLAIN').start(octets(message)), { code: 501, status: '5.5.2' }, message)
  }
  assert.throws(() => server('PLAIN').start(Buffer.from([0, 0xff, 0, 0x31])), { code: 501, status: '5.5.2' })
  // authcid = 1*SAFE, passwd = 1*SAFE
  for (const message of ['\0\0x', '\0x\0', '\0\0']) {
    assert.throws(() => server('PLAIN').start(octets(message)), { code: 535, status: '5.7.8' })
  }
})

test('LOGIN, with and without an initial response', () => {
  const credentials = {
    type: 'credentials',
    credentials: {
      mechanism: 'LOGIN',
      authorizationIdentity: '',
      authenticationIdentity: 'tim',
      password: 'x',
    },
  }
  const asked = server('LOGIN')
  assert.equal(challenge(asked.start(null)), 'Username:')
  assert.equal(challenge(asked.respond(octets('tim'))), 'Password:')
  assert.deepEqual(asked.respond(octets('x')), credentials)
  const told = server('LOGIN')
  assert.equal(challenge(told.start(octets('tim'))), 'Password:')
  assert.deepEqual(told.respond(octets('x')), credentials)
  const nul = server('LOGIN')
  nul.start(octets('t\0m'))
  assert.throws(() => nul.respond(octets('x')), { code: 535 })
  const speaks = client('LOGIN', { username: 'tim', password: 'x' })
  assert.equal(speaks.initialResponse, null)
  assert.deepEqual(speaks.respond(octets('Username:')), octets('tim'))
  assert.deepEqual(speaks.respond(octets('Password:')), octets('x'))
  assert.equal(speaks.respond(octets('More?')), null)
})

test('a client cancels PLAIN when the challenge has something to say', () => {
  const { respond } = client('PLAIN', { username: 'tim', password: 'x' })
  assert.deepEqual(respond(octets('')), octets('\0tim\0x'))
  assert.equal(respond(octets('?')), null)
})

const base64: [text: string, decoded: string | null][] = [
  ['dGVzdAB0ZXN0ADEyMzQ=', 'test\0test\x001234'], // RFC 4954 §4.1
  ['', ''],
  ['=AAA', null], // RFC 4954 §4
  ['AAA=BBB', null], // RFC 4954 §4
  ['=', null],
  ['AAA', null],
  ['AA=A', null],
  ['AAAA ', null],
  ['A A=', null],
  ['AA-_', null],
  ['*', null],
]

test('base64, RFC 4954 §8', () => {
  for (const [text, decoded] of base64) {
    assert.equal(
      decodeBase64(text)?.toString() ?? null,
      decoded === null ? null : octets(decoded).toString(),
      text,
    )
  }
})

test('property: base64 there and back', () => {
  fc.assert(
    fc.property(fc.uint8Array(), value => {
      assert.deepEqual(Buffer.from(decodeBase64(encodeBase64(value)) ?? []), Buffer.from(value))
    }),
    { seed },
  )
})

test('property: what a client shows is what the server sees, and nothing but SmtpError is thrown', () => {
  const word = fc.stringMatching(/^[^\0\ud800-\udfff]{1,20}$/u)
  fc.assert(
    fc.property(word, word, (username, password) => {
      for (const name of ['PLAIN', 'LOGIN']) {
        const [ours, theirs] = [client(name, { username, password }), server(name)]
        let step = theirs.start(ours.initialResponse)
        while (step.type === 'challenge') step = theirs.respond(ours.respond(step.challenge) ?? octets(''))
        assert.equal(step.credentials.authenticationIdentity, username)
        assert.equal(step.credentials.password, password)
      }
    }),
    { seed },
  )
  fc.assert(
    fc.property(
      fc.constantFrom('PLAIN', 'LOGIN'),
      fc.array(fc.uint8Array(), { maxLength: 3 }),
      (name, messages) => {
        const mechanism = server(name)
        try {
          let step = mechanism.start(null)
          for (const message of messages) if (step.type === 'challenge') step = mechanism.respond(message)
        } catch (error) {
          assert.ok(error instanceof SmtpError, String(error))
        }
      },
    ),
    { seed },
  )
})
