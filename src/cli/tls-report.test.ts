import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Sending } from '../relay/tls-report/sending.ts'
import type { PolicyCount } from '../relay/tls-report/tally.ts'
import { formatDomain } from './tls-report.ts'

const DAY = '2026-11-21'
const counts: PolicyCount[] = [
  {
    policy: { type: 'sts', domain: 'example.net', strings: ['mode: enforce'], mxHosts: ['mx.example.net'] },
    succeeded: 5326,
    failures: [
      { failure: { type: 'certificate-expired', receivingMx: 'mx.example.net' }, sessions: 100 },
      {
        failure: {
          type: 'validation-failure',
          receivingMx: 'mx.example.net',
          receivingIp: '192.0.2.1',
          receivingHelo: 'mail.internal',
          sendingIp: '198.51.100.1',
          reason: 'no shared cipher',
        },
        sessions: 3,
      },
    ],
  },
  {
    policy: { type: 'tlsa', domain: 'mx.example.net', strings: ['3 1 1 AB'], mxHosts: [] },
    succeeded: 1,
    failures: [],
  },
  {
    policy: { type: 'no-policy-found', domain: 'example.net', strings: [], mxHosts: [] },
    succeeded: 0,
    failures: [{ failure: { type: 'starttls-not-supported' }, sessions: 1 }],
  },
]
const COUNTED = `example.net
  MTA-STS of example.net: 5326 succeeded, 103 failed
    100 certificate-expired at mx.example.net
    3 validation-failure at mx.example.net [192.0.2.1], which calls itself mail.internal, from 198.51.100.1: no shared cipher
  DANE of mx.example.net: 1 succeeded, 0 failed
  no policy: 0 succeeded, 1 failed
    1 starttls-not-supported
`
const AT = Date.UTC(2026, 10, 22, 3)
const begun = { firstMs: AT, attempts: 1, nextMs: null, sentTo: [], reason: '' }

const rows: [sending: Sending | null, lines: string][] = [
  [null, '  not reported yet: on 2026-11-22, where they ask for it\n'],
  [
    { ...begun, sentTo: ['mailto:a@example.net', 'https://example.net/'] },
    '  reported to mailto:a@example.net, https://example.net/\n',
  ],
  [
    { ...begun, reason: 'no record begins with v=TLSRPTv1;' },
    '  not reported: no record begins with v=TLSRPTv1;\n',
  ],
  [
    {
      ...begun,
      sentTo: ['mailto:a@example.net'],
      reason: 'https://example.net/: HTTP 503',
      nextMs: AT + 600_000,
    },
    '  reported to mailto:a@example.net\n  not reported: https://example.net/: HTTP 503\n  tried again at 2026-11-22T03:10:00.000Z\n',
  ],
]
for (const [sending, lines] of rows)
  test(`ptt tls report: ${lines.split('\n')[0]}`, () => {
    assert.equal(formatDomain({ domain: 'example.net', counts }, sending, DAY), COUNTED + lines)
  })
