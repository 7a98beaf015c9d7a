/** The header section of a user's message, as it is looked at and completed before it is signed. */

import assert from 'node:assert/strict'
import type { User } from '../../../src/directory/directory.ts'
import { type Field, fieldsNamed, parseHeader } from '../../../src/message/header.ts'
import { SmtpError } from '../../../src/smtp/error.ts'
import { LIMITS } from '../../../src/smtp/limits.ts'
import { complete, type Submission } from '../../../src/submission/complete.ts'
import { attempt, type Target } from '../target.ts'

const user: User = {
  name: 'alice@example.com',
  localPart: 'alice',
  domain: 'example.com',
  verifier: { scheme: 'BLAKE2B-512', digest: new Uint8Array(64) },
  senders: ['*@news.example.com'],
  targets: [],
}
const submission: Submission = {
  stamp: {
    from: 'client.example',
    address: '192.0.2.7',
    by: 'mail.example.com',
    protocol: 'ESMTPSA',
    id: '01KAXE0000000000000000000A',
    dateMs: Date.UTC(2026, 10, 21),
  },
  user,
  envelope: { reversePath: user, recipients: [], smtputf8: false },
  domain: 'example.com',
  limits: LIMITS,
  whole: true,
}

const header: Target = {
  name: 'submission-header',
  words: [
    'From: alice@example.com\r\n',
    'Sender: ',
    'Bcc: x@y.example\r\n',
    'Date: ',
    'Message-ID: <x@y>\r\n',
    'Reply-To: ',
    '\r\n',
    '\r\n ',
  ]
    .concat([
      'Received: by mail.example.com id x;\r\n',
      'Authentication-Results: mail.example.com; none\r\n',
      'Return-Path: <>\r\n',
    ])
    .concat([
      'Resent-From: ',
      '@news.example.com',
      '=?utf-8?q?=40?=',
      '"',
      '<',
      '>',
      '(',
      ')',
      ',',
      ';',
      ':',
      'é',
      'From : ',
      '\0',
    ]),
  longestOctets: 64 * 1024,
  run(input) {
    const { value: completed, error } = attempt(() => complete([input], submission), SmtpError)
    if (completed === null) return error
    const content = Buffer.concat(completed.content)
    const fields = parseHeader(content)
    for (const name of ['From', 'Date', 'Message-ID'])
      assert.equal(fieldsNamed(fields, name).length, 1, `one ${name}`)
    assert.deepEqual(fieldsNamed(fields, 'Bcc'), [])
    // The body is as it came (RFC 6409 §8: nothing of it is altered), and so are the fields that stay.
    const octetsOf = (all: readonly Field[]) => all.reduce((sum, { octets }) => sum + octets.length, 0)
    const body = (all: Buffer) => all.subarray(octetsOf(parseHeader(all)))
    assert.ok(body(content).equals(body(input)), 'the body')
    // Once more, there is nothing left to do but to say that it came by.
    const again = complete([content], submission)
    assert.deepEqual([again.added, again.removed], [['Received'], []])
    return `${completed.added} ${completed.removed} ${completed.smtputf8}`
  },
}

export const submissionTargets: readonly Target[] = [header]
