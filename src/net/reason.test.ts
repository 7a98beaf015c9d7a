import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { freePort } from '../../test/peers/port.ts'
import { reasonOf } from './reason.ts'

const coded = (message: string, facts: object): Error => Object.assign(new Error(message), facts)

const reasons: [error: unknown, words: string][] = [
  [coded('connect ECONNREFUSED 192.0.2.1:25', { code: 'ECONNREFUSED' }), 'connection refused'],
  [coded('read ECONNRESET', { code: 'ECONNRESET' }), 'connection reset by the other side'],
  [
    coded('error:0A0000C1:SSL routines::no shared cipher', {
      code: 'ERR_SSL_NO_SHARED_CIPHER',
      reason: 'no shared cipher',
    }),
    'no shared cipher',
  ],
  [coded('what nobody foresaw', { code: 'EWHAT' }), 'what nobody foresaw'],
  ['a word', 'a word'],
]
for (const [error, words] of reasons)
  test(`${error} is told as: ${words}`, () => {
    assert.equal(reasonOf(error), words)
  })

test('the system has such codes', async () => {
  const [error] = await once(connect({ host: '127.0.0.1', port: await freePort() }), 'error').catch(cause => [
    cause,
  ])
  assert.equal(reasonOf(error), 'connection refused')
})
