/** What one attempt tells of a site, and what the next ones make of it: against a server that says what the test wants. */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type ScriptedSmtp, type SmtpScript, startScriptedSmtp } from '../../test/peers/scripted-smtp.ts'
import {
  recipient,
  type Simulation,
  type SimulationOptions,
  START,
  simulate,
} from '../../test/peers/simulated-relay.ts'
import { QueueError } from '../queue/queue.ts'
import { SUPPRESSED, type Suppression } from './suppression.ts'

const MINUTE_MS = 60_000

/** Two domains at one server, one at an address where nobody listens. */
async function world(
  t: TestContext,
  script: SmtpScript,
  options: Partial<SimulationOptions> = {},
): Promise<{ relay: Simulation; server: ScriptedSmtp }> {
  const server = await startScriptedSmtp(script)
  const relay = simulate({
    smtpPort: server.port,
    hosts: { 'mx.x.test': '127.0.0.1', 'dead.test': '127.0.0.99' },
    domains: { 'x.test': ['mx.x.test'], 'y.test': ['mx.x.test'], 'z.test': ['dead.test'] },
    ...options,
  })
  t.after(async () => {
    relay.close()
    await server.stop()
  })
  return { relay, server }
}

/** `minutes after the start: event recipients`. */
const story = ({ events }: Simulation, names = ['delivered', 'deferred', 'bounced']) =>
  events.flatMap(({ name, fields }) =>
    names.includes(name) ? [`${name} ${fields.category ?? fields.status}`] : [],
  )

test('attempt: a host that blocks us bounces nothing, and is left alone for an hour with all its domains', async t => {
  let blocked = true
  const { relay, server } = await world(t, {
    reply: line =>
      blocked && line.startsWith('RCPT')
        ? '554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.example.net'
        : undefined,
  })
  const first = await relay.put(['bob@x.test'])
  await relay.run(START)
  const second = await relay.put(['ann@y.test'])
  await relay.run(START + MINUTE_MS)
  assert.deepEqual(story(relay), ['deferred blocked', 'deferred 4.4.1'])
  assert.equal(server.sessions.length, 1)
  assert.deepEqual(relay.notices, [])
  const alarm = relay.events.find(({ name }) => name === 'alarm')
  assert.match(String(alarm?.fields.advice), /ask for delisting/)
  const why = (await relay.queue.get(second))?.recipients[0]?.last?.diagnostic
  assert.match(why ?? '', /^Not tried: mx\.x\.test since 2\d{3}-.*: 554 5\.7\.1 .*blocked using/)
  blocked = false
  await relay.run(START + 5 * 60 * MINUTE_MS)
  assert.equal(await relay.queue.get(first), null)
  assert.equal(await relay.queue.get(second), null)
  assert.equal(server.messages.length, 2)
})

test('attempt: a greylist is heeded when it names a time', async t => {
  let attempts = 0
  const { relay } = await world(t, {
    reply: line =>
      line.startsWith('RCPT') && attempts++ === 0
        ? '450 4.7.1 You are greylisted for 120 seconds'
        : undefined,
  })
  const id = await relay.put(['bob@x.test'])
  await relay.run(START)
  const due = (await relay.queue.get(id))?.recipients[0]?.dueMs ?? 0
  assert.equal(due, START + 126_000)
  await relay.run(due)
  assert.deepEqual(story(relay), ['deferred greylisted', 'delivered 2.0.0'])
})

test('attempt: a site whose hosts do not answer is closed after a window of failures, others are not', async t => {
  const { relay } = await world(t, {})
  for (let i = 0; i < 7; i++) await relay.put([`bob${i}@z.test`])
  await relay.put(['bob@x.test'])
  await relay.run(START)
  const sites = relay.events.filter(({ name }) => name === 'site')
  assert.equal(sites.length, 1)
  assert.equal(sites[0]?.fields.site, 'dead.test')
  const tried = relay.events.filter(({ name, fields }) => name === 'attempt' && fields.failed !== undefined)
  assert.equal(tried.length, 5)
  assert.equal(story(relay).filter(event => event === 'deferred 4.4.1').length, 7)
  assert.ok(story(relay).includes('delivered 2.0.0'))
})

test('attempt: a recipient who is refused says nothing of the site', async t => {
  const { relay } = await world(t, {
    reply: line => (line.startsWith('RCPT') ? '550 5.1.1 No such user' : undefined),
  })
  for (let i = 0; i < 10; i++) await relay.put([`nobody${i}@x.test`])
  await relay.run(START)
  assert.deepEqual(
    relay.events.filter(({ name }) => name === 'site'),
    [],
  )
  assert.equal(story(relay).filter(event => event === 'bounced bad-address').length, 10)
})

test('attempt: a connection is used again for another domain at the same hosts', async t => {
  const { relay, server } = await world(t, {})
  await relay.put(['bob@x.test'])
  await relay.put(['ann@y.test'])
  await relay.run(START)
  assert.equal(server.messages.length, 2)
  assert.equal(server.sessions.length, 1)
})

test('attempt: of all sites together so many connections wait for work, and the one used last stays', async t => {
  const server = await startScriptedSmtp()
  const names = ['a', 'b', 'c']
  const relay = simulate({
    smtpPort: server.port,
    hosts: Object.fromEntries(names.map(name => [`mx.${name}.test`, '127.0.0.1'])),
    domains: Object.fromEntries(names.map(name => [`${name}.test`, [`mx.${name}.test`]])),
    mostIdle: 2,
  })
  t.after(async () => {
    relay.close()
    await server.stop()
  })
  const sessionsAfter = async (domain: string) => {
    await relay.put([`bob@${domain}.test`])
    await relay.run(START)
    return server.sessions.length
  }
  const sessions: number[] = []
  for (const domain of ['a', 'b', 'c', 'b', 'a', 'b', 'c']) sessions.push(await sessionsAfter(domain))
  // The third closes that of a; a again that of c, for b was used since.
  assert.deepEqual(sessions, [1, 2, 3, 3, 4, 4, 5])
})

async function suppressed({ suppressions }: Simulation): Promise<Suppression[]> {
  const all: Suppression[] = []
  for await (const one of suppressions.list()) all.push(one)
  return all
}

test('attempt: an address that does not exist is not written to again, by the same domain, for a while', async t => {
  const { relay, server } = await world(t, {
    reply: line => (line.startsWith('RCPT TO:<nobody@') ? '550 5.1.1 No such user' : undefined),
  })
  await relay.put(['nobody@x.test', 'bob@x.test'])
  await relay.run(START)
  const found = await suppressed(relay)
  assert.deepEqual(
    found.map(({ recipient, category, reason }) => [recipient, category, reason]),
    [['nobody@x.test', 'bad-address', '550 5.1.1 No such user']],
  )
  assert.equal(found[0]?.untilMs, START + 30 * 24 * 60 * MINUTE_MS)
  await relay.put([{ ...recipient('Nobody@x.test'), destination: SUPPRESSED }, 'ann@x.test'])
  await relay.run(START)
  assert.equal(server.sessions.flat().filter(line => /nobody/i.test(line)).length, 1)
  const notice = relay.notices.at(-1)?.text ?? ''
  assert.match(notice, /^Status: 5\.7\.1\r$/m)
  assert.match(notice, /Mail to this address could not be delivered before/)
  assert.match(notice, /^Diagnostic-Code: x-ptt; nobody@x\.test is not written to from 2026-01-05/m)
})

test('attempt: what we conclude of DNS suppresses nobody', async t => {
  const { relay } = await world(t, {})
  await relay.put(['bob@nowhere.test'])
  await relay.run(START)
  assert.equal(relay.notices.length, 1)
  assert.deepEqual(await suppressed(relay), [])
})

test('attempt: what waits for a domain that cannot be found is put off some at a time', async t => {
  let asking = 0
  let most = 0
  const { relay } = await world(
    t,
    {},
    {
      atOnce: 100,
      resolver: {
        async mx() {
          most = Math.max(most, ++asking)
          await new Promise(setImmediate)
          asking--
          return { kind: 'failure', code: 'SERVFAIL', reason: 'no server answers' }
        },
        addresses: () => assert.fail('there is no host'),
        query: () => assert.fail('there is no host'),
      },
    },
  )
  for (let i = 0; i < 100; i++) await relay.put([`bob${i}@x.test`])
  await relay.run(START)
  assert.equal(story(relay).filter(event => event === 'deferred 4.4.3').length, 100)
  assert.equal(most, 5, 'at a time, and at first one')
})

test('attempt: an MX in a private network is refused, unless it is allowed', async t => {
  const server = await startScriptedSmtp()
  const world = {
    smtpPort: server.port,
    hosts: { 'mx.x.test': '127.0.0.1' },
    domains: { 'x.test': ['mx.x.test'] },
  }
  const relay = simulate({ ...world, privateNetworks: ['10.0.0.0/8'] })
  t.after(async () => {
    relay.close()
    await server.stop()
  })
  await relay.put(['bob@x.test'])
  await relay.run(START)
  assert.equal(server.sessions.length, 0)
  assert.match(relay.notices[0]?.text ?? '', /Status: 5\.4\.4\r\n/)
  assert.match(relay.notices[0]?.text ?? '', /no address on the Internet: 127\.0\.0\.1/)
})

test('attempt: content that cannot be read to its end is sent to nobody as if it were whole', async t => {
  const failing = { reads: 0, after: 1 }
  const content = `Subject: long\r\n\r\n${'A line of it.\r\n'.repeat(100_000)}`
  const { relay, server } = await world(
    t,
    {},
    {
      content,
      around: queue => {
        const openContent = queue.openContent.bind(queue)
        queue.openContent = async id => {
          const { read, ...content } = await openContent(id)
          return {
            ...content,
            async read(at, target) {
              if (failing.reads++ >= failing.after) throw new QueueError('io', 'EIO: read')
              await read(at, target)
            },
          }
        }
        return queue
      },
    },
  )
  const id = await relay.put(['bob@x.test'])
  await relay.run(START)
  assert.deepEqual(story(relay), ['deferred 4.3.0'])
  assert.equal(server.messages.length, 0)
  const alarm = relay.events.find(({ name }) => name === 'alarm')
  assert.deepEqual([alarm?.fields.about, alarm?.fields.id], ['spool', id])
  assert.match(String(alarm?.fields.error), /EIO/)
  assert.match((await relay.queue.get(id))?.recipients[0]?.last?.diagnostic ?? '', /cannot be read/)
  failing.after = Number.POSITIVE_INFINITY
  await relay.run(START + 60 * MINUTE_MS)
  assert.deepEqual(story(relay), ['deferred 4.3.0', 'delivered 2.0.0'])
  assert.equal(server.messages.length, 1)
  assert.ok(server.messages.includes(content))
})
