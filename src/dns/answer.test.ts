import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answersQuestion, interpret, MAX_CNAMES } from './answer.ts'
import {
  decodeMessage,
  encodeMessage,
  type MessageParts,
  type Question,
  type ResourceRecord,
} from './message.ts'

const question = { name: 'an.example', type: 'A', class: 'IN' } as const
const soa: ResourceRecord = {
  ...{ name: 'example', type: 'SOA', class: 'IN', ttlSeconds: 900 },
  data: { mname: 'ns.example', rname: 'h.example', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 300 },
}
const ns: ResourceRecord = { name: 'example', type: 'NS', class: 'IN', ttlSeconds: 60, data: 'ns.example' }

const cases: [what: string, message: MessageParts, expected: object][] = [
  [
    'an answer; of differing TTLs the lowest counts (RFC 2181 §5.2)',
    { answers: [a('an.example', '192.0.2.1', 60), a('AN.example', '192.0.2.2', 30)] },
    { kind: 'answer', records: ['192.0.2.1', '192.0.2.2'], ttlSeconds: 30, name: 'an.example' },
  ],
  [
    'records of another name are not the answer',
    { answers: [a('other.example', '192.0.2.1', 60)], authorities: [soa] },
    { kind: 'nodata', ttlSeconds: 300 },
  ],
  [
    'NXDOMAIN, kept as long as the SOA says',
    { rcode: 'NXDOMAIN', authorities: [soa] },
    { kind: 'nxdomain', ttlSeconds: 300 },
  ],
  [
    "the SOA's own TTL counts when it is less (RFC 2308 §5)",
    { rcode: 'NXDOMAIN', authorities: [{ ...soa, ttlSeconds: 100 }] },
    { kind: 'nxdomain', ttlSeconds: 100 },
  ],
  ['NXDOMAIN without SOA is not kept', { rcode: 'NXDOMAIN' }, { kind: 'nxdomain', ttlSeconds: 0 }],
  ['NODATA type 1 (RFC 2308 §2.2)', { authorities: [soa, ns] }, { kind: 'nodata', ttlSeconds: 300 }],
  ['NODATA type 2', { authorities: [soa] }, { kind: 'nodata', ttlSeconds: 300 }],
  ['NODATA type 3', {}, { kind: 'nodata', ttlSeconds: 0 }],
  ['a referral is not NODATA', { authorities: [ns] }, { kind: 'failure', code: 'REFERRAL' }],
  [
    'CNAMEs are followed, whatever their order',
    {
      answers: [
        cname('b.example', 'c.example'),
        a('c.example', '192.0.2.1', 60),
        cname('an.example', 'B.example'),
      ],
    },
    { kind: 'answer', records: ['192.0.2.1'], ttlSeconds: 10, name: 'c.example' },
  ],
  [
    'a CNAME to a name that does not exist is NXDOMAIN (RFC 2308 §2.1)',
    { rcode: 'NXDOMAIN', answers: [cname('an.example', 'b.example')], authorities: [soa] },
    { kind: 'nxdomain', ttlSeconds: 10 },
  ],
  [
    'a CNAME to a name without such a record is NODATA',
    { answers: [cname('an.example', 'b.example')], authorities: [soa] },
    { kind: 'nodata', ttlSeconds: 10 },
  ],
  [
    'a CNAME that leads out of the response is to be followed',
    { answers: [cname('an.example', 'b.example')] },
    { kind: 'alias', name: 'b.example', followed: 1, ttlSeconds: 10 },
  ],
  [
    'a loop of CNAMEs',
    { answers: [cname('an.example', 'b.example'), cname('b.example', 'an.example')] },
    { kind: 'failure', code: 'CNAME' },
  ],
  [
    'a chain of as many CNAMEs as may be',
    { answers: chain(MAX_CNAMES) },
    { kind: 'answer', name: `${MAX_CNAMES}.example` },
  ],
  ['one CNAME more', { answers: chain(MAX_CNAMES + 1) }, { kind: 'failure', code: 'CNAME' }],
  ['SERVFAIL', { rcode: 'SERVFAIL' }, { kind: 'failure', code: 'SERVFAIL' }],
  [
    'SERVFAIL with an answer',
    { rcode: 'SERVFAIL', answers: [a('an.example', '192.0.2.1', 60)] },
    { kind: 'failure' },
  ],
  ['REFUSED', { rcode: 'REFUSED' }, { kind: 'failure', code: 'REFUSED' }],
  ['FORMERR', { rcode: 'FORMERR' }, { kind: 'failure', code: 'FORMERR' }],
  ['an RCODE nobody knows', { rcode: 'RCODE23' }, { kind: 'failure', code: 'RCODE' }],
  [
    'a malformed record is a failure, not NODATA',
    { answers: [{ name: 'an.example', type: 'TYPE1', class: 'IN', ttlSeconds: 60, data: Buffer.alloc(3) }] },
    { kind: 'failure', code: 'FORMERR' },
  ],
  [
    'so is an empty one',
    { answers: [{ name: 'an.example', type: 'A', class: 'IN', ttlSeconds: 60, data: null }] },
    { kind: 'failure', code: 'FORMERR' },
  ],
]
for (const [what, message, expected] of cases) {
  test(`answer: ${what}`, () => {
    const found = interpret(question, parsed({ ...message, response: true }))
    assert.deepEqual({ ...found, ...expected }, found)
  })
}

test('answer: the AD bit is told, also with a negative answer', () => {
  const found = (message: MessageParts): unknown => {
    const answer = interpret(question, parsed({ ...message, authenticData: true }))
    return answer.kind !== 'failure' && answer.authenticated
  }
  assert.equal(found({ answers: [a('an.example', '192.0.2.1', 60)] }), true)
  assert.equal(found({ rcode: 'NXDOMAIN' }), true)
  assert.equal(found({}), true)
})

test('answer: a question for CNAME is answered by the CNAME', () => {
  const found = interpret(
    { ...question, type: 'CNAME' },
    parsed({ answers: [cname('an.example', 'b.example')] }),
  )
  assert.deepEqual(found.kind === 'answer' && found.records, ['b.example'])
})

test('answer: CNAMEs that led here count', () => {
  const message = parsed({ answers: [cname('an.example', 'b.example')] })
  assert.equal(interpret(question, message, MAX_CNAMES - 1).kind, 'alias')
  assert.equal(interpret(question, message, MAX_CNAMES).kind, 'failure')
})

const responses: [what: string, message: MessageParts, counts: boolean][] = [
  ['the response', {}, true],
  ['in another case', { questions: [{ ...question, name: 'AN.Example' }] }, true],
  ['another id', { id: 8 }, false],
  ['a query', { response: false }, false],
  ['another name', { questions: [{ ...question, name: 'on.example' }] }, false],
  ['another type', { questions: [{ ...question, type: 'AAAA' }] }, false],
  ['another class', { questions: [{ ...question, class: 'CLASS3' }] }, false],
  ['two questions', { questions: [question, question] }, false],
  ['no question', { questions: [] }, false],
  ['no question, FORMERR', { questions: [], rcode: 'FORMERR' }, true],
]
for (const [what, message, counts] of responses) {
  test(`response: ${what} ${counts ? 'counts' : 'is ignored'}`, () => {
    const asked: Question = question
    assert.equal(
      answersQuestion(parsed({ id: 7, response: true, questions: [asked], ...message }), 7, asked),
      counts,
    )
  })
}

function parsed(message: MessageParts): ReturnType<typeof decodeMessage> {
  return decodeMessage(encodeMessage(message))
}

function a(name: string, data: string, ttlSeconds: number): ResourceRecord {
  return { name, type: 'A', class: 'IN', ttlSeconds, data }
}

function cname(name: string, data: string): ResourceRecord {
  return { name, type: 'CNAME', class: 'IN', ttlSeconds: 10, data }
}

function chain(length: number): ResourceRecord[] {
  const names = ['an.example', ...Array.from({ length }, (_, index) => `${index + 1}.example`)]
  const cnames = names.slice(0, -1).map((name, index) => cname(name, names[index + 1] ?? ''))
  return [...cnames, a(names.at(-1) ?? '', '192.0.2.1', 60)]
}
