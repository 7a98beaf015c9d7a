import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeMessage, OPCODE, type ResourceRecord, TYPE_ANY } from './message.ts'
import { txtStrings } from './rdata.ts'
import { type Change, decodeUpdate, encodeUpdate, type Prerequisite, type Update } from './update.ts'

const name = 'ptt._domainkey.example.com'
const txt: ResourceRecord = { name, type: 'TXT', class: 'IN', ttlSeconds: 3600, data: txtStrings('new') }
const old: ResourceRecord = { name, type: 'TXT', class: 'IN', ttlSeconds: 0, data: txtStrings('old') }
const deleted: ResourceRecord = { name, type: 'TXT', class: 'NONE', ttlSeconds: 0, data: txtStrings('old') }

/** Kind → class, type, RDLENGTH of its record on the wire: the tables of RFC 2136 §3.2.4 and §3.4.2.6. */
const prerequisites: [prerequisite: Prerequisite, klass: string, type: string, dataOctets: number][] = [
  [{ kind: 'name is in use', name }, '00ff', '00ff', 0],
  [{ kind: 'rrset exists', name, type: 'TXT' }, '00ff', '0010', 0],
  [{ kind: 'name is not in use', name }, '00fe', '00ff', 0],
  [{ kind: 'rrset does not exist', name, type: 'TXT' }, '00fe', '0010', 0],
  [{ kind: 'rrset is', records: [old] }, '0001', '0010', 4],
]
const changes: [change: Change, klass: string, type: string, dataOctets: number, ttl: string][] = [
  [{ kind: 'delete name', name }, '00ff', '00ff', 0, '00000000'],
  [{ kind: 'delete rrset', name, type: 'TXT' }, '00ff', '0010', 0, '00000000'],
  [{ kind: 'delete record', record: deleted }, '00fe', '0010', 4, '00000000'],
  [{ kind: 'add', record: txt }, '0001', '0010', 4, '00000e10'],
]

for (const [prerequisite, klass, type, dataOctets] of prerequisites) {
  test(`prerequisite: ${prerequisite.kind}`, () => {
    const update: Update = { zone: 'example.com', prerequisites: [prerequisite], changes: [] }
    const octets = encodeUpdate(7, update)
    assert.equal(head(octets), '0007280000010001' + '00000000')
    assert.equal(fixed(octets), `${type}${klass}00000000000${dataOctets}`)
    assert.deepEqual(decodeUpdate(octets), { kind: 'update', update })
  })
}
for (const [change, klass, type, dataOctets, ttl] of changes) {
  test(`change: ${change.kind}`, () => {
    const update: Update = { zone: 'example.com', prerequisites: [], changes: [change] }
    const octets = encodeUpdate(7, update)
    assert.equal(head(octets), '0007280000010000' + '00010000')
    assert.equal(fixed(octets), `${type}${klass}${ttl}000${dataOctets}`)
    assert.deepEqual(decodeUpdate(octets), { kind: 'update', update })
  })
}

test('the records of one name and type are one prerequisite (RFC 2136 §3.2.3)', () => {
  const upper = { ...old, name: name.toUpperCase(), data: txtStrings('older') }
  const other = { ...old, name: 'a.example.com' }
  const octets = encodeUpdate(1, {
    zone: 'example.com',
    prerequisites: [{ kind: 'rrset is', records: [old, other, upper] }],
    changes: [],
  })
  const read = decodeUpdate(octets)
  assert.deepEqual(read.kind === 'update' && read.update.prerequisites, [
    { kind: 'rrset is', records: [old, upper] },
    { kind: 'rrset is', records: [other] },
  ])
})

const soa = { name: 'example.com', type: 'SOA', class: 'IN' } as const
const meta = (type: string, klass: string, ttlSeconds = 0, data: Uint8Array | null = null): ResourceRecord =>
  ({ name, type, class: klass, ttlSeconds, data }) as ResourceRecord
const some = Buffer.from([0])

const refused: [what: string, kind: string, message: Parameters<typeof encodeMessage>[0]][] = [
  ['no zone', 'FORMERR', { questions: [] }],
  ['two zones', 'FORMERR', { questions: [soa, soa] }],
  ['a zone of another type', 'FORMERR', { questions: [{ ...soa, type: 'TXT' }] }],
  ['a prerequisite outside the zone', 'NOTZONE', { answers: [{ ...old, name: 'example.org' }] }],
  ['a change outside the zone', 'NOTZONE', { authorities: [{ ...txt, name: 'notexample.com' }] }],
  ['a prerequisite with a TTL', 'FORMERR', { answers: [meta('TXT', 'ANY', 1)] }],
  ['RRset exists, with data', 'FORMERR', { answers: [meta('TYPE300', 'ANY', 0, some)] }],
  ['RRset does not exist, with data', 'FORMERR', { answers: [meta('TYPE300', 'NONE', 0, some)] }],
  ['RRset is, without data', 'FORMERR', { answers: [meta('TXT', 'IN')] }],
  ['a prerequisite of another class', 'FORMERR', { answers: [meta('TXT', 'CLASS3')] }],
  ['a change of another class', 'FORMERR', { authorities: [meta('TYPE300', 'CLASS3', 0, some)] }],
  ['delete RRset, with data', 'FORMERR', { authorities: [meta('TYPE300', 'ANY', 0, some)] }],
  ['delete RRset, with a TTL', 'FORMERR', { authorities: [meta('TXT', 'ANY', 1)] }],
  ['delete RRset of type AXFR', 'FORMERR', { authorities: [meta('TYPE252', 'ANY')] }],
  ['delete record of type ANY', 'FORMERR', { authorities: [meta(TYPE_ANY, 'NONE', 0, some)] }],
  ['delete record, with a TTL', 'FORMERR', { authorities: [{ ...deleted, ttlSeconds: 1 }] }],
  ['add of type ANY', 'FORMERR', { authorities: [meta(TYPE_ANY, 'IN', 0, some)] }],
  ['add without data', 'FORMERR', { authorities: [meta('TXT', 'IN')] }],
]
for (const [what, kind, message] of refused) {
  test(`update: ${what} is ${kind}`, () => {
    assert.deepEqual(decodeUpdate(encodeMessage({ opcode: OPCODE.UPDATE, questions: [soa], ...message })), {
      kind,
    })
  })
}

function head(octets: Buffer): string {
  return octets.toString('hex', 0, 12)
}

/** Type, class, TTL and RDLENGTH of the record after the zone section. */
function fixed(octets: Buffer): string {
  const owner = 12 + 'example.com'.length + 2 + 4
  const at = owner + name.length + 2
  return octets.toString('hex', at, at + 10)
}
