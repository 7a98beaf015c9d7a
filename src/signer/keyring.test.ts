import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { formatKeyRecord } from '../dkim/key-record.ts'
import { silent } from '../observe/event.ts'
import { KeyFolder } from './key-folder.ts'
import type { LoadedKey } from './key-store.ts'
import { Keyring, type KeyringOptions } from './keyring.ts'
import type { Key, Settings } from './life-cycle.ts'

const DAY = 86_400_000
const SETTINGS: Settings = { rotateMs: 90 * DAY, lifetimeMs: 5 * DAY, revokedMs: 30 * DAY }
const root = mkdtempSync(join(tmpdir(), 'ptt-keyring-'))
after(() => rmSync(root, { recursive: true }))
let folders = 0
const newFolder = (): KeyFolder => new KeyFolder(join(root, String(folders++)), 'example.com')

const [one, two] = [generateKeyPairSync('ed25519').privateKey, generateKeyPairSync('ed25519').privateKey]

function named(privateKey: KeyObject, selector = 'ptt', signingDomain = 'example.com'): LoadedKey {
  const key = { signingDomain, selector, algorithm: 'ed25519-sha256', privateKey } as const
  return { key, record: formatKeyRecord(privateKey) }
}

/** A signer that starts on the folder, with these keys in ptt.toml; `null`: none. */
function start(
  folder: KeyFolder,
  keys: readonly LoadedKey[] | null,
  more: Partial<KeyringOptions> = {},
): Keyring {
  return new Keyring({
    folder,
    settings: SETTINGS,
    domain: 'example.com',
    rules: () => ({ commit: 'c', domains: new Set(['example.com']), signing: new Map() }),
    selector: 'ptt',
    selectorTemplate: '{random}',
    algorithms: ['ed25519-sha256'],
    configured: keys === null ? null : { keys, derive: () => [] },
    earlier: [],
    log: silent,
    now: () => 0,
    random: octets => new Uint8Array(octets),
    ...more,
  })
}

const ID = { domain: 'example.com', selector: 'ptt' }
const FAR_MS = 400 * 86_400_000
function see(keyring: Keyring): Key {
  keyring.apply({ kind: 'found', id: ID, target: 'key', observation: { kind: 'served', objection: null } })
  return keyring.find(ID) ?? assert.fail()
}

test('a key of ptt.toml is as it was at the next start', () => {
  const folder = newFolder()
  assert.equal(see(start(folder, [named(one)])).stage, 'active')
  const again = start(folder, [named(one)])
  const decision = again.decide(['example.com'])
  assert.ok(decision.kind === 'sign' && decision.keys[0]?.privateKey.equals(one))
  assert.equal(again.keys.length, 1)
})

test('a crash right after the record was published: it is known still that there was nothing before', () => {
  const folder = newFolder()
  const observation = { kind: 'absent', staleSeconds: 300 } as const
  start(folder, [named(one)]).apply({ kind: 'found', id: ID, target: 'key', observation }, { durable: true })
  // The next life finds the record there, and nothing of the one before but the disk.
  assert.equal(see(start(folder, [named(one)])).stage, 'published')
  assert.equal(see(start(folder, [named(one)], { now: () => 299_999 })).stage, 'published')
  assert.equal(see(start(folder, [named(one)], { now: () => 300_000 })).stage, 'active')
})

test('one that is taken out of ptt.toml retires; named again its life begins anew', () => {
  const folder = newFolder()
  see(start(folder, [named(one)]))
  const without = start(folder, [named(two, 'other')])
  assert.deepEqual(
    without.keys.map(({ selector, stage }) => [selector, stage]),
    [
      ['ptt', 'retiring'],
      ['other', 'pending'],
    ],
  )
  const again = start(folder, [named(one), named(two, 'other')])
  assert.equal(again.find(ID)?.stage, 'pending')
  assert.equal(see(again).stage, 'active')
})

test('another key under the same selector may replace what was there, and what was revoked there', () => {
  const folder = newFolder()
  see(start(folder, [named(one)]))
  const keyring = start(folder, [named(two)], { earlier: ['v=DKIM1; p=earlier'] })
  const key = keyring.find(ID)
  assert.deepEqual([keyring.keys.length, key?.stage, key?.record], [1, 'pending', formatKeyRecord(two)])
  assert.deepEqual(key?.replaces, [formatKeyRecord(one), 'v=DKIM1; k=ed25519; p=', 'v=DKIM1; p=earlier'])
})

test('one that was revoked by command never comes back, and that is why nothing is signed', () => {
  const folder = newFolder()
  const keyring = start(folder, [named(one)])
  see(keyring)
  keyring.apply({ kind: 'revoked', id: ID, reason: 'stolen' })
  keyring.apply({
    kind: 'found',
    id: ID,
    target: 'revoked',
    observation: { kind: 'absent', staleSeconds: 0 },
  })
  const again = start(folder, [named(one)])
  assert.equal(again.find(ID)?.stage, 'removed')
  const decision = again.decide(['example.com'])
  assert.match(
    decision.kind === 'defer' ? decision.reason : '',
    /revoked by command: put another one in ptt\.toml/,
  )
  assert.equal(start(folder, [named(two)]).find(ID)?.stage, 'pending', 'another one does')
})

test('where ptt.toml names keys, other domains have none: their mail is refused, not kept waiting', () => {
  const rules = () => ({ commit: 'c', domains: new Set(['example.com', 'example.org']), signing: new Map() })
  const keyring = start(newFolder(), [named(one)], { rules })
  assert.deepEqual([...keyring.signingDomains()], ['example.com'])
  assert.deepEqual(keyring.wanted('example.org'), [])
  const made = start(newFolder(), null, { rules })
  assert.deepEqual([...made.signingDomains()], ['example.com', 'example.org'])
  assert.deepEqual(made.wanted('example.org'), ['ed25519-sha256'])
})

test('the key of an earlier version is taken over once', () => {
  const folder = newFolder()
  mkdirSync(folder.path, { recursive: true })
  writeFileSync(join(folder.path, 'ptt.pem'), one.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 })
  const keyring = start(folder, null)
  assert.deepEqual([see(keyring).origin, see(keyring).record], ['generated', formatKeyRecord(one)])
  assert.deepEqual(keyring.wanted('example.com'), [])
  assert.equal(start(folder, null).keys.length, 1)
})

test('a private key that is gone or another: nothing is signed, and the reason says which file', () => {
  const folder = newFolder()
  const keyring = start(folder, null)
  keyring.add({ ...ID, unasked: true }, one, 'made')
  see(keyring)
  assert.equal(start(folder, null).decide(['example.com']).kind, 'sign')
  folder.destroyPrivate(ID)
  const gone = start(folder, null).decide(['example.com'])
  assert.match(gone.kind === 'defer' ? gone.reason : '', /there is no such file/)
  folder.writePrivate(ID, two)
  const another = start(folder, null).decide(['example.com'])
  assert.match(another.kind === 'defer' ? another.reason : '', /its file holds another key/)
})

test('another process signs with what it was handed, and no more with what it was not handed again', () => {
  let changes = 0
  const changed = () => changes++
  const keeping = start(newFolder(), [named(one)], { changed })
  // It has no keys but those it is handed: its folder is empty.
  const signing = start(newFolder(), [])
  const across = () => JSON.parse(JSON.stringify(keeping.snapshot()))
  signing.take(across())
  assert.equal(signing.decide(['example.com']).kind, 'defer')
  assert.equal(across().pems.length, 0, 'what does not sign yet stays where it is')

  changes = 0
  see(keeping)
  assert.ok(changes > 0)
  signing.take(across())
  const decision = signing.decide(['example.com'])
  assert.ok(decision.kind === 'sign' && decision.keys[0]?.privateKey.equals(one))
  assert.ok(signing.isReady)

  // What it signs is news once: the time is rounded up.
  const [news, ...more] = signing.news(decision.keys, FAR_MS)
  assert.ok(news !== undefined && more.length === 0 && news.untilMs >= FAR_MS)
  keeping.apply({ kind: 'signed', ...news })
  signing.take(across())
  assert.deepEqual(signing.news(decision.keys, FAR_MS), [])

  keeping.apply({ kind: 'revoked', id: ID, reason: 'it was seen elsewhere' })
  signing.take(across())
  assert.equal(signing.decide(['example.com']).kind, 'defer')
})
