import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Channel, ChannelError } from './channel.ts'

type Sums = {
  readonly add: (numbers: readonly number[]) => number
  readonly later: (number: number) => Promise<number>
  readonly fail: (reason: string) => never
}
type News = { readonly news: (text: string) => void }

/** Two ends; what is written goes through JSON, as between processes. `writes` counts. */
function pair() {
  const writes = { toForeman: 0, toWorker: 0 }
  const copy = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
  const worker: Channel<Sums, News> = new Channel(said => {
    writes.toForeman++
    foreman.receive(copy(said))
  })
  const foreman: Channel<News, Sums> = new Channel(said => {
    writes.toWorker++
    worker.receive(copy(said))
  })
  return { worker, foreman, writes }
}

const add = (numbers: readonly number[]) => numbers.reduce((sum, number) => sum + number, 0)

test('channel: each question has its own answer, in whatever order they come', async () => {
  const { worker, foreman } = pair()
  const held: (() => void)[] = []
  foreman.on('add', add).on('later', number => new Promise(resolve => held.push(() => resolve(number))))
  const [first, second] = [worker.ask('later', 1), worker.ask('later', 2)]
  assert.equal(await worker.ask('add', [1, 2, 3]), 6)
  for (const release of held.toReversed()) release()
  assert.deepEqual(await Promise.all([second, first]), [2, 1])
})

test('channel: what is asked in one turn of the loop is one write, and so is what is answered', async () => {
  const { worker, foreman, writes } = pair()
  foreman.on('add', add)
  const sums = await Promise.all(Array.from({ length: 100 }, (_, n) => worker.ask('add', [n, 1])))
  assert.deepEqual(
    sums,
    Array.from({ length: 100 }, (_, n) => n + 1),
  )
  assert.deepEqual(writes, { toForeman: 1, toWorker: 1 })
})

test('channel: what a handler throws is thrown where it was asked', async () => {
  const { worker, foreman } = pair()
  foreman.on('fail', reason => {
    throw new RangeError(reason)
  })
  await assert.rejects(worker.ask('fail', 'no such number'), { message: 'no such number' })
})

test('channel: what is told before anybody listens is heard later, in its order', async () => {
  const { worker, foreman } = pair()
  foreman.tell('news', 'one')
  foreman.tell('news', 'two')
  await new Promise(resolve => setImmediate(resolve))
  const heard: string[] = []
  worker.on('news', text => void heard.push(text))
  foreman.tell('news', 'three')
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(heard, ['one', 'two', 'three'])
})

test('channel: who waits is told when the other end is gone, and who asks then too', async () => {
  const { worker, foreman, writes } = pair()
  let ends = 0
  worker.onEnd(() => ends++)
  foreman.on('later', () => new Promise(() => {}))
  const waiting = worker.ask('later', 1)
  worker.end()
  worker.end()
  await assert.rejects(waiting, ChannelError)
  await assert.rejects(worker.ask('add', [1]), ChannelError)
  assert.equal(ends, 1)
  await new Promise(resolve => setImmediate(resolve))
  assert.equal(writes.toForeman, 0)
})
