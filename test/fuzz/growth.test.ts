/**
 * Time grows as length does: texts of one piece repeated, one of 64 KiB beside four of 16. A message may have a header
 * section of 256 KiB, and who reads it in quadratic time stands still for minutes.
 */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Target } from './target.ts'
import { TARGETS } from './targets/all.ts'

const SHORT = 16 * 1024
const LONG = 64 * 1024
/** As often the short text as makes the long one: then both take as long, and what is quadratic takes the long one four times. */
const TIMES = LONG / SHORT
const GROWTH = 2.5
/** What is quadratic is so each time; a neighbour on the machine is not. */
const ATTEMPTS = 5
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
        if (time(target, text(LONG), 1) < NOTICEABLE_MS) continue
        const growth = leastGrowth(target, text(SHORT), text(LONG))
        assert.ok(
          growth < GROWTH,
          `${JSON.stringify(`${before}${piece}…${after}`)}: ${growth.toFixed(1)} times`,
        )
      }
    }
  })
}

/** How much longer one long text takes than short ones of the same length together: the least of a few attempts. */
function leastGrowth(target: Target, short: Buffer, long: Buffer): number {
  let least = Number.POSITIVE_INFINITY
  for (let attempt = 0; attempt < ATTEMPTS && least >= GROWTH; attempt++) {
    least = Math.min(least, time(target, long, 1) / time(target, short, TIMES))
  }
  return least
}

/** CPU time of this thread, in ms: whole ticks of the kernel, some 4 ms each, so that what is short is run `times`. */
function time(target: Target, input: Buffer, times: number): number {
  const before = process.threadCpuUsage()
  for (let run = 0; run < times; run++) target.run(input)
  const { user, system } = process.threadCpuUsage(before)
  return Math.max(1, (user + system) / 1000)
}
