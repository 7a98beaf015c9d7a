/** DANE from DNS to the verdict: RFC 7672. Each row says what DNS and the host have, and what becomes of the message. */

import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { suite, type TestContext, test } from 'node:test'
import { type SmtpScript, startScriptedSmtp } from '../../test/peers/scripted-smtp.ts'
import { type SimulationOptions, START, simulate } from '../../test/peers/simulated-relay.ts'
import { issue, makeAuthority } from '../cli/authority.ts'
import type { TlsRule } from '../config/tls-levels.ts'
import type { DnsAnswer } from '../dns/answer.ts'
import type { Tlsa } from '../dns/rdata.ts'
import { daneOf } from './dane.ts'

const authority = await makeAuthority('x.test', START)
const MX = await issue(authority, { names: ['mx.x.test'] }, START)
const OTHER = await issue(authority, { names: ['other.test'] }, START)
const withCa = (pair: typeof MX) => ({
  ...pair,
  certificate: `${pair.certificate}\n${authority.certificate}`,
})

const digest = (pem: string) => createHash('sha256').update(new X509Certificate(pem).raw).digest()
const record = (usage: number, pem: string): Tlsa => ({
  usage,
  selector: 0,
  matchingType: 1,
  certificate: digest(pem),
})
const EE = record(3, MX.certificate)
const TA = record(2, authority.certificate)

const GOOD: SmtpScript = { ehlo: ['STARTTLS'], tls: withCa(MX) }
const SECURE = { authenticated: true }

type Row = [
  what: string,
  section: string,
  tlsa: readonly Tlsa[] | 'bogus',
  script: SmtpScript,
  options: Partial<SimulationOptions>,
  /** The status of the recipient, and how it was protected. */
  outcome: string,
]
const rows: Row[] = [
  ['DANE-EE that matches', 'RFC 7672 §3.1.1', [EE], GOOD, SECURE, 'delivered by DANE'],
  [
    'DANE-EE, a certificate for another name',
    'RFC 7672 §3.1.1',
    [record(3, OTHER.certificate)],
    { ...GOOD, tls: OTHER },
    SECURE,
    'delivered by DANE',
  ],
  ['DANE-EE that does not match', 'RFC 7672 §2.2', [record(3, OTHER.certificate)], GOOD, SECURE, '4.7.10'],
  ['DANE-TA that matches', 'RFC 7672 §3.1.2', [TA], GOOD, SECURE, 'delivered by DANE'],
  [
    'DANE-TA, a certificate for another name',
    'RFC 7672 §3.2.2',
    [TA],
    { ...GOOD, tls: withCa(OTHER) },
    SECURE,
    '4.7.10',
  ],
  ['DANE-TA, the chain is not shown', 'RFC 7672 §3.1.2', [TA], { ...GOOD, tls: MX }, SECURE, '4.7.10'],
  [
    'one of two matches (key rollover)',
    'RFC 7671 §8.1',
    [record(3, OTHER.certificate), EE],
    GOOD,
    SECURE,
    'delivered by DANE',
  ],
  ['usable records and no STARTTLS', 'RFC 7672 §2.2', [EE], { ehlo: [] }, SECURE, '4.7.10'],
  [
    'usable records and STARTTLS refused',
    'RFC 7672 §2.2',
    [EE],
    { ...GOOD, reply: line => (line === 'STARTTLS' ? '454 4.7.0 later' : undefined) },
    SECURE,
    '4.7.10',
  ],
  [
    'PKIX-EE alone is not usable: TLS, whoever is there',
    'RFC 7672 §3.1.3',
    [{ ...EE, usage: 1 }],
    { ...GOOD, tls: OTHER },
    SECURE,
    'delivered not verified',
  ],
  [
    'not usable, and no STARTTLS: never in clear text',
    'RFC 7672 §2.2',
    [{ ...EE, usage: 1 }],
    { ehlo: [] },
    SECURE,
    '4.7.10',
  ],
  [
    'no records: opportunistic',
    'RFC 7672 §2.2',
    [],
    { ...GOOD, tls: OTHER },
    SECURE,
    'delivered not verified',
  ],
  ['no records, no STARTTLS: clear text', 'RFC 7435', [], { ehlo: [] }, SECURE, 'delivered none'],
  ['the TLSA lookup is bogus', 'RFC 7672 §2.1.3', 'bogus', GOOD, SECURE, '4.7.5'],
  [
    'MX answers without DNSSEC: records do not count',
    'RFC 7672 §2.2.1',
    [record(3, OTHER.certificate)],
    GOOD,
    { authenticated: false },
    'delivered not verified',
  ],
  [
    'AD of a resolver that is not trusted',
    'RFC 7672 §2.1',
    [record(3, OTHER.certificate)],
    GOOD,
    { authenticated: true, trusted: false },
    'delivered not verified',
  ],
]

for (const [what, section, tlsa, script, options, outcome] of rows) {
  test(`DANE: ${what} (${section}): ${outcome}`, async t => {
    const { relay } = await world(t, tlsa, script, options)
    const id = await relay.put(['bob@x.test'])
    await relay.run(START)
    const delivered = relay.events.find(({ name }) => name === 'delivered')
    const last = (await relay.queue.get(id))?.recipients[0]?.last
    const bounced = relay.events.find(({ name }) => name === 'bounced')
    const how = String(delivered?.fields.tls ?? '').replace(/^TLSv1\S+ \S+ (?:verified )?/, '')
    assert.equal(
      delivered === undefined ? String(bounced?.fields.status ?? last?.status) : `delivered ${how}`,
      outcome,
      String(bounced?.fields.reply ?? last?.diagnostic),
    )
  })
}

test('TLS-Required: No: delivered where DANE would not, and its connection is for nobody else (RFC 8689 §3)', async t => {
  const script = { ...GOOD, tls: OTHER }
  const content = 'From: alice@example.org\r\nTLS-Required: No\r\n\r\nx\r\n'
  const { relay } = await world(t, [EE], script, { ...SECURE, content })
  await relay.put(['bob@x.test'])
  await relay.run(START)
  assert.deepEqual(
    relay.events.flatMap(({ name, fields }) =>
      name === 'delivered' ? String(fields.tls).split(' ').slice(2).join(' ') : [],
    ),
    ['not verified'],
  )
})

test('TLS-Required: No: the next message does not go over its connection (RFC 8689 §3)', async t => {
  const contents = ['TLS-Required: No\r\n', ''].map(field => `From: alice@example.org\r\n${field}\r\nx\r\n`)
  const server = await startScriptedSmtp({ ...GOOD, tls: OTHER })
  const relay = simulate({
    smtpPort: server.port,
    hosts: { 'mx.x.test': '127.0.0.1' },
    domains: { 'x.test': ['mx.x.test'] },
    tlsa: { [`_${server.port}._tcp.mx.x.test`]: [EE] },
    ...SECURE,
    get content() {
      return contents.shift() ?? ''
    },
  })
  t.after(async () => {
    relay.close()
    await server.stop()
  })
  for (const to of ['bob@x.test', 'carol@x.test']) {
    await relay.put([to])
    await relay.run(START)
  }
  assert.deepEqual(
    relay.events.flatMap(({ name, fields }) =>
      name === 'delivered' || name === 'deferred' ? `${name} ${fields.status}` : [],
    ),
    ['delivered 2.0.0', 'deferred 4.7.10'],
  )
})

const reported: [what: string, tlsa: readonly Tlsa[] | 'bogus', outcome: string][] = [
  ['records that match', [EE], 'tlsa success'],
  ['records that do not', [record(3, OTHER.certificate)], 'tlsa validation-failure'],
  ['bogus', 'bogus', 'tlsa dnssec-invalid'],
  ['records, none of which can be used', [{ ...EE, usage: 1 }], 'tlsa tlsa-invalid'],
  ['no records', [], 'no-policy-found success'],
]
for (const [what, tlsa, outcome] of reported) {
  test(`TLS reports: ${what} (RFC 8460 §4.3)`, async t => {
    const { relay } = await world(t, tlsa, GOOD, SECURE)
    await relay.put(['bob@x.test'])
    await relay.run(START)
    assert.deepEqual(
      relay.outcomes.map(
        ({ policy, result }) => `${policy.type} ${result === 'success' ? result : result.type}`,
      ),
      [outcome],
    )
  })
}

test('TLS reports: records of which none can be used, and why the session failed besides (RFC 8460 §4.3)', async t => {
  const unusable = { ...EE, matchingType: 9 }
  const { relay } = await world(t, [unusable], { ehlo: [] }, SECURE)
  await relay.put(['bob@x.test'])
  await relay.run(START)
  const [{ policy, result } = assert.fail('nothing was noted')] = relay.outcomes
  assert.equal(result === 'success' ? result : result.type, 'starttls-not-supported')
  const hex = Buffer.from(EE.certificate).toString('hex').toUpperCase()
  assert.deepEqual([policy.strings, policy.domain], [[`3 0 9 ${hex}`], 'mx.x.test'])
})

const wanted: [
  what: string,
  tlsa: readonly Tlsa[] | 'bogus',
  options: Partial<SimulationOptions>,
  outcome: string,
  reported: string[],
][] = [
  ['records that match', [EE], SECURE, 'delivered by DANE', ['tlsa success']],
  ['records that do not', [record(3, OTHER.certificate)], SECURE, '4.7.10', ['tlsa validation-failure']],
  ['no records', [], SECURE, '4.7.10', ['tlsa dane-required']],
  ['records, none of which can be used', [{ ...EE, usage: 0 }], SECURE, '4.7.10', ['tlsa tlsa-invalid']],
  ['bogus', 'bogus', SECURE, '4.7.5', ['tlsa dnssec-invalid']],
  ['records in a zone that is not signed', [EE], {}, '4.7.10', ['tlsa dane-required']],
  ['a resolver that is not trusted', [EE], { ...SECURE, trusted: false }, '4.7.10', ['tlsa dane-required']],
  [
    'no records, and the message says TLS-Required: No',
    [],
    { ...SECURE, content: 'From: alice@example.org\r\nTLS-Required: No\r\n\r\nx\r\n' },
    '4.7.10',
    ['tlsa dane-required'],
  ],
]
for (const [what, tlsa, options, outcome, noted] of wanted) {
  test(`tls.toml: level = "dane", ${what}: ${outcome} (RFC 7672 §6)`, async t => {
    const rule: TlsRule = { where: 'tls.toml:1', name: 'Them', domains: ['x.test'], level: 'dane' }
    const { relay } = await world(t, tlsa, GOOD, { ...options, tlsLevels: [rule] })
    const id = await relay.put(['bob@x.test'])
    await relay.run(START)
    const delivered = relay.events.find(({ name }) => name === 'delivered')?.fields
    const last = (await relay.queue.get(id))?.recipients[0]?.last
    const how =
      delivered === undefined ? last?.status : `delivered ${String(delivered.tls).split('verified ')[1]}`
    assert.equal(how, outcome, last?.diagnostic)
    if (outcome === '4.7.10' && noted[0] === 'tlsa dane-required')
      assert.match(last?.diagnostic ?? '', /DANE is required \(tls\.toml:1: Them\)/)
    assert.deepEqual(
      relay.outcomes.map(
        ({ policy, result }) => `${policy.type} ${result === 'success' ? result : result.type}`,
      ),
      noted,
    )
  })
}

test('tls.toml: level = "dane" holds for REQUIRETLS too, and a notice about it', async t => {
  const rule: TlsRule = { where: 'tls.toml:1', name: 'Them', domains: ['x.test'], level: 'dane' }
  const script = { ...GOOD, ehloSecured: ['REQUIRETLS'] }
  for (const [reversePath, status] of [
    [undefined, '5.7.10'],
    [null, '4.7.10'],
  ] as const) {
    const { relay } = await world(t, [], script, { ...SECURE, tlsLevels: [rule] })
    await relay.put(['bob@x.test'], { requireTls: true }, ...(reversePath === null ? [reversePath] : []))
    await relay.run(START)
    const ended = relay.events.find(({ name }) => name === 'bounced' || name === 'deferred')?.fields
    assert.equal(ended?.status, status)
  }
})

test('TLS-Required: No does not weaken REQUIRETLS (RFC 8689 §4.1)', async t => {
  const content = 'From: alice@example.org\r\nTLS-Required: No\r\n\r\nx\r\n'
  const script = { ...GOOD, ehloSecured: ['REQUIRETLS'], tls: OTHER }
  const { relay } = await world(t, [EE], script, { ...SECURE, content })
  await relay.put(['bob@x.test'], { requireTls: true })
  await relay.run(START)
  assert.equal(relay.events.find(({ name }) => name === 'bounced')?.fields.status, '5.7.10')
})

async function world(
  t: TestContext,
  tlsa: readonly Tlsa[] | 'bogus',
  script: SmtpScript,
  options: Partial<SimulationOptions>,
) {
  const server = await startScriptedSmtp(script)
  const relay = simulate({
    smtpPort: server.port,
    hosts: { 'mx.x.test': '127.0.0.1' },
    domains: { 'x.test': ['mx.x.test'] },
    tlsa: { [`_${server.port}._tcp.mx.x.test`]: tlsa },
    ...options,
  })
  t.after(async () => {
    relay.close()
    await server.stop()
  })
  return { relay, server }
}

test('a connection verified by the name of one domain is not for another (RFC 7672 §3.2.2)', async t => {
  const domains = { 'x.test': ['mx.x.test'], 'y.test': ['mx.x.test'] }
  const forX = withCa(await issue(authority, { names: ['x.test'] }, START))
  const { relay, server } = await world(t, [TA], { ...GOOD, tls: forX }, { ...SECURE, domains })
  await relay.put(['bob@x.test'])
  const toY = await relay.put(['bob@y.test'])
  await relay.put(['ann@x.test'])
  await relay.run(START)
  const last = (await relay.queue.get(toY))?.recipients[0]?.last
  assert.equal(last?.status, '4.7.10', last?.diagnostic)
  assert.match(last?.diagnostic ?? '', /is for DNS:x\.test, not for mx\.x\.test or y\.test/)
  assert.equal(server.messages.length, 2)
  assert.equal(server.sessions.length, 2, 'the messages for x.test share a connection')
})

suite('where the records are looked for', () => {
  const MX_HOST = 'mx.x.test'
  const ALIAS = 'mx.provider.test'
  const answer = <T>(records: T[], authenticated = true): DnsAnswer<T> => ({
    kind: 'answer',
    records,
    ttlSeconds: 60,
    authenticated,
    name: 'where.test',
  })
  const absent = (authenticated = true): DnsAnswer<never> => ({
    kind: 'nxdomain',
    ttlSeconds: 60,
    authenticated,
  })
  const failure: DnsAnswer<never> = { kind: 'failure', code: 'SERVFAIL', reason: 'bogus' }
  const AT_ALIAS = `_25._tcp.${ALIAS} TLSA`
  const AT_HOST = `_25._tcp.${MX_HOST} TLSA`
  const INITIAL = `${MX_HOST} CNAME`

  const rows: [
    what: string,
    section: string,
    /** Whether the addresses, at the end of the aliases, are secure. */
    secure: boolean,
    dns: Readonly<Record<string, DnsAnswer<unknown>>>,
    /** The kind of answer, and the TLSA base domain. */
    outcome: string,
    asked: readonly string[],
  ][] = [
    [
      'at the end of the aliases first',
      '§2.2.3',
      true,
      { [AT_ALIAS]: answer([EE]) },
      `usable ${ALIAS}`,
      [AT_ALIAS],
    ],
    [
      'then at the name itself',
      '§2.2.3',
      true,
      { [AT_HOST]: answer([EE]) },
      `usable ${MX_HOST}`,
      [AT_ALIAS, AT_HOST],
    ],
    ['nowhere else', '§2.2.3', true, {}, 'none', [AT_ALIAS, AT_HOST]],
    [
      'an insecure answer at the end does not keep from the name itself',
      '§2.2.3',
      true,
      { [AT_ALIAS]: answer([TA], false), [AT_HOST]: answer([EE]) },
      `usable ${MX_HOST}`,
      [AT_ALIAS, AT_HOST],
    ],
    [
      'insecure answers at both: no records',
      '§2.2.3',
      true,
      { [AT_ALIAS]: answer([TA], false), [AT_HOST]: answer([EE], false) },
      'none',
      [AT_ALIAS, AT_HOST],
    ],
    [
      'records that cannot be used are the answer, all the same',
      '§2.2.3',
      true,
      { [AT_ALIAS]: answer([{ ...EE, usage: 1 }]), [AT_HOST]: answer([EE]) },
      'unusable',
      [AT_ALIAS],
    ],
    [
      'a lookup that fails ends it',
      '§2.1.2',
      true,
      { [AT_ALIAS]: failure, [AT_HOST]: answer([EE]) },
      'failure',
      [AT_ALIAS],
    ],
    ['the second lookup fails', '§2.1.2', true, { [AT_HOST]: failure }, 'failure', [AT_ALIAS, AT_HOST]],
    [
      'the alias is secure, and what it leads to is not: at the name itself',
      '§2.2.2',
      false,
      { [INITIAL]: answer([ALIAS]), [AT_HOST]: answer([EE]), [AT_ALIAS]: answer([TA]) },
      `usable ${MX_HOST}`,
      [INITIAL, AT_HOST],
    ],
    ['the alias is not secure', '§2.2.2', false, { [INITIAL]: answer([ALIAS], false) }, 'none', [INITIAL]],
    [
      'whether the alias is secure cannot be known',
      '§2.1.2',
      false,
      { [INITIAL]: failure },
      'failure',
      [INITIAL],
    ],
  ]
  for (const [what, section, secure, dns, outcome, asked] of rows)
    test(`${what} (RFC 7672 ${section}): ${outcome}`, async () => {
      const questions: string[] = []
      const resolver = {
        async query(name: string, type: string) {
          questions.push(`${name} ${type}`)
          return (dns[`${name} ${type}`] ?? absent()) as DnsAnswer<never>
        },
        mx: async () => absent(),
        addresses: async () => absent(),
      }
      const found = await daneOf(
        { name: MX_HOST, found: 'authenticated', secure: true, preference: 0, addresses: null },
        { kind: 'addresses', addresses: ['127.0.0.1'], name: ALIAS, secure },
        { resolver, trusted: true },
        25,
      )
      assert.equal(found.kind === 'usable' ? `usable ${found.base}` : found.kind, outcome, found.reason)
      assert.deepEqual(questions, asked)
    })
})
