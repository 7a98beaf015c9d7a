import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Input, type State, TRANSITIONS, transition } from './state.ts'

const cases: [state: State, input: Input, next: State | null][] = [
  // RFC 5321 App. D.1
  ['connected', 'EHLO', 'greeted'],
  ['greeted', 'MAIL', 'mail'],
  ['mail', 'RCPT', 'recipients'],
  ['recipients', 'RCPT', 'recipients'],
  ['recipients', 'DATA', 'data'],
  ['data', 'MESSAGE', 'greeted'],
  ['greeted', 'QUIT', 'closed'],
  // RFC 5321 §4.1.4: out of order
  ['connected', 'MAIL', null],
  ['greeted', 'RCPT', null],
  ['greeted', 'DATA', null],
  ['mail', 'MAIL', null],
  ['mail', 'DATA', null],
  ['recipients', 'MAIL', null],
  // RFC 5321 §4.1.4: EHLO as RSET
  ['recipients', 'EHLO', 'greeted'],
  ['recipients', 'RSET', 'greeted'],
  ['connected', 'RSET', 'connected'],
  // RFC 3030 §2
  ['recipients', 'BDAT', 'chunking'],
  ['chunking', 'BDAT', 'chunking'],
  ['chunking', 'DATA', null],
  ['chunking', 'RCPT', null],
  ['chunking', 'RSET', 'greeted'],
  ['greeted', 'BDAT', null],
  // RFC 4954 §4
  ['greeted', 'AUTH', 'authenticating'],
  ['mail', 'AUTH', null],
  ['authenticating', 'MAIL', null],
  ['authenticating', 'AUTHENTICATED', 'greeted'],
  // RFC 3207 §4.2
  ['greeted', 'STARTTLS', 'handshake'],
  ['handshake', 'SECURED', 'connected'],
  ['mail', 'STARTTLS', null],
  ['closed', 'NOOP', null],
]

test('what leads where', () => {
  for (const [state, input, next] of cases)
    assert.equal(transition(state, input), next, `${input} in ${state}`)
})

test('NOOP, HELP, VRFY, EXPN at any time between commands, and they change nothing: RFC 5321 §4.1.4', () => {
  for (const state of ['connected', 'greeted', 'mail', 'recipients', 'chunking'] as const) {
    for (const input of ['NOOP', 'HELP', 'VRFY', 'EXPN'] as const)
      assert.equal(transition(state, input), state)
  }
})

test('every state can be shut down, and each is reached from the first', () => {
  const states = Object.keys(TRANSITIONS) as State[]
  for (const state of states) assert.equal(transition(state, 'SHUTDOWN'), 'closed')
  const reached = new Set<State>(['connected'])
  for (const state of reached) for (const next of Object.values<State>(TRANSITIONS[state])) reached.add(next)
  assert.deepEqual([...reached].sort(), states.sort())
})
