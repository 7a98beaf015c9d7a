import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Maildir, readMaildir } from './maildir.ts'

test('messages come back in the order they arrived, octet for octet', async t => {
  const path = mkdtempSync(join(tmpdir(), 'ptt-maildir-'))
  t.after(() => rmSync(path, { recursive: true }))
  const maildir = new Maildir(path)
  const arrivals: [nowMs: number, pieces: string[]][] = [
    [1_000, ['Subject: one\r\n', '\r\n', 'first\r\n']],
    [1_007, ['Subject: two\r\n\r\n', '\xff\x00']],
    // Eleven in one millisecond: the count sorts as a number.
    ...Array.from({ length: 11 }, (_, n): [number, string[]] => [2_000, [`Subject: ${n}\r\n\r\n`]]),
  ]
  for (const [nowMs, pieces] of arrivals) {
    await maildir.deliver(
      pieces.map(piece => Buffer.from(piece, 'latin1')),
      nowMs,
    )
  }
  const stored = readMaildir(path).map(message => message.octets.toString('latin1'))
  assert.deepEqual(
    stored,
    arrivals.map(([, pieces]) => pieces.join('')),
  )
  assert.deepEqual(readdirSync(join(path, 'tmp')), [])
})

test('a Maildir that is not there is empty', () => {
  assert.deepEqual(readMaildir(join(tmpdir(), 'ptt-no-such-maildir')), [])
})
