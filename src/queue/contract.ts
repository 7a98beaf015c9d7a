/** What `queue.ts` promises, as a suite that each engine's test file runs. Times are small numbers: no engine reads a clock. */

import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import {
  type Evidence,
  type Filter,
  type Hold,
  type Job,
  type NewMessage,
  type Queue,
  RECIPIENTS_PER_JOB,
  type RecipientResult,
  STORY_RECIPIENTS,
} from './queue.ts'

export interface EngineOptions {
  readonly retainIdsMs?: number
  readonly retainStoriesMs?: number
}

/** Makes an empty queue. What it needs is cleaned up after the test. */
export type MakeEngine = (
  t: TestContext,
  options?: EngineOptions,
) => Promise<{
  queue: Queue
  /** As if the process had crashed and begun anew; for engines that keep messages. */
  reopen?: () => Promise<Queue>
}>

const ARRIVED = 1000
const EXPIRES = 9000
const evidence: Evidence = {
  atMs: 1100,
  status: '4.2.1',
  diagnostic: '450 4.2.1 Greylisted',
  remote: 'mx [::1]',
}

/** `mailboxes`: `alice@one.example`; the destination is the domain. */
export function newMessage(id: string, mailboxes: readonly string[], arrivedMs = ARRIVED): NewMessage {
  const recipients = mailboxes.map(text => {
    const [localPart = '', domain = ''] = text.split('@')
    return { mailbox: { localPart, domain }, destination: domain }
  })
  return {
    id,
    arrivedMs,
    expiresMs: EXPIRES,
    recipients,
    envelope: {
      reversePath: { localPart: 'sender', domain: 'example.org' },
      recipients: recipients.map(({ mailbox }) => ({ forwardPath: mailbox })),
      body: '8BITMIME',
      smtputf8: true,
      authenticatedAs: 'sender@example.org',
      xptt: { id, commit: '0123456789abcdef0123456789abcdef01234567' },
    },
  }
}

/** The same octets for the same number, all values among them. */
export function octets(length: number, seed = 1): Uint8Array {
  const octets = new Uint8Array(length)
  for (let at = 0, state = seed; at < length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    octets[at] = state >>> 16
  }
  return octets
}

export function all(job: Job, action: 'delivered' | 'failed' | 'expanded'): RecipientResult[] {
  return job.recipients.map(index => ({ index, action, evidence }))
}

export function deferred(job: Job, dueMs: number): RecipientResult[] {
  return job.recipients.map(index => ({ index, action: 'deferred', dueMs, evidence }))
}

/** `id destination`, a job each. */
const named = (jobs: readonly Job[]) => jobs.map(({ message, destination }) => `${message.id} ${destination}`)

/** A message with so many recipients at each of the destinations. */
function manyAt(id: string, count: number, domains: readonly string[], arrivedMs = ARRIVED): NewMessage {
  const mailboxes = domains.flatMap(domain => Array.from({ length: count }, (_, n) => `u${n}@${domain}`))
  return newMessage(id, mailboxes, arrivedMs)
}

const hold = (kind: Hold['kind'], name: string, untilMs: number | null = null): Hold => ({
  kind,
  name,
  reason: 'because',
  sinceMs: ARRIVED,
  untilMs,
})

async function leaseOne(queue: Queue, nowMs: number): Promise<Job> {
  const [job, ...others] = await queue.lease(nowMs, 1)
  assert.ok(job)
  assert.equal(others.length, 0)
  return job
}

export function runQueueContract(
  name: string,
  makeEngine: MakeEngine,
  /** What is left of it after a crash. */
  keeps: 'messages' | 'nothing',
): void {
  suite(`queue contract: ${name}`, () => {
    test('a message is there as it was put', async t => {
      const { queue } = await makeEngine(t)
      const message = newMessage('A', ['a@one.example', 'bü@two.example', '"c d"@one.example'])
      assert.equal(await queue.put(message, [octets(10), octets(0), octets(5, 2)]), 'queued')
      const { recipients: _, reversePath, ...envelope } = message.envelope
      assert.deepEqual(await queue.get('A'), {
        id: 'A',
        reversePath,
        envelope,
        arrivedMs: ARRIVED,
        expiresMs: EXPIRES,
        sizeOctets: 15,
        recipients: message.recipients.map(recipient => ({
          ...recipient,
          state: 'pending',
          attempts: 0,
          dueMs: ARRIVED,
        })),
      })
      assert.deepEqual(Buffer.from(await queue.content('A')), Buffer.concat([octets(10), octets(5, 2)]))
      assert.equal(await queue.count(), 1)
    })

    test('the null reverse-path and "not known" stay what they are', async t => {
      const { queue } = await makeEngine(t)
      const message = newMessage('A', ['a@one.example'])
      await queue.put(
        { ...message, envelope: { ...message.envelope, reversePath: null, authenticatedAs: null } },
        [],
      )
      const stored = await queue.get('A')
      assert.equal(stored?.reversePath, null)
      assert.equal(stored?.envelope.authenticatedAs, null)
    })

    test('what the sender asked for is kept', async t => {
      const { queue, reopen } = await makeEngine(t)
      const message = newMessage('A', ['a@one.example', 'b@two.example'])
      const asked = {
        ret: 'HDRS',
        envelopeId: 'QQ314159',
        requireTls: true,
        hold: { forSeconds: 3 },
        deliverBy: { seconds: 120, mode: 'R', trace: true },
        priority: -3,
      } as const
      const originalRecipient = { addressType: 'rfc822', address: 'A@One.Example' }
      const [first, second] = message.recipients
      assert.ok(first && second)
      const recipients = [
        { ...first, notify: ['SUCCESS', 'DELAY'], originalRecipient },
        { ...second, notify: [] },
      ] as const
      await queue.put({ ...message, envelope: { ...message.envelope, ...asked }, recipients }, [])
      const stored = await (reopen ? await reopen() : queue).get('A')
      assert.ok(stored)
      const { ret, envelopeId, requireTls, hold, deliverBy, priority } = stored.envelope
      assert.deepEqual({ ret, envelopeId, requireTls, hold, deliverBy, priority }, asked)
      assert.deepEqual(
        stored.recipients.map(({ notify, originalRecipient }) => ({ notify, originalRecipient })),
        [
          { notify: ['SUCCESS', 'DELAY'], originalRecipient },
          { notify: [], originalRecipient: undefined },
        ],
      )
    })

    test('a message that is held is due when it is released', async t => {
      const { queue, reopen } = await makeEngine(t)
      await queue.put({ ...newMessage('A', ['a@one.example', 'b@two.example']), dueMs: 5000 }, [octets(3)])
      await queue.put({ ...newMessage('B', ['a@one.example']), dueMs: 5000 }, [])
      await queue.put({ ...newMessage('C', ['a@one.example']), dueMs: 5000 }, [])
      const again = reopen ? await reopen() : queue
      assert.deepEqual(await again.lease(4999, 10), [])
      assert.equal(await again.nextDue(), 5000)
      assert.deepEqual(
        (await again.get('A'))?.recipients.map(({ dueMs }) => dueMs),
        [5000, 5000],
      )
      assert.equal(await again.retry('B', 2000), true)
      assert.equal(await again.remove('C'), true)
      assert.deepEqual(named(await again.lease(4999, 10)), ['B one.example'])
      assert.deepEqual(named(await again.lease(5000, 10)), ['A one.example', 'A two.example'])
    })

    for (const size of [0, 1, 4095, 65_535, 65_536, 65_537, 1_000_003]) {
      test(`content of ${size} octets is kept octet for octet`, async t => {
        const { queue } = await makeEngine(t)
        const content = octets(size)
        // Pieces of uneven size, some of them parts of a larger buffer.
        const cut = Math.floor(size / 3)
        await queue.put(newMessage('A', ['a@one.example']), [content.subarray(0, cut), content.subarray(cut)])
        assert.equal(Buffer.compare(await queue.content('A'), content), 0)
        assert.equal((await queue.get('A'))?.sizeOctets, size)
      })
    }

    test('what was put may be overwritten by the caller afterwards', async t => {
      const { queue } = await makeEngine(t)
      const content = octets(100)
      await queue.put(newMessage('A', ['a@one.example']), [content])
      content.fill(0)
      assert.equal(Buffer.compare(await queue.content('A'), octets(100)), 0)
      ;(await queue.content('A')).fill(0)
      assert.equal(Buffer.compare(await queue.content('A'), octets(100)), 0)
    })

    test('an id is not queued twice', async t => {
      const { queue } = await makeEngine(t)
      const message = newMessage('A', ['a@one.example'])
      for (const size of [10, 100_000]) {
        const outcomes = await Promise.all([1, 2, 3].map(seed => queue.put(message, [octets(size, seed)])))
        assert.deepEqual(outcomes.toSorted(), [
          'duplicate',
          'duplicate',
          size === 10 ? 'queued' : 'duplicate',
        ])
      }
      assert.equal(await queue.count(), 1)
      assert.equal(Buffer.compare(await queue.content('A'), octets(10)), 0)
      const large = newMessage('B', ['a@one.example'])
      const outcomes = await Promise.all([1, 2, 3].map(seed => queue.put(large, [octets(100_000, seed)])))
      assert.deepEqual(outcomes.toSorted(), ['duplicate', 'duplicate', 'queued'])
      const first = outcomes.indexOf('queued') + 1
      assert.equal(Buffer.compare(await queue.content('B'), octets(100_000, first)), 0)
    })

    test('an id is remembered after its message was delivered or removed, and forgotten in time', async t => {
      const { queue } = await makeEngine(t, { retainIdsMs: 500 })
      const delivered = newMessage('A', ['a@one.example'])
      const removed = newMessage('B', ['a@one.example'], ARRIVED + 1)
      const queued = newMessage('C', ['a@one.example'])
      for (const message of [delivered, removed, queued]) await queue.put(message, [])
      const job = await leaseOne(queue, ARRIVED)
      await queue.settle(job, all(job, 'delivered'))
      assert.equal(await queue.remove('B'), true)
      await queue.sweep(ARRIVED + 500)
      for (const message of [delivered, removed, queued])
        assert.equal(await queue.put(message, []), 'duplicate')
      await queue.sweep(ARRIVED + 501)
      assert.equal(await queue.put(delivered, []), 'queued')
      assert.equal(await queue.put(removed, []), 'duplicate')
      // It is in the queue still, however long that has been.
      assert.equal(await queue.put(queued, []), 'duplicate')
      assert.equal(await queue.count(), 2)
    })

    const wrong: [what: string, message: NewMessage][] = [
      ['an id that is a path', newMessage('../A', ['a@one.example'])],
      ['an empty id', newMessage('', ['a@one.example'])],
      ['no recipients', newMessage('A', [])],
      ['an empty destination', newMessage('A', ['postmaster'])],
      ['a NUL in a destination', newMessage('A', ['a@b\0c'])],
      ['a time that is none', newMessage('A', ['a@one.example'], Number.NaN)],
      ['a release beyond all times', { ...newMessage('A', ['a@one.example']), dueMs: 2 ** 48 }],
      [
        'a priority beyond 9',
        {
          ...newMessage('A', ['a@one.example']),
          envelope: { ...newMessage('A', ['a@one.example']).envelope, priority: 10 },
        },
      ],
    ]
    for (const [what, message] of wrong) {
      test(`${what} is refused and leaves nothing`, async t => {
        const { queue } = await makeEngine(t)
        await assert.rejects(queue.put(message, []), RangeError)
        assert.equal(await queue.count(), 0)
        assert.equal(await queue.nextDue(), null)
      })
    }

    test('a job is the due recipients of one message at one destination, leased once', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example', 'b@two.example', 'c@one.example']), [])
      assert.deepEqual(await queue.lease(ARRIVED - 1, 10), [])
      const jobs = await queue.lease(ARRIVED, 10)
      assert.deepEqual(
        jobs.map(({ destination, recipients }) => [destination, recipients]),
        [
          ['one.example', [0, 2]],
          ['two.example', [1]],
        ],
      )
      const { recipients, ...whole } = (await queue.get('A')) ?? assert.fail()
      for (const { message, recipients: indices } of jobs) {
        const { recipients: there, ...fixed } = message
        assert.deepEqual(fixed, whole)
        assert.deepEqual(Object.keys(there), indices.map(String))
        for (const index of indices) assert.deepEqual(there[index], recipients[index])
      }
      assert.deepEqual(await queue.lease(ARRIVED, 10), [])
      assert.equal(await queue.nextDue(), null)
    })

    test('the most overdue are leased first, across destinations and up to the limit', async t => {
      const { queue } = await makeEngine(t)
      const arrivals: [id: string, domain: string, arrivedMs: number][] = [
        ['A', 'one.example', 1005],
        ['B', 'two.example', 1001],
        ['C', 'one.example', 1002],
        ['D', 'three.example', 1009],
        ['E', 'one.example', 1003],
        ['F', 'two.example', 1004],
      ]
      for (const [id, domain, arrivedMs] of arrivals)
        await queue.put(newMessage(id, [`a@${domain}`], arrivedMs), [])
      assert.deepEqual(await queue.lease(1008, 0), [])
      assert.equal(await queue.nextDue(), 1001)
      assert.deepEqual(named(await queue.lease(1008, 3)), ['B two.example', 'C one.example', 'E one.example'])
      assert.equal(await queue.nextDue(), 1004)
      assert.deepEqual(named(await queue.lease(1008, 3)), ['F two.example', 'A one.example'])
      assert.equal(await queue.nextDue(), 1009)
    })

    test('the higher priority is leased first, whatever is overdue: RFC 6710 §5.1', async t => {
      const { queue, reopen } = await makeEngine(t)
      const arrivals: [id: string, domain: string, arrivedMs: number, priority: number | undefined][] = [
        ['A', 'one.example', 1001, -9],
        ['B', 'two.example', 1002, undefined],
        ['C', 'one.example', 1003, 3],
        ['D', 'one.example', 1004, 0],
        ['E', 'three.example', 1005, 9],
        ['F', 'two.example', 1006, 3],
        ['G', 'one.example', 1007, -9],
        ['H', 'one.example', 5000, 9],
      ]
      for (const [id, domain, arrivedMs, priority] of arrivals) {
        const message = newMessage(id, [`a@${domain}`], arrivedMs)
        const envelope = priority === undefined ? message.envelope : { ...message.envelope, priority }
        await queue.put({ ...message, envelope }, [])
      }
      const again = reopen ? await reopen() : queue
      assert.equal(await again.nextDue(), 1001)
      const order = ['E three.example', 'C one.example', 'F two.example', 'B two.example', 'D one.example']
      assert.deepEqual(named(await again.lease(4000, 2)), order.slice(0, 2))
      assert.equal(await again.nextDue(), 1001)
      assert.deepEqual(named(await again.lease(4000, 3)), order.slice(2))
      const [job] = await again.lease(4000, 1)
      assert.ok(job)
      assert.deepEqual(named([job]), ['A one.example'])
      assert.equal(await again.nextDue(), 1007)
      await again.settle(job, deferred(job, 4500))
      assert.deepEqual(named(await again.lease(5000, 10)), [
        'H one.example',
        'G one.example',
        'A one.example',
      ])
      assert.equal(await again.nextDue(), null)
    })

    test('a destination that is skipped at one priority is skipped at all', async t => {
      const { queue } = await makeEngine(t)
      for (const priority of [5, 0, -5]) {
        const message = newMessage(`M${priority + 5}`, ['a@one.example', 'a@two.example'])
        await queue.put({ ...message, envelope: { ...message.envelope, priority } }, [])
      }
      const asked: string[] = []
      const jobs = await queue.lease(ARRIVED, 10, destination => {
        asked.push(destination)
        return destination === 'one.example'
      })
      assert.deepEqual(named(jobs), ['M10 two.example', 'M5 two.example', 'M0 two.example'])
      assert.equal(asked.filter(destination => destination === 'one.example').length, 1)
      assert.equal(await queue.nextDue(), ARRIVED)
    })

    test('a skipped destination is passed over and stays due', async t => {
      const { queue } = await makeEngine(t)
      for (let n = 10; n < 40; n++) {
        await queue.put(newMessage(`M${n}`, [`a@${n % 3 === 0 ? 'other' : 'full'}.example`], ARRIVED + n), [])
      }
      const asked: string[] = []
      const jobs = await queue.lease(2000, 100, destination => {
        asked.push(destination)
        return destination === 'full.example'
      })
      assert.equal(jobs.length, 10)
      assert.ok(jobs.every(({ destination }) => destination === 'other.example'))
      assert.equal(asked.filter(destination => destination === 'full.example').length, 1)
      assert.equal(await queue.nextDue(), ARRIVED + 10)
      assert.equal((await queue.lease(2000, 100)).length, 20)
    })

    test('skip is asked before each job, so that it can count', async t => {
      const { queue } = await makeEngine(t)
      for (let n = 10; n < 30; n++)
        await queue.put(newMessage(`M${n}`, [`a@${n % 2}.example`], ARRIVED + n), [])
      let places = 3
      const jobs = await queue.lease(2000, 100, destination => destination === '0.example' && places-- === 0)
      assert.equal(jobs.filter(({ destination }) => destination === '0.example').length, 3)
      assert.equal(jobs.filter(({ destination }) => destination === '1.example').length, 10)
      assert.equal(await queue.nextDue(), ARRIVED + 16)
    })

    test('an error of skip leases nothing', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example', 'a@two.example']), [])
      const failing = (destination: string) => {
        if (destination === 'two.example') throw new Error('skip failed')
        return false
      }
      await assert.rejects(queue.lease(ARRIVED, 10, failing), /skip failed/)
      assert.equal((await queue.lease(ARRIVED, 10)).length, 2)
    })

    test('a destination that is parked is not asked about until it is unparked', async t => {
      const { queue } = await makeEngine(t)
      for (let n = 10; n < 30; n++)
        await queue.put(newMessage(`M${n}`, [`a@${n % 2 === 0 ? 'full' : 'other'}.example`], ARRIVED + n), [])
      const asked: string[] = []
      const lease = (limit: number) =>
        queue.lease(2000, limit, destination => {
          asked.push(destination)
          return destination === 'full.example' ? 'park' : false
        })
      assert.equal((await lease(4)).length, 4)
      assert.equal((await lease(4)).length, 4)
      assert.equal(asked.filter(destination => destination === 'full.example').length, 1)
      // What comes meanwhile is parked with it, of whatever priority.
      const late = newMessage('N', ['a@full.example'])
      await queue.put({ ...late, envelope: { ...late.envelope, priority: 3 } }, [])
      assert.equal((await lease(100)).length, 2)
      assert.equal(await queue.nextDue(), null)
      assert.deepEqual(await queue.lease(2000, 100), [])
      queue.unpark('none.example')
      assert.equal(await queue.nextDue(), null)
      queue.unpark('full.example')
      assert.equal(await queue.nextDue(), ARRIVED)
      assert.deepEqual(named(await queue.lease(2000, 2)), ['N full.example', 'M10 full.example'])
      assert.deepEqual(await lease(100), [])
      queue.unpark()
      assert.equal((await queue.lease(2000, 100)).length, 9)
    })

    test('a deferred job of a parked destination is parked too', async t => {
      const { queue } = await makeEngine(t)
      for (const id of ['A', 'B', 'C']) await queue.put(newMessage(id, ['a@one.example']), [])
      const job = await leaseOne(queue, ARRIVED)
      assert.deepEqual(await queue.lease(ARRIVED, 10, () => 'park'), [])
      await queue.settle(job, deferred(job, 1500))
      assert.equal(await queue.nextDue(), null)
      assert.deepEqual(await queue.lease(2000, 10), [])
      queue.unpark('one.example')
      assert.deepEqual(named(await queue.lease(2000, 10)), [
        'B one.example',
        'C one.example',
        'A one.example',
      ])
    })

    test('many recipients at one destination are several jobs, and others have their turn', async t => {
      const { queue, reopen } = await makeEngine(t)
      const count = 2 * RECIPIENTS_PER_JOB + 1
      await queue.put(manyAt('A', count, ['one.example', 'two.example']), [octets(9)])
      for (const id of ['B', 'C', 'D']) await queue.put(newMessage(id, ['a@one.example'], ARRIVED + 1), [])
      const lengths = (jobs: readonly Job[]) =>
        jobs.map(({ message, recipients }) => `${message.id} ${recipients.length}`)
      const there = async (limit: number) =>
        queue.lease(2000, limit, destination => destination !== 'one.example')
      const first = await there(1)
      assert.deepEqual(lengths(first), ['A 100'])
      const rest = await there(100)
      assert.deepEqual(lengths(rest), ['B 1', 'A 100', 'C 1', 'A 1', 'D 1'])
      const jobs = [...first, ...rest, ...(await queue.lease(2000, 100))]
      const indices = jobs.filter(({ message }) => message.id === 'A').flatMap(({ recipients }) => recipients)
      assert.deepEqual(
        indices.toSorted((one, other) => one - other),
        Array.from({ length: 2 * count }, (_, n) => n),
      )
      for (const job of jobs.slice(1)) await queue.settle(job, all(job, 'delivered'))
      const again = reopen ? await reopen() : queue
      if (first[0] && !reopen) again.release(first[0])
      const message = await again.get('A')
      assert.equal(message?.recipients.length, 2 * count)
      assert.equal(message?.recipients.filter(({ state }) => state === 'pending').length, 100)
      const last = await leaseOne(again, 2000)
      assert.deepEqual(last.recipients, first[0]?.recipients)
      await again.settle(last, all(last, 'delivered'))
      assert.equal(await again.count(), 0)
      assert.equal(await again.nextDue(), null)
    })

    test('turns are taken also where one job at a time has a place', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(manyAt('A', 5 * RECIPIENTS_PER_JOB, ['one.example']), [])
      await queue.put(manyAt('B', 3 * RECIPIENTS_PER_JOB, ['one.example'], ARRIVED + 1), [])
      for (let n = 0; n < 4; n++) await queue.put(newMessage(`C${n}`, ['a@one.example'], ARRIVED + 2), [])
      const order: string[] = []
      for (let n = 0; n < 12; n++) {
        const job = await leaseOne(queue, 2000)
        order.push(job.message.id)
        // One is deferred and does not come back in between.
        await queue.settle(job, n === 2 ? deferred(job, 9000) : all(job, 'delivered'))
      }
      assert.equal(order.join(' '), 'A B C0 A C1 B C2 A C3 B A A')
      assert.equal(await queue.nextDue(), 9000)
    })

    test('parts of a message can fare differently, be hastened and be removed', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(manyAt('A', RECIPIENTS_PER_JOB + 20, ['one.example']), [])
      const [first, second] = await queue.lease(ARRIVED, 2)
      assert.ok(first && second)
      await queue.settle(first, deferred(first, 5000))
      assert.equal(await queue.nextDue(), 5000)
      await queue.settle(second, deferred(second, 6000))
      assert.equal(await queue.retry('A', 2000), true)
      assert.equal((await queue.lease(2000, 10)).length, 2)
      assert.equal(await queue.remove('A'), true)
      assert.equal(await queue.nextDue(), null)
      assert.equal(await queue.count(), 0)
    })

    for (const [kind, name] of [
      ['message', 'A'],
      ['sender', 'a@x.example'],
      ['sender', '@x.example'],
      ['destination', 'one.example'],
    ] as const) {
      test(`a hold of a ${kind} (${name}) keeps what it names until it is lifted`, async t => {
        const { queue, reopen } = await makeEngine(t)
        const from = (id: string, localPart: string, domain: string, to: string) => {
          const message = newMessage(id, [`b@${to}`])
          return { ...message, envelope: { ...message.envelope, reversePath: { localPart, domain } } }
        }
        await queue.put(from('A', 'A', 'X.example', 'one.example'), [])
        await queue.put(from('B', 'b', 'y.example', 'two.example'), [])
        await queue.hold(hold(kind, name))
        assert.deepEqual(named(await queue.lease(2000, 10)), ['B two.example'])
        assert.equal(await queue.nextDue(), null)
        assert.deepEqual(await queue.holds(), [hold(kind, name)])
        const { held } = (await queue.get('A')) ?? {}
        assert.deepEqual(held, kind === 'destination' ? undefined : { kind, name })
        // Also what comes later, and after a restart.
        if (kind !== 'message') await queue.put(from('C', 'a', 'x.EXAMPLE', 'one.example'), [])
        const again = reopen ? await reopen() : queue
        assert.deepEqual(
          (await again.lease(2000, 10)).filter(({ message }) => message.id !== 'B'),
          [],
        )
        assert.equal(await again.retry('A', 3000), true)
        assert.deepEqual(await again.lease(3000, 10), [])
        assert.equal(await again.lift({ kind, name: 'other' }), false)
        assert.equal(await again.lift({ kind, name }), true)
        assert.equal(await again.lift({ kind, name }), false)
        assert.equal(await again.nextDue(), ARRIVED)
        const jobs = await again.lease(3000, 10)
        const expected = kind === 'message' ? ['A one.example'] : ['A one.example', 'C one.example']
        assert.deepEqual(named(jobs), expected)
        assert.equal((await again.get('A'))?.held, undefined)
        for (const job of jobs) await again.settle(job, all(job, 'delivered'))
        assert.equal(await again.get('A'), null)
      })

      test(`a hold of a ${kind} (${name}) ends by itself`, async t => {
        const { queue } = await makeEngine(t)
        const message = newMessage('A', ['b@one.example', 'b@one.example'])
        const reversePath = { localPart: 'a', domain: 'x.example' }
        await queue.put({ ...message, envelope: { ...message.envelope, reversePath } }, [])
        await queue.hold(hold(kind, name, 5000))
        assert.deepEqual(await queue.lease(4999, 10), [])
        assert.equal(await queue.nextDue(), 5000)
        assert.equal((await queue.lease(5000, 10)).length, 1)
        assert.deepEqual(await queue.holds(), [])
      })
    }

    test('a message that is held while it is on its way is not tried again', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example', 'b@two.example']), [octets(100_000)])
      const [first, second] = await queue.lease(ARRIVED, 2)
      assert.ok(first && second)
      await queue.hold(hold('message', 'A'))
      await queue.settle(first, deferred(first, 2000))
      assert.deepEqual(await queue.lease(9000, 10), [])
      assert.equal(await queue.nextDue(), null)
      await queue.settle(second, all(second, 'delivered'))
      assert.equal(await queue.lift({ kind: 'message', name: 'A' }), true)
      assert.equal(await queue.nextDue(), 2000)
      assert.equal((await queue.lease(2000, 10)).length, 1)
    })

    test('what is held can be removed, and a site is held by the scheduler', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example']), [])
      await queue.hold(hold('message', 'A'))
      assert.equal(await queue.remove('A'), true)
      assert.equal(await queue.put(newMessage('B', ['a@one.example']), []), 'queued')
      await queue.hold(hold('site', 'mx.one.example', 5000))
      assert.deepEqual(
        (await queue.holds()).map(({ kind, name }) => `${kind} ${name}`),
        ['message A', 'site mx.one.example'],
      )
      assert.equal(await queue.lift({ kind: 'message', name: 'A' }), true)
      assert.equal((await queue.lease(ARRIVED, 10)).length, 1)
    })

    const noHolds: [what: string, hold: Hold][] = [
      ['no name', hold('sender', '')],
      ['a name that is too long', hold('sender', 'x'.repeat(1025))],
      ['a time that is none', hold('message', 'A', Number.NaN)],
    ]
    for (const [what, wrong] of noHolds) {
      test(`a hold with ${what} is refused`, async t => {
        const { queue } = await makeEngine(t)
        await assert.rejects(queue.hold(wrong), RangeError)
        assert.deepEqual(await queue.holds(), [])
      })
    }

    test('a filter finds by sender, recipient, destination and age', async t => {
      const { queue } = await makeEngine(t)
      const put = (id: string, localPart: string, domain: string, to: string[], arrivedMs: number) => {
        const message = newMessage(id, to, arrivedMs)
        return queue.put(
          { ...message, envelope: { ...message.envelope, reversePath: { localPart, domain } } },
          [],
        )
      }
      await put('A', 'Ann', 'X.example', ['bob@one.example', 'Carl@two.example'], 1000)
      await put('B', 'ben', 'x.example', ['bob@two.example'], 2000)
      await put('C', 'ann', 'y.example', ['carl@one.example'], 3000)
      const message = newMessage('D', ['dora@one.example'], 4000)
      await queue.put({ ...message, envelope: { ...message.envelope, reversePath: null } }, [])
      const found = async (filter: Filter, options = {}) =>
        (await queue.list({ limit: 10, ...options, filter })).map(({ id }) => id).join('')
      assert.equal(await found({}), 'ABCD')
      assert.equal(await found({ sender: 'ann@x.example' }), 'A')
      assert.equal(await found({ sender: '@x.example' }), 'AB')
      assert.equal(await found({ sender: '@x.example' }, { limit: 1, after: 'A' }), 'B')
      assert.equal(await found({ sender: '<>' }), 'D')
      assert.equal(await found({ sender: '@example' }), '')
      assert.equal(await found({ recipient: 'carl@two.example' }), 'A')
      assert.equal(await found({ recipient: '@one.example' }), 'ACD')
      assert.equal(await found({ destination: 'two.example' }), 'AB')
      assert.equal(await found({ destination: 'one.example', recipient: 'bob@two.example' }), '')
      assert.equal(await found({ fromMs: 2000, beforeMs: 4000 }), 'BC')
      // Who has it is not looked for any more.
      const [job] = await queue.lease(1000, 1)
      assert.ok(job)
      await queue.settle(job, all(job, 'delivered'))
      assert.equal(await found({ destination: 'one.example' }), 'CD')
    })

    test('the story of a message has every attempt, and what is the same is counted', async t => {
      const { queue, reopen } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example', 'b@one.example', 'c@two.example']), [])
      assert.deepEqual(await queue.story('A'), {
        message: await queue.get('A'),
        attempts: [],
        ended: null,
      })
      assert.equal(await queue.story('B'), null)
      const told = (atMs: number, status: string): Evidence => ({ ...evidence, atMs, status, tls: 'TLSv1.3' })
      for (const [atMs, status] of [
        [1100, '4.2.1'],
        [1200, '4.2.1'],
        [1300, '4.4.1'],
      ] as const) {
        const [job] = await queue.lease(atMs, 1, destination => destination !== 'one.example')
        assert.ok(job)
        const results = job.recipients.map(
          index => ({ index, action: 'deferred', dueMs: atMs + 100 }) as const,
        )
        await queue.settle(
          job,
          results.map(result => ({ ...result, evidence: told(atMs, status) })),
        )
      }
      const again = reopen ? await reopen() : queue
      const attempt = { destination: 'one.example', action: 'deferred', recipients: [0, 1] }
      const attempts = [
        { ...told(1200, '4.2.1'), ...attempt, times: 2, sinceMs: 1100 },
        { ...told(1300, '4.4.1'), ...attempt, times: 1, sinceMs: 1300 },
      ]
      assert.deepEqual((await again.story('A'))?.attempts, attempts)
    })

    test('the story of a message that is gone is kept for some time', async t => {
      const { queue, reopen } = await makeEngine(t, { retainStoriesMs: 500 })
      await queue.put(manyAt('A', STORY_RECIPIENTS, ['one.example', 'two.example']), [])
      await queue.put(newMessage('B', ['a@one.example'], 5000), [octets(7)])
      for (const job of await queue.lease(ARRIVED, 10)) await queue.settle(job, all(job, 'delivered'))
      assert.equal(await queue.remove('B', 6000), true)
      const again = reopen ? await reopen() : queue
      const story = await again.story('A')
      assert.equal(story?.message.id, 'A')
      assert.equal(story.message.recipients.length, STORY_RECIPIENTS)
      assert.deepEqual(story.ended, { atMs: evidence.atMs, how: 'settled', recipients: 200 })
      assert.deepEqual(
        story.attempts.map(({ action, destination, recipients }) => [action, destination, recipients.length]),
        [
          ['delivered', 'one.example', 100],
          ['delivered', 'two.example', 100],
        ],
      )
      const removed = await again.story('B')
      assert.deepEqual(removed?.ended, { atMs: 6000, how: 'removed', recipients: 1 })
      assert.equal(removed.message.sizeOctets, 7)
      await again.sweep(evidence.atMs + 500)
      assert.ok(await again.story('A'))
      await again.sweep(evidence.atMs + 501)
      assert.equal(await again.story('A'), null)
      assert.ok(await again.story('B'))
    })

    test('a message comes as it was in another queue', async t => {
      const { queue } = await makeEngine(t)
      const message = newMessage('A', ['a@one.example', 'b@one.example'])
      const [first, second] = message.recipients
      assert.ok(first && second)
      const before = { attempts: 3, dueMs: 5000, delayToldMs: 2000, last: evidence }
      await queue.put({ ...message, recipients: [{ ...first, ...before }, second] }, [])
      assert.deepEqual((await queue.get('A'))?.recipients, [
        { ...first, ...before, state: 'pending' },
        { ...second, attempts: 0, dueMs: ARRIVED, state: 'pending' },
      ])
      assert.deepEqual((await leaseOne(queue, ARRIVED)).recipients, [1])
      assert.equal(await queue.nextDue(), null)
    })

    for (const action of ['delivered', 'failed', 'expanded'] as const) {
      test(`a message whose recipients are all ${action} is gone with its content`, async t => {
        const { queue } = await makeEngine(t)
        for (const [id, size] of [
          ['A', 10],
          ['B', 100_000],
        ] as const) {
          await queue.put(newMessage(id, ['a@one.example', 'b@two.example']), [octets(size)])
          const [first, second] = await queue.lease(ARRIVED, 2)
          assert.ok(first && second)
          await queue.settle(first, all(first, action))
          const half = await queue.get(id)
          assert.deepEqual(half?.recipients[0], {
            mailbox: { localPart: 'a', domain: 'one.example' },
            destination: 'one.example',
            state: action,
            attempts: 1,
            dueMs: ARRIVED,
            last: evidence,
          })
          assert.equal(half?.recipients[1]?.state, 'pending')
          assert.equal((await queue.content(id)).length, size)
          await queue.settle(second, all(second, action))
          assert.equal(await queue.get(id), null)
          await assert.rejects(queue.content(id), { code: 'gone' })
          assert.equal(await queue.count(), 0)
          assert.equal(await queue.nextDue(), null)
        }
      })
    }

    test('a deferred recipient is due later, with what it was told', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example']), [octets(3)])
      for (let attempt = 1; attempt <= 3; attempt++) {
        const nowMs = ARRIVED + (attempt - 1) * 100
        const job = await leaseOne(queue, nowMs)
        await queue.settle(job, deferred(job, nowMs + 100))
        assert.deepEqual(await queue.lease(nowMs + 99, 10), [])
        assert.equal(await queue.nextDue(), nowMs + 100)
        const { recipients } = (await queue.get('A')) ?? {}
        assert.deepEqual(
          recipients?.map(({ state, attempts, dueMs, last }) => ({ state, attempts, dueMs, last })),
          [{ state: 'pending', attempts: attempt, dueMs: nowMs + 100, last: evidence }],
        )
      }
    })

    test('that the sender was told of a delay is remembered', async t => {
      const { queue, reopen } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example']), [])
      const job = await leaseOne(queue, ARRIVED)
      await queue.settle(job, [{ index: 0, action: 'deferred', dueMs: 2000, delayToldMs: 1100, evidence }])
      const again = reopen ? await reopen() : queue
      const next = await leaseOne(again, 2000)
      assert.equal(next.message.recipients[0]?.delayToldMs, 1100)
      await again.settle(next, deferred(next, 3000))
      assert.equal((await again.get('A'))?.recipients[0]?.delayToldMs, 1100)
    })

    test('recipients of one destination can fare differently', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example', 'b@one.example', 'c@one.example']), [])
      const job = await leaseOne(queue, ARRIVED)
      await queue.settle(job, [
        { index: 0, action: 'deferred', dueMs: 3000, evidence },
        { index: 1, action: 'delivered', evidence },
        { index: 2, action: 'deferred', dueMs: 2000, evidence },
      ])
      assert.equal(await queue.nextDue(), 2000)
      const second = await leaseOne(queue, 2500)
      assert.deepEqual(second.recipients, [2])
      await queue.settle(second, all(second, 'failed'))
      assert.equal(await queue.nextDue(), 3000)
      const third = await leaseOne(queue, 3000)
      assert.deepEqual(third.recipients, [0])
      await queue.settle(third, all(third, 'delivered'))
      assert.equal(await queue.count(), 0)
    })

    test('a recipient without a result stays as it was', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example', 'b@one.example']), [])
      const job = await leaseOne(queue, ARRIVED)
      await queue.settle(job, [{ index: 1, action: 'delivered', evidence }])
      assert.deepEqual((await leaseOne(queue, ARRIVED)).recipients, [0])
    })

    test('a result for a recipient that is final changes nothing', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example', 'b@one.example', 'c@two.example']), [])
      const [job] = await queue.lease(ARRIVED, 1)
      assert.ok(job)
      const results: RecipientResult[] = [
        { index: 0, action: 'delivered', evidence },
        { index: 1, action: 'deferred', dueMs: 2000, evidence },
      ]
      await queue.settle(job, results)
      await queue.settle(job, all(job, 'failed'))
      const message = await queue.get('A')
      assert.deepEqual(
        message?.recipients.map(({ state }) => state),
        ['delivered', 'failed', 'pending'],
      )
    })

    test('a released job is due as before', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example']), [])
      const job = await leaseOne(queue, ARRIVED)
      queue.release(job)
      assert.equal(await queue.nextDue(), ARRIVED)
      assert.deepEqual(await leaseOne(queue, ARRIVED), job)
    })

    test('retry makes pending recipients due now', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example', 'b@two.example', 'c@three.example']), [])
      const [one, three] = await queue.lease(ARRIVED, 2)
      assert.ok(one && three)
      await queue.settle(one, deferred(one, 5000))
      await queue.settle(three, all(three, 'delivered'))
      assert.equal(await queue.retry('A', 2000), true)
      assert.deepEqual(
        (await queue.get('A'))?.recipients.map(({ dueMs, state }) => [dueMs, state]),
        [
          [2000, 'pending'],
          [ARRIVED, 'pending'],
          [ARRIVED, 'delivered'],
        ],
      )
      assert.deepEqual(named(await queue.lease(2000, 10)), ['A two.example', 'A one.example'])
      assert.equal(await queue.retry('B', 2000), false)
    })

    test('the outcome of a job counts, though its message was retried meanwhile', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example']), [])
      const job = await leaseOne(queue, ARRIVED)
      assert.equal(await queue.retry('A', 2000), true)
      assert.deepEqual(await queue.lease(2000, 10), [])
      await queue.settle(job, deferred(job, 5000))
      assert.equal(await queue.nextDue(), 5000)
    })

    test('a removed message is gone, also for the job that has it', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example', 'b@two.example']), [octets(100_000)])
      const job = await leaseOne(queue, ARRIVED)
      assert.equal(await queue.remove('A'), true)
      assert.equal(await queue.remove('A'), false)
      assert.equal(await queue.get('A'), null)
      assert.equal(await queue.count(), 0)
      assert.equal(await queue.nextDue(), null)
      await assert.rejects(queue.content('A'), { name: 'QueueError', code: 'gone' })
      await queue.settle(job, deferred(job, 5000))
      assert.equal(await queue.count(), 0)
      assert.equal(await queue.nextDue(), null)
    })

    test('messages are listed by id, in pages', async t => {
      const { queue } = await makeEngine(t)
      for (const id of ['C', 'A', 'a', 'B1', 'B', 'B-'])
        await queue.put(newMessage(id, ['a@one.example']), [])
      const ids = async (options: { after?: string; limit: number }) =>
        (await queue.list(options)).map(({ id }) => id)
      assert.deepEqual(await ids({ limit: 100 }), ['A', 'B', 'B-', 'B1', 'C', 'a'])
      assert.deepEqual(await ids({ limit: 2 }), ['A', 'B'])
      assert.deepEqual(await ids({ after: 'B', limit: 2 }), ['B-', 'B1'])
      assert.deepEqual(await ids({ after: 'B0', limit: 2 }), ['B1', 'C'])
      assert.deepEqual(await ids({ after: 'a', limit: 2 }), [])
      assert.deepEqual(await ids({ limit: 0 }), [])
      assert.deepEqual((await queue.list({ limit: 1 }))[0], await queue.get('A'))
    })

    test('ids and destinations that begin alike are kept apart', async t => {
      const { queue } = await makeEngine(t)
      const domains = ['a', 'a.example', 'a.example.org', 'a-b', 'é.example']
      for (const id of ['A', 'AB', 'A-', 'A_'])
        await queue.put(
          newMessage(
            id,
            domains.map(domain => `x@${domain}`),
          ),
          [],
        )
      for (const id of ['AB', 'A']) assert.equal((await queue.get(id))?.recipients.length, domains.length)
      assert.equal(await queue.remove('A'), true)
      const jobs = await queue.lease(ARRIVED, 100)
      assert.equal(jobs.length, 3 * domains.length)
      for (const job of jobs) await queue.settle(job, all(job, 'delivered'))
      assert.equal(await queue.count(), 0)
    })

    test('many at a time', async t => {
      const { queue } = await makeEngine(t)
      const ids = Array.from({ length: 200 }, (_, n) => `M${n + 1000}`)
      await Promise.all(
        ids.map((id, n) => queue.put(newMessage(id, ['a@one.example', `b@${n}.example`]), [octets(n)])),
      )
      assert.equal(await queue.count(), 200)
      const jobs = await queue.lease(ARRIVED, 1000)
      assert.equal(jobs.length, 400)
      await Promise.all(jobs.map(job => queue.settle(job, all(job, 'delivered'))))
      assert.equal(await queue.count(), 0)
    })

    test('a message for a thousand destinations', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(
        newMessage(
          'A',
          Array.from({ length: 1000 }, (_, n) => `a@${n}.example`),
        ),
        [],
      )
      const jobs = await queue.lease(ARRIVED, 10_000)
      assert.equal(jobs.length, 1000)
      const last = jobs.pop()
      assert.ok(last)
      await Promise.all(jobs.map(job => queue.settle(job, all(job, 'delivered'))))
      assert.equal((await queue.get('A'))?.recipients.filter(({ state }) => state === 'pending').length, 1)
      await queue.settle(last, all(last, 'failed'))
      assert.equal(await queue.get('A'), null)
    })

    test('a closed queue says so', async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example']), [])
      const job = await leaseOne(queue, ARRIVED)
      await queue.close()
      const calls: (() => Promise<unknown>)[] = [
        () => queue.put(newMessage('B', ['a@one.example']), []),
        () => queue.put(newMessage('B', ['a@one.example']), [octets(100_000)]),
        () => queue.lease(ARRIVED, 1),
        () => queue.settle(job, all(job, 'delivered')),
        () => queue.nextDue(),
        () => queue.content('A'),
        () => queue.get('A'),
        () => queue.list({ limit: 1 }),
        () => queue.story('A'),
        () => queue.hold(hold('message', 'A')),
        () => queue.lift({ kind: 'message', name: 'A' }),
        () => queue.holds(),
        () => queue.retry('A', ARRIVED),
        () => queue.remove('A'),
        () => queue.count(),
        () => queue.sweep(ARRIVED),
      ]
      for (const call of calls)
        await assert.rejects(call, { name: 'QueueError', code: 'closed' }, String(call))
      queue.release(job)
      await queue.close()
    })

    if (keeps === 'messages') {
      test('what was put and settled survives; leases do not', async t => {
        const { queue, reopen } = await makeEngine(t)
        assert.ok(reopen)
        await queue.put(newMessage('A', ['a@one.example', 'b@two.example']), [octets(10)])
        await queue.put(newMessage('B', ['a@one.example']), [octets(100_000)])
        await queue.put(newMessage('C', ['a@one.example']), [octets(100_000)])
        const [job, other, third] = await queue.lease(ARRIVED, 3)
        assert.ok(job && other && third)
        assert.deepEqual(named([job, other, third]), ['A one.example', 'B one.example', 'C one.example'])
        await queue.settle(job, deferred(job, 2000))
        await queue.settle(other, all(other, 'delivered'))
        const messages = await queue.list({ limit: 10 })
        const again = await reopen()
        assert.deepEqual(await again.list({ limit: 10 }), messages)
        assert.deepEqual(
          messages.map(({ id }) => id),
          ['A', 'C'],
        )
        assert.deepEqual(named(await again.lease(ARRIVED, 10)), ['C one.example', 'A two.example'])
        assert.equal(await again.nextDue(), 2000)
        assert.equal(await again.put(newMessage('B', ['a@one.example']), []), 'duplicate')
        assert.equal(Buffer.compare(await again.content('C'), octets(100_000)), 0)
      })
    }
  })
}
