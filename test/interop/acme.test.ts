/** Certificates from a real ACME server, proved by a real primary DNS server. */

import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { addValue, locate, removeValue, seenEverywhere } from '../../src/certificate/challenge-record.ts'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { parseTsigKey } from '../../src/dns/tsig.ts'
import { askPrimary } from '../../src/net/nsupdate.ts'
import { Resolver } from '../../src/net/resolver.ts'
import { need } from '../peers/need.ts'
import { startPebble } from '../peers/pebble.ts'
import { HOST, RECORD, startWorld, TSIG } from './acme-world.ts'

test('the first certificate: proved, in place, and nothing left in the zone', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t, {
    toml: ['names = ["smtp.example.test"]', 'contact = "me@example.test"'],
  })
  const keeper = world.keeper()
  assert.match(String(keeper.standing().complaint), /submission\.key: there is no such file/)
  const look = await keeper.look()
  assert.equal(look.kind, 'issued', world.alarms().join('\n'))
  assert.deepEqual(world.states(), [
    'wanted',
    'account',
    'ordered',
    ...['published', 'published', 'seen', 'seen'],
    'proved',
    ...['removed', 'removed'],
    'issued',
  ])
  const { certificate, key } = world.config.submission
  const leaf = new X509Certificate(readFileSync(certificate))
  assert.equal(leaf.subjectAltName, 'DNS:mail.example.test, DNS:smtp.example.test')
  assert.equal(readFileSync(certificate, 'utf8').match(/BEGIN CERTIFICATE/g)?.length, 2, 'with its chain')
  assert.equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  assert.equal(statSync(key).mode & 0o777, 0o600)
  assert.deepEqual(await world.txt(), [])

  const { pair, complaint, note, renewalMs } = keeper.standing()
  assert.equal(complaint, null)
  assert.deepEqual([note.failures, note.published, note.lastError], [0, [], null])
  const lifeMs = (pair?.notAfterMs ?? 0) - (pair?.notBeforeMs ?? 0)
  const leftMs = (pair?.notAfterMs ?? 0) - (renewalMs ?? 0)
  assert.ok(leftMs >= lifeMs / 3 && leftMs <= lifeMs * (1 / 3 + 1 / 60))
  assert.deepEqual(await keeper.look(), { kind: 'good', untilMs: renewalMs })
})

test('the account is the same after a restart, and made anew where the CA forgot it', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  await world.keeper().look()
  await world.keeper().look('now')
  const accounts = () =>
    world.events.flatMap(({ fields }) => (fields.state === 'account' ? [String(fields.account)] : []))
  const [first, second] = accounts()
  assert.ok(first !== undefined && first === second)
  const [file] = readdirSync(world.config.certificate?.state ?? '').filter(name => name.endsWith('.key'))
  const path = join(world.config.certificate?.state ?? '', file ?? '')
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const key = readFileSync(path, 'utf8')

  // Pebble keeps nothing over its end.
  await world.pebble.stop()
  const again = await startPebble({ dnsPort: world.bind.port, port: world.pebble.port })
  t.after(() => again.stop())
  const config = world.configWith(`ca = "${again.ca}"`)
  assert.equal((await world.keeper({ config }).look('now')).kind, 'issued', world.alarms().join('\n'))
  assert.equal(readFileSync(path, 'utf8'), key)
  assert.equal(accounts().length, 3)
})

test('foreign TXT at _acme-challenge stays as it is, its TTL too', async t => {
  if (!need(t, 'named', 'pebble')) return
  const theirs = '_acme-challenge.mail 7 TXT "theirs"\n_acme-challenge.mail 7 TXT "and theirs"\n'
  const world = await startWorld(t, { records: theirs })
  assert.equal((await world.keeper().look()).kind, 'issued', world.alarms().join('\n'))
  assert.deepEqual(await world.txt(), ['and theirs', 'theirs'])
  const found = await askPrimary({ host: '127.0.0.1', port: world.bind.port }, RECORD, 'TXT')
  assert.equal(found.kind === 'answer' && found.ttlSeconds, 7)
})

test('several at the same name at the same moment: each value comes, and goes by itself', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t, { records: '_acme-challenge.mail TXT "theirs"\n' })
  const primary = { host: '127.0.0.1', port: world.bind.port }
  const resolver = new Resolver({ servers: [primary] })
  t.after(() => resolver.close())
  const door = {
    resolver,
    tsigKey: parseTsigKey(TSIG),
    primaryOf: () => primary,
    authorities: [primary],
    propagationMs: 2000,
    signal: new AbortController().signal,
  }
  const place = await locate(RECORD, door)
  assert.ok(place.kind === 'place' && place.zone === 'example.test')
  const values = ['one', 'two', 'three', 'four']
  const added = await Promise.all(values.map(value => addValue(place, value, door)))
  assert.deepEqual(
    added.map(({ kind }) => kind),
    values.map(() => 'done'),
  )
  assert.deepEqual(await world.txt(), ['four', 'one', 'theirs', 'three', 'two'])
  for (const value of values) assert.deepEqual(await seenEverywhere(place, value, door), { kind: 'done' })
  await Promise.all(values.slice(1).map(value => removeValue(place, value, door)))
  assert.deepEqual(await world.txt(), ['one', 'theirs'])
  assert.deepEqual(await removeValue(place, 'two', door), { kind: 'done' }, 'again: it is gone already')
})

test('_acme-challenge may be a CNAME into a zone of its own', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t, {
    records: '_acme-challenge.mail CNAME mail.acme.test.\n',
    zones: { 'acme.test': 'mail TXT "theirs"\n' },
    recursive: true,
  })
  assert.equal((await world.keeper().look()).kind, 'issued', world.alarms().join('\n'))
  const published = world.events.find(({ fields }) => fields.state === 'published')
  assert.equal(published?.fields.record, 'mail.acme.test')
  assert.deepEqual(await world.txt('mail.acme.test'), ['theirs'])
})

test('a CA that remembers the proof asks for no other', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t, { pebble: { remembers: true } })
  assert.equal((await world.keeper().look()).kind, 'issued', world.alarms().join('\n'))
  world.events.length = 0
  assert.equal((await world.keeper().look('now')).kind, 'issued', world.alarms().join('\n'))
  assert.deepEqual(world.states(), ['wanted', 'account', 'ordered', 'proved', 'issued'])
})

test('a CA that knows its customers', async t => {
  if (!need(t, 'named', 'pebble')) return
  const key = Buffer.alloc(48, 5).toString('base64url')
  const world = await startWorld(t, { pebble: { customer: { kid: 'kid-1', key } } })
  assert.equal((await world.keeper().look()).kind, 'failed')
  assert.match(world.alarms()[0] ?? '', /\(externalAccountRequired\): .*write eab_kid and eab_key/)
  const path = join(world.folder, 'eab.key')
  const config = world.configWith('eab_kid = "kid-1"', 'eab_key = "eab.key"')
  writeFileSync(path, 'not a key', { mode: 0o600 })
  assert.throws(() => world.keeper({ config }), { message: /eab\.key: is not one line of base64url/ })
  writeFileSync(path, `${key}\n`)
  assert.equal((await world.keeper({ config }).look('again')).kind, 'issued', world.alarms().join('\n'))
  // The account is bound for good.
  assert.equal((await world.keeper().look('now')).kind, 'issued', world.alarms().join('\n'))
})

test('an RSA key where old mail programs want it', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t, { toml: ['key_type = "rsa-2048"'] })
  assert.equal((await world.keeper().look()).kind, 'issued', world.alarms().join('\n'))
  const leaf = new X509Certificate(readFileSync(world.config.submission.certificate))
  assert.equal(leaf.publicKey.asymmetricKeyDetails?.modulusLength, 2048)
})

test('another name, another CA, a certificate of somebody else: a new one, and theirs is kept', async t => {
  if (!need(t, 'named', 'pebble')) return
  const world = await startWorld(t)
  const { certificate, key } = world.config.submission
  const theirs = await issue(await makeAuthority('example.test'), { names: [HOST] })
  mkdirSync(join(world.folder, 'tls'), { recursive: true })
  writeFileSync(certificate, theirs.certificate)
  writeFileSync(key, theirs.key, { mode: 0o600 })
  const keeper = world.keeper()
  assert.equal(keeper.standing().complaint, 'the certificate in place is not from the CA')
  assert.equal((await keeper.look()).kind, 'issued', world.alarms().join('\n'))
  assert.equal(readFileSync(`${certificate}.replaced`, 'utf8'), theirs.certificate)
  assert.equal(readFileSync(`${key}.replaced`, 'utf8'), theirs.key)
  assert.equal(statSync(`${key}.replaced`).mode & 0o777, 0o600)

  const more = world.keeper({ config: world.configWith('names = ["smtp.example.test"]') })
  assert.match(String(more.standing().complaint), /is not for smtp\.example\.test/)
  assert.equal((await more.look()).kind, 'issued', world.alarms().join('\n'))
  assert.equal(readFileSync(`${key}.replaced`, 'utf8'), theirs.key, 'our own is not kept')

  const other = world.keeper({
    config: world.configWith('directory = "https://ca.example/acme"', 'names = []'),
  })
  assert.match(String(other.standing().complaint), /is from another CA, https:\/\/127\.0\.0\.1/)
})
