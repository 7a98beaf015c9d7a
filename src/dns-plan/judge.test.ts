import assert from 'node:assert/strict'
import { test } from 'node:test'
import { txtStrings } from '../dns/rdata.ts'
import { updateOf } from './apply.ts'
import { type Rr, srvRr } from './finding.ts'
import { judge, text, type Wish } from './judge.ts'
import { Ownership, ownershipText } from './ownership.ts'
import type { Seen } from './view.ts'

const NAME = 'example.com'
const wanted = text('v=spf1 ip4:192.0.2.1 ~all')
const theirs = text('v=spf1 mx -all')
const useful = text('v=spf1 +all')
const verification = text('verification=1')

const wish: Wish = {
  ...{ domain: NAME, subject: 'SPF', name: NAME, type: 'TXT', wanted, ttlSeconds: 3600 },
  isOfKind: rr => rr.text.startsWith('v=spf1'),
  assess: async rr =>
    rr === useful ? { good: true, remark: 'not by ptt' } : { good: false, reason: 'it does not allow us' },
  ifMissing: 'there is none',
  ifSeveral: 'an error',
}

function seen(records: readonly Rr[], owned: readonly Rr[] = [], more: Partial<Seen> = {}): Seen {
  return {
    ...{ kind: 'seen', zone: 'example.com', primary: { host: '192.0.2.53', port: 53 }, records },
    ttlSeconds: records.length === 0 ? null : 60,
    ...{ alias: null, lagging: [], silent: [], obstacle: null },
    ownership: new Ownership(owned.map(rr => ownershipText(NAME, rr))),
    ...more,
  }
}

interface Expected {
  readonly verdict: string
  readonly reason?: RegExp
  readonly remove?: readonly Rr[]
  readonly add?: readonly Rr[]
  /** Only if it is told to. */
  readonly replaces?: true
}
const alias = { target: 'spf.example.net', records: [theirs] }
const cases: [what: string, seen: Seen, expected: Expected][] = [
  ['nothing', seen([]), { verdict: 'missing', add: [wanted] }],
  ['other TXT only', seen([verification]), { verdict: 'missing', add: [wanted] }],
  ['ours', seen([wanted, verification], [wanted]), { verdict: 'ok' }],
  ['the same, written by hand', seen([wanted]), { verdict: 'ok' }],
  [
    'what we wrote earlier',
    seen([theirs, verification], [theirs]),
    { verdict: 'differs', remove: [theirs], add: [wanted] },
  ],
  ["somebody else's that does", seen([useful]), { verdict: 'ok', reason: /not by ptt/ }],
  [
    "somebody else's that does not",
    seen([theirs]),
    { verdict: 'foreign', reason: /it does not allow us/, remove: [theirs], add: [wanted], replaces: true },
  ],
  [
    'what we wrote, changed by hand since',
    seen([theirs], [wanted]),
    { verdict: 'foreign', remove: [theirs], add: [wanted], replaces: true },
  ],
  [
    "ours and somebody else's",
    seen([wanted, theirs], [wanted]),
    { verdict: 'foreign', reason: /2 records: an error/, remove: [theirs], add: [], replaces: true },
  ],
  [
    'two of ours',
    seen([theirs, wanted], [theirs, wanted]),
    { verdict: 'differs', remove: [theirs], add: [] },
  ],
  [
    'an alias that does not',
    seen([], [], { alias }),
    { verdict: 'foreign', reason: /alias \(CNAME\) of spf/ },
  ],
  ['an alias that does', seen([], [], { alias: { ...alias, records: [useful] } }), { verdict: 'ok' }],
  ['an alias of nothing', seen([], [], { alias: { ...alias, records: [] } }), { verdict: 'foreign' }],
  [
    'a server that lags',
    seen([wanted], [], { lagging: ['ns2 has nothing'] }),
    { verdict: 'differs', reason: /ns2 has nothing/ },
  ],
  [
    'a server that is down',
    seen([wanted], [], { silent: ['ns2: refused'] }),
    { verdict: 'cannot know', reason: /ns2: refused/ },
  ],
  [
    'a server that lags, and nothing at the primary',
    seen([], [], { lagging: ['x'] }),
    { verdict: 'missing', add: [wanted] },
  ],
]
for (const [what, found, expected] of cases) {
  test(`judge: ${what}`, async () => {
    const finding = await judge(wish, found)
    assert.ok(finding !== null)
    assert.equal(finding.verdict, expected.verdict, finding.reason)
    assert.match(finding.reason, expected.reason ?? /./)
    const change = expected.replaces ? finding.replacement : finding.change
    assert.deepEqual([change?.remove, change?.add], [expected.remove ?? change?.remove, expected.add])
    assert.equal(expected.replaces ? finding.change : finding.replacement, null)
  })
}

test('judge: nothing is wanted: ours goes, all else stays', async () => {
  const none: Wish = { ...wish, wanted: null }
  assert.equal(await judge(none, seen([])), null)
  assert.equal(await judge(none, seen([theirs, verification])), null)
  assert.equal(await judge(none, { kind: 'unseen', reason: 'SERVFAIL' }), null)
  const finding = await judge(none, seen([theirs, wanted], [wanted]))
  assert.equal(finding?.verdict, 'differs')
  assert.deepEqual([finding?.change?.remove, finding?.change?.add], [[wanted], []])
})

test('judge: no answer is no verdict', async () => {
  const finding = await judge(wish, { kind: 'unseen', reason: 'SERVFAIL' })
  assert.deepEqual([finding?.verdict, finding?.reason, finding?.change], ['cannot know', 'SERVFAIL', null])
})

test('judge: without the primary there is a verdict, and nothing to be written', async () => {
  const hosted = { primary: null, obstacle: 'the primary does not answer' }
  const missing = await judge(wish, seen([], [], hosted))
  assert.deepEqual(
    [missing?.verdict, missing?.change, missing?.obstacle],
    ['missing', null, 'the primary does not answer'],
  )
  const foreign = await judge(wish, seen([theirs], [], hosted))
  assert.deepEqual([foreign?.verdict, foreign?.replacement], ['foreign', null])
  const behind = await judge(wish, seen([wanted], [], { ...hosted, lagging: ['ns2 has nothing'] }))
  assert.equal(behind?.reason, 'right at one server, not everywhere: ns2 has nothing')
})

test('an update says what was seen, names what goes, and keeps the list of ours', async () => {
  const finding = await judge(wish, seen([theirs, verification], [theirs]))
  assert.ok(finding?.change)
  const record = (rr: Rr, name = NAME, ttlSeconds = 60) => ({
    ...{ name, type: rr.type, class: 'IN', ttlSeconds, data: rr.data },
  })
  const entry = (rr: Rr) => record(text(ownershipText(NAME, rr)), '_ptt.example.com', 300)
  assert.deepEqual(updateOf(finding.change), {
    zone: 'example.com',
    prerequisites: [{ kind: 'rrset is', records: [theirs, verification].map(rr => record(rr)) }],
    changes: [
      { kind: 'delete record', record: record(theirs) },
      { kind: 'add', record: record(wanted) },
      { kind: 'delete record', record: entry(theirs) },
      { kind: 'add', record: entry(wanted) },
    ],
  })
  const missing = await judge(wish, seen([]))
  assert.ok(missing?.change)
  const update = updateOf(missing.change)
  assert.deepEqual(update.prerequisites, [{ kind: 'rrset does not exist', name: NAME, type: 'TXT' }])
  // Where there is no RRset yet its TTL is ours to say.
  assert.deepEqual(update.changes[0], { kind: 'add', record: record(wanted, NAME, 3600) })
})

test('ownership: of a name, a type and the very data; what is gone is known', () => {
  const other = srvRr({ priority: 0, weight: 1, port: 465, target: 'Mail.Example.com' })
  const list = new Ownership([
    ownershipText(NAME, wanted),
    ownershipText('_a.example.com', other),
    'nonsense',
  ])
  assert.ok(list.owns('Example.COM', wanted))
  assert.ok(list.owns('_a.example.com', srvRr({ ...other.data, target: 'mail.example.com' } as never)))
  assert.ok(!list.owns('www.example.com', wanted))
  assert.ok(!list.owns(NAME, theirs))
  assert.ok(!list.owns(NAME, { type: 'TXT', data: txtStrings(wanted.text), text: `${wanted.text} ` }))
  assert.deepEqual(list.stale(NAME, 'TXT', []), [ownershipText(NAME, wanted)])
  assert.deepEqual(list.stale(NAME, 'TXT', [wanted]), [])
  assert.deepEqual(list.stale(NAME, 'SRV', []), [])
})
