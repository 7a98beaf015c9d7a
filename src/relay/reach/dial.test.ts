/** TLS that fails on the way: what is tried next, what is remembered, and what is never done. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { startMiddlebox } from '../../../test/peers/middlebox.ts'
import { startScriptedSmtp } from '../../../test/peers/scripted-smtp.ts'
import { type Simulation, START, simulate } from '../../../test/peers/simulated-relay.ts'
import { issue, makeAuthority } from '../../cli/authority.ts'
import { TIMEOUTS } from '../../smtp/limits.ts'

const MX = await issue(await makeAuthority('x.test'), { names: ['mx.x.test'] })

const SHORT = Object.fromEntries(Object.keys(TIMEOUTS).map(key => [key, 5000])) as typeof TIMEOUTS

async function world(t: TestContext, longestHello: number) {
  const server = await startScriptedSmtp({ ehlo: ['STARTTLS'], tls: MX })
  const middlebox = await startMiddlebox(server.port, longestHello)
  const relay = simulate({
    smtpPort: middlebox.port,
    hosts: { 'mx.x.test': '127.0.0.1' },
    domains: { 'x.test': ['mx.x.test'] },
    authenticated: true,
    timeouts: SHORT,
  })
  t.after(async () => {
    relay.close()
    await middlebox.stop()
    await server.stop()
  })
  return { relay, server, middlebox }
}

const protections = ({ events }: Simulation) =>
  events.filter(({ name }) => name === 'delivered').map(({ fields }) => String(fields.tls).split(' ')[0])

test('a middlebox that stumbles over a large ClientHello: a smaller one goes through', async t => {
  const { relay, middlebox } = await world(t, 1000)
  await relay.put(['bob@x.test'])
  await relay.run(START)
  const [first = 0, second = 0] = middlebox.hellos
  assert.ok(first > 1000 && second > 0 && second <= 1000, String(middlebox.hellos))
  assert.deepEqual(protections(relay), ['TLSv1.3'])
})

test('TLS that never works: in clear text, and the next time at once so', async t => {
  const { relay, middlebox } = await world(t, 0)
  await relay.put(['bob@x.test'])
  await relay.run(START)
  assert.equal(middlebox.hellos.length, 2)
  // Past the life of the open connection.
  await relay.put(['ann@x.test'])
  relay.nowMs += 3600_000
  await relay.run(relay.nowMs)
  assert.equal(middlebox.hellos.length, 2)
  assert.deepEqual(protections(relay), ['none', 'none'])
})

test('TLS that never works, and REQUIRETLS: never in clear text', async t => {
  const { relay, server } = await world(t, 0)
  const id = await relay.put(['bob@x.test'], { requireTls: true })
  await relay.run(START)
  assert.equal(server.messages.length, 0)
  assert.match((await relay.queue.get(id))?.recipients[0]?.last?.status ?? '', /^4\.7\.10$/)
})

test('a TLS session is resumed by the next connection, within an hour', async t => {
  const { relay, middlebox } = await world(t, 100_000)
  const send = async (afterMs: number) => {
    relay.nowMs += afterMs
    await relay.put([`bob${relay.nowMs}@x.test`])
    await relay.run(relay.nowMs)
    const last = relay.events.findLast(({ name }) => name === 'delivered')
    // Past the life of the open connection.
    relay.close()
    return String(last?.fields.tls).includes('resumed')
  }
  assert.equal(await send(0), false)
  assert.equal(await send(400_000), true)
  assert.equal(await send(400_000), true)
  assert.equal(await send(3600_000), false)
  assert.equal(middlebox.hellos.length, 4)
})
