import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMailbox } from '../../smtp/path.ts'
import { parseRecords, recordName } from './record.ts'

/** What was found: addresses, URLs, or why there is none. */
function read(...records: string[]): string[] | string {
  const found = parseRecords(records)
  if (found.kind === 'none') return found.reason
  return found.destinations.map(one => (one.kind === 'mail' ? formatMailbox(one.mailbox) : one.url))
}

const MAIL = ['reports@example.com']

const good: [records: string | string[], found: string[]][] = [
  // RFC 8460 §3.1.1, §3.1.2, Appendix A.
  ['v=TLSRPTv1;rua=mailto:reports@example.com', MAIL],
  ['v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt', ['https://reporting.example.com/v1/tlsrpt']],
  // *WSP on both sides of ";", and one at the end.
  ['v=TLSRPTv1 \t; \trua=mailto:reports@example.com \t; ', MAIL],
  // Several, with white space around the comma.
  [
    'v=TLSRPTv1; rua=mailto:reports@example.com , https://example.com/a,mailto:b@example.net',
    [...MAIL, 'https://example.com/a', 'b@example.net'],
  ],
  // §3: fields that nobody knows are ignored, before and after; = may stand in a URI.
  ['v=TLSRPTv1; x-y.z_1=what; rua=https://example.com/?a=b;q=1', ['https://example.com/?a=b']],
  ['v=TLSRPTv1; rua=mailto:reports@example.com; rua=mailto:b@example.net', [...MAIL, 'b@example.net']],
  // The same place twice gets one.
  ['v=TLSRPTv1; rua=mailto:reports@example.com,mailto:reports@example.com', MAIL],
  // A scheme in any case; fields of a mailto are not ours to set; what is encoded is decoded.
  ['v=TLSRPTv1; rua=MAILTO:reports@example.com?subject=x&cc=y@example.org', MAIL],
  ['v=TLSRPTv1; rua=mailto:tls%21reports@example.com', ['tls!reports@example.com']],
  ['v=TLSRPTv1; rua=mailto:j%C3%B6rg@example.com', ['jörg@example.com']],
  // What cannot be used does not spoil the rest.
  ['v=TLSRPTv1; rua=ftp://example.com/x, mailto:nobody, mailto:reports@example.com', MAIL],
  ['v=TLSRPTv1; rua=https://user:secret@example.com/, mailto:reports@example.com', MAIL],
  ['v=TLSRPTv1; rua=mailto:%E4@example.com, mailto:reports@example.com', MAIL],
  // Others at the name are discarded.
  [['v=spf1 -all', 'v=TLSRPTv1;rua=mailto:reports@example.com', 'v=TLSRPTv2;rua=mailto:x@example.com'], MAIL],
  // No more than five.
  [
    `v=TLSRPTv1; rua=${[1, 2, 3, 4, 5, 6, 7].map(n => `mailto:r${n}@example.com`).join(',')}`,
    [1, 2, 3, 4, 5].map(n => `r${n}@example.com`),
  ],
]
for (const [records, found] of good)
  test(`TLSRPT record: ${records}`, () => {
    assert.deepEqual(read(...[records].flat()), found)
  })

const bad: [records: string[], reason: RegExp][] = [
  [[], /no record begins/],
  [['v=spf1 -all'], /no record begins/],
  // %s"v=TLSRPTv1" is case-sensitive, and is first.
  [['v=tlsrptv1; rua=mailto:reports@example.com'], /no record begins/],
  [['rua=mailto:reports@example.com; v=TLSRPTv1;'], /no record begins/],
  [['v=TLSRPTv10; rua=mailto:reports@example.com'], /no record begins/],
  [[' v=TLSRPTv1; rua=mailto:reports@example.com'], /no record begins/],
  [['v=TLSRPTv1'], /no record begins/],
  // "If the number of resulting records is not one".
  [Array(2).fill('v=TLSRPTv1; rua=mailto:reports@example.com'), /there are 2 records/],
  [['v=TLSRPTv1;'], /it has no rua=/],
  [['v=TLSRPTv1; ruf=mailto:reports@example.com'], /it has no rua=/],
  [['v=TLSRPTv1; RUA=mailto:reports@example.com'], /it has no rua=/],
  [['v=TLSRPTv1; rua=mailto:reports@example.com; nonsense'], /"nonsense" is not name=value/],
  [['v=TLSRPTv1;; rua=mailto:reports@example.com'], /"" is not name=value/],
  [['v=TLSRPTv1; rua=http://example.com/'], /no rua= is a mailto: or https: URI: "http:/],
  // It goes into logs: no controls of theirs.
  [['v=TLSRPTv1; rua=a\x1b[31m\x85,b'], /URI: "a\\u001b\[31m\\u0085,b"$/],
  [['v=TLSRPTv1; rua='], /no rua= is a mailto:/],
  [['v=TLSRPTv1; rua=mailto:a@example.com\r\nBcc: x'], /no rua= is a mailto:/],
]
for (const [records, reason] of bad)
  test(`no TLSRPT record: ${JSON.stringify(records)}`, () => {
    const found = parseRecords(records)
    assert.match(found.kind === 'none' ? found.reason : JSON.stringify(found), reason)
  })

test('the name of the record', () => {
  assert.equal(recordName('example.com'), '_smtp._tls.example.com')
})
