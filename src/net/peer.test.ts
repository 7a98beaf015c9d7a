import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONTENT, ENVELOPE, hop } from '../../test/peers/hop.ts'
import { type Reply, reply } from '../smtp/reply.ts'

const never = (): Promise<Reply> => new Promise(() => {})

test('a peer that is there answers for itself', async t => {
  const { peer } = await hop(t, async () => reply(250, '2.0.0', 'Queued'))
  assert.equal((await peer.deliver(ENVELOPE, CONTENT)).lines[0], 'Queued')
})

test('of a message that a peer never had nothing is kept', async t => {
  const { peer, listener } = await hop(t, never)
  await listener.close(0)
  const answer = await peer.deliver(ENVELOPE, CONTENT)
  assert.deepEqual([answer.code, answer.status], [451, '4.4.1'])
  assert.match(answer.lines.join(' '), /nothing was kept/)
})

test('a message whose answer was lost may have been kept', async t => {
  const { peer } = await hop(t, async (_, breakOff) => {
    breakOff()
    return never()
  })
  const answer = await peer.deliver(ENVELOPE, CONTENT)
  assert.deepEqual([answer.code, answer.status], [451, '4.4.2'])
  assert.match(answer.lines.join(' '), /may have been kept/)
  assert.doesNotMatch(answer.lines.join(' '), /nothing was kept/)
})

test('the same of one in pieces, once the last of them is sent', async t => {
  const { peer } = await hop(t, async (_, breakOff) => {
    breakOff()
    return never()
  })
  const outgoing = await peer.begin(ENVELOPE)
  assert.ok('finish' in outgoing)
  await outgoing.send(CONTENT)
  assert.match((await outgoing.finish(CONTENT)).lines.join(' '), /may have been kept/)
})

test('a connection is used again until its time is over: a worker that came later gets its part', async t => {
  const taken = async () => reply(250, '2.0.0', 'Taken')
  const kept = await hop(t, taken)
  for (let times = 0; times < 3; times++) assert.equal((await kept.peer.deliver(ENVELOPE, CONTENT)).code, 250)
  assert.equal(kept.sessions(), 1)
  const old = await hop(t, taken, { connectionAgeMs: 0, maxConnections: 1 })
  for (let times = 0; times < 3; times++) assert.equal((await old.peer.deliver(ENVELOPE, CONTENT)).code, 250)
  assert.equal(old.sessions(), 3)
})
