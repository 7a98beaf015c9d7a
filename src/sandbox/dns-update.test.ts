import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Change, Prerequisite } from '../dns/update.ts'
import { applyUpdate } from './dns-update.ts'
import { parseRecord, Zone, type ZoneRecord } from './dns-zone.ts'

const ORIGIN = 'example.com'
const zone = Zone.parse({
  origin: ORIGIN,
  records: [
    { name: '@', type: 'SOA', data: 'ns.example.com h.example.com 10 1 2 3 4' },
    { name: '@', type: 'NS', data: 'ns1.example.com' },
    { name: '@', type: 'NS', data: 'ns2.example.com' },
    { name: '@', type: 'MX', data: '10 mail.example.com' },
    { name: 'a', type: 'TXT', data: 'one' },
    { name: 'a', type: 'TXT', data: 'two' },
    { name: 'a', type: 'A', data: '192.0.2.1' },
    { name: 'c', type: 'CNAME', data: 'a.example.com' },
    { name: 'deep.b', type: 'TXT', data: 'x' },
  ],
})
const name = (label: string): string => (label === '@' ? ORIGIN : `${label}.${ORIGIN}`)
const record = (
  label: string,
  type: ZoneRecord['type'],
  data: string,
  ttlSeconds = 60,
): ReturnType<typeof parseRecord> => parseRecord({ name: label, type, data, ttlSeconds }, ORIGIN)
const txt = (label: string, data: string): ReturnType<typeof parseRecord> => record(label, 'TXT', data)

/** RFC 2136 §3.2. */
const prerequisites: [prerequisite: Prerequisite, outcome: string][] = [
  [{ kind: 'name is in use', name: name('A') }, 'done'],
  [{ kind: 'name is in use', name: name('b') }, 'NXDOMAIN'], // an empty non-terminal, §2.4.4
  [{ kind: 'name is in use', name: name('z') }, 'NXDOMAIN'],
  [{ kind: 'name is not in use', name: name('b') }, 'done'],
  [{ kind: 'name is not in use', name: name('a') }, 'YXDOMAIN'],
  [{ kind: 'rrset exists', name: name('a'), type: 'TXT' }, 'done'],
  [{ kind: 'rrset exists', name: name('a'), type: 'MX' }, 'NXRRSET'],
  [{ kind: 'rrset does not exist', name: name('a'), type: 'MX' }, 'done'],
  [{ kind: 'rrset does not exist', name: name('a'), type: 'TXT' }, 'YXRRSET'],
  [{ kind: 'rrset is', records: [txt('a', 'two'), txt('a', 'one')] }, 'done'],
  [{ kind: 'rrset is', records: [txt('a', 'one')] }, 'NXRRSET'],
  [{ kind: 'rrset is', records: [txt('a', 'one'), txt('a', 'two'), txt('a', 'three')] }, 'NXRRSET'],
  [{ kind: 'rrset is', records: [txt('z', 'one')] }, 'NXRRSET'],
  [{ kind: 'rrset is', records: [record('@', 'MX', '10 MAIL.example.com')] }, 'done'],
]
for (const [prerequisite, outcome] of prerequisites) {
  test(`prerequisite: ${JSON.stringify(prerequisite).slice(0, 80)} is ${outcome}`, () => {
    assert.equal(
      applyUpdate(zone, { zone: ORIGIN, prerequisites: [prerequisite], changes: [] }, () => true).kind,
      outcome,
    )
  })
}

/**
 * RFC 2136 §3.4.2: changes, the RRsets that are to look at, what is there then; and whether the serial grew.
 */
const changes: [what: string, changes: Change[], after: Record<string, string[]>, serial: number][] = [
  ['add to an RRset', [{ kind: 'add', record: txt('a', 'three') }], { 'a TXT': ['one', 'two', 'three'] }, 11],
  [
    'add what is there already, with another TTL',
    [{ kind: 'add', record: record('a', 'TXT', 'two', 7) }],
    { 'a TXT': ['one', 'two'] },
    11,
  ],
  ['add a new name', [{ kind: 'add', record: txt('new', 'x') }], { 'new TXT': ['x'] }, 11],
  [
    'add beside a CNAME: ignored',
    [{ kind: 'add', record: txt('c', 'x') }],
    { 'c TXT': [], 'c CNAME': ['a.example.com'] },
    10,
  ],
  [
    'add a CNAME beside others: ignored',
    [{ kind: 'add', record: record('a', 'CNAME', 'x.example.com') }],
    { 'a CNAME': [] },
    10,
  ],
  [
    'add a second CNAME: replaces',
    [{ kind: 'add', record: record('c', 'CNAME', 'x.example.com') }],
    { 'c CNAME': ['x.example.com'] },
    11,
  ],
  [
    'an older SOA: ignored',
    [{ kind: 'add', record: record('@', 'SOA', 'n h 9 1 2 3 4') }],
    { '@ MX': ['10 mail.example.com'] },
    10,
  ],
  [
    'a newer SOA',
    [{ kind: 'add', record: record('@', 'SOA', 'n h 99 1 2 3 4') }],
    { '@ SOA': ['n h 99 1 2 3 4'] },
    99,
  ],
  [
    'an SOA elsewhere: ignored',
    [{ kind: 'add', record: record('a', 'SOA', 'n h 99 1 2 3 4') }],
    { 'a SOA': [] },
    10,
  ],
  [
    'delete an RRset',
    [{ kind: 'delete rrset', name: name('A'), type: 'TXT' }],
    { 'a TXT': [], 'a A': ['192.0.2.1'] },
    11,
  ],
  ['delete an RRset that is not there', [{ kind: 'delete rrset', name: name('z'), type: 'TXT' }], {}, 10],
  [
    "delete the origin's NS RRset: ignored",
    [{ kind: 'delete rrset', name: ORIGIN, type: 'NS' }],
    { '@ NS': ['ns1.example.com', 'ns2.example.com'] },
    10,
  ],
  ['delete a name', [{ kind: 'delete name', name: name('a') }], { 'a TXT': [], 'a A': [] }, 11],
  [
    'delete the origin: SOA and NS stay',
    [{ kind: 'delete name', name: ORIGIN }],
    { '@ MX': [], '@ NS': ['ns1.example.com', 'ns2.example.com'] },
    11,
  ],
  ['delete a record', [{ kind: 'delete record', record: txt('a', 'one') }], { 'a TXT': ['two'] }, 11],
  [
    'delete a record that is not there',
    [{ kind: 'delete record', record: txt('a', 'nine') }],
    { 'a TXT': ['one', 'two'] },
    10,
  ],
  [
    'the last NS of the origin stays',
    [
      { kind: 'delete record', record: record('@', 'NS', 'ns1.example.com') },
      { kind: 'delete record', record: record('@', 'NS', 'ns2.example.com') },
    ],
    { '@ NS': ['ns2.example.com'] },
    11,
  ],
  [
    'the SOA is not deleted',
    [{ kind: 'delete record', record: record('@', 'SOA', 'ns.example.com h.example.com 10 1 2 3 4') }],
    {},
    10,
  ],
  [
    'changes are made in order',
    [
      { kind: 'delete rrset', name: name('a'), type: 'TXT' },
      { kind: 'add', record: txt('a', 'new') },
    ],
    { 'a TXT': ['new'] },
    11,
  ],
]
for (const [what, made, after, serial] of changes) {
  test(`update: ${what}`, () => {
    const applied = applyUpdate(zone, { zone: ORIGIN, prerequisites: [], changes: made }, () => true)
    assert.ok(applied.kind === 'done')
    const { records } = applied.zone.export()
    for (const [key, expected] of Object.entries(after)) {
      const found = records.filter(one => `${one.name} ${one.type}` === key).map(one => one.data)
      assert.deepEqual(found.sort(), [...expected].sort(), key)
    }
    assert.equal(applied.zone.soa().data.serial, serial)
    assert.equal(applied.zone === zone, serial === 10)
  })
}

test('update: all or nothing, when one change is not permitted', () => {
  const made: Change[] = [
    { kind: 'add', record: txt('a', 'three') },
    { kind: 'add', record: record('a', 'A', '192.0.2.2') },
  ]
  const applied = applyUpdate(
    zone,
    { zone: ORIGIN, prerequisites: [], changes: made },
    (_, type) => type === 'TXT',
  )
  assert.deepEqual(applied, { kind: 'REFUSED' })
  assert.equal(zone.rrset(name('a'), 'TXT').length, 2)
})

test('update: the serial goes round, past zero (RFC 1982, RFC 2136 §4.2)', () => {
  const last = Zone.parse({
    origin: ORIGIN,
    records: [{ name: '@', type: 'SOA', data: 'n h 4294967295 1 2 3 4' }],
  })
  const change: Change = { kind: 'add', record: txt('a', 'x') }
  const applied = applyUpdate(last, { zone: ORIGIN, prerequisites: [], changes: [change] }, () => true)
  assert.equal(applied.kind === 'done' && applied.zone.soa().data.serial, 1)
})
