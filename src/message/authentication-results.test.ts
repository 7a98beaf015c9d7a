import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { authenticationService } from './authentication-results.ts'
import { parseHeader } from './header.ts'

/** [value, authserv-id, version]; `null`: cannot be read. */
const rows: [value: string, id: string | null, version?: number][] = [
  // RFC 8601 App. B.2 to B.7.
  ['example.org 1; none', 'example.org'],
  ['example.com;\r\n          spf=pass smtp.mailfrom=example.net', 'example.com'],
  [
    'example.com;\r\n          auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n          spf=pass smtp.mailfrom=example.net',
    'example.com',
  ],
  [
    "foo.example.net (foobar) 1 (baz);\r\n    dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n      policy (A dot can go here) . (like that) expired\r\n      (this surprised me) = (as I wasn't expecting it) 1362471462",
    'foo.example.net',
  ],
  ['mail.example.com', 'mail.example.com'],
  ['mail.example.com;', 'mail.example.com'],
  ['(by us) mail.example.com;spf=pass', 'mail.example.com'],
  ['"mail.example.com"; spf=pass', 'mail.example.com'],
  ['"mail\\.example.com" 1; spf=pass', 'mail.example.com'],
  ['"bücher.example"; spf=pass', 'bücher.example'],
  ['example.com 2; spf=pass', 'example.com', 2],
  ['"two words"; spf=pass', 'two words'],
  ['', null],
  ['; spf=pass', null],
  ['""; spf=pass', null],
  ['example.com spf=pass', null],
  ['example.com/x; spf=pass', null],
  ['example.com, example.net; spf=pass', null],
  ['(open example.com; spf=pass', null],
  ['"open; spf=pass', null],
  ['spf=pass smtp.mailfrom=example.com', null],
]

for (const [value, id, version = 1] of rows)
  test(JSON.stringify(value.slice(0, 60)), () => {
    const [field] = parseHeader(Buffer.from(`Authentication-Results: ${value}\r\n`))
    assert.ok(field)
    assert.deepEqual(authenticationService(field), id === null ? null : { id, version })
  })

test('any value is a service or null, and soon', () => {
  const piece = fc.constantFrom('a', '.', ' ', '(', ')', '"', '\\', ';', '1', '\r\n ', 'é')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), pieces => {
      const [field] = parseHeader(Buffer.from(`A: ${pieces.join('')}\r\n`))
      assert.ok(field)
      const service = authenticationService(field)
      assert.ok(service === null || service.id !== '')
    }),
    { seed: 8601, numRuns: 2000 },
  )
  const [field] = parseHeader(Buffer.from(`A: ${'( '.repeat(100_000)}\r\n`))
  assert.ok(field)
  assert.equal(authenticationService(field), null)
})
