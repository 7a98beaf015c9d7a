import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RouteRule } from '../config/routes.ts'
import type { Directory } from '../directory/directory.ts'
import { Budget } from '../net/message-buffer.ts'
import { type Fields, logTo, silent } from '../observe/event.ts'
import { openMemory } from '../queue/memory/memory.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import type { MailParameters } from '../smtp/parameter.ts'
import { formatMailbox, type Mailbox, parseMailbox } from '../smtp/path.ts'
import { reply } from '../smtp/reply.ts'
import { destinationFor, domainOf, poolOf, routeOf } from './destination.ts'
import { RelaySession } from './session.ts'
import type { Suppression } from './suppression.ts'

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
  const log = logTo((_, fields) => events.push(fields))
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

/** The reply to a message for `names`, where those of `suppressed` are not written to. */
async function answered(
  names: readonly string[],
  suppressed: readonly string[],
  more: { readonly reversePath?: null; readonly id?: string; readonly targets?: Directory['targets'] } = {},
) {
  const find = async (senderDomain: string, mailbox: Mailbox): Promise<Suppression | null> => {
    const recipient = formatMailbox(mailbox)
    if (!suppressed.includes(recipient)) return null
    const times = { sinceMs: Date.UTC(2026, 0, 5), untilMs: Date.UTC(2026, 1, 4) }
    return { senderDomain, recipient, category: 'bad-address', reason: '550 No', id: null, ...times }
  }
  const session = new RelaySession({
    queue: openMemory(),
    directory: () => ({ ...DIRECTORY, targets: more.targets ?? (() => undefined) }),
    budget: new Budget(1000),
    sources: { poolFor: () => '' },
    suppressions: { find },
    routes: () => [],
    expireMs: EXPIRE_MS,
    now: () => NOW,
    random: octets => new Uint8Array(octets),
    wake: () => {},
    log: silent,
  })
  const { reversePath = ALICE, id = ID } = more
  session.mail(reversePath, { body: '7BIT', smtputf8: false, xptt: { id } })
  for (const name of names) session.rcpt({ forwardPath: parseMailbox(name) }, {})
  session.content(Buffer.from('Subject: x\r\n\r\n'))
  return session.message()
}

const TOLD = 'XPTT suppressed 1767571200 1770163200'

test('who is suppressed is told to submission, whether others are left or not', async () => {
  const some = await answered(['bob@x.test', 'ann@x.test'], ['bob@x.test'])
  assert.deepEqual(some, reply(250, '2.0.0', `${TOLD} bob@x.test 550 No`, `Queued as ${ID}`))
  const all = await answered(['bob@x.test', 'ann@x.test'], ['bob@x.test', 'ann@x.test'])
  const text = 'Suppressed: bob@x.test is not written to from 2026-01-05 until 2026-02-04: 550 No'
  assert.deepEqual(
    all,
    reply(
      550,
      '5.7.1',
      `${TOLD} bob@x.test 550 No`,
      `${TOLD} ann@x.test 550 No`,
      `${text}, and 1 more like it`,
    ),
  )
  assert.deepEqual((await answered(['ann@x.test'], [])).lines, [`Queued as ${ID}`])
})

test('of a thousand ten are told', async () => {
  const names = Array.from({ length: 1000 }, (_, at) => `bob${at}@x.test`)
  assert.equal((await answered([...names, 'ann@x.test'], names)).lines.length, 11)
})

test('nobody is told of where nobody listens, nor of a mailbox that leads to others too', async () => {
  const suppressed = ['bob@x.test', 'sales@example.test']
  const notice = await answered(['bob@x.test'], suppressed, { reversePath: null })
  assert.deepEqual(notice.lines, [`Queued as ${ID}`])
  const report = await answered(['bob@x.test'], suppressed, { id: `${ID}tlsrpt` })
  assert.match(report.lines.join(), /^Suppressed: bob/)
  // To itself, and to somebody who may be written to.
  const targets: Directory['targets'] = mailbox =>
    mailbox.localPart === 'sales' ? [mailbox, parseMailbox('ann@x.test')] : undefined
  const sales = await answered(['sales@example.test'], suppressed, { targets })
  assert.deepEqual(sales.lines, [`Queued as ${ID}`])
  // An alias leads to somebody who may not: he is known by his own name.
  const alias: Directory['targets'] = mailbox =>
    mailbox.localPart === 'alias' ? [parseMailbox('bob@x.test')] : undefined
  const both = await answered(['alias@example.test', 'ann@x.test'], suppressed, { targets: alias })
  assert.deepEqual(both.lines, [`${TOLD} bob@x.test 550 No`, `Queued as ${ID}`])
})
