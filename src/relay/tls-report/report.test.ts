import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { Failure, Policy } from './outcome.ts'
import { buildReport, filenameOf, gzip, reportIdOf, type Submitter, submitterDomain } from './report.ts'
import { fromJson, Tally, toJson } from './tally.ts'

const COMPANY_Y = 'company-y.example'
const STS: Policy = {
  type: 'sts',
  strings: ['version: STSv1', 'mode: testing', 'mx: *.mail.company-y.example', 'max_age: 86400'],
  mxHosts: ['*.mail.company-y.example'],
}
const COMPANY_X = { organization: 'Company-X', contact: 'sts-reporting@company-x.example' }

/** The sessions that Appendix B of RFC 8460 tells of. */
function appendixB(): Tally {
  const tally = new Tally(COMPANY_Y)
  const failures: [sessions: number, failure: Failure][] = [
    [
      100,
      {
        type: 'certificate-expired',
        sendingIp: '2001:db8:abcd:0012::1',
        receivingMx: 'mx1.mail.company-y.example',
      },
    ],
    [
      200,
      {
        type: 'starttls-not-supported',
        sendingIp: '2001:db8:abcd:0013::1',
        receivingMx: 'mx2.mail.company-y.example',
        receivingIp: '203.0.113.56',
      },
    ],
    [
      3,
      {
        type: 'validation-failure',
        sendingIp: '198.51.100.62',
        receivingIp: '203.0.113.58',
        receivingMx: 'mx-backup.mail.company-y.example',
        reason: 'X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED',
      },
    ],
  ]
  for (let n = 0; n < 5326; n++) tally.note({ policy: STS, result: 'success' })
  for (const [sessions, result] of failures)
    for (let n = 0; n < sessions; n++) tally.note({ policy: STS, result })
  return tally
}

test('the report of Appendix B', () => {
  const report = buildReport(
    appendixB().counts(),
    { day: '2016-04-01' },
    COMPANY_X,
    '5065427c-23d3-47ca-b6e0-946ea0e8c4be',
  )
  // As printed there, but for "additional-information", which we have none of, and for mx-host, which §4.4 calls an array.
  assert.deepEqual(report, {
    'organization-name': 'Company-X',
    'date-range': {
      'start-datetime': '2016-04-01T00:00:00Z',
      'end-datetime': '2016-04-01T23:59:59Z',
    },
    'contact-info': 'sts-reporting@company-x.example',
    'report-id': '5065427c-23d3-47ca-b6e0-946ea0e8c4be',
    policies: [
      {
        policy: {
          'policy-type': 'sts',
          'policy-string': [
            'version: STSv1',
            'mode: testing',
            'mx: *.mail.company-y.example',
            'max_age: 86400',
          ],
          'policy-domain': 'company-y.example',
          'mx-host': ['*.mail.company-y.example'],
        },
        summary: {
          'total-successful-session-count': 5326,
          'total-failure-session-count': 303,
        },
        'failure-details': [
          {
            'result-type': 'certificate-expired',
            'sending-mta-ip': '2001:db8:abcd:0012::1',
            'receiving-mx-hostname': 'mx1.mail.company-y.example',
            'failed-session-count': 100,
          },
          {
            'result-type': 'starttls-not-supported',
            'sending-mta-ip': '2001:db8:abcd:0013::1',
            'receiving-mx-hostname': 'mx2.mail.company-y.example',
            'receiving-ip': '203.0.113.56',
            'failed-session-count': 200,
          },
          {
            'result-type': 'validation-failure',
            'sending-mta-ip': '198.51.100.62',
            'receiving-ip': '203.0.113.58',
            'receiving-mx-hostname': 'mx-backup.mail.company-y.example',
            'failed-session-count': 3,
            'failure-reason-code': 'X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED',
          },
        ],
      },
    ],
  })
})

test('a policy each: TLSA with the host as its domain, and none at all', () => {
  const tally = new Tally('example.net')
  const strings = ['3 1 1 1F850A337E6DB9C609C522D136A475638CC43E1ED424F8EEC8513D747D1D085D']
  const tlsa: Policy = { type: 'tlsa', domain: 'mx.example.net', strings, mxHosts: ['mx.example.net'] }
  tally.note({ policy: tlsa, result: 'success' })
  tally.note({ policy: { type: 'no-policy-found', strings: [], mxHosts: [] }, result: 'success' })
  const { policies } = buildReport(tally.counts(), { day: '2026-11-21' }, COMPANY_X, 'id')
  const summary = { 'total-successful-session-count': 1, 'total-failure-session-count': 0 }
  assert.deepEqual(policies, [
    {
      policy: { 'policy-type': 'tlsa', 'policy-string': strings, 'policy-domain': 'mx.example.net' },
      summary,
    },
    { policy: { 'policy-type': 'no-policy-found', 'policy-domain': 'example.net' }, summary },
  ])
})

test('gzip, and what it holds', async () => {
  const report = buildReport(appendixB().counts(), { day: '2016-04-01' }, COMPANY_X, 'id')
  const zipped = await gzip(report)
  // RFC 8460 §6.5: "The first two bytes are 0x1f, 0x8b."
  assert.deepEqual([...zipped.subarray(0, 2)], [0x1f, 0x8b])
  assert.deepEqual(JSON.parse(gunzipSync(zipped).toString()), report)
})

test('names: of the file (§5.1), and of the report', () => {
  const submitter: Submitter = {
    organization: 'Sender',
    contact: '"tls@home"@sndr.example.com',
    hostname: 'mail.sndr.example.com',
  }
  const subject = { day: '2016-08-01', domain: 'example.net' }
  assert.equal(submitterDomain(submitter), 'sndr.example.com')
  assert.equal(
    filenameOf(subject, submitter, '001'),
    'sndr.example.com!example.net!1470009600!1470095999!001.json.gz',
  )
  assert.equal(reportIdOf(subject, submitter), '2016-08-01.example.net@mail.sndr.example.com')
})

test('a tally is the same after the shelf, and grows on', () => {
  const tally = appendixB()
  const kept = fromJson(JSON.parse(JSON.stringify(toJson(tally.counts()))))
  assert.deepEqual(kept, tally.counts())
  tally.add(kept)
  const [doubled] = tally.counts()
  assert.equal(doubled?.succeeded, 2 * 5326)
  assert.deepEqual(
    doubled?.failures.map(({ sessions }) => sessions),
    [200, 400, 6],
  )
})

test('what is not a tally is none', () => {
  const values = [
    null,
    1,
    'x',
    {},
    [null],
    [{ policy: { type: 'other' } }],
    [{ policy: STS, succeeded: '1' }],
  ]
  for (const value of values) assert.deepEqual(fromJson(value as Parameters<typeof fromJson>[0]), [])
})

test('a tally does not grow without end, and counts every session', () => {
  const tally = new Tally('example.net')
  for (let n = 0; n < 1000; n++) {
    const policy: Policy = { type: 'tlsa', domain: `mx${n}.example.net`, strings: [], mxHosts: [] }
    tally.note({ policy, result: 'success' })
  }
  const counts = tally.counts()
  assert.equal(counts.length, 101)
  assert.equal(
    counts.reduce((sum, { succeeded }) => sum + succeeded, 0),
    1000,
  )
  const failing = new Tally('example.net')
  for (let n = 0; n < 1000; n++) {
    const result = { type: 'validation-failure', reason: `${n} ${'x'.repeat(500)}` } as const
    failing.note({ policy: STS, result })
  }
  const [{ failures } = { failures: [] }] = failing.counts()
  assert.equal(failures.length, 101)
  assert.deepEqual(failures.at(-1), { failure: { type: 'validation-failure' }, sessions: 900 })
  assert.equal(failures[0]?.failure.reason?.length, 200)
})

test("others' text has no control characters and no half characters (RFC 7493 §2.1)", () => {
  const tally = new Tally('example.net')
  tally.note({ policy: STS, result: { type: 'validation-failure', reason: 'one\r\ntwo \ud800three\x1b' } })
  assert.equal(tally.counts()[0]?.failures[0]?.failure.reason, 'one two  three')
})
