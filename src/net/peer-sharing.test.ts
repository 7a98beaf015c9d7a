/** Small messages over one connection: each has its own answer, and none pays for another. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { randoms } from '../../test/crash/queue-model.ts'
import { CONTENT, ENVELOPE, hop } from '../../test/peers/hop.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import type { HopMessage } from './hop-session.ts'
import { Budget } from './message-buffer.ts'
import type { Peer } from './peer.ts'

const LARGE = [Buffer.alloc(66_000, 'x\r\n')]
const never = (): Promise<Reply> => new Promise(() => {})
const turn = () => new Promise<void>(resolve => setImmediate(resolve))
const idOf = (end: string) => `01KAXE000000000000000000${end}`
const small = (peer: Peer, end: string) => peer.deliver({ ...ENVELOPE, xptt: { id: idOf(end) } }, CONTENT)

/** Answers are owed until they are given: by the end of the id. */
function owing() {
  const owed = new Map<string, () => void>()
  return {
    owed,
    answer: ({ xptt }: HopMessage) =>
      new Promise<Reply>(resolve => owed.set(xptt.id.slice(-2), () => resolve(reply(250, '2.0.0', xptt.id)))),
    asked: async (count: number) => {
      while (owed.size < count) await turn()
    },
  }
}

// The first: it must not find timers of others that are not mocked.
test('who is sent again for what another did waits as long for its answer once more, and then no longer', async t => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: Date.now() })
  t.after(() => t.mock.timers.reset())
  const { owed, answer, asked } = owing()
  const { peer } = await hop(t, answer, { waitMs: 1000, replyMs: 2000 })
  const first = small(peer, '0A')
  const behind = small(peer, '0B')
  await asked(2)
  owed.clear()
  t.mock.timers.tick(2000)
  assert.equal((await first).status, '4.4.2')
  // Its own time was over as well.
  assert.equal(await Promise.race([behind, turn()]), undefined)
  const next = small(peer, '0C')
  await asked(1)
  t.mock.timers.tick(1)
  await asked(2)
  assert.deepEqual([...owed.keys()], ['0C', '0B'])
  t.mock.timers.tick(2000)
  assert.equal((await next).status, '4.4.2')
  assert.equal((await Promise.race([behind, turn()]))?.status, '4.4.2')
})

test('small messages share a connection, each with the answer that is its own, in whatever order they are decided', async t => {
  const orders = randoms(7)
  const decisions: (() => void)[] = []
  const { peer, sessions } = await hop(
    t,
    ({ xptt }) =>
      new Promise(resolve => {
        decisions.push(() => resolve(reply(250, '2.0.0', xptt.id)))
      }),
  )
  const ids = Array.from({ length: 40 }, (_, n) => `01KAXE000000000000000000${String(n).padStart(2, '0')}`)
  const answers = Promise.all(ids.map(id => peer.deliver({ ...ENVELOPE, xptt: { id } }, CONTENT)))
  let decided = 0
  // 16 at a time on each of two connections: the last eight wait until one of them has room.
  while (decided < ids.length) {
    while (decisions.length === 0) await new Promise(resolve => setImmediate(resolve))
    const [decide] = decisions.splice(Math.floor(orders.next().value * decisions.length), 1)
    decide?.()
    decided++
  }
  assert.deepEqual(
    (await answers).map(({ lines }) => lines[0]),
    ids,
  )
  assert.equal(sessions(), 2)
})

test('messages go over as few connections as they need, and over these evenly', async t => {
  const underWay: { session: number; decide: () => void; delivered: Promise<Reply> }[] = []
  let come = Promise.withResolvers<{ session: number; decide: () => void }>()
  const { peer } = await hop(t, (_message, _breakOff, session) => {
    const answer = Promise.withResolvers<Reply>()
    come.resolve({ session, decide: () => answer.resolve(reply(250, '2.0.0', 'Taken')) })
    return answer.promise
  })
  const send = async () => {
    come = Promise.withResolvers()
    const delivered = peer.deliver(ENVELOPE, CONTENT)
    underWay.push({ ...(await come.promise), delivered })
  }
  const answerOldest = async () => {
    const oldest = underWay.shift()
    oldest?.decide()
    await oldest?.delivered
  }
  /** What each connection has under way when so many messages have been answered, and another has come for each. */
  const loads = async (count: number) => {
    while (underWay.length > count) await answerOldest()
    while (underWay.length < count) await send()
    for (let round = 0; round < count; round++) {
      await answerOldest()
      await send()
    }
    return [1, 2].map(each => underWay.filter(({ session }) => session === each).length)
  }
  assert.deepEqual(await loads(16), [16, 0])
  assert.deepEqual(await loads(20), [10, 10])
  assert.deepEqual(await loads(32), [16, 16])
  assert.deepEqual(await loads(17), [9, 8])
  assert.deepEqual(await loads(16), [16, 0])
  await loads(0)
})

test('a refusal is the answer to one message, and those around it have theirs', async t => {
  const refusals: Reply[] = [
    reply(550, '5.7.1', 'Refused'),
    reply(451, '4.7.5', 'Deferred'),
    reply(452, '4.3.1', 'Full'),
  ]
  let decided = 0
  const { peer, sessions } = await hop(t, async () => {
    const at = decided++
    return (at % 2 === 1 ? refusals[(at - 1) / 2] : undefined) ?? reply(250, '2.0.0', `Taken ${at}`)
  })
  const answers = await Promise.all(Array.from({ length: 7 }, () => peer.deliver(ENVELOPE, CONTENT)))
  assert.deepEqual(
    answers.map(({ lines }) => lines[0]),
    ['Taken 0', 'Refused', 'Taken 2', 'Deferred', 'Taken 4', 'Full', 'Taken 6'],
  )
  // What a hop cannot read of an envelope is refused in the middle of the others as well.
  const tooLong = {
    ...ENVELOPE,
    recipients: [{ forwardPath: { localPart: 'a'.repeat(5000), domain: 'x.test' } }],
  }
  const mixed = await Promise.all([ENVELOPE, tooLong, ENVELOPE].map(each => peer.deliver(each, CONTENT)))
  assert.deepEqual(
    mixed.map(({ code }) => Math.floor(code / 100)),
    [2, 5, 2],
  )
  assert.equal(sessions(), 1)
})

test('when a connection breaks, all that were under way over it are sent again: those the peer has kept too', async t => {
  const seen: string[] = []
  let broken = false
  const { peer, sessions } = await hop(t, ({ xptt }, breakOff) => {
    seen.push(xptt.id)
    if (broken || seen.length < 5) return broken ? Promise.resolve(reply(250, '2.0.0', xptt.id)) : never()
    broken = true
    breakOff()
    return never()
  })
  const ids = ['0A', '0B', '0C', '0D', '0E'].map(end => `01KAXE000000000000000000${end}`)
  const answers = await Promise.all(ids.map(id => peer.deliver({ ...ENVELOPE, xptt: { id } }, CONTENT)))
  assert.deepEqual(
    answers.map(({ lines }) => lines[0]),
    ids,
  )
  assert.deepEqual(seen.toSorted(), [...ids, ...ids].toSorted())
  assert.equal(sessions(), 2)
})

/** One connection: a small message is under way over it, and a large one waits to have it to itself. */
async function largeWaiting(t: TestContext) {
  const { owed, answer, asked } = owing()
  const { peer } = await hop(t, answer, { maxConnections: 1 })
  const before = small(peer, '0A')
  await asked(1)
  const large = peer.deliver({ ...ENVELOPE, xptt: { id: idOf('0L') } }, LARGE)
  return { peer, owed, asked, before, large }
}

test('a message that is large has a connection to itself, and one that comes later does not go before it', async t => {
  const { peer, owed, asked, before, large } = await largeWaiting(t)
  const after = small(peer, '0B')
  owed.get('0A')?.()
  await before
  await asked(2)
  assert.deepEqual([...owed.keys()], ['0A', '0L'])
  owed.get('0L')?.()
  await large
  await asked(3)
  owed.get('0B')?.()
  await after
})

test('who gives up waiting for a connection to himself holds up nobody', async t => {
  const { peer, owed, asked, before, large } = await largeWaiting(t)
  // What comes in the same millisecond may give up before it, and is not heard of then.
  const sentMs = performance.now()
  while (performance.now() < sentMs + 10) await turn()
  const after = small(peer, '0B')
  assert.equal((await large).status, '4.4.1')
  await asked(2)
  assert.deepEqual([...owed.keys()], ['0A', '0B'])
  for (const decide of owed.values()) decide()
  assert.deepEqual([(await before).code, (await after).code], [250, 250])
})

test('messages under way at a time each have their own recipients and content', async t => {
  const seen: string[] = []
  const { peer } = await hop(t, async ({ recipients, content }) => {
    await turn()
    seen.push(`${recipients.map(({ forwardPath }) => forwardPath.localPart)}: ${Buffer.concat(content)}`)
    return reply(250, '2.0.0', 'Taken')
  })
  const names = ['ann', 'bob', 'eve']
  await Promise.all(
    names.map(localPart => {
      const recipients = [{ forwardPath: { localPart, domain: 'x.test' } }]
      return peer.deliver({ ...ENVELOPE, recipients }, [Buffer.from(`for ${localPart}\r\n`)])
    }),
  )
  assert.deepEqual(
    seen,
    names.map(name => `${name}: for ${name}\r\n`),
  )
})

test('a transaction goes whole, however long its recipients are: nobody gets the message of another', async t => {
  const seen: string[] = []
  const { peer } = await hop(t, async ({ recipients, content }) => {
    const paths = new Set(recipients.map(({ forwardPath }) => forwardPath.localPart))
    seen.push(`${recipients.length} to ${[...paths]}: ${Buffer.concat(content)}`)
    return reply(250, '2.0.0', 'Taken')
  })
  // What a client writes in batches, this is more than one of.
  const address = `${'o'.repeat(400)}@x.test`
  const to = (localPart: string, count: number) =>
    Array.from({ length: count }, () => ({
      forwardPath: { localPart, domain: 'x.test' },
      originalRecipient: { addressType: 'rfc822', address },
    }))
  for (const count of [100, 101, 1000]) {
    await peer.deliver(ENVELOPE, CONTENT)
    seen.length = 0
    const large = Buffer.alloc(64 * 1024, 'spam\r\n')
    const answers = await Promise.all([
      peer.deliver({ ...ENVELOPE, recipients: to('mallory', count) }, [large]),
      peer.deliver({ ...ENVELOPE, recipients: to('bob', 1) }, [Buffer.from('a secret for Bob')]),
      peer.deliver({ ...ENVELOPE, recipients: to('mallory', count) }, [large]),
    ])
    assert.ok(answers.every(({ code }) => code === 250))
    assert.deepEqual(
      seen.toSorted(),
      ['1 to bob: a secret for Bob', ...[1, 2].map(() => `${count} to mallory: ${large}`)].toSorted(),
    )
  }
})

test('a message that the peer stumbles over does not take those with it that share its connection', async t => {
  const { peer } = await hop(t, async ({ xptt }) => {
    if (xptt.id.endsWith('A')) throw new TypeError('a bug')
    return reply(250, '2.0.0', 'Taken')
  })
  await small(peer, '0X')
  const answers = await Promise.all(['0A', '0B', '0C', '0D'].map(end => small(peer, end)))
  assert.deepEqual(
    answers.map(({ code }) => code),
    [451, 250, 250, 250],
  )
})

test('a message that is never answered: those behind it are sent again, and are answered', async t => {
  const { peer } = await hop(
    t,
    ({ xptt }) =>
      xptt.id.endsWith('A') ? new Promise(() => {}) : Promise.resolve(reply(250, '2.0.0', 'Taken')),
    { waitMs: 200, replyMs: 400 },
  )
  const answers = await Promise.all(['0A', '0B', '0C'].map(end => small(peer, end)))
  assert.deepEqual(
    answers.map(({ code }) => code),
    [451, 250, 250],
  )
})

test('the budget holds what is under way, and has it back with the answers', async t => {
  let refused = 0
  class Watched extends Budget {
    override take(octets: number): boolean {
      const taken = super.take(octets)
      if (!taken) refused++
      return taken
    }
  }
  const octets = 2 * Buffer.concat(CONTENT).length
  const budget = new Watched(octets)
  const { owed, answer, asked } = owing()
  const { peer } = await hop(t, answer, { budget })
  const first = [small(peer, '0A'), small(peer, '0B')]
  await asked(2)
  const third = small(peer, '0C')
  while (refused === 0) await turn()
  for (const decide of owed.values()) decide()
  assert.deepEqual(
    (await Promise.all([...first, third])).map(({ code }) => code),
    [250, 250, 452],
  )
  owed.clear()
  const fourth = small(peer, '0D')
  await asked(1)
  for (const decide of owed.values()) decide()
  assert.equal((await fourth).code, 250)
  assert.ok(budget.take(octets))
})

test('many who wait for room on a connection add no listeners to it', async t => {
  const warnings: Error[] = []
  const heard = (warning: Error) => warnings.push(warning)
  process.on('warning', heard)
  t.after(() => process.off('warning', heard))
  const { peer } = await hop(t, async () => reply(250, '2.0.0', 'Taken'))
  await small(peer, '0X')
  const content = [Buffer.alloc(60_000, 'x\r\n')]
  const answers = await Promise.all(Array.from({ length: 16 }, () => peer.deliver(ENVELOPE, content)))
  assert.ok(answers.every(({ code }) => code === 250))
  await turn()
  assert.deepEqual(warnings, [])
})
