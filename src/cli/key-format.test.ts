import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { formatKeyRecord, parseKeyRecord } from '../dkim/key-record.ts'
import { type Key, type Settings, type Stage, step } from '../signer/life-cycle.ts'
import { formatKeys, formatPublic, formatStatus, keyJson, statusOf } from './key-format.ts'

const DAY = 86_400_000
const NOW = Date.UTC(2026, 10, 22)
const SETTINGS: Settings = { rotateMs: 90 * DAY, lifetimeMs: 5 * DAY, revokedMs: 30 * DAY }
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
const ed25519 = generateKeyPairSync('ed25519').publicKey

function key(selector: string, stage: Stage, more: Partial<Key> = {}): Key {
  const { keys } = step(
    [],
    {
      kind: 'added',
      reason: 'made by command',
      key: {
        domain: 'example.com',
        selector,
        algorithm: 'rsa-sha256',
        record: formatKeyRecord(rsa),
        origin: 'generated',
        unasked: false,
        replaces: [],
      },
    },
    SETTINGS,
    NOW - 3 * DAY,
  )
  return { ...(keys[0] ?? assert.fail()), stage, ...more }
}

const keys = [
  key('new', 'published', { reason: 'ns2 has nothing yet', algorithm: 'ed25519-sha256' }),
  key('now', 'active', { createdMs: NOW - 60 * DAY }),
  key('old', 'retiring', { neededUntilMs: NOW + 2 * DAY }),
  key('gone', 'revoked', { revokedUntilMs: NOW - 1 }),
]

test('a line a key: what it is, and what time will do with it', () => {
  assert.deepEqual(
    formatKeys(keys, SETTINGS, NOW)
      .split('\n')
      .map(line => line.split(/ {2,}/)),
    [
      ['DOMAIN', 'SELECTOR', 'KEY', 'STATE', 'FOR', 'NEXT', 'WHY'],
      ['example.com', 'new', 'ed25519', 'published', '3 d', '-', 'ns2 has nothing yet'],
      ['example.com', 'now', 'rsa', 'active', '3 d', 'replaced in 30 d', 'made by command'],
      ['example.com', 'old', 'rsa', 'retiring', '3 d', 'revoked in 2 d', 'made by command'],
      ['example.com', 'gone', 'rsa', 'revoked', '3 d', 'removed soon', 'made by command'],
      [''],
    ],
  )
  assert.match(formatKeys([], SETTINGS, NOW), /^There are no keys: the signer makes them/)
})

test('a verdict a domain', () => {
  const waiting = key('a', 'pending', { domain: 'example.org', reason: 'the primary does not answer' })
  const statuses = statusOf([...keys, waiting], ['example.com', 'example.org', 'example.net'])
  assert.deepEqual(
    statuses.map(({ signs }) => signs),
    [true, false, false],
  )
  assert.equal(
    formatStatus(statuses, SETTINGS, NOW),
    `example.com: signed with now
  new: published for 3 d: ns2 has nothing yet
  now: active for 3 d: made by command; replaced in 30 d
  old: retiring for 3 d: made by command; revoked in 2 d
  gone: revoked for 3 d: made by command; removed soon
example.org: NOT SIGNED, so not sent: a: the primary does not answer
  a: pending for 3 d: the primary does not answer
example.net: NOT SIGNED, so not sent: it has no key
`,
  )
})

test('JSON has times as ISO 8601, and nothing for what is not', () => {
  const [published, active] = keys.map(each => keyJson(each, SETTINGS) as Record<string, unknown>)
  assert.deepEqual([published?.next, published?.needed_until], [null, null])
  assert.equal(active?.next, '2026-12-22T00:00:00.000Z')
  assert.equal(active?.name, 'now._domainkey.example.com')
})

test('records: of a key, of a revoked one, of none', () => {
  const zone = (stage: Stage, more: Partial<Key> = {}): string | null =>
    formatPublic(key('k', stage, more), 'zone', 300, NOW)
  const strings = /^k\._domainkey\.example\.com\. 300 IN TXT "(.{255})" "(.+)"\n$/.exec(zone('active') ?? '')
  assert.equal(`${strings?.[1]}${strings?.[2]}`, formatKeyRecord(rsa))
  assert.equal(zone('revoked'), 'k._domainkey.example.com. 300 IN TXT "v=DKIM1; k=rsa; p="\n')
  assert.equal(zone('revoked', { revokedUntilMs: NOW }), null)
  assert.equal(zone('removed'), null)
})

test('a public key as PEM is the one of the record', () => {
  for (const publicKey of [rsa, ed25519]) {
    const pem = formatPublic(key('k', 'active', { record: formatKeyRecord(publicKey) }), 'pem', 300, NOW)
    assert.ok(createPublicKey(pem ?? '').equals(publicKey))
    assert.equal(formatKeyRecord(createPublicKey(pem ?? '')), formatKeyRecord(publicKey))
  }
  assert.equal(parseKeyRecord(formatKeyRecord(ed25519))?.keyType, 'ed25519')
})
