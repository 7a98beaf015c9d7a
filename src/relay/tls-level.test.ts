/** tls.toml: what the operator wants of some destinations, and what becomes of their mail. */

import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { type SmtpScript, startScriptedSmtp } from '../../test/peers/scripted-smtp.ts'
import { START, simulate } from '../../test/peers/simulated-relay.ts'
import { issue, makeAuthority } from '../cli/authority.ts'
import { ConfigError } from '../config/load.ts'
import { readTlsLevels } from '../config/tls-levels.ts'

const authority = await makeAuthority('x.test')
const stranger = await makeAuthority('elsewhere.test')
setDefaultCACertificates([...getCACertificates('default'), authority.certificate])
const MX = await issue(authority, { names: ['mx.x.test'] })
const NAMED_ELSE = await issue(authority, { names: ['other.test'] })
const UNKNOWN = await issue(stranger, { names: ['mx.x.test'] })
const sha256 = (octets: Uint8Array) => createHash('sha256').update(octets).digest('hex')
const certificate = new X509Certificate(UNKNOWN.certificate)
const OF_CERTIFICATE = sha256(certificate.raw)
const OF_KEY = sha256(certificate.publicKey.export({ type: 'spki', format: 'der' }))
const colons = OF_KEY.toUpperCase().replace(/..(?=.)/g, '$&:')

function levelsOf(t: TestContext, toml: string) {
  const folder = mkdtempSync(join(tmpdir(), 'ptt-tls-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'tls.toml'), toml)
  return readTlsLevels(join(folder, 'tls.toml'))
}

const tls = (pair: typeof MX): SmtpScript => ({ ehlo: ['STARTTLS'], tls: pair })
const NONE: SmtpScript = { ehlo: [] }
const rows: [level: string, what: string, script: SmtpScript, outcome: string][] = [
  ['level = "opportunistic"', 'no TLS', NONE, 'none'],
  ['level = "require"', 'no TLS', NONE, '4.7.10'],
  ['level = "require"', 'a certificate of anybody', tls(UNKNOWN), 'not verified'],
  ['level = "verify"', 'no TLS', NONE, '4.7.10'],
  ['level = "verify"', 'a certificate of the host', tls(MX), 'verified by its name'],
  ['level = "verify"', 'a certificate for another name', tls(NAMED_ELSE), '4.7.10'],
  ['level = "verify"', 'a certificate of nobody we know', tls(UNKNOWN), '4.7.10'],
  [
    `level = "fingerprint"\nfingerprints = ["${OF_CERTIFICATE}"]`,
    'the certificate',
    tls(UNKNOWN),
    'verified by its fingerprint',
  ],
  [
    `level = "fingerprint"\nfingerprints = ["${colons}"]`,
    'its key',
    tls(UNKNOWN),
    'verified by its fingerprint',
  ],
  [`level = "fingerprint"\nfingerprints = ["${OF_KEY}"]`, 'another certificate', tls(MX), '4.7.10'],
]
for (const [level, what, script, outcome] of rows) {
  test(`tls.toml: ${level.split('\n')[0]}, the host has ${what}: ${outcome}`, async t => {
    const server = await startScriptedSmtp(script)
    const relay = simulate({
      smtpPort: server.port,
      hosts: { 'mx.x.test': '127.0.0.1' },
      domains: { 'x.test': ['mx.x.test'] },
      tlsLevels: levelsOf(t, `[[tls]]\nname = "The bank"\ndomains = ["x.test"]\n${level}\n`),
    })
    t.after(async () => {
      relay.close()
      await server.stop()
    })
    const id = await relay.put(['bob@x.test'])
    await relay.run(START)
    const delivered = relay.events.find(({ name }) => name === 'delivered')
    const last = (await relay.queue.get(id))?.recipients[0]?.last
    const how = String(delivered?.fields.tls).replace(/^TLSv1\S+ \S+ /, '')
    assert.equal(delivered === undefined ? last?.status : how, outcome, last?.diagnostic)
    if (delivered === undefined) assert.match(last?.diagnostic ?? '', /tls\.toml:1: The bank/)
  })
}

for (const [what, pinned, outcome] of [
  ['the pinned certificate', UNKNOWN, 'verified by its fingerprint'],
  ['another, of a CA that everybody knows', MX, '5.7.10'],
] as const) {
  test(`tls.toml: REQUIRETLS to a domain that is pinned, the host has ${what}: ${outcome}`, async t => {
    const server = await startScriptedSmtp({ ...tls(pinned), ehloSecured: ['REQUIRETLS'] })
    const level = `level = "fingerprint"\nfingerprints = ["${OF_KEY}"]`
    const relay = simulate({
      smtpPort: server.port,
      hosts: { 'mx.x.test': '127.0.0.1' },
      domains: { 'x.test': ['mx.x.test'] },
      authenticated: true,
      tlsLevels: levelsOf(t, `[[tls]]\nname = "The bank"\ndomains = ["x.test"]\n${level}\n`),
    })
    t.after(async () => {
      relay.close()
      await server.stop()
    })
    await relay.put(['bob@x.test'], { requireTls: true })
    await relay.run(START)
    const ended = relay.events.find(({ name }) => name === 'delivered' || name === 'bounced')?.fields
    const how = String(ended?.tls).replace(/^TLSv1\S+ \S+ /, '')
    assert.equal(ended?.tls === undefined ? ended?.status : how, outcome)
  })
}

const broken: [what: string, toml: string, complaint: RegExp][] = [
  [
    'fingerprints without the level',
    'domains = ["x.test"]\nlevel = "verify"\nfingerprints = []',
    /belong together/,
  ],
  ['the level without fingerprints', 'domains = ["x.test"]\nlevel = "fingerprint"', /belong together/],
  [
    'what is no fingerprint',
    'domains = ["x.test"]\nlevel = "fingerprint"\nfingerprints = ["ab"]',
    /64 hexadecimal digits/,
  ],
  ['an unknown level', 'domains = ["x.test"]\nlevel = "strict"', /write "opportunistic" or "require"/],
]
for (const [what, toml, complaint] of broken) {
  test(`tls.toml: ${what} is told`, t => {
    assert.throws(
      () => levelsOf(t, `[[tls]]\nname = "A"\n${toml}\n`),
      (error: unknown) => error instanceof ConfigError && complaint.test(error.message),
    )
  })
}
