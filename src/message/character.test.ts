import assert from 'node:assert/strict'
import { test } from 'node:test'
import { charactersOf } from './character.ts'

const rows: [octets: Buffer, characters: string][] = [
  [Buffer.from(''), 'ascii'],
  [Buffer.from('Subject: hello\r\n'), 'ascii'],
  [Buffer.from('Subject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n'), 'ascii'],
  [Buffer.from('Subject: grüße 你好\r\n'), 'utf-8'],
  [Buffer.from('Subject: grüße\r\n', 'latin1'), 'unknown'],
  // RFC 3629 §3: no surrogates, no overlong forms, nothing cut short.
  [Buffer.from('eda080', 'hex'), 'unknown'],
  [Buffer.from('c080', 'hex'), 'unknown'],
  [Buffer.from('e4bd', 'hex'), 'unknown'],
]

for (const [octets, characters] of rows)
  test(`${octets.toString('latin1').slice(0, 40)} is ${characters}`, () => {
    assert.equal(charactersOf(octets), characters)
  })
