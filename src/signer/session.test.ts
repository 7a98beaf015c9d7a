import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import type { SigningKey } from '../dkim/sign.ts'
import type { Client } from '../net/listener.ts'
import { Budget } from '../net/message-buffer.ts'
import { type Role, roleName } from '../net/tls.ts'
import { type Fields, logTo, silent } from '../observe/event.ts'
import type { Envelope } from '../smtp/envelope.ts'
import type { MailParameters } from '../smtp/parameter.ts'
import { parseReversePath } from '../smtp/path.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import type { Claim } from './second-opinion.ts'
import { SignerSession, type Surroundings } from './session.ts'
import { SigningBudget } from './signing-budget.ts'
import type { Decision } from './signing-view.ts'

const NOW = Date.UTC(2026, 10, 21)
const HOUR = 3_600_000
const DAY = 24 * HOUR
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const KEY: SigningKey = {
  signingDomain: 'example.test',
  selector: 'ptt',
  algorithm: 'rsa-sha256',
  privateKey,
}
const PLAIN: MailParameters = { body: '7BIT', smtputf8: false }
const MESSAGE = 'From: alice@example.test\r\nSubject: x\r\n\r\ntext\r\n'

/** What went on to the relay. */
type Passed = { envelope: Envelope; content: string }

function begin(role: Role, around: Partial<Surroundings> = {}): { session: SignerSession; passed: Passed[] } {
  const passed: Passed[] = []
  const session = new SignerSession({
    domain: 'example.test',
    keys: keysWith({ kind: 'sign', keys: [KEY] }),
    signatures: { queueAgeMs: 5 * DAY },
    catchUp: async () => true,
    relay: {
      async deliver(envelope, content) {
        passed.push({ envelope, content: Buffer.concat(content).toString() })
        return reply(250, '2.0.0', 'Queued')
      },
    },
    postmaster: 'postmaster@example.test',
    budget: new Budget(1_000_000),
    opinion: { judge: async () => null },
    signingBudget: { spend: () => null },
    now: () => NOW,
    random: octets => new Uint8Array(octets),
    log: silent,
    ...around,
  })
  assert.equal(session.secured(clientWith(role)), null)
  return { session, passed }
}

/** What is decided of every message of example.test. */
function keysWith(decision: Decision, more: Partial<Surroundings['keys']> = {}): Surroundings['keys'] {
  return {
    isReady: true,
    reason: () => assert.fail('nobody asks why'),
    signingDomains: () => new Set(['example.test']),
    decide: () => decision,
    signed: () => {},
    ...more,
  }
}

function clientWith(role: Role): Client {
  const tls = {
    version: 'TLSv1.3',
    cipher: 'TLS_AES_256_GCM_SHA384',
    authorized: true,
    authorizationError: null,
    peerNames: [roleName(role)],
  }
  return { address: '127.0.0.1', port: 1, helo: 'test', protocol: 'ESMTPS', tls } as unknown as Client
}

async function send(session: SignerSession, parameters: MailParameters, content = MESSAGE): Promise<Reply> {
  const mail = session.mail(parseReversePath('<alice@example.test>', { utf8: false }), parameters)
  if (mail.code !== 250) return mail
  session.rcpt({ forwardPath: { localPart: 'bob', domain: 'internet.test' } }, {})
  session.content(Buffer.from(content))
  return session.message()
}

test('signed, and not changed', async () => {
  const { session, passed } = begin('submission')
  assert.equal((await send(session, PLAIN)).code, 250)
  const [message] = passed
  assert.match(message?.content ?? '', /^DKIM-Signature: v=1; a=rsa-sha256;/)
  assert.ok(message?.content.endsWith(MESSAGE))
  assert.doesNotMatch(message?.content ?? '', /\bx=/)
})

test('x= begins when the message may first be sent (RFC 4865)', async () => {
  const rows: [hold: MailParameters['hold'], expires: number][] = [
    [undefined, NOW + HOUR],
    [{ forSeconds: 7200 }, NOW + 3 * HOUR],
    [{ untilMs: NOW + 30 * 24 * HOUR }, NOW + (30 * 24 + 1) * HOUR],
    [{ untilMs: NOW - HOUR }, NOW + HOUR],
  ]
  for (const [hold, expires] of rows) {
    const { session, passed } = begin('submission', { signatures: { queueAgeMs: 0, expirationMs: HOUR } })
    await send(session, hold === undefined ? PLAIN : { ...PLAIN, hold })
    assert.equal(/\bx=(\d+);/.exec(passed[0]?.content ?? '')?.[1], String(expires / 1000))
  }
})

test('sign or defer: a key that is not to be seen in DNS', async () => {
  const reason = 'the primary refuses the update'
  const waiting = [
    // Of no domain: at MAIL. Of this one: when From is known.
    keysWith({ kind: 'defer', reason: '' }, { isReady: false, reason: () => reason }),
    keysWith({ kind: 'defer', reason }),
  ]
  for (const keys of waiting) {
    const { session, passed } = begin('submission', { keys })
    const answer = await send(session, PLAIN)
    assert.deepEqual([answer.code, answer.status], [451, '4.7.5'])
    assert.match(answer.lines.join(' '), /the primary refuses the update/)
    assert.deepEqual(passed, [])
  }
})

test('a domain that says sign = "never": as it is, and nothing else is', async () => {
  const { session, passed } = begin('submission', { keys: keysWith({ kind: 'pass' }) })
  assert.equal((await send(session, PLAIN)).code, 250)
  assert.equal(passed[0]?.content, MESSAGE)
})

test('a signature of each key, which DNS is to have for as long as the message may be queued', async () => {
  const signed: [selectors: string[], untilMs: number][] = []
  const ed25519 = generateKeyPairSync('ed25519').privateKey
  const other: SigningKey = { ...KEY, selector: 'other', algorithm: 'ed25519-sha256', privateKey: ed25519 }
  const keys = keysWith(
    { kind: 'sign', keys: [KEY, other] },
    { signed: (used, untilMs) => signed.push([used.map(key => key.selector), untilMs]) },
  )
  const { session, passed } = begin('submission', {
    keys,
    signatures: {
      queueAgeMs: 5 * DAY,
      expirationMs: 7 * DAY,
      fields: ['Subject'],
      canonicalization: ['simple', 'relaxed'],
    },
  })
  await send(session, { ...PLAIN, hold: { forSeconds: 3600 } })
  const content = passed[0]?.content ?? ''
  assert.deepEqual(content.match(/\bs=\w+/g), ['s=ptt', 's=other'])
  assert.match(content, /\bh=From:From:Subject:Subject;/)
  assert.deepEqual(content.match(/\bc=\S+/g), ['c=simple/relaxed;', 'c=simple/relaxed;'])
  assert.deepEqual(signed, [[['ptt', 'other'], NOW + HOUR + 12 * DAY]])
})

test('t= and x= of the command line, and no signature that would expire in the queue', async () => {
  const fixed = { timestampSeconds: 1_000_000_000, queueAgeMs: 5 * DAY }
  const late = begin('submission', { signatures: { ...fixed, expirationSeconds: (NOW + 5 * DAY) / 1000 } })
  await send(late.session, PLAIN)
  assert.match(late.passed[0]?.content ?? '', /t=1000000000;\s+x=1795651200;/)
  const early = begin('submission', { signatures: { ...fixed, expirationSeconds: (NOW + 4 * DAY) / 1000 } })
  const answer = await send(early.session, PLAIN)
  assert.deepEqual([answer.code, answer.status], [451, '4.7.5'])
  assert.match(answer.lines.join(' '), /signatures expire at 2026-11-25T.* queued until 2026-11-26T/)
  assert.deepEqual(early.passed, [])
})

test('a domain of a commit that is not known yet: it is fetched before anything is refused', async () => {
  const domains = new Set(['elsewhere.test'])
  const asked: (string | undefined)[] = []
  const { session } = begin('submission', {
    keys: keysWith({ kind: 'sign', keys: [KEY] }, { signingDomains: () => domains }),
    catchUp: async commit => {
      asked.push(commit)
      domains.add('example.test')
      return true
    },
  })
  const answer = await send(session, { ...PLAIN, xptt: { id: 'ID', commit: 'c0ffee' } })
  assert.equal(answer.code, 250)
  assert.deepEqual(asked, ['c0ffee'])
})

test('a domain that is in no commit is refused; while the commit is not known it may be, and waits', async () => {
  for (const [known, expected] of [
    [true, [550, '5.7.1']],
    [false, [451, '4.7.1']],
  ] as const) {
    const { session, passed } = begin('submission', {
      keys: keysWith({ kind: 'sign', keys: [KEY] }, { signingDomains: () => new Set(['elsewhere.test']) }),
      catchUp: async () => known,
    })
    const answer = await send(session, { ...PLAIN, xptt: { id: 'ID', commit: 'c0ffee' } })
    assert.deepEqual([answer.code, answer.status], expected)
    assert.deepEqual(passed, [])
  }
})

test('i= is the user who has signed in, where he is the author', async () => {
  for (const [authenticatedAs, identity] of [
    ['alice@example.test', 'i=alice@example.test;'],
    ['bob@example.test', undefined],
  ] as const) {
    const { session, passed } = begin('submission')
    await send(session, { ...PLAIN, authenticatedAs })
    assert.equal(/\bi=[^;]+;/.exec(passed[0]?.content ?? '')?.[0], identity)
  }
})

test('what cannot be signed is refused, with nothing passed on', async () => {
  for (const content of ['Subject: no author\r\n\r\n', 'From: mallory@elsewhere.test\r\n\r\n']) {
    const { session, passed } = begin('submission')
    const answer = await send(session, PLAIN, content)
    assert.ok(answer.code >= 500, content)
    assert.deepEqual(passed, [])
  }
})

test('messages in flight have one budget', async () => {
  const { session, passed } = begin('submission', { budget: new Budget(10) })
  const answer = await send(session, PLAIN)
  assert.deepEqual([answer.code, answer.status], [452, '4.3.1'])
  assert.deepEqual(passed, [])
})

test('the relay sends notices only', () => {
  const { session } = begin('relay')
  const rows: [path: string, code: number][] = [
    ['<>', 250],
    ['<postmaster@example.test>', 250],
    ['<Postmaster@EXAMPLE.test>', 250],
    ['<alice@example.test>', 550],
  ]
  for (const [path, code] of rows) {
    assert.equal(session.mail(parseReversePath(path, { utf8: false }), PLAIN).code, code, path)
    session.reset()
  }
})

test('the second opinion is asked with what the neighbour says, and its refusal is an alarm', async () => {
  const alarms: Fields[] = []
  const log = logTo((name, fields) => {
    if (name === 'alarm') alarms.push(fields)
  })
  const asked: Claim[] = []
  const { session, passed } = begin('submission', {
    log,
    opinion: {
      async judge(claim) {
        asked.push(claim)
        return reply(550, '5.7.1', 'No')
      },
    },
    signingBudget: { spend: () => assert.fail('what is refused costs nothing') },
  })
  const authenticatedAs = 'mallory@example.test'
  const answer = await send(session, { ...PLAIN, authenticatedAs, xptt: { id: 'ID', commit: 'c0ffee' } })
  assert.equal(answer.code, 550)
  const alice = { localPart: 'alice', domain: 'example.test' }
  assert.deepEqual(asked, [
    {
      role: 'submission',
      identity: authenticatedAs,
      commit: 'c0ffee',
      reversePath: alice,
      authors: [alice],
    },
  ])
  assert.deepEqual(passed, [])
  assert.deepEqual(alarms, [
    {
      about: 'second opinion',
      id: 'ID',
      user: authenticatedAs,
      commit: 'c0ffee',
      from: ['alice@example.test'],
      reply: '550 5.7.1 No',
    },
  ])
})

test('the signing budget: a refusal when it is used up, and none for the notices of the relay', async () => {
  const signingBudget = new SigningBudget(2, () => NOW)
  const submission = begin('submission', { signingBudget })
  const codes: number[] = []
  for (let count = 0; count < 3; count++) codes.push((await send(submission.session, PLAIN)).code)
  assert.deepEqual(codes, [250, 250, 550])
  const relay = begin('relay', { signingBudget })
  assert.equal(relay.session.mail(null, PLAIN).code, 250)
  relay.session.rcpt({ forwardPath: { localPart: 'bob', domain: 'internet.test' } }, {})
  relay.session.content(Buffer.from('From: postmaster@example.test\r\n\r\n'))
  assert.equal((await relay.session.message()).code, 250)
})
