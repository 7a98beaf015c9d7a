import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseHeader } from './header.ts'
import { latestResent } from './resent.ts'

const rows: [header: string[], block: string[]][] = [
  [['From: a', 'Subject: b'], []],
  // RFC 5322 App. A.3.
  [
    ['Resent-From: m', 'Resent-To: j', 'Resent-Date: d', 'Resent-Message-ID: i', 'From: x'],
    ['Resent-From: m', 'Resent-To: j', 'Resent-Date: d', 'Resent-Message-ID: i'],
  ],
  // A second block after a trace field, and right behind the first.
  [
    [
      'Received: r',
      'RESENT-FROM: 2',
      'Resent-Date: 2',
      'Received: r',
      'Resent-To: 1',
      'Resent-From: 1',
      'From: x',
    ],
    ['RESENT-FROM: 2', 'Resent-Date: 2'],
  ],
  [
    ['Resent-From: 2', 'Resent-Date: 2', 'Resent-To: 2', 'Resent-From: 1', 'Resent-Cc: 1', 'From: x'],
    ['Resent-From: 2', 'Resent-Date: 2', 'Resent-To: 2'],
  ],
  [
    ['Resent-From: 2', 'X-Other: between', 'Resent-Date: 2', 'Return-Path: <>', 'Resent-Sender: 1'],
    ['Resent-From: 2', 'Resent-Date: 2'],
  ],
  [['Resentment: x', 'Subject: y'], []],
]

for (const [header, block] of rows)
  test(JSON.stringify(header.join(' ')), () => {
    const fields = parseHeader(Buffer.from(`${header.join('\r\n')}\r\n`))
    assert.deepEqual(
      latestResent(fields).map(({ octets }) => Buffer.from(octets).toString().trimEnd()),
      block,
    )
  })

test('a message that was resent twice', () => {
  const octets = readFileSync(join(import.meta.dirname, '../../test/corpus/resent.eml'))
  const [first, ...others] = latestResent(parseHeader(octets))
  assert.match(Buffer.from(first?.octets ?? []).toString(), /^Resent-From: second@example\.com/)
  assert.equal(others.length, 3)
})
