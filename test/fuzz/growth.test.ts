/**
 * Time grows as length does: texts of one piece repeated, of 16 KiB and of 64. A message may have a header section of 256
 * KiB, and who reads it in quadratic time stands still for minutes.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Target } from './target.ts'
import { TARGETS } from './targets/all.ts'

const SHORT = 16 * 1024
const LONG = 64 * 1024
/** Four times the length: four times the time, sixteen when it is quadratic. */
const GROWTH = 10
/** Less says nothing. */
const NOTICEABLE_MS = 30

const PIECES = [
  ' ',
  '\t',
  '\r\n ',
  ' \r\n\t',
  'a',
  'a ',
  'a.',
  '.',
  ',',
  ', ',
  ';',
  ':',
  '=',
  '==',
  '@',
  '@@@a.',
  'a@',
]
  .concat([
    '(',
    ')',
    '(a)',
    '()',
    '((',
    '\\',
    '\\(',
    '"',
    '""',
    '"a" ',
    '\\"',
    '<',
    '>',
    '<>',
    '[',
    '[]',
    '!',
    '!.',
    'é',
  ])
  .concat([
    '=?',
    '=?a?q?',
    '=?a?q?b?= ',
    '?=',
    '?',
    '%',
    '-',
    '0',
    '0 ',
    '\n',
    "'",
    "'''",
    '"""',
    '[[',
    '{',
    '{a=',
    '#',
    'by ',
  ])
  .concat(['a: b;', 'a=b;', '; ', '\0', 'From: a\r\n', 'a:b\r\n'])

/** What stands around them. */
const AROUND: Readonly<Record<string, readonly (readonly [before: string, after: string])[]>> = {
  header: [
    ['From: a', 'b\r\n\r\n'],
    ['Received: by a', ';\r\n\r\n'],
    ['From: "', '" <a@b.example>\r\n\r\n'],
  ],
  'users-csv': [
    ['user,password\n', '\n'],
    ['user,password\n"', '"x\n'],
  ],
  'rules-toml': [['\x00a = ', '\n']],
  'mta-sts-policy': [['version: STSv1\nmode:', '\nmx: a.b']],
  'mta-sts-record': [['v=STSv1;', ';id=1']],
  'tlsrpt-record': [['v=TLSRPTv1;rua=', '']],
  'git-answers': [['\x03', '\n']],
  'git-commit': [['tree a\n', '\n\n']],
  'git-tree': [['100644 a', '']],
  'git-listing': [['100644 blob ', '\t']],
  'send-input': [
    ['\x00To: a', 'b\n\n'],
    ['\x01', ''],
  ],
  'dkim-tag-list': [['v=a', 'b; p=c']],
  'submission-header': [
    ['From: alice@example.com\r\nSubject: a', 'b\r\n\r\n'],
    ['From: a', 'b\r\n\r\n'],
    ['From: alice@example.com\r\nReceived: a', 'b\r\n\r\n'],
  ],
  'dkim-field': [['Subject: a', 'b\r\n']],
  'ptt-toml': [['a = ', '\n']],
  'users-toml': [
    ['0a = ', '\n'],
    ['1{"a":', '}'],
    ['1', '1\r\n'],
    ['0a = 1 #', '\nb'],
  ],
}

for (const [name, target] of TARGETS) {
  if (target.longestOctets === undefined) continue
  test(`time grows as length does: ${name}`, () => {
    for (const [before, after] of AROUND[name] ?? [['a', 'b@c.example']]) {
      for (const piece of PIECES) {
        const text = (octets: number) =>
          Buffer.from(`${before}${piece.repeat(Math.ceil(octets / piece.length))}${after}`)
        const long = time(target, text(LONG))
        if (long < NOTICEABLE_MS) continue
        const growth = least(target, text(LONG)) / least(target, text(SHORT))
        assert.ok(
          growth < GROWTH,
          `${JSON.stringify(`${before}${piece}…${after}`)}: ${growth.toFixed(1)} times`,
        )
      }
    }
  })
}

const least = (target: Target, input: Buffer): number =>
  Math.min(...Array.from({ length: 3 }, () => time(target, input)))

/** CPU time of this thread, in ms. */
function time(target: Target, input: Buffer): number {
  const before = process.threadCpuUsage()
  target.run(input)
  const { user, system } = process.threadCpuUsage(before)
  return Math.max(0.001, (user + system) / 1000)
}
