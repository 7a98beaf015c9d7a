/** What a destination publishes about TLS: its MTA-STS record and policy, and where it wants reports. */

import assert from 'node:assert/strict'
import { mxMatches, parseStsPolicy, parseStsRecord } from '../../../src/relay/mta-sts/policy.ts'
import { parseRecords } from '../../../src/relay/tls-report/record.ts'
import { shape, type Target } from '../target.ts'

/** Reasons go into logs and reports of others: no control, and not without end. */
function checkReason(reason: string): string {
  assert.doesNotMatch(reason, /[\0-\x1f\x7f-\x9f]/)
  assert.ok(reason.length < 1000, `${reason.length} characters of reason`)
  return shape(reason)
}

/** TXT records, a line each. */
const recordsOf = (input: Buffer): string[] => input.toString().split('\n')

const stsRecord: Target = {
  name: 'mta-sts-record',
  words: [
    'v=STSv1;',
    'id=',
    'id=20160831085700Z;',
    ';',
    ' ',
    '\t',
    '=',
    'x.y-z_=a',
    '\n',
    'a'.repeat(33),
    'V=STSV1;',
  ],
  longestOctets: 64 * 1024,
  run(input) {
    const txts = recordsOf(input)
    const read = parseStsRecord(txts)
    if (read.kind === 'none') return checkReason(read.reason)
    assert.match(read.id, /^[A-Za-z0-9]{1,32}$/)
    assert.equal(txts.filter(txt => txt.startsWith('v=STSv1;')).length, 1)
    assert.ok(txts.some(txt => txt.includes(`id=${read.id}`)))
    return `id of ${read.id.length}`
  },
}

const stsPolicy: Target = {
  name: 'mta-sts-policy',
  words: [
    'version: STSv1\n',
    'mode: enforce\r\n',
    'mode: testing\n',
    'mode: none\n',
    'mx: mail.example.com\n',
    'mx: *.example.net\n',
    'max_age: 604800\n',
  ].concat([
    'max_age: 31557601',
    ': ',
    '\r\n',
    '\n',
    ' ',
    '*.',
    '*',
    '.',
    'é',
    '\x85',
    'x-1.y_z: a b\n',
    'MX:',
  ]),
  maxOctets: 3000,
  longestOctets: 64 * 1024,
  run(input) {
    const read = parseStsPolicy(input.toString())
    if (read.kind === 'invalid') return checkReason(read.reason)
    const { mode, mx, maxAgeSeconds } = read.policy
    assert.ok(Number.isInteger(maxAgeSeconds) && maxAgeSeconds >= 0 && maxAgeSeconds <= 31_557_600)
    assert.ok(mx.length > 0 || mode === 'none')
    for (const pattern of mx) {
      assert.equal(pattern, pattern.toLowerCase())
      // RFC 8461 §4.1: a wildcard is the whole first label, and one label only.
      const suffix = pattern.startsWith('*') ? pattern.slice(1) : null
      assert.ok(suffix === null ? mxMatches(mx, pattern) : mxMatches(mx, `a${suffix}`))
      if (suffix !== null)
        assert.ok(!mxMatches([pattern], suffix.slice(1)) && !mxMatches([pattern], `a.b${suffix}`))
    }
    const written = [
      `version: STSv1`,
      `mode: ${mode}`,
      ...mx.map(each => `mx: ${each}`),
      `max_age: ${maxAgeSeconds}`,
    ]
    assert.deepEqual(parseStsPolicy(`${written.join('\r\n')}\r\n`), read)
    return `${mode} ${mx.length} ${mx.filter(each => each.startsWith('*')).length}`
  },
}

const tlsRpt: Target = {
  name: 'tlsrpt-record',
  words: [
    'v=TLSRPTv1;',
    'rua=mailto:reports@example.com',
    'rua=https://example.com/v1/tlsrpt',
    'mailto:',
    'https://u:p@x/',
    '%40',
    '%',
    '?subject=x',
  ].concat([',', ';', ' ', '\t', '\n', '=', 'rua=', 'HTTPS:', '%0d%0a', '!10m', 'é']),
  longestOctets: 64 * 1024,
  run(input) {
    const read = parseRecords(recordsOf(input))
    if (read.kind === 'none') return checkReason(read.reason)
    assert.ok(read.destinations.length >= 1 && read.destinations.length <= 5)
    for (const destination of read.destinations) {
      if (destination.kind === 'https') {
        const { protocol, username, password } = new URL(destination.url)
        assert.deepEqual([protocol, username, password], ['https:', '', ''])
      } else {
        const { localPart, domain } = destination.mailbox
        // It goes into RCPT.
        assert.doesNotMatch(localPart + domain, /[\0-\x1f\x7f]/)
        assert.ok(domain !== '')
      }
    }
    return read.destinations.map(({ kind }) => kind).join()
  },
}

export const publishedTargets: readonly Target[] = [stsRecord, stsPolicy, tlsRpt]
