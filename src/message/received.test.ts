import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { fieldBody, parseHeader } from './header.ts'
import { formatReceived, readReceived, type Stamp } from './received.ts'

const stamp: Stamp = {
  from: 'client.example.com',
  address: '192.0.2.1',
  by: 'mail.example.org',
  protocol: 'ESMTPSA',
  id: '01ARZ3NDEKTSV4RRFFQ69G5FAV',
  dateMs: Date.UTC(2003, 6, 12, 4, 1, 54),
  offsetMinutes: -420,
}
const DATE = 'Fri, 11 Jul 2003 21:01:54 -0700'
const ID = 'id 01ARZ3NDEKTSV4RRFFQ69G5FAV'

const stamps: [what: string, change: Partial<Stamp>, value: string][] = [
  [
    'name and address',
    {},
    `from client.example.com ([192.0.2.1]) by mail.example.org with ESMTPSA ${ID}; ${DATE}`,
  ],
  [
    'one recipient, TLS (RFC 8314 §4.3)',
    {
      for: { localPart: 'bob', domain: 'example.net' },
      tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
    },
    `from client.example.com ([192.0.2.1]) by mail.example.org with ESMTPSA ${ID} for <bob@example.net> tls TLS_AES_256_GCM_SHA384 (TLSv1.3); ${DATE}`,
  ],
  [
    'the commit that allowed it, abbreviated (SHA-1)',
    { commit: '0123456789abcdef0123456789abcdef01234567' },
    `from client.example.com ([192.0.2.1]) by mail.example.org with ESMTPSA ${ID} (commit 0123456789ab); ${DATE}`,
  ],
  [
    'the same (SHA-256), with one recipient',
    { commit: 'f'.repeat(64), for: { localPart: 'bob', domain: 'example.net' } },
    `from client.example.com ([192.0.2.1]) by mail.example.org with ESMTPSA ${ID} (commit ffffffffffff) for <bob@example.net>; ${DATE}`,
  ],
  [
    'what is no commit is not shown',
    { commit: 'x) by evil.example (' },
    `from client.example.com ([192.0.2.1]) by mail.example.org with ESMTPSA ${ID}; ${DATE}`,
  ],
  [
    'a priority (RFC 6710 §7)',
    { priority: -4 },
    `from client.example.com ([192.0.2.1]) by mail.example.org with ESMTPSA ${ID} priority -4; ${DATE}`,
  ],
  [
    'IPv6, and a literal in EHLO',
    { from: '[IPv6:2001:db8::1]', address: '2001:db8::1' },
    `from [IPv6:2001:db8::1] ([IPv6:2001:db8::1]) by mail.example.org with ESMTPSA ${ID}; ${DATE}`,
  ],
  [
    'IPv4 on a socket for both',
    { address: '::ffff:192.0.2.1' },
    `from client.example.com ([192.0.2.1]) by mail.example.org with ESMTPSA ${ID}; ${DATE}`,
  ],
  [
    'a link-local address',
    { address: 'fe80::1%eth0' },
    `from client.example.com ([IPv6:fe80::1]) by mail.example.org with ESMTPSA ${ID}; ${DATE}`,
  ],
  ...['', 'two words', 'x) by evil.example (', 'a\r\nEvil: b', 'x'.repeat(300)].map(
    (from): [string, Partial<Stamp>, string] => [
      `EHLO ${JSON.stringify(from.slice(0, 20))} is not shown`,
      { from },
      `from [192.0.2.1] ([192.0.2.1]) by mail.example.org with ESMTPSA ${ID}; ${DATE}`,
    ],
  ),
]

for (const [what, change, value] of stamps)
  test(what, () => {
    const octets = Buffer.from(formatReceived({ ...stamp, ...change }))
    const [field, ...more] = parseHeader(octets)
    assert.ok(field)
    assert.equal(more.length, 0)
    assert.equal(field.name, 'Received')
    assert.equal(fieldBody(field), value)
    assert.deepEqual(readReceived(field), { by: stamp.by, id: stamp.id })
    for (const line of octets.toString().split('\r\n')) assert.ok(line.length <= 78, line)
  })

test('a quoted local part in FOR', () => {
  const octets = formatReceived({ ...stamp, for: { localPart: 'a b>c', domain: 'example.net' } })
  assert.match(Buffer.from(octets).toString(), /for <"a b>c"@example\.net>;/)
})

const read: [value: string, by: string, id: string][] = [
  // RFC 5322 App. A.4.
  [
    'from x.y.test\r\n   by example.net\r\n   via TCP\r\n   with ESMTP\r\n   id ABC12345\r\n   for <mary@example.net>;  21 Nov 1997 10:05:43 -0600',
    'example.net',
    'ABC12345',
  ],
  ['from node.example by x.y.test; 21 Nov 1997 10:01:22 -0600', 'x.y.test', ''],
  ['BY a.example ID 1;date', 'a.example', '1'],
  ['from a (by b.example id 2) by(c)d.example\r\n\tid 3; date', 'd.example', '3'],
  ['standby x.example; date', '', ''],
  ['from a (never closed by b.example', '', ''],
  ['', '', ''],
]

for (const [value, by, id] of read)
  test(`read ${JSON.stringify(value.slice(0, 40))}`, () => {
    const [field] = parseHeader(Buffer.from(`Received: ${value}\r\n`))
    assert.ok(field)
    assert.deepEqual(readReceived(field), { by, id })
  })

test('who took the message, and its id, are read from what is written; any field has both or says nothing', () => {
  const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,12}(?:\.[a-z]{2,8}){1,3}$/)
  const id = fc.stringMatching(/^[0-9A-Z]{1,26}$/)
  // What a client says of itself is in the same field.
  const from = fc.oneof(name, fc.string({ maxLength: 40 }), fc.constantFrom('by evil.example id 1', '(', ';'))
  fc.assert(
    fc.property(name, id, from, (by, id, from) => {
      const [received] = parseHeader(formatReceived({ ...stamp, by, id, from }))
      assert.ok(received !== undefined)
      assert.deepEqual(readReceived(received), { by, id })
    }),
    { seed: 5321, numRuns: 500 },
  )
  fc.assert(
    fc.property(fc.string({ maxLength: 200, unit: 'binary' }), text => {
      const { by, id } = readReceived({ name: 'Received', octets: Buffer.from(`Received: ${text}\r\n`) })
      assert.doesNotMatch(by + id, /[\s;]/)
    }),
    { seed: 5321, numRuns: 1000 },
  )
})
