/** What is queued can be found. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Filter } from '../queue.ts'
import { ARRIVED, all, type MakeEngine, newMessage } from './fixture.ts'

export function listContract(makeEngine: MakeEngine): void {
  test('messages are listed by id, in pages', async t => {
    const { queue } = await makeEngine(t)
    for (const id of ['C', 'A', 'a', 'B1', 'B', 'B-']) await queue.put(newMessage(id, ['a@one.example']), [])
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

  test('a search comes to the end of the queue, a step at a time', async t => {
    const { queue } = await makeEngine(t)
    const many = Array.from({ length: 300 }, (_, n) => `u${n}@one.example`)
    for (let n = 0; n < 30; n++)
      await queue.put(newMessage(`M${n + 100}`, n % 10 === 0 ? many : [`a@${n % 3}.example`]), [])
    for (const limit of [1, 4, 100])
      for (const [filter, count] of [
        [{}, 30],
        [{ destination: 'one.example' }, 3],
        [{ recipient: 'U299@ONE.example' }, 3],
        [{ recipient: '@2.example' }, 9],
        [{ destination: '2.example', sender: '@example.org' }, 9],
        [{ destination: '2.example', sender: '@example' }, 0],
      ] as const) {
        const ids: string[] = []
        let after: string | undefined
        for (;;) {
          const found = await queue.search({ limit, filter, ...(after === undefined ? {} : { after }) })
          assert.ok(found.messages.length <= limit)
          ids.push(...found.messages.map(({ id }) => id))
          if (found.after === null) break
          after = found.after
        }
        assert.equal(ids.length, count, JSON.stringify(filter))
        assert.deepEqual(ids, [...new Set(ids)].toSorted())
      }
  })

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
    assert.equal(await found({ destination: 'o.*e.example' }), '')
    assert.equal(await found({ recipient: '@TWO.example' }), 'AB')
    // Who has it is not looked for any more.
    const [job] = await queue.lease(1000, 1)
    assert.ok(job)
    await queue.settle(job, all(job, 'delivered'))
    assert.equal(await found({ destination: 'one.example' }), 'CD')
  })

  test('a filter finds what is not ASCII, and among many recipients', async t => {
    const { queue } = await makeEngine(t)
    const many = Array.from({ length: 90 }, (_, n) => `${'x'.repeat(60)}${n}@É${'y'.repeat(200)}.example`)
    for (const [id, mailboxes] of [
      ['A', ['a@é.example']],
      ['B', ['a@e.example']],
      // The sign of the kelvin, which is a k in lower case.
      ['C', ['a@\u212A.example']],
      ['D', [...many, 'a@last.example']],
      ['E', many],
    ] as const)
      await queue.put(newMessage(id, mailboxes), [])
    const found = async (filter: Filter) =>
      (await queue.list({ limit: 10, filter })).map(({ id }) => id).join('')
    assert.equal(await found({ recipient: '@É.example' }), 'A')
    assert.equal(await found({ destination: 'é.example' }), 'A')
    assert.equal(await found({ recipient: '@k.example' }), 'C')
    assert.equal(await found({ recipient: '@last.example' }), 'D')
    assert.equal(await found({ recipient: many[88] ?? '' }), 'DE')
    assert.equal(await found({ sender: '@Example.org' }), 'ABCDE')
    assert.equal(await found({ sender: '@exampl.org' }), '')
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
}
