import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Caa } from '../dns/rdata.ts'
import { type CaaLookup, checkCaa, judge, parseIssue } from './caa.ts'

const US = {
  identities: ['ca1.example.net', 'ca1.example.org'],
  accountUri: 'https://ca1.example.net/acct/1',
}

const values: [value: string, issuer: string | null, parameters?: [string, string][]][] = [
  // RFC 8659 §4.2.
  ['ca1.example.net', 'ca1.example.net'],
  [';', ''],
  ['%%%%%', null],
  ['ca1.example.net; account=230123', 'ca1.example.net', [['account', '230123']]],
  ['', ''],
  ['  CA1.Example.NET\t', 'ca1.example.net'],
  ['ca1.example.net;', 'ca1.example.net'],
  [
    'ca1.example.net ; A = b ; c-d=',
    'ca1.example.net',
    [
      ['a', 'b'],
      ['c-d', ''],
    ],
  ],
  ['ca1.example.net; a=b;', null],
  ['ca1.example.net; a', null],
  ['ca1.example.net; -=b', null],
  ['ca1.example.net; a=b c', null],
  ['ca1..example.net', null],
  ['-ca1.example.net', null],
  ['ca1.example.net\n', null],
]
for (const [value, issuer, parameters = []] of values) {
  test(`issue-value ${JSON.stringify(value)}`, () => {
    assert.deepEqual(parseIssue(value), issuer === null ? null : { issuer, parameters })
  })
}

const verdicts: [records: string[], explanation: RegExp | null][] = [
  [[], null],
  [['0 issue ca1.example.net'], null],
  [['0 issue CA1.example.org'], null],
  [['0 ISSUE ca1.example.net'], null],
  [['0 issue ca2.example.net'], /allows another CA, not ca1\.example\.net or ca1\.example\.org/],
  [['0 issue ca2.example.net', '0 issue ca1.example.net'], null],
  [['0 issue ;'], /example\.com CAA 0 issue ";" allows nobody: allow it by example\.com CAA 0 issue "ca1/],
  // §4.2: additive.
  [['0 issue ;', '0 issue ca1.example.net'], null],
  [['0 issue %%%%%'], /malformed/],
  // §4.4, §4.3: neither says anything of a name without a wildcard.
  [['0 iodef mailto:security@example.com'], null],
  [['0 issuewild ca2.example.net'], null],
  [['0 issuewild ca1.example.net', '0 issue ;'], /allows nobody/],
  // §4.5.
  [['128 tbs Unknown'], /critical/],
  [['0 tbs Unknown'], null],
  [['128 issue ca1.example.net'], null],
  // RFC 8657 §3 and §4.
  [[`0 issue ca1.example.net; accounturi=${US.accountUri}`], null],
  [['0 issue ca1.example.net; accounturi=https://ca1.example.net/acct/2'], /another account/],
  [[`0 issue ca1.example.net; accounturi=${US.accountUri}; accounturi=x`], /another account/],
  [['0 issue ca1.example.net; validationmethods=http-01,dns-01'], null],
  [['0 issue ca1.example.net; validationmethods=http-01'], /does not allow the method/],
  [['0 issue ca1.example.net; validationmethods='], /does not allow the method/],
]
for (const [texts, explanation] of verdicts) {
  test(`CAA ${texts.join(', ') || 'none'}`, () => {
    const verdict = judge(texts.map(recordOf), 'example.com', US)
    assert.equal(verdict.kind, explanation === null ? 'allowed' : 'forbidden')
    if (explanation !== null && verdict.kind === 'forbidden') assert.match(verdict.explanation, explanation)
  })
}

test('a CA that does not say its name is asked, and looks itself', () => {
  const silent = { ...US, identities: [] }
  assert.equal(judge([recordOf('0 issue ca2.example.net')], 'example.com', silent).kind, 'allowed')
})

test('the nearest name that has records counts, and a lookup that fails is no permission (RFC 8659 §3)', async () => {
  const zone: Record<string, string | null> = {
    'b.example.com': '0 issue ca2.example.net',
    'example.com': '0 issue ca1.example.net',
    'a.broken.example.com': null,
  }
  const asked: string[] = []
  const lookup: CaaLookup = async name => {
    asked.push(name)
    const text = zone[name]
    if (text === null) return { kind: 'failure', code: 'SERVFAIL', reason: `${name}: SERVFAIL` }
    if (text === undefined) return { kind: 'nxdomain', ttlSeconds: 0, authenticated: false }
    return { kind: 'answer', records: [recordOf(text)], ttlSeconds: 0, authenticated: false, name }
  }
  assert.equal((await checkCaa('a.b.example.com', US, lookup)).kind, 'forbidden')
  assert.deepEqual(asked.splice(0), ['a.b.example.com', 'b.example.com'])
  assert.equal((await checkCaa('c.example.com', US, lookup)).kind, 'allowed')
  assert.equal((await checkCaa('a.example.net', US, lookup)).kind, 'allowed')
  assert.deepEqual(asked.splice(0), ['c.example.com', 'example.com', 'a.example.net', 'example.net', 'net'])
  assert.equal((await checkCaa('a.broken.example.com', US, lookup)).kind, 'failure')
})

function recordOf(text: string): Caa {
  const [, flags = '', tag = '', value = ''] = /^(\d+) (\S+) (.*)$/s.exec(text) ?? []
  return { flags: Number(flags), tag, value }
}
