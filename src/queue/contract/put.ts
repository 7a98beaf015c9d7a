/** What is put is there as it was put, once, whatever becomes of the process. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type NewMessage, WHOLE_OCTETS } from '../queue.ts'
import {
  ARRIVED,
  all,
  EXPIRES,
  evidence,
  leaseOne,
  type MakeEngine,
  named,
  newMessage,
  octets,
} from './fixture.ts'

export function putContract(makeEngine: MakeEngine): void {
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

  for (const size of [0, 10, 70_000, WHOLE_OCTETS, WHOLE_OCTETS + 1, 5 * WHOLE_OCTETS + 7]) {
    test(`content of ${size} octets is read in pieces`, async t => {
      const { queue } = await makeEngine(t)
      await queue.put(newMessage('A', ['a@one.example']), [octets(size)])
      const content = await queue.openContent('A')
      assert.equal(content.sizeOctets, size)
      const { length } = content.start
      assert.ok(length === size || (size > WHOLE_OCTETS && length > 0))
      assert.equal(Buffer.compare(content.start, octets(size).subarray(0, length)), 0)
      // In any order, also what is within the start; and when nobody else could find it any more.
      assert.equal(await queue.remove('A'), true)
      await queue.sweep(ARRIVED)
      for (const at of [0.9, 0, 0.5, 0.99].map(part => Math.floor(part * size))) {
        const target = new Uint8Array(Math.min(100_000, size - at))
        await content.read(at, target)
        assert.equal(Buffer.compare(target, octets(size).subarray(at, at + target.length)), 0, String(at))
      }
      await content.close()
      await assert.rejects(queue.openContent('A'), { code: 'gone' })
    })
  }

  for (const headerOctets of [100, 65_534, 65_536, 100_000, 300_000]) {
    test(`content begins with all of its header section, of ${headerOctets} octets`, async t => {
      const { queue } = await makeEngine(t)
      const message = Buffer.alloc(10 * WHOLE_OCTETS, 'x')
      message.write('\r\n\r\n', headerOctets - 4)
      await queue.put(newMessage('A', ['a@one.example']), [message])
      const content = await queue.openContent('A')
      t.after(() => content.close())
      const { start } = content
      assert.ok(start.length >= headerOctets && start.length < message.length / 2)
      assert.equal(Buffer.compare(start, message.subarray(0, start.length)), 0)
    })
  }

  test('an id is not queued twice', async t => {
    const { queue } = await makeEngine(t)
    const message = newMessage('A', ['a@one.example'])
    for (const size of [10, 100_000]) {
      const outcomes = await Promise.all([1, 2, 3].map(seed => queue.put(message, [octets(size, seed)])))
      assert.deepEqual(outcomes.toSorted(), ['duplicate', 'duplicate', size === 10 ? 'queued' : 'duplicate'])
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
    // It came after what is forgotten was forgotten.
    assert.equal(await queue.remove('A'), true)
    assert.equal(await queue.put(delivered, []), 'duplicate')
    await queue.sweep(ARRIVED + 501)
    assert.equal(await queue.put(delivered, []), 'queued')
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
}
