import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { mxMatches, parseStsPolicy, parseStsRecord, type StsMode } from './policy.ts'

const seed = 8461
const RECORD = 'v=STSv1; id=20160831085700Z;'

/** TXT records → the id, or what of the reason. */
const records: [txts: string[], id: string | RegExp][] = [
  [[RECORD], '20160831085700Z'], // §3.1
  [['v=STSv1;id=1'], '1'],
  [['v=STSv1; \t id=1 ; \t'], '1'],
  [['v=STSv1; x=!<~; id=1'], '1'],
  [['v=STSv1; id=1; id=2'], '1'], // §3.2: the first
  [[`v=STSv1; id=${'a'.repeat(32)}`], 'a'.repeat(32)],
  [['v=spf1 -all', 'v=STSv1', 'V=STSv1; id=2;', RECORD], '20160831085700Z'],
  [[], /no TXT record begins with/],
  [['v=STSv2; id=1;'], /no TXT record begins with/],
  [[' v=STSv1; id=1;'], /no TXT record begins with/],
  [['v=STSv1 ; id=1;'], /no TXT record begins with/],
  [[RECORD, RECORD], /2 TXT records/],
  [[RECORD, 'v=STSv1; nonsense'], /2 TXT records/],
  [['v=STSv1;'], /no id/],
  [['v=STSv1; x=1;'], /no id/],
  [['v=STSv1; ID=1;'], /no id/],
  [['v=STSv1; id=1-2;'], /no id/],
  [['v=STSv1; id=1-2; id=1;'], /no id/],
  [[`v=STSv1; id=${'a'.repeat(33)};`], /no id/],
  [['v=STSv1; id=;'], /malformed at "id="/],
  [['v=STSv1;; id=1;'], /malformed at ""/],
  [['v=STSv1; id=1;;'], /malformed at ""/],
  [['v=STSv1; id=1 '], /malformed at "id=1 "/],
  [['v=STSv1; id=1; x=1=2;'], /malformed at "x=1=2"/],
  [['v=STSv1; id=1; x=a b;'], /malformed at "x=a b"/],
  [['v=STSv1; id=1; -x=1;'], /malformed/],
  [[`v=STSv1; id=1; ${'x'.repeat(33)}=1;`], /malformed/],
  [['v=STSv1; id=1; x=ä;'], /malformed/],
  [['v=STSv1; id=1\n'], /malformed at "id=1\\n"/],
]

for (const [txts, expected] of records)
  test(`TXT ${JSON.stringify(txts).slice(0, 90)}`, () => {
    const found = parseStsRecord(txts)
    if (typeof expected === 'string') assert.deepEqual(found, { kind: 'record', id: expected })
    else if (found.kind === 'none') assert.match(found.reason, expected)
    else assert.fail(`an id: ${found.id}`)
  })

// §3.2, the example
const LINES = [
  'version: STSv1',
  'mode: enforce',
  'mx: mail.example.com',
  'mx: *.example.net',
  'mx: backupmx.example.com',
  'max_age: 604800',
]
const MX = ['mail.example.com', '*.example.net', 'backupmx.example.com']
const EXAMPLE = { mode: 'enforce', mx: MX, maxAgeSeconds: 604_800 } as const
const without = (name: string) => LINES.filter(line => !line.startsWith(`${name}:`))
const instead = (line: string) => [...without(line.split(':')[0] ?? ''), line].join('\n')

const policies: [what: string, text: string, expected: object | RegExp][] = [
  ['the example of §3.2', `${LINES.join('\r\n')}\r\n`, EXAMPLE],
  ['LF (sts-policy-term)', `${LINES.join('\n')}\n`, EXAMPLE],
  ['no end of the last line', LINES.join('\n'), EXAMPLE],
  [
    'white space behind fields, none before values',
    LINES.map(l => `${l.replace(' ', '')} \t`).join('\n'),
    EXAMPLE,
  ],
  ['empty lines', `\n${LINES.join('\n\n')}\n \n`, EXAMPLE],
  ['unknown fields', ['x-1._: ä b', ...LINES, 'MX: one.example'].join('\n'), EXAMPLE],
  ['repeated fields: the first', [...LINES, 'mode: none', 'version: 2', 'max_age: x'].join('\n'), EXAMPLE],
  ['upper case in mx', instead('mx: Mail.Example.COM'), { ...EXAMPLE, mx: ['mail.example.com'] }],
  ['testing', instead('mode: testing'), { ...EXAMPLE, mode: 'testing' }],
  ['none needs no mx', 'version: STSv1\nmode: none\nmax_age: 0', { mode: 'none', mx: [], maxAgeSeconds: 0 }],
  ['the longest max_age', instead('max_age: 31557600'), { ...EXAMPLE, maxAgeSeconds: 31_557_600 }],
  ['leading zeros', instead('max_age: 0000000060'), { ...EXAMPLE, maxAgeSeconds: 60 }],
  ['nothing', '', /version is missing/],
  ['HTML', '<!DOCTYPE html>\n<p>mode: enforce</p>', /line 1 is not "name: value"/],
  ['no version', without('version').join('\n'), /version is missing/],
  ['another version', instead('version: STSv2'), /version is "STSv2"/],
  ['no mode', without('mode').join('\n'), /mode is missing/],
  ['case of the mode', instead('mode: Enforce'), /mode is "Enforce"/],
  ['no max_age', without('max_age').join('\n'), /max_age is missing/],
  ['more than the longest max_age', instead('max_age: 31557601'), /max_age is "31557601"/],
  ['11 digits', instead('max_age: 00000000060'), /max_age is/],
  ['a negative max_age', instead('max_age: -1'), /max_age is "-1"/],
  ['no number', instead('max_age: 1d'), /max_age is "1d"/],
  ['no mx', without('mx').join('\n'), /no mx is named/],
  ['testing without mx', 'version: STSv1\nmode: testing\nmax_age: 1', /no mx is named/],
  ['a suffix as drafts had it', instead('mx: .example.com'), /mx "\.example\.com"/],
  ['a wildcard inside', instead('mx: a.*.example.com'), /mx "a\.\*/],
  ['a wildcard beside letters', instead('mx: mx*.example.com'), /mx "mx\*/],
  ['a wildcard alone', instead('mx: *'), /mx "\*"/],
  ['two wildcards', instead('mx: *.*.example.com'), /mx "\*\.\*/],
  ['a U-label', instead('mx: bücher.example'), /mx "bücher/],
  ['several in one', instead('mx: a.example, b.example'), /mx "a\.example, b/],
  ['an empty value', instead('x:'), /not "name: value": "x:"/],
  ['white space before the colon', instead('x : y'), /not "name: value"/],
  ['a control', instead('x: a\u0007b'), /"x: a\\u0007b"/],
  ['CR alone', LINES.join('\r'), /not "name: value"/],
]

for (const [what, text, expected] of policies)
  test(`policy: ${what}`, () => {
    const parsed = parseStsPolicy(text)
    if (!(expected instanceof RegExp)) assert.deepEqual(parsed, { kind: 'policy', policy: expected })
    else if (parsed.kind === 'invalid') assert.match(parsed.reason, expected)
    else assert.fail('valid')
  })

const matches: [pattern: string, host: string, is: boolean][] = [
  ['*.example.com', 'mail.example.com', true], // §4.1
  ['*.example.com', 'example.com', false], // §4.1
  ['*.example.com', 'foo.bar.example.com', false], // §4.1
  ['mail.example.com', 'mail.example.com', true],
  ['mail.example.com', 'MAIL.example.COM.', true],
  ['mail.example.com', 'mail.example.com.evil.example', false],
  ['mail.example.com', 'xmail.example.com', false],
  ['example.com', 'mail.example.com', false],
  ['*.example.com', 'mailXexample.com', false],
  ['*.example.com', '.example.com', false],
  ['*.example.com', '*.example.com', true],
  ['*.com', 'example.com', true],
  ['*.com', 'com', false],
]

for (const [pattern, host, is] of matches)
  test(`mx ${pattern}: ${host} ${is ? 'is' : 'is not'} meant`, () => {
    assert.equal(mxMatches(['other.example', pattern], host), is)
    assert.equal(mxMatches([], host), false)
  })

test('what is written is read as it was, whatever stands in between', () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/)
  const host = fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => labels.join('.'))
  const pattern = fc.tuple(fc.constantFrom('', '*.'), host).map(([star, name]) => `${star}${name}`)
  const other = fc.constantFrom('', 'x: y', 'Mode: none', 'report: mailto:a@b')
  fc.assert(
    fc.property(
      fc.constantFrom<StsMode>('enforce', 'testing', 'none'),
      fc.array(pattern, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 0, max: 31_557_600 }),
      fc.constantFrom('\n', '\r\n'),
      fc.array(other, { maxLength: 4 }),
      (mode, mx, maxAgeSeconds, end, others) => {
        const lines = [
          ...['version: STSv1', `mode: ${mode}`, `max_age:${maxAgeSeconds}`, ...others],
          ...mx.map(name => `mx:\t${name}`),
        ]
        const parsed = parseStsPolicy(lines.join(end))
        assert.deepEqual(parsed, { kind: 'policy', policy: { mode, mx, maxAgeSeconds } })
        for (const name of mx) assert.ok(mxMatches(mx, name.replace('*', 'any')))
      },
    ),
    { seed },
  )
})

test('any text is a policy or a reason of one line, and soon so', () => {
  const piece = fc.constantFrom(
    ...LINES,
    '\r',
    '\n',
    '\r\n',
    ':',
    ' ',
    '*',
    'mx:',
    'max_age: 1',
    ';',
    'id=',
    'v=STSv1;',
  )
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(piece).map(parts => parts.join('')),
  )
  fc.assert(
    fc.property(text, text => {
      for (const found of [parseStsPolicy(text), parseStsRecord([text, `v=STSv1;${text}`])])
        if ('reason' in found) assert.doesNotMatch(found.reason, /[\x00-\x1f\x7f-\x9f]/)
        else if ('policy' in found) assert.ok(found.policy.maxAgeSeconds <= 31_557_600)
    }),
    { seed, numRuns: 2000 },
  )
  // As long as one may be: linear, or this would not end today.
  for (const run of [' ', 'x', ':', ';', '\n', '\r', 'mx: a\n', 'a.']) {
    const long = run.repeat(65_536 / run.length)
    parseStsPolicy(`mx:${long}x`)
    parseStsRecord([`v=STSv1;${long}x`])
    mxMatches(['*.example.com'], long)
  }
})
