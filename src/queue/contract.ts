/** What `queue.ts` promises, as a suite that each engine's test file runs. Times are small numbers: no engine reads a clock. */

import assert from 'node:assert/strict'
import { suite, type TestContext, test } from 'node:test'
import type { Evidence, Job, NewMessage, Queue, RecipientResult } from './queue.ts'

export interface EngineOptions {
  readonly retainIdsMs?: number
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
      assert.deepEqual(jobs[0]?.message, await queue.get('A'))
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
