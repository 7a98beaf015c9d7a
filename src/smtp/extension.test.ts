import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  EXTENSION_LINE_OCTETS,
  EXTENSIONS,
  Extensions,
  formatOffer,
  type Offer,
  parameterTable,
  readParameters,
  writeParameters,
} from './extension.ts'
import { LIMITS } from './limits.ts'
import { parseParameters } from './parameter.ts'

const offer: Offer = {
  limits: { ...LIMITS, messageOctets: 1_000_000 },
  tls: 'starttls',
  secure: false,
  auth: ['PLAIN', 'LOGIN'],
  hop: false,
}
const basics = ['PIPELINING', 'SIZE 1000000', 'ENHANCEDSTATUSCODES', '8BITMIME', 'SMTPUTF8', 'CHUNKING']

const offers: [name: string, condition: Partial<Offer>, lines: string[]][] = [
  ['in clear: STARTTLS, and no AUTH', {}, [...basics, 'STARTTLS']],
  [
    'under TLS: AUTH, and STARTTLS no more (RFC 3207 §4.2)',
    { secure: true },
    [...basics, 'AUTH PLAIN LOGIN'],
  ],
  ['implicit TLS', { tls: 'implicit', secure: true }, [...basics, 'AUTH PLAIN LOGIN']],
  ['no mechanisms', { secure: true, auth: [] }, basics],
  ['no TLS', { tls: 'none' }, basics],
  ['a hop', { tls: 'implicit', secure: true, auth: [], hop: true }, [...basics, 'XPTT']],
  ['in clear: no REQUIRETLS (RFC 8689 §2)', { offers: { requireTls: true } }, [...basics, 'STARTTLS']],
  [
    'what a service honours',
    {
      secure: true,
      offers: {
        dsn: true,
        requireTls: true,
        limits: true,
        futureRelease: { longestSeconds: 86400, now: () => Date.UTC(2007, 4, 10, 15) },
        deliverBy: { leastSeconds: 60 },
        priority: { profile: 'MIXER' },
      },
    },
    [
      ...basics,
      'AUTH PLAIN LOGIN',
      'DSN',
      'REQUIRETLS',
      'LIMITS RCPTMAX=1000 MAILMAX=100000',
      'FUTURERELEASE 86400 2007-05-11T15:00:00Z',
      'DELIVERBY 60',
      'MT-PRIORITY MIXER',
    ],
  ],
  [
    'a policy that is not disclosed (RFC 6710 §3)',
    { offers: { priority: { profile: null } } },
    [...basics, 'STARTTLS', 'MT-PRIORITY'],
  ],
]

test('what a server offers', () => {
  for (const [name, condition, lines] of offers) {
    assert.deepEqual(formatOffer({ ...offer, ...condition }).sort(), [...lines].sort(), name)
  }
})

test('what a client reads, RFC 5321 §4.1.1.1', () => {
  const extensions = new Extensions([
    'PIPELINING',
    'size 1000000', // RFC 1870 §8
    '8BITMIME',
    'AUTH GSSAPI DIGEST-MD5 PLAIN', // RFC 4954 §4.1
    'AUTH=LOGIN',
    'X-THING a b  c',
    'LIMITS RCPTMAX=20 MAILMAX=5', // RFC 9422 §5
    'DELIVERBY 240', // RFC 2852 §6
    'what is this?',
    '',
  ])
  assert.ok(extensions.has('PIPELINING') && extensions.has('pipelining') && extensions.has('8BITMIME'))
  assert.ok(!extensions.has('CHUNKING'))
  assert.equal(extensions.size, 1_000_000)
  assert.deepEqual(extensions.auth, ['GSSAPI', 'DIGEST-MD5', 'PLAIN'])
  assert.equal(extensions.parameters('X-THING'), 'a b  c')
  assert.deepEqual(extensions.limits, { rcptMax: 20, mailMax: 5 })
  assert.equal(extensions.leastDeliverBy, 240)
  assert.equal(extensions.parameters('PIPELINING'), '')
  assert.equal(extensions.parameters('CHUNKING'), undefined)
  assert.deepEqual(new Extensions(['AUTH=PLAIN LOGIN']).auth, ['PLAIN', 'LOGIN'])
  assert.deepEqual(Extensions.none.keywords, [])
})

test('SIZE without a number, and 0, set no limit (RFC 1870 §3)', () => {
  for (const line of ['SIZE', 'SIZE 0', 'SIZE x']) assert.equal(new Extensions([line]).size, undefined)
})

test('a parameter whose extension was not offered is 555, RFC 5321 §4.1.1.11', () => {
  const table = parameterTable(new Extensions(['SIZE']))
  assert.deepEqual(readParameters(parseParameters('SIZE=5'), table.mail), { sizeOctets: 5 })
  assert.throws(() => readParameters(parseParameters('BODY=7BIT'), table.mail), {
    code: 555,
    status: '5.5.4',
  })
  assert.throws(() => readParameters(parseParameters('SIZE=5'), table.rcpt), { code: 555, status: '5.5.4' })
})

test('a client writes what the server offers and nothing else', () => {
  const parameters = {
    sizeOctets: 5,
    body: '8BITMIME',
    smtputf8: true,
    authenticatedAs: 'e=mc2@example.com',
    xptt: { id: '01' },
  } as const
  const write = (...keywords: string[]) =>
    writeParameters(parameters, parameterTable(new Extensions(keywords)).mail).map(
      ({ keyword, value }) => `${keyword}${value === null ? '' : `=${value}`}`,
    )
  assert.deepEqual(write(), [])
  assert.deepEqual(write('SIZE', '8BITMIME', 'PIPELINING'), ['SIZE=5', 'BODY=8BITMIME'])
  assert.deepEqual(write('AUTH'), ['AUTH=e+3Dmc2@example.com'])
  assert.deepEqual(write('XPTT').sort(), ['AUTH=e+3Dmc2@example.com', 'XPTT=01'])
  assert.deepEqual(write('SMTPUTF8'), ['SMTPUTF8'])
})

test('every parameter comes back as it went', () => {
  const all = parameterTable({ has: () => true })
  const parameters = {
    sizeOctets: 500000,
    body: '8BITMIME',
    smtputf8: true,
    authenticatedAs: null,
    xptt: { id: '01J9ZK4V8Y3QW5T7N2M6C1D0EX', commit: 'a'.repeat(40) },
  } as const
  assert.deepEqual(readParameters(writeParameters(parameters, all.mail), all.mail), parameters)
})

test('the table', () => {
  const keywords = EXTENSIONS.map(({ keyword }) => keyword)
  assert.deepEqual(keywords, [...new Set(keywords)])
  // RFC 1870 §3 (26), RFC 4954 §3 (500), RFC 6152 §2 (17), RFC 6531 §3.1 (10), DSN, RFC 8689 §2 (11), RFC 4865 §3 (34),
  // RFC 2852 §2 (17), RFC 6710 §3 (15), XPTT.
  assert.equal(EXTENSION_LINE_OCTETS, 26 + 500 + 17 + 10 + 536 + 11 + 34 + 17 + 15 + 669)
})

test('property: any lines make extensions', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.string(), fc.stringMatching(/^(SIZE|AUTH|DELIVERBY|LIMITS)[ =0-9a-z]{0,9}$/))),
      lines => {
        const extensions = new Extensions(lines)
        assert.ok(extensions.size === undefined || extensions.size > 0)
        for (const keyword of extensions.keywords) assert.ok(extensions.has(keyword))
        assert.ok(extensions.leastDeliverBy >= 0)
        assert.ok(Object.values(extensions.limits).every(limit => limit > 0))
        assert.ok(extensions.auth.every(mechanism => mechanism !== ''))
      },
    ),
    { seed: 5321 },
  )
})
