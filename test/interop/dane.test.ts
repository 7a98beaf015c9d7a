/**
 * DANE (RFC 7672) with nothing simulated but the clock: signed zones on BIND, a validating Unbound, a Postfix that receives with
 * good certificates and bad ones. posttls-finger, Postfix's own sender, looks at the same hosts through the same resolver and
 * must say the same.
 */

import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import { Resolver } from '../../src/net/resolver.ts'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { needPostfix, type Postfix } from '../peers/postfix.ts'
import { type Fingered, needPosttlsFinger, posttlsFinger } from '../peers/posttls-finger.ts'
import { type SignedDns, startSignedDns } from '../peers/signed-zone.ts'
import { simulate } from '../peers/simulated-relay.ts'
import { AT, makeCertificates, startServers, tlsa } from './dane-world.ts'

const { root, intermediate, shown } = await makeCertificates()
const [leaf] = shown.good
const [selfSigned] = shown.selfSigned
const [other] = shown.otherName
const [shallow] = shown.tooDeep.slice(-1)
assert.ok(leaf && selfSigned && other && shallow)
const EE = tlsa(3, 1, 1, leaf)
const TA = tlsa(2, 0, 1, root)
const WRONG = tlsa(3, 1, 1, other)
const FORGED = `3 1 1 ${'F'.repeat(64)}`

/**
 * `DANE`: delivered, and verified by it; `TLS`: delivered over TLS, whoever was there; `clear`: delivered in clear text; else the
 * status of what did not go.
 */
type Outcome = 'DANE' | 'TLS' | 'clear' | `${4 | 5}.${number}.${number}`

/** What posttls-finger may say to each: it looks, and refuses nothing that speaks to it. */
const AGREED: Readonly<Record<string, readonly Fingered['verdict'][]>> = {
  DANE: ['Verified'],
  TLS: ['Untrusted', 'Trusted'],
  clear: ['clear text'],
  // From Postfix 3.9 on `Trusted` where the chain matches and the name does not: not what DANE wants.
  '4.7.10': ['Untrusted', 'Trusted', 'clear text', 'nothing'],
  '4.7.5': ['nothing'],
  '4.4.3': ['nothing'],
  '4.4.1': ['nothing'],
  '5.1.2': ['nothing'],
}

interface Options {
  /** The destination; `D.secure.test` when not given. */
  readonly to?: string
  /** Why posttls-finger is not asked. */
  readonly alone?: string
  readonly requireTls?: true
  /** Not to the MX hosts of the destination, but through this host. */
  readonly through?: string
  /** tls.toml wants DANE of the destination. */
  readonly daneOnly?: true
}

/** `D` is the row's own label; records are of secure.test, or of the zone that a line begins with (`insecure: …`). */
type Row = [what: string, section: string, records: string, outcome: Outcome, options?: Options]

const one = (address: string, ...records: readonly string[]) =>
  `D MX 10 mx-D\nmx-D A ${address}\n${records.map(data => `_25._tcp.mx-D TLSA ${data}\n`).join('')}`
const two = (first: string, ofFirst: readonly string[], second: string, ofSecond: readonly string[]) =>
  `D MX 10 a-D\nD MX 20 b-D\na-D A ${first}\nb-D A ${second}
${ofFirst.map(data => `_25._tcp.a-D TLSA ${data}\n`).join('')}${ofSecond.map(data => `_25._tcp.b-D TLSA ${data}\n`).join('')}`
const ONE_HOST = { alone: 'it stops at the first host that speaks to it' }

const SMART = { through: 'mx-D.secure.test' }
const WANTED = { daneOnly: true, alone: 'its level dane does without' } as const

const rows: readonly Row[] = [
  // The certificate.
  ['DANE-EE of a key', 'RFC 7672 §3.1.1', one(AT.good, EE), 'DANE'],
  ['DANE-EE, the whole certificate', 'RFC 6698 §2.1.3', one(AT.good, tlsa(3, 0, 0, leaf)), 'DANE'],
  ['DANE-EE, SHA2-512', 'RFC 6698 §2.1.3', one(AT.good, tlsa(3, 1, 2, leaf)), 'DANE'],
  ['DANE-EE, a certificate for another name', 'RFC 7672 §3.2.1', one(AT.otherName, WRONG), 'DANE'],
  [
    'DANE-EE, a certificate that has expired',
    'RFC 7672 §3.1.1',
    one(AT.expired, ...shown.expired.slice(0, 1).map(pair => tlsa(3, 1, 1, pair))),
    'DANE',
  ],
  [
    'DANE-EE, a certificate that nobody signed',
    'RFC 7672 §3.1.1',
    one(AT.selfSigned, tlsa(3, 1, 1, selfSigned)),
    'DANE',
  ],
  ['DANE-EE that does not match', 'RFC 7672 §2.2', one(AT.good, WRONG), '4.7.10'],
  ['DANE-EE of the CA is not of the server', 'RFC 6698 §2.1.1', one(AT.good, tlsa(3, 0, 1, root)), '4.7.10'],
  ['DANE-TA', 'RFC 7672 §3.1.2', one(AT.good, TA), 'DANE'],
  ['DANE-TA of a key', 'RFC 7672 §3.1.2', one(AT.good, tlsa(2, 1, 1, root)), 'DANE'],
  ['DANE-TA, the root of a longer chain', 'RFC 7672 §3.1.2', one(AT.deep, TA), 'DANE'],
  ['DANE-TA, an intermediate CA', 'RFC 7672 §3.1.2', one(AT.deep, tlsa(2, 0, 1, intermediate)), 'DANE'],
  [
    'DANE-TA, a CA that is not in the chain',
    'RFC 7672 §3.1.2',
    one(AT.good, tlsa(2, 0, 1, intermediate)),
    '4.7.10',
  ],
  ['DANE-TA, the CA is not shown', 'RFC 7671 §5.2.2', one(AT.lone, TA), '4.7.10'],
  [
    'DANE-TA, the CA is not shown and in the record',
    'RFC 7671 §5.2.2',
    one(AT.lone, tlsa(2, 0, 0, root)),
    'DANE',
  ],
  ['DANE-TA, a certificate for another name', 'RFC 7672 §3.2.2', one(AT.otherName, TA), '4.7.10'],
  ['DANE-TA, a certificate that has expired', 'RFC 5280 §6.1.3', one(AT.expired, TA), '4.7.10'],
  [
    'DANE-TA, a certificate for the next-hop domain',
    'RFC 7672 §3.2.2',
    one(AT.nextHop, TA),
    'DANE',
    { to: 'next-hop.secure.test' },
  ],
  [
    'DANE-TA, a certificate for what the next-hop domain is an alias of',
    'RFC 7672 §3.2.2',
    `alias-D CNAME next-hop\n`,
    'DANE',
    { to: 'alias-D.secure.test' },
  ],
  ['DANE-TA, a wildcard that is a part of a label', 'RFC 7672 §3.2.3', one(AT.partialWildcard, TA), '4.7.10'],
  ['DANE-TA, a certificate for clients only', 'RFC 5280 §4.2.1.12', one(AT.clientOnly, TA), '4.7.10'],
  [
    'DANE-TA, a chain that its CA does not allow to be so long',
    'RFC 7671 §5.2.1',
    one(AT.tooDeep, tlsa(2, 0, 1, shallow)),
    '4.7.10',
  ],
  // The set of records.
  ['two records, one matches', 'RFC 7671 §8.1', one(AT.good, WRONG, EE), 'DANE'],
  ['DANE-EE does not match, DANE-TA does', 'RFC 6698 §2.1', one(AT.good, WRONG, TA), 'DANE'],
  ['two records, none matches', 'RFC 7672 §2.2', one(AT.good, WRONG, tlsa(2, 0, 1, intermediate)), '4.7.10'],
  [
    'the weaker hash matches, the stronger does not',
    'RFC 7671 §9',
    one(AT.good, EE, tlsa(3, 1, 2, other)),
    '4.7.10',
    {
      alone: 'Postfix 3.10 asks for a raw public key (RFC 7250) there, and takes whatever record matches it',
    },
  ],
  ['PKIX-EE and DANE-EE', 'RFC 7672 §3.1.3', one(AT.good, tlsa(1, 1, 1, other), EE), 'DANE'],
  [
    'PKIX-EE alone cannot be used: TLS, whoever is there',
    'RFC 7672 §2.2',
    one(AT.selfSigned, tlsa(1, 1, 1, other)),
    'TLS',
  ],
  ['an unknown matching type alone', 'RFC 7672 §2.2', one(AT.otherName, '3 1 7 abcd'), 'TLS'],
  ['none can be used, and no STARTTLS', 'RFC 7672 §2.2', one(AT.noTls, tlsa(1, 1, 1, leaf)), '4.7.10'],
  ['none can be used, and TLS fails', 'RFC 7672 §2.2', one(AT.brokenTls, tlsa(1, 1, 1, leaf)), '4.7.10'],
  // TLS is there, or not.
  ['STARTTLS was taken out', 'RFC 7672 §2.2', one(AT.noTls, EE), '4.7.10'],
  ['TLS fails', 'RFC 7672 §2.2', one(AT.brokenTls, EE), '4.7.10'],
  ['nobody is there', 'RFC 5321 §4.5.4.1', one(AT.nobody, EE), '4.4.1'],
  ['no records: TLS, whoever is there', 'RFC 7672 §2.2', one(AT.selfSigned), 'TLS'],
  ['no records, no STARTTLS', 'RFC 7672 §2.2', one(AT.noTls), 'clear'],
  [
    'no records, and TLS fails',
    'RFC 7672 §2.2',
    one(AT.brokenTls),
    'clear',
    { alone: 'it does not try again in clear text' },
  ],
  // DNSSEC.
  ['the TLSA records are bogus', 'RFC 7672 §2.1.2', one(AT.good, FORGED), '4.7.5'],
  [
    'the servers of the TLSA records answer SERVFAIL',
    'RFC 7672 §2.1.2',
    'servfail MX 10 mx-servfail\nmx-servfail A 127.0.0.1\n_tcp.mx-servfail NS ns\n',
    '4.7.5',
    { to: 'servfail.secure.test' },
  ],
  ['the MX records are bogus', 'RFC 7672 §2.1.2', `D MX 666 mx-D\nmx-D A ${AT.good}\n`, '4.4.3'],
  ['the address is bogus', 'RFC 7672 §2.1.2', 'D MX 10 mx-D\nmx-D A 127.9.9.9\n', '4.4.3'],
  [
    'the signatures have expired',
    'RFC 7672 §2.1.2',
    `expired: D MX 10 mx-D\nexpired: mx-D A ${AT.good}\n`,
    '4.4.3',
    { to: 'D.expired.test' },
  ],
  [
    'absence is proved by NSEC3',
    'RFC 7672 §2.1.1',
    `nsec3: D MX 10 mx-D\nnsec3: mx-D A ${AT.noTls}\n`,
    'clear',
    { to: 'D.nsec3.test' },
  ],
  [
    'records in a zone with NSEC3',
    'RFC 7672 §3.1.1',
    `nsec3: D MX 10 mx-D\nnsec3: mx-D A ${AT.good}\nnsec3: _25._tcp.mx-D TLSA ${WRONG}\n`,
    '4.7.10',
    { to: 'D.nsec3.test' },
  ],
  ['a domain that does not exist, proved by NSEC3', 'RFC 7672 §2.1.1', '', '5.1.2', { to: 'D.nsec3.test' }],
  ['records by a wildcard', 'RFC 4035 §5.3.4', `${one(AT.good)}*._tcp.mx-D TLSA ${EE}\n`, 'DANE'],
  [
    'a zone without DNSSEC: its records prove nothing',
    'RFC 7672 §2.2',
    `insecure: D MX 10 mx-D\ninsecure: mx-D A ${AT.good}\ninsecure: _25._tcp.mx-D TLSA ${WRONG}\n`,
    'TLS',
    { to: 'D.insecure.test' },
  ],
  [
    'the MX is insecure, its host is secure',
    'RFC 7672 §2.2.1',
    `insecure: D MX 10 mx-D.secure.test.\nmx-D A ${AT.good}\n_25._tcp.mx-D TLSA ${WRONG}\n`,
    'TLS',
    { to: 'D.insecure.test' },
  ],
  [
    'the MX is secure, its host is insecure',
    'RFC 7672 §2.2.2',
    `D MX 10 mx-D.insecure.test.\ninsecure: mx-D A ${AT.good}\ninsecure: _25._tcp.mx-D TLSA ${WRONG}\n`,
    'TLS',
  ],
  ['no MX: the domain itself', 'RFC 7672 §2.2.2', `D A ${AT.good}\n_25._tcp.D TLSA ${EE}\n`, 'DANE'],
  ['no MX, and no match', 'RFC 7672 §2.2.2', `D A ${AT.good}\n_25._tcp.D TLSA ${WRONG}\n`, '4.7.10'],
  // Aliases.
  [
    'the host is an alias: records at its end',
    'RFC 7672 §2.2.3',
    `D MX 10 mx-D\nmx-D CNAME end-D.nsec3.test.\nnsec3: end-D A ${AT.good}\nnsec3: _25._tcp.end-D TLSA ${EE}\n_25._tcp.mx-D TLSA ${WRONG}\n`,
    'DANE',
  ],
  [
    '… which count, though those of the name would match',
    'RFC 7672 §2.2.3',
    `D MX 10 mx-D\nmx-D CNAME end-D.nsec3.test.\nnsec3: end-D A ${AT.good}\nnsec3: _25._tcp.end-D TLSA ${WRONG}\n_25._tcp.mx-D TLSA ${EE}\n`,
    '4.7.10',
  ],
  [
    '… and records at the name where the end has none',
    'RFC 7672 §2.2.3',
    `D MX 10 mx-D\nmx-D CNAME end-D.nsec3.test.\nnsec3: end-D A ${AT.good}\n_25._tcp.mx-D TLSA ${EE}\n`,
    'DANE',
  ],
  [
    'a secure alias for an insecure host: records at the name',
    'RFC 7672 §2.2.2',
    `D MX 10 mx-D\nmx-D CNAME end-D.insecure.test.\ninsecure: end-D A ${AT.good}\n_25._tcp.mx-D TLSA ${EE}\n`,
    'DANE',
  ],
  [
    '… and no match: no way down to clear text',
    'RFC 7672 §2.2.2',
    `D MX 10 mx-D\nmx-D CNAME end-D.insecure.test.\ninsecure: end-D A ${AT.noTls}\n_25._tcp.mx-D TLSA ${EE}\n`,
    '4.7.10',
  ],
  [
    'an alias of an alias',
    'RFC 7672 §2.2.2',
    `D MX 10 mx-D\nmx-D CNAME mid-D\nmid-D CNAME end-D\nend-D A ${AT.good}\n_25._tcp.end-D TLSA ${TA}\n`,
    'DANE',
  ],
  [
    '… whose middle name has records that do not count',
    'RFC 7672 §2.2.3',
    `D MX 10 mx-D\nmx-D CNAME mid-D\nmid-D CNAME end-D\nend-D A ${AT.selfSigned}\n_25._tcp.mid-D TLSA ${EE}\n`,
    'TLS',
  ],
  [
    'the records themselves are an alias',
    'RFC 7672 §2.2.3',
    `${one(AT.good)}_25._tcp.mx-D CNAME tlsa-D\ntlsa-D TLSA ${TA}\n`,
    'DANE',
  ],
  [
    '… into a zone without DNSSEC',
    'RFC 7672 §2.2.3',
    `${one(AT.good)}_25._tcp.mx-D CNAME tlsa-D.insecure.test.\ninsecure: tlsa-D TLSA ${WRONG}\n`,
    'TLS',
  ],
  [
    'a DNAME',
    'RFC 7672 §2.1.3',
    `D MX 10 mx.old-D\nold-D DNAME new-D\nmx.new-D A ${AT.good}\n_25._tcp.mx.new-D TLSA ${EE}\n`,
    'DANE',
  ],
  // Several hosts.
  [
    'first host: STARTTLS taken out; second: DANE',
    'RFC 7672 §2.2',
    two(AT.noTls, [EE], AT.good, [EE]),
    'DANE',
    ONE_HOST,
  ],
  [
    'first host: no match; second: DANE',
    'RFC 7672 §2.2',
    two(AT.otherName, [EE], AT.good, [EE]),
    'DANE',
    ONE_HOST,
  ],
  ['first host: bogus; second: DANE', 'RFC 7672 §2.1.2', two(AT.good, [FORGED], AT.good, [EE]), 'DANE'],
  ['first host: dead; second: DANE', 'RFC 5321 §5.1', two(AT.nobody, [EE], AT.good, [EE]), 'DANE'],
  ['both hosts: no match', 'RFC 7672 §2.2', two(AT.otherName, [EE], AT.selfSigned, [EE]), '4.7.10'],
  [
    'first host: no match; second: without records',
    'RFC 7672 §2.2',
    two(AT.otherName, [EE], AT.selfSigned, []),
    'TLS',
    ONE_HOST,
  ],
  [
    'a better host without records is not passed over',
    'RFC 7672 §2.2.1',
    two(AT.selfSigned, [], AT.good, [EE]),
    'TLS',
  ],
  // REQUIRETLS.
  [
    'REQUIRETLS: DANE holds, and the host does not have it',
    'RFC 8689 §4.2.1',
    one(AT.good, EE),
    '5.7.30',
    { requireTls: true, alone: 'it has no REQUIRETLS' },
  ],
  [
    'REQUIRETLS: no match',
    'RFC 8689 §4.2.1',
    one(AT.good, WRONG),
    '5.7.10',
    { requireTls: true, alone: 'it has no REQUIRETLS' },
  ],
  [
    'REQUIRETLS: no records, a CA that nobody knows',
    'RFC 8689 §4.2.1',
    one(AT.good),
    '5.7.10',
    { requireTls: true, alone: 'it has no REQUIRETLS' },
  ],
  [
    'REQUIRETLS: the MX is insecure',
    'RFC 8689 §4.2.1',
    `insecure: D MX 10 mx-D.secure.test.\nmx-D A ${AT.good}\n_25._tcp.mx-D TLSA ${EE}\n`,
    '5.7.10',
    { to: 'D.insecure.test', requireTls: true, alone: 'it has no REQUIRETLS' },
  ],
  [
    'REQUIRETLS: bogus may be better later',
    'RFC 7672 §2.1.2',
    one(AT.good, FORGED),
    '4.7.5',
    { requireTls: true, alone: 'it has no REQUIRETLS' },
  ],
  // Smart hosts.
  ['smart host, DANE-EE', 'RFC 7672 §2.2.2', one(AT.selfSigned, tlsa(3, 1, 1, selfSigned)), 'DANE', SMART],
  ['smart host, DANE-TA', 'RFC 7672 §2.2.2', one(AT.good, TA), 'DANE', SMART],
  ['smart host, a record that does not match', 'RFC 7672 §2.2.2', one(AT.good, WRONG), '4.7.10', SMART],
  ['smart host, a bogus record', 'RFC 7672 §2.1.2', one(AT.good, FORGED), '4.7.5', SMART],
  ['smart host, no record, and a CA that is not known', 'RFC 9525 §6', one(AT.good), '4.7.10', SMART],
  [
    'smart host, DANE-TA, a certificate for the domain of the recipient',
    'RFC 7672 §3.2.2',
    one(AT.nextHop, TA),
    '4.7.10',
    {
      to: 'next-hop.secure.test',
      through: 'mx-next-hop.secure.test',
      alone: 'it is asked about an MX of that name',
    },
  ],
  // Mandatory DANE.
  ['DANE is wanted, and there', 'RFC 7672 §6', one(AT.good, EE), 'DANE', { daneOnly: true }],
  ['DANE is wanted, and not there', 'RFC 7672 §6', one(AT.good), '4.7.10', WANTED],
  [
    'DANE is wanted, no record can be used',
    'RFC 7672 §6',
    one(AT.good, tlsa(1, 1, 1, leaf)),
    '4.7.10',
    WANTED,
  ],
]

interface Case {
  readonly what: string
  readonly section: string
  readonly records: string
  readonly outcome: Outcome
  readonly options: Options
  readonly to: string
}

const port = await freePort()
const cases = rows.map(([what, section, records, outcome, options = {}], n): Case => {
  const label = options.to === 'next-hop.secure.test' ? 'next-hop' : `d${n}`
  const mine = (text: string) => text.replaceAll(/\bD\b/g, label).replaceAll('_25._tcp', `_${port}._tcp`)
  const through = options.through === undefined ? {} : { through: mine(options.through) }
  const to = mine(options.to ?? 'D.secure.test')
  return { what, section, outcome, options: { ...options, ...through }, records: mine(records), to }
})
// Nobody else listens on port 53, and another run has another process.
const RESOLVER = `127.53.${(process.pid >> 8) & 255}.${process.pid & 255 || 1}`

function zone(name: string): string {
  const lines = cases.flatMap(({ records }) => records.split('\n')).filter(line => line !== '')
  const mine = lines.flatMap(line => {
    const [, of = 'secure', record = ''] = /^(?:(\w+): )?(.*)$/.exec(line) ?? []
    return of === name ? [`${record}\n`] : []
  })
  return mine.join('')
}

/** What was said before it was signed, in other words: every record of it is bogus now. */
function forge(signed: string): string {
  const forged = signed
    .replaceAll('F'.repeat(56), 'E'.repeat(56))
    .replaceAll('127.9.9.9', AT.good)
    .replaceAll(/(\sMX\s+)666 /g, '$16 ')
  assert.notEqual(forged, signed)
  return forged
}

async function startDns(also: { alsoOn53?: string }): Promise<SignedDns> {
  return startSignedDns(
    {
      'secure.test': { how: 'signed', records: zone('secure'), forge },
      'nsec3.test': { how: 'nsec3', records: zone('nsec3') },
      'insecure.test': { how: 'unsigned', records: zone('insecure') },
      'expired.test': { how: 'expired', records: zone('expired') },
      '_tcp.mx-servfail.secure.test': { how: 'broken', records: '' },
    },
    also.alsoOn53,
  )
}

suite('DANE against BIND, Unbound and Postfix', () => {
  let world: Promise<{ dns: SignedDns; postfix: Postfix }> | undefined
  const needs = (t: TestContext) =>
    need(t, 'named', 'unbound', 'dnssec-keygen', 'dnssec-signzone', 'openssl') && needPostfix(t)
  const start = () => {
    world ??= (async () => ({
      dns: await startDns({ alsoOn53: RESOLVER }),
      postfix: await startServers({ root, intermediate, shown }, port, [
        ...new Set(cases.map(({ to }) => to)),
      ]),
    }))()
    return world
  }
  // The world is of all tests, and ended by the last.
  test('the relay', async t => {
    if (!needs(t)) return
    const { dns } = await start()
    const resolver = new Resolver({ servers: [{ host: '127.0.0.1', port: dns.port }] })
    t.after(() => resolver.close())
    for (const { what, section, outcome, options, to } of cases)
      await t.test(`${what} (${section}): ${outcome}`, async () =>
        assert.deepEqual(await relayed(resolver, to, options), outcome),
      )
  })

  test('posttls-finger says the same', async t => {
    if (!needs(t) || !needPosttlsFinger(t)) return
    const { postfix } = await start()
    const { configuration } = postfix
    for (const { what, section, outcome, options, to } of cases) {
      if (options.alone !== undefined) continue
      await t.test(`${what} (${section}): ${outcome}`, async () => {
        const destination = `${options.through === undefined ? to : `[${options.through}]`}:${port}`
        const { verdict, output } = await posttlsFinger({ resolver: RESOLVER, configuration, destination })
        assert.ok(AGREED[outcome]?.includes(verdict), `${verdict}, and not as we say: ${outcome}\n${output}`)
      })
    }
  })

  test('… and all ends', async () => {
    const { dns, postfix } = (await world) ?? {}
    await postfix?.stop()
    await dns?.stop()
  })
})

/** Sends one message by the relay's own code; the clock is the real one's. */
async function relayed(
  resolver: Resolver,
  to: string,
  { requireTls, through, daneOnly }: Options,
): Promise<string> {
  const rule = { where: 'here:1', name: 'all' }
  const route = { ...rule, host: { host: through ?? '', port }, tls: 'starttls' as const }
  const relay = simulate({
    smtpPort: through === undefined ? port : 25,
    hosts: {},
    domains: {},
    resolver,
    ...(through === undefined ? {} : { routes: [route] }),
    ...(daneOnly === undefined ? {} : { tlsLevels: [{ ...rule, domains: [to], level: 'dane' as const }] }),
  })
  try {
    relay.nowMs = Date.now()
    const id = await relay.put([`bob@${to}`], requireTls ? { requireTls } : {})
    await relay.run(relay.nowMs)
    const delivered = relay.events.find(({ name }) => name === 'delivered')
    if (delivered !== undefined) {
      const how = String(delivered.fields.tls)
      return how === 'none'
        ? 'clear'
        : how.endsWith('by DANE')
          ? 'DANE'
          : how.endsWith('not verified')
            ? 'TLS'
            : how
    }
    const bounced = relay.events.find(({ name }) => name === 'bounced')
    return String(bounced?.fields.status ?? (await relay.queue.get(id))?.recipients[0]?.last?.status)
  } finally {
    relay.close()
  }
}
