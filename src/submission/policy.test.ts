import assert from 'node:assert/strict'
import { test } from 'node:test'
import { admitRecipient } from './policy.ts'

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
