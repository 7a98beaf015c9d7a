import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { User } from '../directory/directory.ts'
import { makeVerifier } from '../directory/password.ts'
import { admitRecipient, refuseRecipient, refuseReversePath, refuseSize } from './policy.ts'

test('which recipients a user may name', () => {
  const rows: [localPart: string, domain: string, admitted: string | number][] = [
    ['bob', 'internet.test', 'internet.test'],
    // RFC 5321 §4.5.1: <Postmaster> is ours.
    ['Postmaster', '', 'example.test'],
    ['bob', '[192.0.2.1]', '[192.0.2.1]'],
    ['bob', '[IPv6:2001:db8::1]', '[IPv6:2001:db8::1]'],
    ['bob', 'bücher.example', 'bücher.example'],
    // RFC 6409 §4.2: names must be fully qualified.
    ['bob', 'localhost', 550],
    ['bob', 'intranet', 550],
  ]
  for (const [localPart, domain, admitted] of rows) {
    const answer = admitRecipient({ localPart, domain }, 'example.test')
    assert.equal('code' in answer ? answer.code : answer.forwardPath.domain, admitted, domain)
  }
})

const alice: User = {
  name: 'alice@example.test',
  localPart: 'alice',
  domain: 'example.test',
  verifier: await makeVerifier('pencil', { iterations: 4096 }),
  senders: ['alice@example.test'],
  targets: [],
}

test('a user who is suspended meanwhile is told why, whatever the reverse-path', () => {
  const own = { localPart: 'alice', domain: 'example.test' }
  const suspended = { ...alice, suspended: 'Call the help desk' }
  for (const reversePath of [own, null, { ...own, localPart: 'bob' }]) {
    const { code, status, lines } = refuseReversePath(suspended, reversePath) ?? {}
    assert.deepEqual([code, status, lines], [550, '5.7.13', ['Call the help desk']])
  }
  assert.equal(refuseReversePath(alice, own), null)
})

test("a user's own limits", () => {
  const limited = { ...alice, limits: { messageOctets: 1000, recipientsPerMessage: 2 } }
  assert.equal(refuseSize(limited, undefined), null)
  assert.equal(refuseSize(limited, 1000), null)
  assert.deepEqual([refuseSize(limited, 1001)?.code, refuseSize(limited, 1001)?.status], [552, '5.3.4'])
  assert.equal(refuseRecipient(limited, 1), null)
  assert.deepEqual([refuseRecipient(limited, 2)?.code, refuseRecipient(limited, 2)?.status], [452, '4.5.3'])
  assert.equal(refuseSize(alice, 1e9), null)
  assert.equal(refuseRecipient(alice, 1e6), null)
})
