import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { formatKeyRecord } from '../dkim/key-record.ts'
import { MessageSigner } from '../dkim/sign.ts'
import type { DnsAnswer } from '../dns/answer.ts'
import { type Fields, logTo, silent } from '../observe/event.ts'
import { inMemory } from '../queue/stored.ts'
import { SignatureCheck, selectorsOf } from './signature-check.ts'

const MESSAGE =
  'From: alice@example.org\r\nSubject: Dinner\r\nDate: Mon, 5 Jan 2026 12:00:00 +0000\r\n\r\nTonight?\r\n'
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ed = generateKeyPairSync('ed25519')
const other = generateKeyPairSync('rsa', { modulusLength: 2048 })
const RSA_RECORD = formatKeyRecord(createPublicKey(rsa.privateKey))
const ED_RECORD = formatKeyRecord(createPublicKey(ed.privateKey))

const signed = Buffer.concat([await sign(), Buffer.from(MESSAGE)])

async function sign(): Promise<Buffer> {
  const common = { signingDomain: 'example.org' }
  const signer = new MessageSigner(
    [
      { ...common, selector: 'r1', algorithm: 'rsa-sha256', privateKey: rsa.privateKey },
      { ...common, selector: 'e1', algorithm: 'ed25519-sha256', privateKey: ed.privateKey },
    ],
    { timestampSeconds: 1_767_614_400 },
  )
  signer.update(Buffer.from(MESSAGE))
  return Buffer.from(await signer.finish())
}

function world(records: Record<string, string>) {
  const state = { nowMs: 10 * 3600_000, asked: 0, records, failing: false }
  const events: { name: string; fields: Fields }[] = []
  const log = logTo((name, fields) => events.push({ name, fields }))
  const keys = {
    async txt(name: string): Promise<DnsAnswer<string>> {
      state.asked++
      if (state.failing) return { kind: 'failure', code: 'TIMEOUT', reason: 'no answer' }
      const record = state.records[name.split('.')[0] ?? '']
      if (record === undefined) return { kind: 'nxdomain', ttlSeconds: 60, authenticated: false }
      return { kind: 'answer', name, records: [record], ttlSeconds: 60, authenticated: false }
    },
  }
  return { state, events, check: new SignatureCheck(keys, () => state.nowMs, log) }
}

test('the selectors of a message are those of the fields that stand first', () => {
  assert.deepEqual(selectorsOf(signed), ['e1._domainkey.example.org', 'r1._domainkey.example.org'])
  assert.deepEqual(selectorsOf(Buffer.from(`Received: x\r\n${signed}`)), [])
  assert.deepEqual(selectorsOf(Buffer.from(MESSAGE)), [])
  assert.deepEqual(selectorsOf(Buffer.from('DKIM-Signature: nonsense\r\n\r\n')), [])
})

test('the first message of selectors and hour is verified, the others are not', async () => {
  const { state, events, check } = world({ r1: RSA_RECORD, e1: ED_RECORD })
  assert.equal(await check.objection('1', inMemory(signed)), null)
  const { asked } = state
  assert.ok(asked >= 2)
  assert.equal(await check.objection('2', inMemory(signed)), null)
  assert.equal(state.asked, asked)
  state.nowMs += 3600_000
  assert.equal(await check.objection('3', inMemory(signed)), null)
  assert.equal(state.asked, asked * 2)
  assert.deepEqual(
    events.map(({ name, fields }) => `${name} ${fields.id}`),
    ['verified 1', 'verified 3'],
  )
})

test('a message without a signature is not held', async () => {
  assert.equal(await world({}).check.objection('1', inMemory(Buffer.from(MESSAGE))), null)
})

const bad: [what: string, records: Record<string, string>, reason: RegExp][] = [
  [
    'another key',
    { r1: formatKeyRecord(createPublicKey(other.privateKey)), e1: ED_RECORD },
    /^r1\._domainkey\.example\.org: fail/,
  ],
  ['no record', { r1: RSA_RECORD }, /^e1\._domainkey\.example\.org: \w+, .*/],
  ['a revoked key', { r1: 'v=DKIM1; k=rsa; p=', e1: ED_RECORD }, /^r1\._domainkey\.example\.org/],
]
for (const [what, records, reason] of bad) {
  test(`${what} in DNS holds the message, with an alarm; a minute later it is looked at again`, async () => {
    const { state, events, check } = world(records)
    assert.match((await check.objection('1', inMemory(signed))) ?? '', reason)
    const { asked } = state
    assert.match((await check.objection('2', inMemory(signed))) ?? '', reason)
    assert.equal(state.asked, asked)
    assert.deepEqual(
      events.map(({ name, fields }) => `${name} ${fields.about}`),
      ['alarm signature'],
    )
    state.records = { r1: RSA_RECORD, e1: ED_RECORD }
    state.nowMs += 60_000
    assert.equal(await check.objection('3', inMemory(signed)), null)
  })
}

test('a resolver that does not answer holds it too: doubt is temporary', async () => {
  const { state, check } = world({})
  state.failing = true
  assert.match((await check.objection('1', inMemory(signed))) ?? '', /temperror/)
})

test('a message that was changed on its way is held', async () => {
  const { check } = world({ r1: RSA_RECORD, e1: ED_RECORD })
  const changed = Buffer.from(signed.toString('latin1').replace('Tonight', 'Tomorrow'), 'latin1')
  assert.match((await check.objection('1', inMemory(changed))) ?? '', /body/i)
})

test('a resolver that throws holds it too, and is asked again', async () => {
  const { state, check } = world({ r1: RSA_RECORD, e1: ED_RECORD })
  const broken = new SignatureCheck(
    {
      txt: async () => {
        throw new TypeError('broken')
      },
    },
    () => state.nowMs,
    silent,
  )
  assert.match((await broken.objection('1', inMemory(signed))) ?? '', /broken|temperror|permerror/)
  assert.equal(await check.objection('2', inMemory(signed)), null)
})
