import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  canonicalData,
  decodeMessage,
  encodeMessage,
  encodeRecord,
  type MessageParts,
  type ResourceRecord,
  rcodeName,
  rcodeNumber,
} from './message.ts'
import { txtStrings, txtText } from './rdata.ts'
import { FormatError } from './wire.ts'

const records: ResourceRecord[] = [
  record('A', '192.0.2.1'),
  record('AAAA', '2001:db8::1'),
  record('CNAME', 'a.example.net'),
  record('NS', 'ns.example.com'),
  record('PTR', 'mail.example.com'),
  record('MX', { preference: 10, exchange: 'mx.example.com' }),
  record('MX', { preference: 0, exchange: '.' }), // RFC 7505 §3
  record('TXT', txtStrings('v=DKIM1; p=')),
  record('TXT', txtStrings('x'.repeat(600))),
  record('TXT', [Buffer.from('')]),
  record('SRV', { priority: 1, weight: 2, port: 465, target: 'mail.example.com' }),
  record('TLSA', { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32, 7) }),
  record('CAA', { flags: 128, tag: 'issue', value: 'ca1.example.net; account=230123' }), // RFC 8659 §4.2
  record('CAA', { flags: 0, tag: 'issue', value: ';' }),
  record('CAA', { flags: 0, tag: 'x', value: '' }),
  record('SOA', {
    mname: 'ns.example.com',
    rname: 'hostmaster.example.com',
    serial: 4294967295,
    refresh: 1,
    retry: 2,
    expire: 3,
    minimum: 4,
  }),
  { name: 'example.com', type: 'TYPE65280', class: 'IN', ttlSeconds: 60, data: Buffer.from('any') },
  { name: 'example.com', type: 'TYPE255', class: 'ANY', ttlSeconds: 0, data: null }, // RFC 2136 §2.5.3
  { name: 'example.com', type: 'A', class: 'NONE', ttlSeconds: 0, data: null }, // RFC 2136 §2.4.3
  { name: 'example.com', type: 'TXT', class: 'ANY', ttlSeconds: 0, data: null }, // RFC 2136 §2.5.2
  { name: '.', type: 'NS', class: 'CLASS3', ttlSeconds: 1, data: 'a.root-servers.net' },
]
for (const written of records) {
  test(`record: ${written.type} ${written.class} ${JSON.stringify(written.data).slice(0, 40)}`, () => {
    // A record after it shows that it ends where it should.
    const message = decodeMessage(
      encodeMessage({ answers: [written], authorities: [record('A', '192.0.2.9')] }),
    )
    assert.deepEqual(message.answers, [written])
    assert.deepEqual(message.authorities, [record('A', '192.0.2.9')])
  })
}

test('a message is what it was', () => {
  const parts: MessageParts = {
    id: 0xfedc,
    response: true,
    opcode: 5,
    rcode: 'BADVERS',
    authoritative: true,
    truncated: true,
    recursionDesired: true,
    recursionAvailable: true,
    authenticData: true,
    checkingDisabled: true,
    questions: [{ name: 'example.com', type: 'TYPE255', class: 'ANY' }],
    answers: [],
    authorities: [],
    additionals: [record('A', '192.0.2.1')],
    edns: { udpPayloadOctets: 1232, dnssecOk: true, version: 1 },
  }
  assert.deepEqual(decodeMessage(encodeMessage(parts)), parts)
})

test('a query is these octets (RFC 1035 §4.1, RFC 6891 §6.1)', () => {
  const octets = encodeMessage({
    id: 1,
    recursionDesired: true,
    authenticData: true,
    questions: [{ name: 'example.com', type: 'MX', class: 'IN' }],
    edns: { udpPayloadOctets: 1232, dnssecOk: true, version: 0 },
  })
  assert.equal(
    octets.toString('hex'),
    `0001${'0120'}0001000000000001${'076578616d706c6503636f6d00'}000f0001${'00'}002904d0${'00008000'}0000`,
  )
})

test('compressed names are read (RFC 1035 §4.1.4)', () => {
  const octets = Buffer.from(
    '000184000001000100000000076578616d706c6503636f6d00000f0001c00c000f00010000003c0007000a026d78c00c',
    'hex',
  )
  const [mx] = decodeMessage(octets).answers
  const expected = record('MX', { preference: 10, exchange: 'mx.example.com' })
  assert.deepEqual(mx, { ...expected, name: 'example.com', ttlSeconds: 60 })
})

/** As they are on the wire, and as RFC 1035 §5.1 writes them in text. */
const odd: [label: Buffer, text: string][] = [
  [Buffer.from('a.b'), 'a\\.b'],
  [Buffer.from('co.'), 'co\\.'],
  [Buffer.from('.'), '\\.'],
  [Buffer.from('a\\'), 'a\\\\'],
  [Buffer.from('a b'), 'a\\032b'],
  [Buffer.from('a\r\nb'), 'a\\013\\010b'],
  [Buffer.from([0xff, 0x00]), '\\255\\000'],
  [Buffer.from('é'), '\\195\\169'],
]
for (const [label, text] of odd) {
  test(`a label that is ${JSON.stringify(label.toString('latin1'))} comes and goes as it is`, () => {
    const length = Buffer.from([label.length])
    const name = Buffer.concat([length, label, Buffer.from('076578616d706c6500', 'hex')])
    const numbers = Buffer.alloc(20, 1)
    const headOf = (type: number, data: Buffer) => {
      const fixed = Buffer.from([0, type, 0, 1, 0, 0, 0, 60, data.length >> 8, data.length & 0xff])
      return Buffer.concat([name, fixed, data])
    }
    const octets = Buffer.concat([
      Buffer.from('000184000001000600000000', 'hex'),
      name,
      Buffer.from([0, 2, 0, 1]),
      ...[2, 5, 12].map(type => headOf(type, name)),
      headOf(6, Buffer.concat([name, name, numbers])),
      headOf(15, Buffer.concat([Buffer.from([0, 10]), name])),
      headOf(33, Buffer.concat([Buffer.from([0, 1, 0, 2, 0, 3]), name])),
    ])
    const message = decodeMessage(octets)
    assert.equal(message.questions[0]?.name, `${text}.example`)
    assert.equal(message.answers[3]?.type === 'SOA' && message.answers[3].data?.rname, `${text}.example`)
    assert.deepEqual(encodeMessage(message), octets)
  })
}

// Flags, the length of the tag, the tag, the value.
for (const data of ['00', '0000', '0001', '0002612d', '00ff6161']) {
  test(`CAA of the octets ${data} stays octets, and is written as they are`, () => {
    const length = (data.length / 2).toString(16).padStart(4, '0')
    const octets = Buffer.from(`00018400000000010000000001610001010001000000${'3c'}${length}${data}`, 'hex')
    const [kept] = decodeMessage(octets).answers
    assert.ok(kept !== undefined)
    assert.equal(kept.type, 'TYPE257')
    assert.equal(encodeRecord(kept).toString('hex'), octets.subarray(12).toString('hex'))
  })
}

test('a name that could not be read is not written elsewhere: its pointer would lead to another one', () => {
  const octets = Buffer.from(`00018400000000010000000001610000020001000000${'3c0002'}c0ff`, 'hex')
  const [kept] = decodeMessage(octets).answers
  assert.equal(kept?.type, 'TYPE2')
  assert.ok(kept !== undefined)
  assert.throws(() => encodeRecord(kept), { name: 'NameError' })
})

const malformed: [what: string, hex: string][] = [
  ['nothing', ''],
  ['half a header', '00018400'],
  ['a question that is missing', '000184000001000000000000'],
  ['a name that points at itself', '000184000001000000000000c00c000f0001'],
  ['a name that points ahead', '000184000001000000000000c00e000f0001'],
  ['a label type that does not exist', '00018400000100000000000040000f0001'],
  ['a record cut in its data', '00018400000000010000000000000100010000003c0004c000'],
  ['octets left over', '00018400000000000000000000'],
]
for (const [what, hex] of malformed) {
  test(`malformed: ${what}`, () => assert.throws(() => decodeMessage(Buffer.from(hex, 'hex')), FormatError))
}

test('RDATA that does not fit its type stays octets, and the other records are read', () => {
  for (const [type, data] of [
    [1, 'c00002'], // an A of three octets
    [1, 'c0000201ff'],
    [15, '000a'], // an MX without exchange
    [15, '000a00ff'], // an octet after it
    [16, '05616263'], // a TXT string longer than the data
    [2, 'c0ff'], // a pointer out of the message
  ] as const) {
    const octets = encodeMessage({
      answers: [
        { name: 'a', type: 'TYPE65280', class: 'IN', ttlSeconds: 60, data: Buffer.from(data, 'hex') },
        record('A', '192.0.2.1'),
      ],
    })
    octets.writeUInt16BE(type, 15)
    const { answers } = decodeMessage(octets)
    assert.deepEqual(answers[0]?.type, `TYPE${type}`)
    assert.equal(Buffer.from(answers[0]?.data as Uint8Array).toString('hex'), data)
    assert.deepEqual(answers[1], record('A', '192.0.2.1'))
  }
})

test('a TTL with its highest bit set is zero (RFC 2181 §8)', () => {
  const octets = encodeMessage({ answers: [{ ...record('A', '192.0.2.1'), ttlSeconds: 0x80000001 }] })
  assert.equal(decodeMessage(octets).answers[0]?.ttlSeconds, 0)
})

test('names and strings that the wire cannot hold are not written', () => {
  const long = 'a'.repeat(64)
  assert.throws(() => encodeRecord({ ...record('A', '192.0.2.1'), name: `${long}.example` }), {
    name: 'NameError',
  })
  assert.throws(() => encodeRecord(record('TXT', [Buffer.alloc(256)])), RangeError)
  assert.throws(() => encodeRecord(record('MX', { preference: 1, exchange: `${long}.example` })), {
    name: 'NameError',
  })
  assert.throws(() => encodeRecord(record('CNAME', `${long}.example`)), { name: 'NameError' })
})

test('TXT: text over 255 octets is cut into strings (RFC 1035 §3.3) and joined again', () => {
  assert.deepEqual(
    txtStrings('x'.repeat(511)).map(string => string.length),
    [255, 255, 1],
  )
  assert.equal(txtText(txtStrings('é'.repeat(200))), 'é'.repeat(200))
  assert.deepEqual(txtStrings(''), [Buffer.from('')])
})

test('equal data is equal octets, whatever the case of its names', () => {
  const mx = (exchange: string): Buffer => canonicalData(record('MX', { preference: 1, exchange }))
  assert.deepEqual(mx('MX.Example.com'), mx('mx.example.COM'))
  assert.notDeepEqual(
    canonicalData(record('TXT', txtStrings('A'))),
    canonicalData(record('TXT', txtStrings('a'))),
  )
})

test('RCODEs have names', () => {
  assert.equal(rcodeName(9), 'NOTAUTH')
  assert.equal(rcodeName(23), 'RCODE23')
  assert.equal(rcodeNumber('RCODE23'), 23)
  assert.equal(rcodeNumber('NOTZONE'), 10)
})

test('any octets are a message or a FormatError, nothing else', () => {
  const valid = encodeMessage({
    id: 1,
    questions: [{ name: 'example.com', type: 'MX', class: 'IN' }],
    answers: records,
  })
  const damaged = fc
    .array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 8 })
    .map(changes =>
      changes.reduce((octets, [at, value]) => octets.fill(value, at, at + 1), Buffer.from(valid)),
    )
  const random = fc.uint8Array({ maxLength: 200 }).map(octets => Buffer.from(octets))
  fc.assert(
    fc.property(fc.oneof(damaged, random), octets => {
      try {
        decodeMessage(octets)
      } catch (error) {
        assert.ok(error instanceof FormatError, String(error))
      }
    }),
    { seed: 1035, numRuns: 2000 },
  )
})

test('what is written is read', () => {
  const label = fc.stringMatching(/^[a-z0-9_-]{1,12}$/)
  const name = fc.array(label, { minLength: 1, maxLength: 4 }).map(labels => labels.join('.'))
  const written = fc
    .tuple(name, fc.nat(0x7fffffff), fc.nat(65535), name, fc.string({ maxLength: 600 }))
    .map(([owner, ttlSeconds, preference, exchange, text]): ResourceRecord[] => [
      { name: owner, type: 'MX', class: 'IN', ttlSeconds, data: { preference, exchange } },
      { name: owner, type: 'TXT', class: 'IN', ttlSeconds, data: txtStrings(text) },
    ])
  fc.assert(
    fc.property(fc.nat(65535), written, (id, answers) => {
      const message = decodeMessage(encodeMessage({ id, answers }))
      assert.equal(message.id, id)
      assert.deepEqual(message.answers, answers)
    }),
    { seed: 1035, numRuns: 300 },
  )
})

function record<T extends ResourceRecord['type']>(
  type: T,
  data: (ResourceRecord & { type: T })['data'],
): ResourceRecord {
  return { name: 'a.example.com', type, class: 'IN', ttlSeconds: 3600, data } as ResourceRecord
}
