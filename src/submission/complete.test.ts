import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SmtpError } from '../smtp/error.ts'
import { complete } from './complete.ts'

const stamp = {
  from: 'client.test',
  address: '192.0.2.7',
  by: 'mail.example.test',
  protocol: 'ESMTPSA',
  id: '01KAXE0000000000000000000A',
  dateMs: Date.UTC(2026, 10, 21, 20, 0, 0),
}

function completed(content: string): string {
  return Buffer.concat(complete([Buffer.from(content)], stamp, 'example.test')).toString()
}

test('Received always; Date and Message-ID where they are missing', () => {
  const bare = completed('From: a@example.test\r\n\r\ntext\r\n')
  assert.match(bare, /^Received: from client\.test \(\[192\.0\.2\.7\]\) by mail\.example\.test/)
  assert.match(
    bare,
    /\r\nDate: Sat, 21 Nov 2026 20:00:00 \+0000\r\nMessage-ID: <01KAXE0000000000000000000A@example\.test>\r\n/,
  )
  assert.ok(bare.endsWith('\r\nFrom: a@example.test\r\n\r\ntext\r\n'))

  const whole =
    'from: a@example.test\r\nDATE: Thu, 1 Jan 1970 00:00:00 +0000\r\nMESSAGE-id: <x@y>\r\n\r\ntext\r\n'
  const kept = completed(whole)
  assert.ok(kept.endsWith(`\r\n${whole}`))
  assert.equal(kept.match(/^(?:Date|Message-ID):/gim)?.length, 2)
})

test('what the author wrote is kept octet for octet, however it came in pieces', () => {
  const original = Buffer.from(
    'From: a@example.test\r\nSubject: =?utf-8?q?=C3=A9?=\r\n  folded \r\n\r\n\r\nline \r\n\r\n',
  )
  for (let cut = 0; cut <= original.length; cut++) {
    const pieces = [original.subarray(0, cut), original.subarray(cut)]
    const whole = Buffer.concat(complete(pieces, stamp, 'example.test'))
    assert.ok(whole.subarray(-original.length).equals(original), `cut at ${cut}`)
  }
})

test('a message that could not be signed is refused here', () => {
  const rows: [content: string, said: RegExp][] = [
    ['Subject: no author\r\n\r\n', /no From/],
    ['From: a@example.test\r\nFrom: b@example.test\r\n\r\n', /more than one From/],
    ['From: a@example.test\r\nnot a field\r\n\r\n', /line 2/],
    [
      `From: a@example.test\r\nX: ${'x'.repeat(900)}\r\n${`Y: ${'y'.repeat(900)}\r\n`.repeat(300)}\r\n`,
      /longer than/,
    ],
  ]
  for (const [content, said] of rows) {
    assert.throws(
      () => completed(content),
      error => error instanceof SmtpError && error.code >= 500 && said.test(error.message),
    )
  }
})
