import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RouteRule } from '../config/routes.ts'
import type { Directory } from '../directory/directory.ts'
import { Budget } from '../net/message-buffer.ts'
import type { Fields, Log } from '../observe/event.ts'
import { openMemory } from '../queue/memory/memory.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import type { MailParameters } from '../smtp/parameter.ts'
import { destinationFor, domainOf, poolOf, routeOf } from './destination.ts'
import { RelaySession } from './session.ts'

const NOW = 1_700_000_000_000
const DAY_MS = 86_400_000
const EXPIRE_MS = 5 * DAY_MS
const ALICE = { localPart: 'alice', domain: 'example.test' }
const DIRECTORY: Directory = {
  commit: 'c0ffee',
  domains: new Set(['example.test']),
  scram: true,
  user: () => undefined,
  targets: () => undefined,
}
const ID = '01KAXE0000000000000000000A'

/** What is queued of a message that took ten seconds from MAIL to its end. */
async function queued(
  parameters: Partial<MailParameters>,
  recipients: readonly EnvelopeRecipient[],
  targets: Directory['targets'] = () => undefined,
  routes: readonly RouteRule[] = [],
) {
  const queue = openMemory()
  const events: Fields[] = []
  const log: Log = { event: (_, fields = {}) => events.push(fields), with: () => log }
  let nowMs = NOW
  const session = new RelaySession({
    queue,
    directory: () => ({ ...DIRECTORY, targets }),
    budget: new Budget(1000),
    sources: { poolFor: () => '' },
    suppressions: { find: async () => null },
    routes: () => routes,
    expireMs: EXPIRE_MS,
    now: () => nowMs,
    random: octets => new Uint8Array(octets),
    wake: () => {},
    log,
  })
  session.mail(ALICE, { body: '7BIT', smtputf8: false, xptt: { id: ID }, ...parameters })
  for (const recipient of recipients) session.rcpt(recipient, {})
  nowMs += 10_000
  session.content(Buffer.from('Subject: x\r\n\r\n'))
  assert.equal((await session.message()).code, 250)
  return { message: await queue.get(parameters.xptt?.id ?? ID), fields: events[0], events }
}

const bob: EnvelopeRecipient = { forwardPath: { localPart: 'bob', domain: 'Internet.Test' } }

test('what was asked of a message and of each recipient is kept', async () => {
  const asked = {
    ret: 'HDRS',
    envelopeId: 'QQ314159',
    requireTls: true,
    deliverBy: { seconds: 60, mode: 'N', trace: false },
    priority: 3,
  } as const
  const wishes = {
    notify: ['SUCCESS'],
    originalRecipient: { addressType: 'rfc822', address: 'Bob@X.test' },
  } as const
  const { message } = await queued(asked, [{ ...bob, ...wishes }, bob])
  assert.deepEqual(message?.envelope, { ...asked, body: '7BIT', smtputf8: false, xptt: { id: ID } })
  const stored = { mailbox: bob.forwardPath, destination: 'internet.test' }
  const pending = { state: 'pending', attempts: 0, dueMs: NOW } as const
  assert.deepEqual(message?.recipients, [
    { ...stored, ...wishes, ...pending },
    { ...stored, ...pending },
  ])
})

const times: [what: string, hold: MailParameters['hold'], dueMs: number, heldUntil: string | undefined][] = [
  ['not held', undefined, NOW, undefined],
  ['HOLDFOR counts from MAIL', { forSeconds: 3600 }, NOW + 3_600_000, '2023-11-14T23:13:20.000Z'],
  ['HOLDUNTIL', { untilMs: NOW + 60_000 }, NOW + 60_000, '2023-11-14T22:14:20.000Z'],
  ['over before the message was whole', { untilMs: NOW + 5000 }, NOW + 5000, undefined],
  ['over long ago', { untilMs: NOW - 60_000 }, NOW, undefined],
]
for (const [what, hold, dueMs, heldUntil] of times)
  test(`when it is due: ${what}`, async () => {
    const { message, fields } = await queued(hold === undefined ? {} : { hold }, [bob])
    assert.equal(message?.arrivedMs, NOW)
    assert.equal(message?.recipients[0]?.dueMs, dueMs)
    assert.equal(message?.expiresMs, dueMs + EXPIRE_MS)
    assert.equal(fields?.held_until, heldUntil)
    assert.equal(fields?.ms, 0)
  })

test('a TLS report is tried for a day, and no longer (RFC 8460 §5.5)', async () => {
  const { message } = await queued({ xptt: { id: `${ID}tlsrpt` } }, [bob])
  assert.equal(message?.expiresMs, NOW + DAY_MS)
})

test('aliases: expanded in the same put, by the commit that the event names', async () => {
  const sales = { forwardPath: { localPart: 'sales', domain: 'example.test' }, notify: ['SUCCESS'] } as const
  const targets = [ALICE, { localPart: 'Carol', domain: 'Elsewhere.Test' }]
  const { message, events } = await queued({}, [sales, bob], ({ localPart }) =>
    localPart === 'sales' ? targets : undefined,
  )
  assert.deepEqual(
    message?.recipients.map(({ mailbox, destination, notify }) => [mailbox.localPart, destination, notify]),
    [
      ['alice', 'example.test', []],
      ['Carol', 'elsewhere.test', []],
      ['bob', 'internet.test', undefined],
      ['sales', '<expanded>', ['SUCCESS']],
    ],
  )
  assert.equal(events[0]?.recipients, 3)
  assert.deepEqual(events[1], {
    id: ID,
    address: 'sales@example.test',
    to: ['alice@example.test', 'Carol@Elsewhere.Test'],
    commit: 'c0ffee',
  })
})

test('what goes through a smart host has a destination of its own', async () => {
  const smart = { host: { host: 'smart.test', port: 465 }, tls: 'implicit', where: 'test' } as const
  const routes: RouteRule[] = [
    { ...smart, name: 'later', afterAttempts: 3 },
    { ...smart, name: 'provider', senders: ['example.test'], recipients: ['internet.test'] },
  ]
  const ann = { forwardPath: { localPart: 'ann', domain: 'other.test' } }
  const { message } = await queued({}, [bob, ann], undefined, routes)
  assert.deepEqual(
    message?.recipients.map(({ destination }) => [destination, domainOf(destination), routeOf(destination)]),
    [
      ['internet.test via provider', 'internet.test', 'provider'],
      ['other.test', 'other.test', ''],
    ],
  )
  const both = destinationFor('x.test', 'news', 'provider')
  assert.deepEqual([domainOf(both), poolOf(both), routeOf(both)], ['x.test', 'news', 'provider'])
})
