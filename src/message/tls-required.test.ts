import assert from 'node:assert/strict'
import { test } from 'node:test'
import { saysTlsNotRequired } from './tls-required.ts'

const messages: [header: string, no: boolean][] = [
  ['TLS-Required: No\r\n', true],
  ['tls-required:no\r\n', true],
  ['Subject: x\r\nTLS-Required:\r\n No\r\n', true],
  ['TLS-Required: Yes\r\n', false],
  ['TLS-Required: No\r\nTLS-Required: No\r\n', false],
  ['Subject: TLS-Required: No\r\n', false],
  ['', false],
  ['rubbish', false],
]
for (const [header, no] of messages)
  test(`TLS-Required in ${JSON.stringify(header)}: ${no}`, () => {
    assert.equal(saysTlsNotRequired([Buffer.from(`${header}\r\nTLS-Required: No\r\n`)]), no)
  })
