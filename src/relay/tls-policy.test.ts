import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { suite, test } from 'node:test'
import { issue, makeAuthority } from '../cli/authority.ts'
import { ConnectionError } from '../net/connection.ts'
import { verifiedTls } from '../net/mx-tls.ts'
import { WireError } from '../net/wire.ts'
import { Extensions } from '../smtp/extension.ts'
import { reply } from '../smtp/reply.ts'
import type { MailHost } from './destination.ts'
import {
  OPPORTUNISTIC,
  objectionToFailure,
  objectionToHost,
  objectionToPeer,
  policyFor,
  REQUIRETLS,
  REQUIRETLS_NOTICE,
  type Shown,
  SMART_HOST,
  saysRequireTls,
  type TlsPolicy,
  waiverOf,
  wishFor,
} from './tls-policy.ts'

const ALICE = { localPart: 'alice', domain: 'example.org' }
const envelope = { body: '7BIT', smtputf8: false } as const

const never = () => false

test('the policy of a message', () => {
  assert.deepEqual(policyFor({ envelope, reversePath: ALICE }, OPPORTUNISTIC, never), OPPORTUNISTIC)
  assert.deepEqual(
    policyFor({ envelope: { ...envelope, requireTls: true }, reversePath: ALICE }, SMART_HOST, never),
    REQUIRETLS,
  )
  assert.deepEqual(
    policyFor({ envelope: { ...envelope, requireTls: true }, reversePath: null }, OPPORTUNISTIC, never),
    REQUIRETLS_NOTICE,
  )
})

test('a notice about a message with REQUIRETLS goes no easier way than other mail', () => {
  const notice = { envelope: { ...envelope, requireTls: true }, reversePath: null } as const
  for (const level of ['named', 'pinned', 'sts'] as const) {
    const usual: TlsPolicy = { level, reason: 'tls.toml:1', clearText: false, final: false }
    assert.equal(policyFor(notice, usual, never), usual)
  }
})

const LEVELS = ['opportunistic', 'encrypted', 'named', 'dane', 'pinned', 'sts', 'verified'] as const
for (const level of LEVELS)
  test(`TLS-Required: No, where the policy is ${level} (RFC 8689 §3, §4.1)`, () => {
    const usual: TlsPolicy = { ...OPPORTUNISTIC, level }
    let asked = 0
    const notRequired = () => {
      asked++
      return true
    }
    // What the destination announces can be done without, by MTA-STS and by DANE; what the operator wants cannot.
    const waives = waiverOf({ envelope }, usual, notRequired)
    const announced = level === 'opportunistic' || level === 'sts'
    assert.deepEqual([waives(), waives(), asked], announced ? [true, true, 1] : [false, false, 0])
    assert.deepEqual(
      policyFor({ envelope, reversePath: ALICE }, usual, waives),
      announced ? OPPORTUNISTIC : usual,
    )
    assert.equal(waiverOf({ envelope }, usual, never)(), false)
    // Who says both wants TLS.
    const both = { envelope: { ...envelope, requireTls: true }, reversePath: ALICE } as const
    assert.equal(waiverOf(both, usual, notRequired)(), false)
    assert.equal(policyFor(both, usual, waives).level, 'verified')
  })

const host = (found: MailHost['found']): MailHost => ({
  name: 'mx.x.test',
  found,
  secure: false,
  preference: 0,
  addresses: null,
})
const hosts: [policy: TlsPolicy, found: MailHost['found'], status: string | null][] = [
  [OPPORTUNISTIC, 'unauthenticated', null],
  [OPPORTUNISTIC, 'literal', null],
  [REQUIRETLS_NOTICE, 'unauthenticated', null],
  [REQUIRETLS, 'authenticated', null],
  [REQUIRETLS, 'domain', null],
  [REQUIRETLS, 'unauthenticated', '5.7.10'],
  [REQUIRETLS, 'literal', '5.7.10'],
]
for (const [policy, found, status] of hosts)
  test(`${policy.level}: a host that is ${found}`, () =>
    assert.equal(objectionToHost(policy, host(found))?.status ?? null, status))

const verified = { authorized: true, authorizationError: null, chain: () => [] }
const unverified = { ...verified, authorized: false, authorizationError: 'CERT_HAS_EXPIRED' }
const peers: [policy: TlsPolicy, tls: Shown['tls'], ehlo: string[], status: string | null][] = [
  [OPPORTUNISTIC, null, [], null],
  [OPPORTUNISTIC, unverified, [], null],
  [REQUIRETLS_NOTICE, null, [], '5.7.10'],
  [REQUIRETLS_NOTICE, unverified, [], null],
  [REQUIRETLS, null, ['REQUIRETLS'], '5.7.10'],
  [REQUIRETLS, unverified, ['REQUIRETLS'], '5.7.10'],
  [REQUIRETLS, verified, [], '5.7.30'],
  [REQUIRETLS, verified, ['REQUIRETLS'], null],
]
for (const [policy, tls, ehlo, status] of peers)
  test(`${policy.level}: a peer with ${tls === null ? 'no TLS' : (tls.authorizationError ?? 'verified')}, ${ehlo}`, () =>
    assert.equal(
      objectionToPeer(policy, { tls, extensions: new Extensions(ehlo) }, ['mx.x.test'], 0)?.status ?? null,
      status,
    ))

test('REQUIRETLS is said only where all of it holds: RFC 8689 §2', () => {
  const extensions = new Extensions(['REQUIRETLS'])
  const secure = { tls: verified, extensions }
  assert.equal(saysRequireTls(REQUIRETLS, host('authenticated'), secure), true)
  assert.equal(saysRequireTls(REQUIRETLS_NOTICE, host('authenticated'), secure), true)
  assert.equal(saysRequireTls(REQUIRETLS_NOTICE, host('unauthenticated'), secure), false)
  assert.equal(
    saysRequireTls(REQUIRETLS_NOTICE, host('authenticated'), { tls: unverified, extensions }),
    false,
  )
  assert.equal(
    saysRequireTls(REQUIRETLS_NOTICE, host('authenticated'), {
      tls: verified,
      extensions: new Extensions([]),
    }),
    false,
  )
  assert.equal(saysRequireTls(OPPORTUNISTIC, host('authenticated'), secure), false)
})

suite('what a failure of TLS comes to', () => {
  const tls = (cause?: unknown, answer: Parameters<typeof reply> | null = null) =>
    new ConnectionError('tls', 'TLS', 'why', answer && reply(...answer), cause)
  const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' })
  const rows: [what: string, policy: TlsPolicy, error: ConnectionError, status: string | null][] = [
    ['in clear text then', OPPORTUNISTIC, tls(), null],
    ['no connection at all', REQUIRETLS, new ConnectionError('connect', 'connect', 'refused'), null],
    ['STARTTLS not offered', REQUIRETLS, tls(), '5.7.10'],
    ['STARTTLS 502', REQUIRETLS, tls(undefined, [502, '5.5.1', 'No']), '5.7.10'],
    ['STARTTLS 454', REQUIRETLS, tls(undefined, [454, '4.7.0', 'Not now']), '4.7.10'],
    ['certificate', REQUIRETLS, tls(new WireError('tls', 'certificate has expired')), '5.7.10'],
    ['time-out', REQUIRETLS, tls(new WireError('timeout', 'tls: nothing in 1 ms')), '4.7.10'],
    ['closed', REQUIRETLS, tls(new WireError('tls', 'closed by the peer')), '4.7.10'],
    ['reset', REQUIRETLS_NOTICE, tls(new WireError('tls', 'read ECONNRESET', reset)), '4.7.10'],
  ]
  for (const [what, policy, error, status] of rows)
    test(what, () => assert.equal(objectionToFailure(policy, error)?.status ?? null, status))
})

suite('what is asked of TLS', () => {
  test('each level its own', () => {
    const of = (policy: TlsPolicy) => {
      const wish = wishFor(policy, host('unauthenticated'))
      assert.ok(wish.mode !== 'none')
      const { servername, minVersion, rejectUnauthorized } = wish.options
      return [wish.mode, servername, minVersion, rejectUnauthorized]
    }
    assert.deepEqual(of(OPPORTUNISTIC), ['opportunistic', 'mx.x.test', 'TLSv1', false])
    assert.deepEqual(of(REQUIRETLS_NOTICE), ['required', 'mx.x.test', 'TLSv1.2', false])
    assert.deepEqual(of(REQUIRETLS), ['required', 'mx.x.test', 'TLSv1.2', true])
  })

  test('the name is looked for in the SAN and nowhere else: RFC 9525 §6.3', async () => {
    const check = verifiedTls('mx.x.test').checkServerIdentity
    assert.ok(check)
    const authority = await makeAuthority('x.test')
    const shown = async (...names: [string, ...string[]]) => certificateOf(await issue(authority, { names }))
    const certificateOf = ({ certificate }: { certificate: string }) =>
      new X509Certificate(certificate).toLegacyObject() as Parameters<typeof check>[1]
    assert.match(String(check('mx.x.test', certificateOf(authority))), /names no host/)
    assert.match(String(check('mx.x.test', await shown('other.test'))), /is for DNS:other\.test, not for mx/)
    assert.match(String(check('mx.x.test', await shown('m*.x.test'))), /is for DNS:m\*\.x\.test/)
    assert.match(String(check('192.0.2.1', await shown('192.0.2.2'))), /not for 192\.0\.2\.1/)
    assert.equal(check('mx.x.test', await shown('other.test', 'mx.x.test')), undefined)
    assert.equal(check('mx.x.test', await shown('*.x.test')), undefined)
    assert.equal(check('192.0.2.1', await shown('192.0.2.1')), undefined)
  })
})
