/**
 * Servers that stall, close, reset, dribble, chatter and say 421, in each state of a session: nothing is lost, nothing is
 * called delivered that was not taken, nothing bounces, and the next attempt at a server that behaves again delivers.
 */

import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { type Rudeness, STATES, type State, startRudeSmtp } from '../../test/peers/rude-smtp.ts'
import { HOUR_MS, START, simulate } from '../../test/peers/simulated-relay.ts'
import { TIMEOUTS } from '../smtp/limits.ts'

/** What a peer may take of our time in this test. */
const SHORT_MS = 300
const SHORT = Object.fromEntries(Object.keys(TIMEOUTS).map(key => [key, SHORT_MS])) as typeof TIMEOUTS

const stall: Rudeness = () => {}
const close: Rudeness = socket => socket.end()
const reset: Rudeness = socket => socket.resetAndDestroy()
const farewell: Rudeness = socket => socket.end('421 4.3.2 rude.test closing\r\n')
const nonsense: Rudeness = socket => socket.write('what?\r\nHTTP/1.1 200 OK\r\n')
/** 100 KB in one reply of 25 lines that never ends. */
const chatter: Rudeness = socket => {
  for (let i = 0; i < 25; i++) socket.write(`250-${'x'.repeat(4000)}\r\n`)
}
const endlessLine: Rudeness = socket => socket.write('2'.repeat(100_000))

const rude: [what: string, rudeness: Rudeness][] = [
  ['stalls', stall],
  ['closes', close],
  ['resets', reset],
  ['says 421 and closes', farewell],
  ['talks nonsense', nonsense],
  ['sends a reply of 100 KB', chatter],
  ['sends a line that does not end', endlessLine],
]

/** In turns of the loop: octet by octet, and the lines apart. */
function dribble(socket: Socket, text: string): void {
  const [first, ...rest] = text
  if (first === undefined || socket.destroyed) return
  socket.write(first, () => setImmediate(() => dribble(socket, rest.join(''))))
}

async function world(t: TestContext, state: State, rudeness: Rudeness, times: number) {
  const server = await startRudeSmtp(state, rudeness, { times })
  const relay = simulate({
    smtpPort: server.port,
    hosts: { 'mx.x.test': '127.0.0.1' },
    domains: { 'x.test': ['mx.x.test'] },
    timeouts: SHORT,
  })
  t.after(async () => {
    relay.close()
    await server.stop()
  })
  return { relay, server }
}

for (const state of STATES) {
  suite(`rude at ${state}`, () => {
    for (const [what, rudeness] of rude) {
      test(`${what}: it waits, and is delivered when the server behaves`, async t => {
        const { relay, server } = await world(t, state, rudeness, 1)
        const id = await relay.put(['bob@x.test'])
        await relay.run(START)
        const recipient = (await relay.queue.get(id))?.recipients[0]
        assert.equal(recipient?.state, 'pending', recipient?.last?.diagnostic)
        assert.match(recipient?.last?.status ?? '', /^4\./)
        assert.deepEqual(relay.notices, [])
        await relay.run(START + HOUR_MS)
        assert.equal(await relay.queue.get(id), null)
        // Where it was rude after the content, it has it twice: whether it took the first is not known.
        assert.equal(server.messages.length, state === 'content' ? 2 : 1)
        assert.deepEqual(relay.notices, [])
      })
    }

    test('says its reply octet by octet: that is allowed', async t => {
      const { relay, server } = await world(t, state, (socket, usual) => dribble(socket, `${usual}\r\n`), 1)
      await relay.put(['bob@x.test'])
      await relay.run(START)
      assert.equal(server.messages.length, 1)
    })

    test('says its reply in a hundred lines: that is allowed', async t => {
      const lines = (socket: Socket, usual: string) =>
        socket.write(`${`${usual.slice(0, 3)}-${usual.slice(4)}\r\n`.repeat(99)}${usual}\r\n`)
      const { relay, server } = await world(t, state, lines, 1)
      await relay.put(['bob@x.test'])
      await relay.run(START)
      assert.equal(server.messages.length, 1)
    })
  })
}

test('a server that is rude for five days: the sender is told of the delay, and at the end of the failure', async t => {
  const { relay, server } = await world(t, 'MAIL', close, Number.POSITIVE_INFINITY)
  await relay.put(['bob@x.test'])
  await relay.run()
  const actions = relay.notices.map(({ atMs, text }) => [
    Math.round((atMs - START) / HOUR_MS),
    /^Action: (\w+)/m.exec(text)?.[1],
    /^Status: (\S+)/m.exec(text)?.[1],
  ])
  assert.deepEqual(actions, [
    [4, 'delayed', '4.4.2'],
    [120, 'failed', '5.4.7'],
  ])
  assert.equal(await relay.queue.count(), 0)
  // 5, 10, 20, 40 minutes, 1, 2, then every 4 hours, the warning and the end: 36 attempts in five days.
  assert.ok(server.connections() > 30 && server.connections() < 40, String(server.connections()))
})
