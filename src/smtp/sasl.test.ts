import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MECHANISMS } from '../config/tables/submission.ts'
import { scramCrypto } from '../directory/scram.ts'
import { SmtpError } from './error.ts'
import { reply } from './reply.ts'
import { CLIENT_MECHANISMS, SERVER_MECHANISMS, type ServerContext, type ServerStep } from './sasl.ts'

const seed = 4422
const names = [...SERVER_MECHANISMS.keys()]
const channelBinding = () => Buffer.from('the channel')
const context: ServerContext = { offered: names, channelBinding, scram: scramCrypto }
const server = (name: string) => SERVER_MECHANISMS.get(name)?.(context) ?? assert.fail()

test('what may be configured is what there is, the best first', () => {
  assert.deepEqual(names.toSorted(), [...MECHANISMS].toSorted())
  assert.equal(MECHANISMS[0], 'SCRAM-SHA-256-PLUS')
})

test('names, RFC 4422 §3.1', () => {
  for (const name of [...names, ...CLIENT_MECHANISMS.keys()]) assert.match(name, /^[A-Z0-9_-]{1,20}$/)
  for (const name of CLIENT_MECHANISMS.keys()) assert.ok(SERVER_MECHANISMS.has(name))
})

test('property: what a client shows is what the server sees', () => {
  const word = fc.stringMatching(/^[!-~\u00a1-\u00ac\u4e00-\u4e20]{1,20}$/u)
  fc.assert(
    fc.property(word, word, (username, password) => {
      const salt = Buffer.from('a grain of salt')
      const salted = scramCrypto.saltedPassword('SHA-256', password, salt, 4096)
      const hmac = (key: Uint8Array, text: string) => scramCrypto.hmac('SHA-256', key, text)
      const storedKey = scramCrypto.hash('SHA-256', hmac(salted, 'Client Key'))
      const verifier = { iterations: 4096, salt, storedKey, serverKey: hmac(salted, 'Server Key') }
      for (const [name, begin] of CLIENT_MECHANISMS) {
        const theirs = server(name)
        const bound = name.endsWith('-PLUS') ? { channelBinding } : {}
        const ours = begin({ username, password }, { scram: scramCrypto, ...bound })
        let step: ServerStep = theirs.start(ours.initialResponse)
        while (step.type !== 'credentials') {
          const challenge: Uint8Array =
            step.type === 'verifier' ? (theirs.verifier?.(verifier) ?? assert.fail()) : step.challenge
          step = theirs.respond(ours.respond(challenge) ?? assert.fail(`${name} cancels`))
        }
        const { credentials } = step
        assert.equal(credentials.mechanism, name)
        assert.ok('authenticationIdentity' in credentials)
        assert.equal(credentials.authenticationIdentity, username)
        if (credentials.type === 'password') assert.equal(credentials.password, password)
        else assert.equal(credentials.failure, null)
        const last = theirs.conclude?.(reply(235, '2.7.0', '')) ?? null
        if (last !== null) assert.deepEqual(ours.respond(last), new Uint8Array(0))
        assert.ok(ours.satisfied)
      }
    }),
    { seed, numRuns: 50 },
  )
})

test('property: whatever a client sends, nothing but SmtpError is thrown', () => {
  const verifier = {
    iterations: 4096,
    salt: Buffer.alloc(16),
    storedKey: Buffer.alloc(32),
    serverKey: Buffer.alloc(32),
  }
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.array(fc.oneof(fc.uint8Array(), fc.string().map(Buffer.from)), { maxLength: 4 }),
      fc.boolean(),
      (name, messages, initial) => {
        const mechanism = server(name)
        const rest = [...messages]
        try {
          let step = mechanism.start(initial ? (rest.shift() ?? null) : null)
          for (const message of rest) {
            if (step.type === 'credentials') break
            if (step.type === 'verifier') mechanism.verifier?.(verifier)
            step = mechanism.respond(message)
          }
        } catch (error) {
          assert.ok(error instanceof SmtpError, String(error))
          assert.ok(error.code === 501 || error.code === 535)
        }
      },
    ),
    { seed, numRuns: 1000 },
  )
})
