/** SASL, both sides: a response (a challenge) a line, to every mechanism there is. */

import assert from 'node:assert/strict'
import { SmtpError } from '../../../src/smtp/error.ts'
import { reply } from '../../../src/smtp/reply.ts'
import {
  CLIENT_MECHANISMS,
  type Credentials,
  decodeBase64,
  encodeBase64,
  SERVER_MECHANISMS,
} from '../../../src/smtp/sasl.ts'
import { expected, type Target } from '../target.ts'
import { CLIENT_CRYPTO, SASL, verifierOf } from './scram.ts'

/** Lines of base64, or octets as they are. */
function responses(input: Buffer): Uint8Array[] {
  return input
    .toString('latin1', 1)
    .split('\n')
    .map(line => decodeBase64(line) ?? Buffer.from(line, 'latin1'))
}

const channelBinding = () => Buffer.alloc(32, 1)

/** The first octet: whether there is an initial response. */
export const sasl: Target = {
  name: 'sasl',
  words: [
    '\0',
    '\0alice\0secret',
    'AGFsaWNlAHNlY3JldA==',
    'YWxpY2U=',
    '\n',
    '=',
    '*',
    '\u00ad',
    'é',
    '\ufeff',
    '\x01',
  ]
    .concat([
      'n,,',
      'y,,',
      'p=tls-exporter,,',
      'a=alice,',
      'n=user,',
      'r=rOprNGfwEbeRWgbNEkqO',
      'c=biws',
      ',p=',
      'm=x,',
    ])
    .concat([
      '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
      ',s=W22ZaJ0SNY7soEsUEjb6gQ==',
      ',i=4096',
      'v=',
      'e=other',
      '=2C',
      '=3D',
    ])
    .concat([
      'auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01',
      'host=a.example\x01',
      'user=a@b.example\x01',
    ]),
  run(input) {
    const text = input.toString('latin1')
    const octets = decodeBase64(text)
    if (octets !== null) assert.equal(encodeBase64(octets).length, text.length)
    assert.deepEqual(decodeBase64(encodeBase64(input)), input)
    const [initial = null, ...others] = responses(input)
    const begins = ((input[0] ?? 0) & 1) === 1
    const said = [...SERVER_MECHANISMS.keys()].map(name => serve(name, begins ? initial : null, others))
    for (const make of CLIENT_MECHANISMS.values()) {
      const mechanism = make(
        { username: 'user', password: 'pencil' },
        { scram: CLIENT_CRYPTO, channelBinding },
      )
      const answers = others.map(challenge => mechanism.respond(challenge))
      said.push(`${answers.map(answer => answer === null)} ${mechanism.satisfied}`)
    }
    return said.join(' ').slice(0, 300)
  },
}

function serve(name: string, initial: Uint8Array | null, others: readonly Uint8Array[]): string {
  try {
    const mechanism = SERVER_MECHANISMS.get(name)?.({ ...SASL, offered: [name], channelBinding })
    assert.ok(mechanism !== undefined)
    let step = mechanism.start(initial)
    for (const response of others) {
      if (step.type === 'credentials') break
      if (step.type === 'verifier') mechanism.verifier?.(verifierOf(name))
      step = mechanism.respond(response)
    }
    if (step.type !== 'credentials') return step.type
    check(step.credentials, name)
    const proved = step.credentials.type !== 'scram' || step.credentials.failure === null
    const verdict = proved ? reply(235, '2.7.0', 'OK') : reply(535, '5.7.8', 'No')
    return `${step.type} ${proved} ${mechanism.conclude?.(verdict) === null}`
  } catch (error) {
    return expected(error, SmtpError)
  }
}

function check(credentials: Credentials, name: string): void {
  assert.equal(credentials.mechanism, name)
  assert.doesNotMatch(credentials.authorizationIdentity, /\0/)
  if (credentials.type === 'password') {
    const { authenticationIdentity, password } = credentials
    assert.ok(authenticationIdentity !== '' && password !== '')
    assert.doesNotMatch(authenticationIdentity + password, /\0/)
  } else if (credentials.type === 'scram') assert.doesNotMatch(credentials.authenticationIdentity, /\0/)
  else if (credentials.type === 'token') assert.doesNotMatch(credentials.token, /[^!-~]/)
}
