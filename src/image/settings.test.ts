import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ConfigError } from '../config/load.ts'
import { type BootOptions, parseSetting, prepare, type Service, settingsOf } from './settings.ts'

const DATA = '/data'
const TSIG = 'ptt._update.example.com:hmac-sha256:AAAA'

function homeOf(t: TestContext, files: Readonly<Record<string, string>> = {}): string {
  const home = mkdtempSync(join(tmpdir(), 'ptt-boot-'))
  t.after(() => rmSync(home, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(home, name, '..'), { recursive: true })
    writeFileSync(join(home, name), text)
  }
  return home
}

const options: [service: Service, options: BootOptions, table: string, key: string, value: unknown][] = [
  ['submission', { domain: 'example.com' }, '', 'domain', 'example.com'],
  ['submission', { postmaster: 'p@example.com' }, '', 'postmaster', 'p@example.com'],
  ['submission', { repository: 'ssh://git@h/u' }, 'directory', 'repository', 'ssh://git@h/u'],
  ['submission', { branch: 'live' }, 'directory', 'branch', 'live'],
  ['submission', { destination: '10.0.0.2' }, 'submission', 'signer', '10.0.0.2'],
  ['submission', { hostname: 'mail.example.com' }, 'submission', 'hostname', 'mail.example.com'],
  ['submission', {}, 'submission', 'listen', '[::]:465'],
  ['submission', {}, 'submission', 'state', '/data/usage'],
  ['signer', { destination: '[fd00::2]' }, 'signer', 'relay', '[fd00::2]'],
  ['signer', { dnsServer: '10.0.0.1' }, 'signer', 'primary', '10.0.0.1'],
  ['signer', { resolver: '10.0.0.1,10.0.0.2' }, 'signer', 'resolver', ['10.0.0.1', '10.0.0.2']],
  ['signer', {}, 'signer', 'listen', '[::]:2525'],
  ['signer', {}, 'signer', 'state', '/data/dkim'],
  ['relay', { signer: '10.0.0.2' }, 'relay', 'signer', '10.0.0.2'],
  ['relay', { dnsServer: '10.0.0.1' }, 'relay', 'resolver', ['10.0.0.1']],
  ['relay', { listen: '10.0.0.3:25' }, 'relay', 'listen', '10.0.0.3:25'],
  ['relay', { set: ['relay.concurrency=7'] }, 'relay', 'concurrency', 7],
  // Mail is where it outlasts the machine, whatever somebody writes.
  ['relay', { set: ['relay.spool=/tmp'] }, 'relay', 'spool', '/data/spool'],
]
for (const [service, given, table, key, value] of options) {
  test(`${service} ${JSON.stringify(given)}: ${table}.${key}`, t => {
    const settings = settingsOf({ service, home: homeOf(t), data: DATA }, given)
    const last = settings.findLast(([at, name]) => at === table && name === key)
    assert.deepEqual(last?.[2], value)
  })
}

const settings: [text: string, setting: ReturnType<typeof parseSetting>][] = [
  ['domain=example.com', ['', 'domain', 'example.com']],
  ['relay.concurrency=7', ['relay', 'concurrency', 7]],
  ['relay.mta_sts=false', ['relay', 'mta_sts', false]],
  ['relay.resolver=["10.0.0.1"]', ['relay', 'resolver', ['10.0.0.1']]],
  // The kernel takes the quotes away.
  ['relay.language=de', ['relay', 'language', 'de']],
  [
    'submission.oauth.issuer=https://id.example/a=b',
    ['submission.oauth', 'issuer', 'https://id.example/a=b'],
  ],
]
for (const [text, setting] of settings) {
  test(`--set ${text}`, () => assert.deepEqual(parseSetting(text), setting))
}

test('--set without a value is refused', () => {
  assert.throws(() => parseSetting('relay.concurrency'), /write TABLE\.KEY=VALUE/)
})

test('options stand above ptt.toml of the config disk, and its other keys stay', t => {
  const home = homeOf(t, {
    'ptt.toml': 'domain = "example.net"\n[relay]\nconcurrency = 3\nlanguage = "fr"\n',
  })
  const { domain, file, relay } = prepare(
    { service: 'relay', home, data: DATA },
    { domain: 'example.com', set: ['relay.concurrency=7'] },
  )
  assert.deepEqual([domain, relay.concurrency, relay.language], ['example.com', 7, 'fr'])
  assert.equal(statSync(file).mode & 0o077, 0)
})

test('a TSIG key on the command line becomes a file that nobody else may read', t => {
  const home = homeOf(t)
  const { signer } = prepare({ service: 'signer', home, data: DATA }, { domain: 'example.com', dnsKey: TSIG })
  const { tsigKey } = signer
  assert.equal(readFileSync(tsigKey, 'utf8'), `${TSIG}\n`)
  assert.equal(statSync(tsigKey).mode & 0o077, 0)
})

test('a TSIG key of the config disk is named by its path', t => {
  const home = homeOf(t, { 'keys/tsig': TSIG })
  const { signer } = prepare(
    { service: 'signer', home, data: DATA },
    { domain: 'example.com', dnsKey: 'keys/tsig' },
  )
  assert.equal(signer.tsigKey, join(home, 'keys/tsig'))
})

test("ssh's folder of the config disk is where ssh looks", t => {
  const home = homeOf(t, { 'ssh/known_hosts': '' })
  prepare({ service: 'relay', home, data: DATA }, { domain: 'example.com' })
  assert.equal(readlinkSync(join(home, '.ssh')), 'ssh')
})

const refused: [
  what: string,
  service: Service,
  data: string | undefined,
  options: BootOptions,
  says: RegExp,
][] = [
  ['no domain', 'relay', DATA, {}, /domain: is missing/],
  ['nonsense', 'relay', DATA, { domain: 'example.com', listen: 'a b' }, /relay\.listen.*is not an address/s],
  ['keys that would be lost', 'signer', undefined, { domain: 'example.com' }, /signer\.key: .*would be lost/],
  [
    'mail that would be lost',
    'relay',
    DATA,
    { domain: 'example.com', set: ['relay.engine=memory'] },
    /relay\.engine/,
  ],
]
for (const [what, service, data, given, says] of refused) {
  test(`refused: ${what}`, t => {
    const home = homeOf(t)
    assert.throws(
      () => prepare({ service, home, data }, given),
      (error: unknown) => error instanceof ConfigError && says.test(error.message),
    )
  })
}

test('a signer without a disk takes a seed', t => {
  prepare({ service: 'signer', home: homeOf(t), data: undefined }, { domain: 'example.com', seed: 'x' })
})
