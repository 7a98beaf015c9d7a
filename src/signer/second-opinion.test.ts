import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Directory, User } from '../directory/directory.ts'
import { makeVerifier } from '../directory/password.ts'
import { parseMailbox } from '../smtp/path.ts'
import { type Claim, SecondOpinion } from './second-opinion.ts'

const mailbox = (address: string) => parseMailbox(address, { utf8: true })
const verifier = await makeVerifier('pencil', { iterations: 4096 })
const alice: User = {
  name: 'alice@example.test',
  localPart: 'alice',
  domain: 'example.test',
  verifier,
  senders: ['alice@example.test', '*@news.example.test'],
  targets: [],
}

function directoryOf(commit: string, ...users: User[]): Directory {
  return {
    commit,
    domains: new Set(['example.test']),
    scram: true,
    user: name => users.find(user => user.name === name),
    targets: () => undefined,
  }
}

/** In force is the first commit, and after each fetch the next. */
function opinionOn(...commits: Directory[]) {
  const fetches: number[] = []
  let nowMs = 0
  const opinion = new SecondOpinion({
    directory: () => commits[0] ?? assert.fail('no commit'),
    async refresh() {
      fetches.push(nowMs)
      if (commits.length > 1) commits.shift()
    },
    postmaster: 'postmaster@example.test',
    now: () => nowMs,
  })
  return {
    fetches,
    pass: (ms: number) => {
      nowMs += ms
    },
    async judge(claim: Partial<Claim>): Promise<string> {
      const answer = await opinion.judge({
        role: 'submission',
        identity: alice.name,
        commit: commits[0]?.commit,
        reversePath: mailbox(alice.name),
        authors: [mailbox(alice.name)],
        ...claim,
      })
      return answer === null ? 'signed' : `${answer.code} ${answer.status}`
    },
  }
}

test('who may be in From: what submission asks, asked again', async () => {
  const suspended = { ...alice, name: 'carol@example.test', localPart: 'carol', suspended: 'spam' }
  const { judge, fetches } = opinionOn(directoryOf('c1', alice, suspended))
  const rows: [claim: Partial<Claim>, outcome: string][] = [
    [{}, 'signed'],
    [{ authors: [mailbox('Alice@Example.TEST')] }, 'signed'],
    [{ authors: [mailbox('x@news.example.test')], reversePath: null }, 'signed'],
    [{ authors: [mailbox('bob@example.test')] }, '550 5.7.1'],
    [{ authors: [mailbox(alice.name), mailbox('boss@example.test')] }, '550 5.7.1'],
    [{ reversePath: mailbox('boss@example.test') }, '550 5.7.1'],
    // As nobody, or as somebody there is not, submission sends nothing.
    [{ identity: null }, '550 5.7.1'],
    [{ identity: undefined }, '550 5.7.1'],
    [{ identity: 'mallory@example.test' }, '550 5.7.1'],
    [{ identity: 'mallory@example.test', commit: undefined }, '550 5.7.1'],
    [{ identity: suspended.name, authors: [suspended], reversePath: suspended }, '550 5.7.1'],
  ]
  for (const [claim, outcome] of rows) assert.equal(await judge(claim), outcome, JSON.stringify(claim))
  assert.deepEqual(fetches, [], 'it knows the commit: there is nothing to ask for')
})

test('the relay has one author', async () => {
  const { judge } = opinionOn(directoryOf('c1'))
  const relay = { role: 'relay', identity: undefined, reversePath: null, commit: undefined } as const
  assert.equal(await judge({ ...relay, authors: [mailbox('Postmaster@example.test')] }), 'signed')
  assert.equal(await judge({ ...relay, authors: [mailbox(alice.name)] }), '550 5.7.1')
})

test('submission has a newer commit: it is fetched', async () => {
  const { judge, fetches } = opinionOn(directoryOf('c1'), directoryOf('c2', alice))
  assert.equal(await judge({ commit: 'c2' }), 'signed')
  assert.deepEqual(fetches, [0])
  assert.equal(await judge({ commit: 'c1', authors: [mailbox('bob@example.test')] }), '550 5.7.1')
  assert.deepEqual(fetches, [0], 'an older one is known')
})

test('a commit that cannot be had: temporary; fetches asked for by messages are a second apart', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const { judge, fetches, pass } = opinionOn(directoryOf('c1'))
  assert.equal(await judge({ commit: 'c2' }), '451 4.7.1')
  pass(400)
  const waiting = Promise.all([judge({ commit: 'c2' }), judge({ commit: 'c3' })])
  t.mock.timers.tick(599)
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(fetches, [0])
  pass(600)
  t.mock.timers.tick(1)
  assert.deepEqual(await waiting, ['451 4.7.1', '451 4.7.1'])
  assert.deepEqual(fetches, [0, 1000])
})
