import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ConfigError } from '../../config/load.ts'
import { readSources } from '../../config/sources.ts'
import { openMemoryShelf } from '../../queue/memory/shelf.ts'
import { DayCounts, Sources } from '../sources.ts'
import { dayLimit, poolFor, sourceFor } from './source.ts'

function sourcesOf(toml: string) {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-sources-'))
  try {
    writeFileSync(join(folder, 'sources.toml'), toml)
    return readSources(join(folder, 'sources.toml'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const RULES = sourcesOf(`
[[source]]
name = "a"
addresses = ["192.0.2.1", "2001:db8::1"]
hostname = "a.example.com"

[[source]]
name = "b"
addresses = ["192.0.2.2"]
weight = 3

[[source]]
name = "n1"
pool = "news"
addresses = ["192.0.2.3"]
senders = ["news.example.com", "*.news.example.com"]

[[source]]
name = "n2"
pool = "news"
addresses = ["192.0.2.4"]
since = 2026-11-01
first_day = 100
growth = 2
until = 1000
`)
const ALL = () => null
const ids = Array.from({ length: 4000 }, (_, n) => `01KAXE${n}`)

test("sources: a sender's domain has a pool, the others the one without a name", () => {
  assert.equal(poolFor(RULES, 'news.example.com'), 'news')
  assert.equal(poolFor(RULES, 'a.news.example.com'), 'news')
  assert.equal(poolFor(RULES, 'example.com'), '')
  assert.equal(poolFor(RULES, null), '')
})

test('sources: without any the system chooses, and the relay has its own name', () => {
  assert.deepEqual(sourceFor([], '', 'x', 'mail.example.com', ALL), {
    name: '',
    pool: '',
    hostname: 'mail.example.com',
    ipv4: undefined,
    ipv6: undefined,
  })
})

test('sources: a message always leaves from the same source, and weights share them out', () => {
  const names = ids.map(id => sourceFor(RULES, '', id, 'mail.example.com', ALL)?.name)
  assert.deepEqual(
    names,
    ids.map(id => sourceFor(RULES, '', id, 'mail.example.com', ALL)?.name),
  )
  const share = names.filter(name => name === 'b').length / names.length
  assert.ok(share > 0.7 && share < 0.8, String(share))
})

test('sources: a source that leaves the pool moves only what it had', () => {
  const without = RULES.filter(({ name }) => name !== 'a')
  for (const id of ids) {
    if (sourceFor(RULES, '', id, 'm', ALL)?.name === 'b')
      assert.equal(sourceFor(without, '', id, 'm', ALL)?.name, 'b')
  }
})

test('sources: a source has its name and its addresses; a family it lacks is not used', () => {
  const a = RULES.slice(0, 1)
  assert.deepEqual(sourceFor(a, '', 'x', 'mail.example.com', ALL), {
    name: 'a',
    pool: '',
    hostname: 'a.example.com',
    ipv4: '192.0.2.1',
    ipv6: '2001:db8::1',
  })
  assert.equal(sourceFor(RULES, 'news', 'x', 'm', ALL)?.ipv6, null)
})

test('sources: one that has had its share today leaves the rest to the others, and all together nothing', () => {
  for (const id of ids.slice(0, 50)) {
    const source = sourceFor(RULES, 'news', id, 'm', rule => (rule.name === 'n2' ? 0 : null))
    assert.equal(source?.name, 'n1')
  }
  assert.equal(
    sourceFor(RULES, 'news', 'x', 'm', () => 0),
    null,
  )
})

test('sources: what is under way counts for the share of the day, until it is over', async () => {
  const rules = sourcesOf(`
[[source]]
name = "new"
addresses = ["192.0.2.1"]
since = 2026-11-01
first_day = 2
`)
  let sent = 0
  const counts = {
    get: () => sent,
    add: async (_: string, __: number, messages: number) => {
      sent += messages
    },
  }
  const sources = new Sources(
    () => rules,
    'm',
    counts,
    () => Date.parse('2026-11-01T12:00:00Z'),
  )
  const begin = (id: string) => {
    const source = sources.sourceOf({ id }, 'x.test')
    if (source !== null) assert.equal(sources.begin(source, 1), 1)
    return source
  }
  const [first, second, third] = ['1', '2', '3'].map(begin)
  assert.ok(first && second)
  assert.equal(third, null)
  await sources.sent(first, 1)
  sources.end(first, 1)
  assert.equal(begin('3'), null)
  sources.end(second, 1)
  assert.equal(begin('3')?.name, 'new')
  assert.equal(begin('4'), null)
})

test('sources: a message counts for each of its recipients, and a share is never exceeded', async () => {
  const rules = sourcesOf(`
[[source]]
name = "new"
addresses = ["192.0.2.1"]
since = 2026-11-01
first_day = 10
`)
  const nowMs = Date.parse('2026-11-01T12:00:00Z')
  const counts = await DayCounts.open(openMemoryShelf(), nowMs)
  const sources = new Sources(
    () => rules,
    'm',
    counts,
    () => nowMs,
  )
  const source = sources.sourceOf({ id: '1' }, 'x.test')
  assert.ok(source)
  assert.equal(sources.begin(source, 6), 6)
  assert.equal(sources.begin(source, 6), 4)
  assert.equal(sources.sourceOf({ id: '2' }, 'x.test'), null)
  // Of the six four were taken, of the four none.
  await sources.sent(source, 4)
  sources.end(source, 6)
  await sources.sent(source, 0)
  sources.end(source, 4)
  assert.equal(sources.begin(source, 100), 6)
})

const days: [date: string, limit: number | null][] = [
  ['2026-10-31T23:59:59Z', 0],
  ['2026-11-01T00:00:00Z', 100],
  ['2026-11-01T23:59:59Z', 100],
  ['2026-11-02T00:00:00Z', 200],
  ['2026-11-04T12:00:00Z', 800],
  ['2026-11-05T00:00:00Z', null],
  ['2027-11-05T00:00:00Z', null],
]
for (const [date, limit] of days) {
  test(`sources: warm-up on ${date}: ${limit ?? 'over'}`, () => {
    const rule = RULES.find(({ name }) => name === 'n2')
    assert.ok(rule)
    assert.equal(dayLimit(rule, Date.parse(date)), limit)
  })
}

const broken: [name: string, toml: string, complaint: RegExp][] = [
  ['two of a family', 'name = "a"\naddresses = ["192.0.2.1", "192.0.2.2"]', /write one IPv4 address/],
  ['a name for an address', 'name = "a"\naddresses = ["mail.example.com"]', /is not an IP address/],
  [
    'half a warm-up',
    'name = "a"\naddresses = ["192.0.2.1"]\nfirst_day = 5',
    /wants both first_day and since/,
  ],
  ['no addresses', 'name = "a"', /source\.addresses: is missing/],
]
for (const [name, toml, complaint] of broken) {
  test(`sources: ${name} is told`, () => {
    assert.throws(
      () => sourcesOf(`[[source]]\n${toml}\n`),
      (error: unknown) => error instanceof ConfigError && complaint.test(error.message),
    )
  })
}
