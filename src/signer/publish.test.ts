import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sameKeyRecord } from './publish.ts'

/** What is published and looked for over sockets is in test/interop/dns-primary.test.ts. */
const records: [a: string, b: string, same: boolean][] = [
  ['v=DKIM1; k=rsa; p=AAAA', 'v=DKIM1; k=rsa; p=AAAA', true],
  ['v=DKIM1; k=rsa; p=AAAA', 'v=DKIM1;k=rsa;p=AA AA;', true],
  ['v=DKIM1; k=rsa; p=AAAA', 'v=DKIM1; p=AAAA; k=rsa', true],
  ['v=DKIM1; k=rsa; p=AAAA', 'v=DKIM1; k=rsa; p=AAAB', false],
  ['v=DKIM1; k=rsa; p=AAAA', 'v=DKIM1; k=rsa; p=aaaa', false],
  ['v=DKIM1; k=rsa; p=AAAA', 'v=DKIM1; k=rsa; p=', false], // revoked, RFC 6376 §3.6.1
  ['v=DKIM1; k=rsa; p=AAAA', 'v=DKIM1; k=rsa; t=y; p=AAAA', false], // a testing domain
]
for (const [a, b, same] of records) {
  test(`'${a}' and '${b}' are ${same ? 'the same key' : 'different'}`, () => {
    assert.equal(sameKeyRecord(a, b), same)
    assert.equal(sameKeyRecord(b, a), same)
  })
}
