import assert from 'node:assert/strict'
import { test } from 'node:test'
import { externalServer } from './external.ts'
import { loginClient, loginServer } from './login.ts'
import type { ServerStep } from './mechanism.ts'
import { plainClient, plainServer } from './plain.ts'

const octets = (text: string) => Buffer.from(text)
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
      credentials: {
        type: 'password',
        mechanism: 'PLAIN',
        authorizationIdentity,
        authenticationIdentity,
        password,
      },
    }
    assert.deepEqual(plainServer().start(octets(message)), expected)
    const late = plainServer()
    assert.equal(challenge(late.start(null)), '')
    assert.deepEqual(late.respond(octets(message)), expected)
    const client = plainClient({ username: authenticationIdentity, password, authorizationIdentity })
    assert.deepEqual(client.initialResponse, octets(message))
  }
})

test('PLAIN messages that are none', () => {
  for (const message of ['', 'tim', 'tim\0tanstaaftanstaaf', '\0a\0b\0c']) {
    assert.throws(() => plainServer().start(octets(message)), { code: 501, status: '5.5.2' }, message)
  }
  assert.throws(() => plainServer().start(Buffer.from([0, 0xff, 0, 0x31])), { code: 501, status: '5.5.2' })
  // authcid = 1*SAFE, passwd = 1*SAFE
  for (const message of ['\0\0x', '\0x\0', '\0\0']) {
    assert.throws(() => plainServer().start(octets(message)), { code: 535, status: '5.7.8' })
  }
})

test('LOGIN, with and without an initial response', () => {
  const credentials = {
    type: 'credentials',
    credentials: {
      type: 'password',
      mechanism: 'LOGIN',
      authorizationIdentity: '',
      authenticationIdentity: 'tim',
      password: 'x',
    },
  }
  const asked = loginServer()
  assert.equal(challenge(asked.start(null)), 'Username:')
  assert.equal(challenge(asked.respond(octets('tim'))), 'Password:')
  assert.deepEqual(asked.respond(octets('x')), credentials)
  const told = loginServer()
  assert.equal(challenge(told.start(octets('tim'))), 'Password:')
  assert.deepEqual(told.respond(octets('x')), credentials)
  const nul = loginServer()
  nul.start(octets('t\0m'))
  assert.throws(() => nul.respond(octets('x')), { code: 535 })
  const speaks = loginClient({ username: 'tim', password: 'x' })
  assert.equal(speaks.initialResponse, null)
  assert.deepEqual(speaks.respond(octets('Username:')), octets('tim'))
  assert.deepEqual(speaks.respond(octets('Password:')), octets('x'))
  assert.equal(speaks.respond(octets('More?')), null)
})

test('a client cancels PLAIN when the challenge has something to say', () => {
  const { respond } = plainClient({ username: 'tim', password: 'x' })
  assert.deepEqual(respond(octets('')), octets('\0tim\0x'))
  assert.equal(respond(octets('?')), null)
})

test('EXTERNAL, RFC 4422 App. A', () => {
  const shown = (authorizationIdentity: string) => ({
    type: 'credentials',
    credentials: { type: 'external', mechanism: 'EXTERNAL', authorizationIdentity },
  })
  assert.deepEqual(externalServer().start(octets('')), shown(''))
  assert.deepEqual(externalServer().start(octets('fred@example.com')), shown('fred@example.com'))
  const late = externalServer()
  assert.equal(challenge(late.start(null)), '')
  assert.deepEqual(late.respond(octets('')), shown(''))
  for (const message of [octets('a\0b'), Buffer.from([0xff])]) {
    assert.throws(() => externalServer().start(message), { code: 501, status: '5.5.2' })
  }
})
