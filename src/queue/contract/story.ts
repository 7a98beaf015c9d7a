/** What is told of a message, also when it is gone. */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Evidence, STORY_RECIPIENTS } from '../queue.ts'
import { ARRIVED, all, evidence, type MakeEngine, manyAt, newMessage, octets } from './fixture.ts'

export function storyContract(makeEngine: MakeEngine): void {
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
      const results = job.recipients.map(index => ({ index, action: 'deferred', dueMs: atMs + 100 }) as const)
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
}
