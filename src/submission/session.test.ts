/** A session of submission with a next hop that answers as it is told: who is suppressed, and when it is said. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { User } from '../directory/directory.ts'
import type { Client } from '../net/listener.ts'
import { Budget } from '../net/message-buffer.ts'
import { type EventName, type Fields, logTo } from '../observe/event.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { LIMITS } from '../smtp/limits.ts'
import { formatMailbox, parseMailbox } from '../smtp/path.ts'
import { formatReply, type Reply, reply } from '../smtp/reply.ts'
import { refuseSuppressed, type Suppressed, tellSuppressed } from '../smtp/suppressed.ts'
import { KNOWN, KnownSuppressed } from './known-suppressed.ts'
import { SubmissionSession } from './session.ts'

const START = Date.UTC(2026, 0, 10)
const ALICE: User = {
  name: 'alice@example.test',
  localPart: 'alice',
  domain: 'example.test',
  verifier: { scheme: 'BLAKE2B-512', digest: new Uint8Array(64) },
  senders: ['*@example.test', '*@other.test'],
  targets: [],
}
const CLIENT: Client = {
  address: '192.0.2.7',
  port: 40_000,
  localAddress: '192.0.2.1',
  tls: null,
  bindable: false,
  helo: 'client.test',
  protocol: 'ESMTPSA',
}
const MESSAGE = 'From: alice@example.test\r\nSubject: x\r\n\r\ntext\r\n'
const SUPPRESSED = ['bob@internet.test', 'carol@internet.test']

const suppressed = (recipient: string): Suppressed => ({
  recipient,
  reason: '550 5.1.1 No such user',
  sinceMs: START - 86_400_000,
  untilMs: START + 86_400_000,
})

/** What the relay says to a message for these, over the signer. */
function relayed({ recipients }: Envelope): Reply {
  const told = recipients
    .map(({ forwardPath }) => formatMailbox(forwardPath).toLowerCase())
    .filter(name => SUPPRESSED.includes(name))
    .map(suppressed)
  const [first] = told
  const answer =
    first !== undefined && told.length === recipients.length
      ? refuseSuppressed(first, told.length - 1)
      : reply(250, '2.0.0', 'Queued')
  return tellSuppressed(answer, told)
}

/** Alice has signed in. */
async function session() {
  const clock = { nowMs: START }
  const events: { name: EventName; fields: Fields }[] = []
  const passed: string[][] = []
  const log = logTo((name, fields) => events.push({ name, fields }))
  const deliver = async (envelope: Envelope): Promise<Reply> => {
    passed.push(envelope.recipients.map(({ forwardPath }) => formatMailbox(forwardPath)))
    return relayed(envelope)
  }
  const user = { user: ALICE, reply: reply(235, '2.7.0', 'Hello') }
  const submission = new SubmissionSession({
    hostname: 'mail.example.test',
    domain: 'example.test',
    directory: () => ({
      commit: 'c0ffee',
      domains: new Set(['example.test']),
      scram: true,
      user: () => ALICE,
      targets: () => undefined,
    }),
    authenticator: {
      mechanisms: () => [],
      verifier: () => assert.fail('no SCRAM here'),
      nameOf: () => null,
      authenticate: async () => user,
    },
    throttle: { admit: () => assert.fail('nobody guesses') },
    allowance: { refuse: () => null, reserve: async () => null },
    signer: { deliver, begin: () => assert.fail('no large messages here') },
    suppressed: new KnownSuppressed(() => clock.nowMs),
    budget: new Budget(10_000_000),
    limits: LIMITS,
    maxPriority: 0,
    now: () => clock.nowMs,
    random: octets => new Uint8Array(octets),
    log,
  })
  await submission.auth({ type: 'external', mechanism: 'EXTERNAL', authorizationIdentity: '' }, CLIENT)
  const mail = async (sender = 'alice@example.test') => {
    submission.reset()
    const answer = await submission.mail(sender === '' ? null : parseMailbox(sender), {
      body: '7BIT',
      smtputf8: false,
    })
    assert.equal(answer.code, 250)
  }
  const rcpt = (name: string) => formatReply(submission.rcpt({ forwardPath: parseMailbox(name) }, {}))
  const message = async () => {
    await submission.content(Buffer.from(MESSAGE), () => CLIENT)
    return formatReply(await submission.message(CLIENT))
  }
  return { mail, rcpt, message, clock, events, passed }
}

const OK = '250 2.1.5 Recipient accepted'
const REFUSED =
  '550 5.7.1 Suppressed: bob@internet.test is not written to from 2026-01-09 until 2026-01-11: 550 5.1.1 No such user'

test('first at the end of the message, then at RCPT, and anew when the time is over', async () => {
  const { mail, rcpt, message, clock, events, passed } = await session()
  await mail()
  assert.equal(rcpt('bob@internet.test'), OK)
  assert.equal(await message(), REFUSED)
  assert.deepEqual(events.at(-1)?.name, 'refused')
  assert.equal(events.at(-1)?.fields.reply, REFUSED)

  await mail('alice@EXAMPLE.test')
  assert.equal(rcpt('Bob@Internet.test'), REFUSED)
  assert.equal(rcpt('dora@internet.test'), OK)
  assert.equal(await message(), '250 2.0.0 Queued')
  assert.deepEqual(passed, [['bob@internet.test'], ['dora@internet.test']])

  clock.nowMs += KNOWN.longestMs
  await mail()
  assert.equal(rcpt('bob@internet.test'), OK)
  assert.equal(await message(), REFUSED)
  await mail()
  assert.equal(rcpt('bob@internet.test'), REFUSED)
})

test('a message that others get tells of it too, and its client sees a plain reply', async () => {
  const { mail, rcpt, message } = await session()
  await mail()
  for (const name of ['bob', 'dora', 'carol']) assert.equal(rcpt(`${name}@internet.test`), OK)
  assert.equal(await message(), '250 2.0.0 Queued')
  await mail()
  assert.equal(rcpt('bob@internet.test'), REFUSED)
  assert.match(rcpt('carol@internet.test'), /^550 5\.7\.1 Suppressed: carol@/)
  assert.equal(rcpt('dora@internet.test'), OK)
})

test('another domain of the sender, or none, is not told', async () => {
  const { mail, rcpt, message } = await session()
  await mail()
  rcpt('bob@internet.test')
  await message()
  for (const sender of ['alice@other.test', '']) {
    await mail(sender)
    assert.equal(rcpt('bob@internet.test'), OK, sender)
  }
})

test('who is suppressed does not count among the recipients', async () => {
  const { mail, rcpt, message, passed } = await session()
  await mail()
  rcpt('bob@internet.test')
  await message()
  await mail()
  rcpt('bob@internet.test')
  rcpt('dora@internet.test')
  rcpt('bob@internet.test')
  await message()
  assert.deepEqual(passed.at(-1), ['dora@internet.test'])
})
