import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigError } from '../config/load.ts'
import { readShaping } from '../config/shaping.ts'
import { shapeFor, shaper, usualShape } from './shaping.ts'

const USUAL = usualShape(20)

/** The rules that come with ptt, then those of the text. */
function rulesOf(text: string) {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-shaping-'))
  try {
    writeFileSync(join(folder, 'own.toml'), text)
    return readShaping(join(folder, 'own.toml'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const shipped = readShaping(undefined)
const providers: [domain: string, hosts: string[], rule: string | null][] = [
  ['gmail.com', ['gmail-smtp-in.l.google.com', 'alt1.gmail-smtp-in.l.google.com'], 'Google'],
  ['example.org', ['aspmx.l.google.com', 'ALT1.ASPMX.L.GOOGLE.COM'], 'Google'],
  ['example.org', ['example-org.mail.protection.outlook.com'], 'Microsoft, business'],
  ['hotmail.com', ['hotmail-com.olc.protection.outlook.com'], 'Microsoft, private mailboxes'],
  ['yahoo.com', ['mta5.am0.yahoodns.net', 'mta6.am0.yahoodns.net'], 'Yahoo and AOL'],
  ['icloud.com', ['mx01.mail.icloud.com', 'mx02.mail.icloud.com'], 'Apple'],
  // One host elsewhere: it is not the provider's domain.
  ['example.org', ['aspmx.l.google.com', 'backup.example.org'], null],
  ['example.org', ['google.com.example.org'], null],
  ['example.org', ['mx.example.org'], null],
]
for (const [domain, hosts, rule] of providers) {
  test(`shaping: ${domain} at ${hosts[0]}: ${rule ?? 'as most'}`, () => {
    const { rules } = shapeFor(shipped, USUAL, domain, hosts)
    assert.deepEqual(
      rules.map(({ name }) => name),
      rule === null ? [] : [rule],
    )
  })
}

test("shaping: the operator's rules have the last word, key by key", () => {
  const rules = rulesOf(`
[[shaping]]
name = "Slowly to Gmail"
domains = ["gmail.com"]
concurrency = 2
messages_per_second = 0.5
idle = "1s"
`)
  const { shape } = shapeFor(rules, USUAL, 'gmail.com', ['gmail-smtp-in.l.google.com'])
  assert.deepEqual(shape, {
    ...USUAL,
    concurrency: { initial: 2, max: 2 },
    messagesPerSecond: 0.5,
    messagesPerConnection: 50,
    idleMs: 1000,
  })
})

test('shaping: a rule without names is for everything, and [relay] concurrency for the rest', () => {
  const rules = rulesOf('[[shaping]]\nname = "All"\nmessages_per_connection = 7\n')
  const { shape } = shapeFor(rules, usualShape(3), 'a.test', ['mx.a.test'])
  assert.deepEqual(shape.concurrency, { initial: 3, max: 3 })
  assert.equal(shape.messagesPerConnection, 7)
})

test('shaping: the same rules give the same shape, which is how sites are told apart', () => {
  const shapeOf = shaper(shipped, USUAL)
  const google = shapeOf('gmail.com', ['gmail-smtp-in.l.google.com'])
  assert.equal(shapeOf('example.org', ['aspmx.l.google.com']), google)
  assert.notEqual(shapeOf('a.test', ['mx.a.test']), google)
})

const broken: [name: string, text: string, complaint: RegExp][] = [
  [
    'an unknown key',
    '[[shaping]]\nname = "A"\nconcurency = 1\n',
    /own\.toml:1: shaping\.concurency: there is no such key: did you mean "concurrency"\?/,
  ],
  [
    'a bad value',
    '\n[[shaping]]\nname = "A"\nidle = "soon"\n',
    /own\.toml:2: shaping\.idle: "soon" is not a duration/,
  ],
  ['no name', '[[shaping]]\nconcurrency = 1\n', /shaping\.name: is missing: write for whom the rule is/],
  ['a table that is none', '[shaping]\nname = "A"\n', /write \[\[shaping\]\]/],
  ['a foreign table', '[relay]\n', /relay: there is no such key/],
  ['a bad pattern', '[[shaping]]\nname = "A"\nhosts = ["*.*.com"]\n', /is not a pattern of names/],
]
for (const [name, text, complaint] of broken) {
  test(`shaping: ${name} is told with its line`, () => {
    assert.throws(
      () => rulesOf(text),
      (error: unknown) => error instanceof ConfigError && complaint.test(error.message),
    )
  })
}
