/**
 * The relay against receivers we did not write, at their worst: smtp-sink with its faults, a Postfix that greylists, delays and
 * answers storms of 4xx, an Exim that defers. The clock jumps; the sockets are real.
 */

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { suite, type TestContext, test } from 'node:test'
import { TIMEOUTS } from '../../src/smtp/limits.ts'
import { startExim } from '../peers/exim.ts'
import { needExim } from '../peers/exim-program.ts'
import { awaitMessages } from '../peers/maildir.ts'
import { need } from '../peers/need.ts'
import { needPostfix, startPostfix } from '../peers/postfix.ts'
import { HOUR_MS, type Simulation, START, simulate } from '../peers/simulated-relay.ts'
import { startSmtpSink } from '../peers/smtp-sink.ts'

const SHORT = Object.fromEntries(Object.keys(TIMEOUTS).map(key => [key, 1500])) as typeof TIMEOUTS

function relayTo(t: TestContext, port: number, timeouts = TIMEOUTS): Simulation {
  const relay = simulate({
    smtpPort: port,
    hosts: { 'mx.internet.test': '127.0.0.1' },
    domains: { 'internet.test': ['mx.internet.test'] },
    timeouts,
  })
  t.after(() => relay.close())
  return relay
}

const of = ({ events }: Simulation, name: string) => events.filter(event => event.name === name)

suite('smtp-sink with faults', () => {
  const faults: [what: string, args: string[], outcome: 'waits' | 'fails' | 'is delivered'][] = [
    ['refuses MAIL for now', ['-r', 'MAIL'], 'waits'],
    ['refuses RCPT for now', ['-r', 'RCPT'], 'waits'],
    ['refuses DATA for now', ['-r', 'DATA'], 'waits'],
    ['refuses the message for now', ['-r', '.'], 'waits'],
    ['refuses MAIL', ['-f', 'MAIL'], 'fails'],
    ['refuses RCPT', ['-f', 'RCPT'], 'fails'],
    ['refuses DATA', ['-f', 'DATA'], 'fails'],
    ['refuses the message', ['-f', '.'], 'fails'],
    ['hangs up after EHLO', ['-q', 'EHLO'], 'waits'],
    ['hangs up after MAIL', ['-q', 'MAIL'], 'waits'],
    ['hangs up after RCPT', ['-q', 'RCPT'], 'waits'],
    ['hangs up after DATA', ['-q', 'DATA'], 'waits'],
    ['hangs up after the message', ['-q', '.'], 'waits'],
    ['says 421 and hangs up after MAIL', ['-Q', 'MAIL'], 'waits'],
    ['says 421 and hangs up after the message', ['-Q', '.'], 'waits'],
    ['takes its time at each command', ['-W', 'connect:1', '-W', '.:1'], 'is delivered'],
    ['takes too long for the message', ['-W', '.:30'], 'waits'],
    ['has no ESMTP', ['-e'], 'is delivered'],
    ['has no PIPELINING', ['-p'], 'is delivered'],
    ['has 8BITMIME not', ['-8'], 'is delivered'],
  ]
  for (const [what, args, outcome] of faults) {
    test(`it ${what}: the message ${outcome}`, async t => {
      if (!need(t, 'smtp-sink')) return
      const sink = await startSmtpSink({ args })
      t.after(() => sink.stop())
      const relay = relayTo(t, sink.port, what.startsWith('takes its') ? TIMEOUTS : SHORT)
      const id = await relay.put(['bob@internet.test'])
      await relay.run(START)
      const recipient = (await relay.queue.get(id))?.recipients[0]
      switch (outcome) {
        case 'waits':
          assert.equal(recipient?.state, 'pending')
          assert.match(recipient?.last?.status ?? '', /^4\./)
          assert.deepEqual(relay.notices, [])
          return
        case 'fails':
          assert.equal(recipient, undefined)
          assert.equal(relay.notices.length, 1)
          return
        case 'is delivered':
          assert.equal(recipient, undefined)
          assert.deepEqual(relay.notices, [])
          assert.equal(sink.messages().length, 1)
          return
        default:
          outcome satisfies never
      }
    })
  }
})

/** Postfix's policy protocol (SMTPD_POLICY_README): what `decide` says of the n-th request. */
async function startPolicy(t: TestContext, decide: (request: number) => string): Promise<number> {
  let requests = 0
  const server = createServer(socket => {
    let received = ''
    socket.on('error', () => {})
    socket.on('data', text => {
      received += text
      for (let end = received.indexOf('\n\n'); end >= 0; end = received.indexOf('\n\n')) {
        received = received.slice(end + 2)
        socket.write(`action=${decide(requests++)}\n\n`)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return (server.address() as AddressInfo).port
}

suite('Postfix', () => {
  const restricted = (policy: number) => ({
    smtpd_recipient_restrictions: `check_policy_service inet:127.0.0.1:${policy}`,
    smtpd_client_connection_rate_limit: '0',
  })

  test('greylists: the message comes again when it may, and is taken', async t => {
    if (!needPostfix(t)) return
    const policy = await startPolicy(t, n =>
      n === 0 ? 'DEFER_IF_PERMIT Greylisted, please come back in 00:05:00' : 'DUNNO',
    )
    const postfix = await startPostfix({ parameters: restricted(policy) })
    t.after(() => postfix.stop())
    const relay = relayTo(t, postfix.port)
    const id = await relay.put(['bob@internet.test'])
    await relay.run(START)
    const recipient = (await relay.queue.get(id))?.recipients[0]
    assert.equal(recipient?.last?.category, 'greylisted', recipient?.last?.diagnostic)
    assert.equal(recipient?.dueMs, START + 315_000)
    await relay.run(recipient.dueMs)
    await awaitMessages(postfix.maildir, 1)
    assert.deepEqual(relay.notices, [])
  })

  test('a storm of 4xx: all of a hundred messages arrive, each once', async t => {
    if (!needPostfix(t)) return
    // Two out of three are put off, whoever they are for.
    const policy = await startPolicy(t, n =>
      n % 3 === 2 ? 'DUNNO' : 'DEFER_IF_PERMIT 4.3.0 Try again later',
    )
    const postfix = await startPostfix({ parameters: restricted(policy) })
    t.after(() => postfix.stop())
    const relay = relayTo(t, postfix.port)
    for (let n = 0; n < 100; n++) await relay.put([`bob${n}@internet.test`])
    await relay.run(START + 100 * HOUR_MS)
    assert.equal(await relay.queue.count(), 0)
    const arrived = await awaitMessages(postfix.maildir, 100)
    const whom = arrived.map(({ octets }) => /^X-Original-To: (\S+)/m.exec(octets.toString('latin1'))?.[1])
    assert.equal(new Set(whom).size, 100)
    assert.deepEqual(
      relay.notices.filter(({ text }) => /^Action: failed/m.test(text)),
      [],
    )
  })

  test('delays its greeting and its replies, as postscreen does: the session holds', async t => {
    if (!needPostfix(t)) return
    const postfix = await startPostfix({
      parameters: {
        smtpd_client_restrictions: 'sleep 2',
        smtpd_delay_reject: 'no',
        smtpd_error_sleep_time: '1s',
      },
    })
    t.after(() => postfix.stop())
    const relay = relayTo(t, postfix.port)
    await relay.put(['bob@internet.test'])
    await relay.run(START)
    await awaitMessages(postfix.maildir, 1)
  })

  test('turns us away by our address: nothing bounces, and it is left alone', async t => {
    if (!needPostfix(t)) return
    const postfix = await startPostfix({
      parameters: {
        smtpd_client_restrictions: 'check_client_access static:{reject 5.7.1 blocked using bl.example.net}',
      },
    })
    t.after(() => postfix.stop())
    const relay = relayTo(t, postfix.port)
    await relay.put(['bob@internet.test'])
    await relay.put(['ann@internet.test'])
    await relay.run(START)
    assert.deepEqual(relay.notices, [])
    assert.equal(of(relay, 'alarm').length, 1)
    assert.equal(of(relay, 'deferred').length, 2)
    assert.match(String(of(relay, 'deferred')[1]?.fields.reply), /^Not tried: mx\.internet\.test since/)
  })

  test('takes few recipients at a time: the others come in the next transactions', async t => {
    if (!needPostfix(t)) return
    const postfix = await startPostfix({ parameters: { smtpd_recipient_limit: '10' } })
    t.after(() => postfix.stop())
    const relay = relayTo(t, postfix.port)
    await relay.put(Array.from({ length: 35 }, (_, n) => `bob${n}@internet.test`))
    await relay.run(START)
    assert.equal(await relay.queue.count(), 0)
    assert.equal(of(relay, 'delivered').flatMap(({ fields }) => fields.recipients).length, 35)
  })
})

suite('Exim', () => {
  test('defers at RCPT, then takes it', async t => {
    if (!needExim(t)) return
    const exim = await startExim({
      rcptAcl: `defer message = Try again later\n  condition = \${if eq{$local_part}{later}}`,
    })
    t.after(() => exim.stop())
    const relay = relayTo(t, exim.port)
    const id = await relay.put(['later@internet.test', 'bob@internet.test'])
    await relay.run(START)
    const states = (await relay.queue.get(id))?.recipients.map(({ state }) => state)
    assert.deepEqual(states, ['pending', 'delivered'])
    await awaitMessages(exim.maildir, 1)
    assert.deepEqual(relay.notices, [])
  })
})
