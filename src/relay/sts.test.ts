/** MTA-STS from a domain's policy to the verdict: RFC 8461. The policy is data here; how it is had is in `mta-sts/`. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { type SmtpScript, startScriptedSmtp } from '../../test/peers/scripted-smtp.ts'
import { type SimulationOptions, START, simulate } from '../../test/peers/simulated-relay.ts'
import { issue, makeAuthority } from '../cli/authority.ts'
import type { Tlsa } from '../dns/rdata.ts'
import type { StsAnswer } from './mta-sts/mta-sts.ts'

const authority = await makeAuthority('x.test')
const stranger = await makeAuthority('elsewhere.test')
setDefaultCACertificates([...getCACertificates('default'), authority.certificate])
const MX = await issue(authority, { names: ['mx.x.test'] })
const NAMED_ELSE = await issue(authority, { names: ['other.test'] })
const UNKNOWN = await issue(stranger, { names: ['mx.x.test'] })

const policy = (mode: 'enforce' | 'testing' | 'none', mx: string[] = ['mx.x.test']): StsAnswer => ({
  kind: 'policy',
  mode,
  mx,
  id: '20260105',
  maxAgeSeconds: 86_400,
  fetchedMs: START,
  untilMs: START + 86_400_000,
  refreshMs: START + 43_200_000,
})
const tls = (pair: typeof MX): SmtpScript => ({ ehlo: ['STARTTLS'], tls: pair })
const NONE: SmtpScript = { ehlo: [] }
const WRONG: Tlsa = { usage: 3, selector: 1, matchingType: 1, certificate: Buffer.alloc(32, 1) }

type Row = [
  what: string,
  section: string,
  sts: StsAnswer,
  script: SmtpScript,
  options: Partial<SimulationOptions> & { readonly records?: readonly Tlsa[] },
  outcome: string,
]
const rows: Row[] = [
  [
    'enforce, a certificate of the host',
    'RFC 8461 §4.2',
    policy('enforce'),
    tls(MX),
    {},
    'verified by its name',
  ],
  [
    'enforce, a pattern',
    'RFC 8461 §4.1',
    policy('enforce', ['*.x.test']),
    tls(MX),
    {},
    'verified by its name',
  ],
  [
    'enforce, a host that is not named',
    'RFC 8461 §4.1',
    policy('enforce', ['other.x.test']),
    tls(MX),
    {},
    '4.7.10',
  ],
  [
    'enforce, a certificate for another name',
    'RFC 8461 §4.2',
    policy('enforce'),
    tls(NAMED_ELSE),
    {},
    '4.7.10',
  ],
  [
    'enforce, a certificate of nobody we know',
    'RFC 8461 §4.2',
    policy('enforce'),
    tls(UNKNOWN),
    {},
    '4.7.10',
  ],
  ['enforce, no STARTTLS', 'RFC 8461 §5', policy('enforce'), NONE, {}, '4.7.10'],
  ['testing, no STARTTLS', 'RFC 8461 §5', policy('testing'), NONE, {}, 'none'],
  [
    'testing, a host that is not named',
    'RFC 8461 §5',
    policy('testing', ['other.test']),
    tls(UNKNOWN),
    {},
    'not verified',
  ],
  ['mode none', 'RFC 8461 §5', policy('none'), NONE, {}, 'none'],
  ['no policy', 'RFC 8461 §3.1', { kind: 'none', reason: 'no record' }, NONE, {}, 'none'],
  [
    'DANE that does not match wins over enforce that would',
    'RFC 8461 §2',
    policy('enforce'),
    tls(MX),
    { authenticated: true, records: [WRONG] },
    '4.7.10',
  ],
]
for (const [what, section, sts, script, { records, ...options }, outcome] of rows) {
  test(`MTA-STS: ${what} (${section}): ${outcome}`, async t => {
    const { relay } = await world(t, script, { sts: { 'x.test': sts }, ...options }, records)
    const id = await relay.put(['bob@x.test'])
    await relay.run(START)
    const delivered = relay.events.find(({ name }) => name === 'delivered')
    const last = (await relay.queue.get(id))?.recipients[0]?.last
    const how = String(delivered?.fields.tls).replace(/^TLSv1\S+ \S+ /, '')
    assert.equal(delivered === undefined ? last?.status : how, outcome, last?.diagnostic)
    assert.deepEqual(relay.notices, [])
    const asked = delivered !== undefined && how === 'verified by its name'
    if (asked) assert.match(String(delivered.fields.policy), /^MTA-STS: x\.test enforces policy 20260105$/)
  })
}

test('a shared MX: a domain that enforces does not get the connection of one that does not', async t => {
  const { relay, server } = await world(t, tls(UNKNOWN), { sts: { 'x.test': policy('enforce') } })
  await relay.put(['bob@y.test'])
  await relay.run(START)
  const id = await relay.put(['bob@x.test'])
  await relay.run(START)
  assert.equal(server.messages.length, 1)
  assert.equal((await relay.queue.get(id))?.recipients[0]?.last?.status, '4.7.10')
})

test('REQUIRETLS: a host that the MTA-STS policy names needs no DNSSEC (RFC 8689 §4.2.1)', async t => {
  const script = { ...tls(MX), ehloSecured: ['REQUIRETLS'] }
  const { relay, server } = await world(t, script, { sts: { 'x.test': policy('enforce') } })
  await relay.put(['bob@x.test'], { requireTls: true })
  await relay.run(START)
  assert.equal(server.messages.length, 1)
  assert.ok(server.sessions.flat().some(line => / REQUIRETLS/.test(line)))
})

test('TLS-Required: No: delivered where the policy would not let it (RFC 8689 §3)', async t => {
  const content = 'From: alice@example.org\r\nTLS-Required: No\r\n\r\nx\r\n'
  const { relay, server } = await world(t, NONE, { sts: { 'x.test': policy('enforce') }, content })
  await relay.put(['bob@x.test'])
  await relay.run(START)
  assert.equal(server.messages.length, 1)
})

const noted = async (
  t: TestContext,
  script: SmtpScript,
  sts: StsAnswer,
  options: Partial<SimulationOptions> = {},
) => {
  const { relay } = await world(t, script, { sts: { 'x.test': sts }, ...options })
  await relay.put(['bob@x.test'])
  await relay.run(START)
  return relay.outcomes.map(({ policyDomain, policy: { type }, result }) =>
    [policyDomain, type, result === 'success' ? result : result.type].join(' '),
  )
}
const failed = { resultType: 'sts-policy-fetch-error', reason: 'the policy host does not answer' } as const
const reported: [what: string, script: SmtpScript, sts: StsAnswer, outcomes: string[]][] = [
  ['enforced and kept', tls(MX), policy('enforce'), ['x.test sts success']],
  ['another name', tls(NAMED_ELSE), policy('enforce'), ['x.test sts certificate-host-mismatch']],
  ['nobody we know', tls(UNKNOWN), policy('enforce'), ['x.test sts certificate-not-trusted']],
  ['no STARTTLS', NONE, policy('enforce'), ['x.test sts starttls-not-supported']],
  ['testing: delivered, and told', tls(UNKNOWN), policy('testing'), ['x.test sts certificate-not-trusted']],
  ['testing: not named', tls(MX), policy('testing', ['other.test']), ['x.test sts validation-failure']],
  ['no policy, TLS', tls(UNKNOWN), { kind: 'none', reason: 'no record' }, ['x.test no-policy-found success']],
  [
    'no policy, no TLS',
    NONE,
    { kind: 'none', reason: 'no record' },
    ['x.test no-policy-found starttls-not-supported'],
  ],
  [
    'a policy that cannot be had',
    tls(MX),
    { kind: 'none', reason: 'x', failure: failed },
    ['x.test sts sts-policy-fetch-error'],
  ],
]
for (const [what, script, sts, outcomes] of reported)
  test(`TLS reports: ${what} (RFC 8460 §4.3)`, async t =>
    assert.deepEqual(await noted(t, script, sts), outcomes))

async function world(
  t: TestContext,
  script: SmtpScript,
  options: Partial<SimulationOptions>,
  records: readonly Tlsa[] = [],
) {
  const server = await startScriptedSmtp(script)
  const relay = simulate({
    smtpPort: server.port,
    hosts: { 'mx.x.test': '127.0.0.1' },
    domains: { 'x.test': ['mx.x.test'], 'y.test': ['mx.x.test'] },
    tlsa: { [`_${server.port}._tcp.mx.x.test`]: records },
    ...options,
  })
  t.after(async () => {
    relay.close()
    await server.stop()
  })
  return { relay, server }
}
