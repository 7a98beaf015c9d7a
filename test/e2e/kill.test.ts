/**
 * `kill -9` at any moment. The promise (RFC 5321 §6.1): what was answered 250 is delivered, or its sender is told. A message
 * may arrive twice only where it was on its way at a kill, for then nobody knows whether it arrived.
 */

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { JOURNAL_STEPS, STEPS } from '../../src/queue/embedded/step.ts'
import { killedAt } from '../crash/kill-at-step.ts'
import { verifyWithMailauth } from '../peers/mailauth.ts'
import { need } from '../peers/need.ts'
import { freePort } from '../peers/port.ts'
import { type SmtpSink, startSmtpSink } from '../peers/smtp-sink.ts'
import { sinkPart } from './arrival.ts'
import { type Deployment, DOMAIN, deploy, type Happening, type ServiceName, USER } from './deployment.ts'
import { type Acknowledgement, PersistentClient } from './persistent-client.ts'
import { type ServiceProcess, startProcess } from './service-process.ts'

/** Jobs at a time to one destination: what can be on its way to it at a kill. */
const CONCURRENCY = 5
const CLIENTS = 4
/** How often the relay is killed at random; a long run has hundreds: `PTT_KILLS=200`. */
const KILLS = Number(process.env.PTT_KILLS ?? 12)
const BOB = 'bob@internet.test'
const NOBODY = 'nobody@refusing.internet.test'

/** xorshift32: the same moments are chosen each time, as far as a machine has the same moments twice. */
function seeded(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

/** Every tenth is so long that its content is a file of the spool. */
function bodyOf(n: number): string {
  const line = `Line of message ${n}, as long as lines are.\r\n`
  return line.repeat(n % 10 === 9 ? 2500 : 1 + (n % 30))
}

/** Every seventh cannot be delivered. */
const recipientOf = (n: number): string => (n % 7 === 6 ? NOBODY : BOB)

const messageOf = (n: number, to: string): string =>
  `From: ${USER}\r\nTo: ${to}\r\nSubject: message ${n}\r\n\r\n${bodyOf(n)}`

interface Arrived {
  /** Of each message: the id of every copy. */
  readonly messages: ReadonlyMap<number, readonly string[]>
  /** Of each message that could not be delivered: the id of every copy of the notice. */
  readonly notices: ReadonlyMap<number, readonly string[]>
  readonly octets: readonly Buffer[]
}

/** What smtp-sink has. Each copy is whole. */
function arrivals(sink: SmtpSink): Arrived {
  const messages = new Map<number, string[]>()
  const notices = new Map<number, string[]>()
  const octets = sink.messages().map(sinkPart)
  for (const arrived of octets) {
    const text = arrived.toString('latin1')
    const n = Number(/^Subject: message (\d+)\r$/m.exec(text)?.[1])
    const isNotice = text.includes('multipart/report')
    // A notice has no Received of ours before that of the message it returns; its Message-ID has its id.
    const id = (isNotice ? /^Message-ID: <(\w{26})@/m : /^(?:Received:|[ \t]).*\bid (\w{26})\b/m).exec(
      text,
    )?.[1]
    assert.ok(id !== undefined, text)
    if (!isNotice) assert.equal(text.slice(text.indexOf('\r\n\r\n') + 4), bodyOf(n), `message ${n} is whole`)
    const ids = isNotice ? notices : messages
    ids.set(n, [...(ids.get(n) ?? []), id])
  }
  return { messages, notices, octets }
}

test('acknowledged, killed, started again: each is delivered once', async t => {
  if (!need(t, 'smtp-sink')) return
  const port = await freePort()
  const deployment = await deploy(t, {
    services: [],
    smtpPort: port,
    toml: { relay: ['retry = ["200ms"]', `concurrency = ${CONCURRENCY}`] },
  })
  const relay = startProcess(t, deployment, 'relay')
  await relay.started
  for (const name of ['signer', 'submission'] as const) await deployment.start(name)
  const client = new PersistentClient(deployment)
  t.after(() => client.close())
  const acknowledged: Acknowledgement[] = []
  for (let n = 0; n < 20; n++) {
    acknowledged.push(await client.send(messageOf(n, BOB), BOB))
  }
  await deployment.event('deferred')
  await relay.kill()
  assert.ok(!deployment.events.some(({ name }) => name === 'delivered'))

  const sink = await startSmtpSink({ port })
  t.after(() => sink.stop())
  const again = startProcess(t, deployment, 'relay')
  assert.equal((await again.started).fields.queued, 20)
  for (const { id } of acknowledged) await deployment.event('delivered', ({ fields }) => fields.id === id)
  // It ends only when all that is under way is settled.
  await again.stop()
  assert.deepEqual(
    [...arrivals(sink).messages].toSorted(([a], [b]) => a - b),
    acknowledged.map(({ id }, n) => [n, [id]]),
  )
  const empty = startProcess(t, deployment, 'relay')
  assert.equal((await empty.started).fields.queued, 0)
})

test('the relay is killed again and again while mail comes in', async t => {
  const random = seeded(9127)
  await siegeOfRelay(t, async lives => {
    for (let kills = 0; kills < KILLS; kills++) {
      const life = lives.begin()
      // Mostly in the middle of its work; sometimes as soon as it runs, or before it does.
      if (random(4) > 0) await life.heard(10 + random(30))
      await pause(random(20))
      await life.kill()
    }
  })
})

test('the relay is killed at each step of its spool while mail comes in', async t => {
  const random = seeded(5531)
  await siegeOfRelay(t, async lives => {
    for (const step of [...STEPS, ...JOURNAL_STEPS]) {
      const life = lives.begin(killedAt(step, random(4)))
      await assert.rejects(life.heard(Number.POSITIVE_INFINITY), /ended by itself/)
    }
  })
})

interface Lives {
  begin(wrapper?: readonly string[]): ServiceProcess
}

/** Mail is sent while `siege` begins and ends relays; then one more, which delivers what is left. */
async function siegeOfRelay(t: TestContext, siege: (lives: Lives) => Promise<void>): Promise<void> {
  if (!need(t, 'smtp-sink')) return
  const { deployment, sink } = await besieged(t)
  for (const name of ['signer', 'submission'] as const) await deployment.start(name)
  const lives: ServiceProcess[] = []
  const begin = (wrapper?: readonly string[]) => {
    const life = startProcess(t, deployment, 'relay', wrapper)
    lives.push(life)
    return life
  }
  const acknowledged = await submitDuring(deployment, 100, async () => {
    await siege({ begin })
    begin()
  })
  const last = lives.at(-1) ?? assert.fail()
  // A relay that is away for a moment is nothing a client hears of: the hops wait, and send again what was not answered.
  // In hundreds of restarts one may take longer than they wait: then it is told 451, and the client sends again.
  for (const [n, { failures }] of acknowledged) {
    const unexpected = KILLS > 12 ? failures.filter(each => !each.startsWith('451 4.4.1 ')) : failures
    assert.deepEqual(unexpected, [], `message ${n}`)
  }
  await fates(deployment, acknowledged)
  await last.stop()

  const { messages, notices } = arrivals(sink)
  for (const [n, { id, failures }] of acknowledged) {
    const copies = (recipientOf(n) === BOB ? messages : notices).get(n) ?? []
    assert.ok(copies.length > 0, `message ${n} was acknowledged as ${id} and is lost`)
    // One that was told 451 may be there all the same, where only the answer was lost, for longer than the hops wait.
    assert.ok(
      new Set(copies).size <= 1 + failures.length,
      `message ${n}: one id, whatever was repeated between the services`,
    )
  }
  assert.equal(messages.size + notices.size, acknowledged.size)

  const onTheirWay = begunAgain(lives)
  const copies = Map.groupBy([...messages.values(), ...notices.values()].flat(), id => id)
  let duplicates = 0
  for (const [id, { length }] of copies) {
    assert.ok(length <= 1 + (onTheirWay.get(id) ?? 0), `${length} copies of ${id}`)
    duplicates += length - 1
  }
  const most = [...onTheirWay.values()].reduce((sum, kills) => sum + kills, 0)
  assert.ok(duplicates <= most)
  t.diagnostic(
    `${acknowledged.size} messages, ${lives.length - 1} kills, ${most} deliveries on their way at a kill, ${duplicates} duplicates`,
  )

  const empty = startProcess(t, deployment, 'relay')
  assert.equal((await empty.started).fields.queued, 0)
}

test('each of the three is killed, alone and with the others', async t => {
  if (!need(t, 'smtp-sink')) return
  const random = seeded(4211)
  const { deployment, sink } = await besieged(t)
  const lives: Record<ServiceName, ServiceProcess[]> = { submission: [], signer: [], relay: [] }
  const begin = (name: ServiceName) => void lives[name].push(startProcess(t, deployment, name))
  for (const name of ['relay', 'signer', 'submission'] as const) begin(name)

  const victims: readonly (readonly ServiceName[])[] = [
    ['signer'],
    ['submission'],
    ['relay', 'signer', 'submission'],
    ['signer', 'submission'],
    ['relay', 'signer'],
    ['submission'],
    ['signer'],
    ['relay', 'signer', 'submission'],
  ]
  const siege = async () => {
    for (const names of victims) {
      let accepted = 5 + random(10)
      const before = deployment.events.length
      await deployment.event(
        'accepted',
        happening =>
          happening.service === 'submission' &&
          deployment.events.indexOf(happening) >= before &&
          accepted-- === 0,
      )
      await pause(random(10))
      await Promise.all(names.map(name => lives[name].at(-1)?.kill()))
      for (const name of names) begin(name)
    }
  }
  const acknowledged = await submitDuring(deployment, 100, siege)
  await fates(deployment, acknowledged)
  await lives.relay.at(-1)?.stop()

  const { messages, notices, octets } = arrivals(sink)
  const onTheirWay = begunAgain(lives.relay)
  let duplicates = 0
  let unsure = 0
  for (const [n, { id, unanswered }] of acknowledged) {
    const ids = (recipientOf(n) === BOB ? messages : notices).get(n) ?? []
    assert.ok(ids.length > 0, `message ${n} was acknowledged as ${id} and is lost`)
    // A client that has lost its server does not know whether the message was taken, and sends another one (RFC 1047).
    const kills = ids.reduce((sum, one) => sum + (onTheirWay.get(one) ?? 0), 0)
    assert.ok(ids.length <= 1 + unanswered + kills, `message ${n}: ${ids.length} copies of ${ids}`)
    duplicates += ids.length - 1
    unsure += unanswered
  }
  // A client has one message at a time without an answer.
  assert.ok(unsure <= victims.length * CLIENTS)
  t.diagnostic(
    `${acknowledged.size} messages, ${victims.length} times killed, ${unsure} never answered, ${duplicates} duplicates`,
  )
  const verdicts = await verifyWithMailauth(octets, DOMAIN, deployment.dns.port)
  assert.deepEqual([...new Set(verdicts)], ['pass'], 'never unsigned, never torn')
})

/** Two receivers, one of which refuses everybody; notices to the user arrive at the other. */
async function besieged(t: TestContext): Promise<{ deployment: Deployment; sink: SmtpSink }> {
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const refusing = await startSmtpSink({ host: '127.0.0.2', port: sink.port, args: ['-f', 'RCPT'] })
  t.after(() => refusing.stop())
  const records = [
    { name: '@', type: 'MX', data: '10 mx.internet.test' },
    { name: 'mx', type: 'A', data: '127.0.0.1' },
    { name: 'refusing', type: 'A', data: '127.0.0.2' },
  ] as const
  const deployment = await deploy(t, {
    services: [],
    smtpPort: sink.port,
    records: [{ name: '@', type: 'MX', data: '10 mx.internet.test' }],
    zones: [{ origin: 'internet.test', records }],
    toml: {
      relay: ['retry = ["100ms"]', `concurrency = ${CONCURRENCY}`],
      signer: ['hop_wait = "30s"'],
      submission: ['hop_wait = "30s"'],
    },
  })
  return { deployment, sink }
}

/** Sends at least `count` messages, and goes on as long as `siege` does. */
async function submitDuring(
  deployment: Deployment,
  count: number,
  siege: () => Promise<void>,
): Promise<Map<number, Acknowledgement>> {
  const acknowledged = new Map<number, Acknowledgement>()
  let next = 0
  let over = false
  const abort = new AbortController()
  const submit = async () => {
    const client = new PersistentClient(deployment, abort.signal)
    try {
      while (next < count || !over) {
        const n = next++
        acknowledged.set(n, await client.send(messageOf(n, recipientOf(n)), recipientOf(n)))
      }
    } finally {
      client.close()
    }
  }
  const besiege = siege().finally(() => {
    over = true
  })
  // When one fails nobody waits for the others for ever.
  await Promise.all([besiege, ...Array.from({ length: CLIENTS }, submit)]).finally(() => abort.abort())
  return acknowledged
}

/** Waits until each is delivered, or a notice about it is. */
async function fates(
  deployment: Deployment,
  acknowledged: ReadonlyMap<number, Acknowledgement>,
): Promise<void> {
  for (const { id } of acknowledged.values()) {
    const { name } = await deployment.event(['delivered', 'bounced'], ({ fields }) => fields.id === id)
    if (name === 'delivered') continue
    const notice = await deployment.event('notice', ({ fields }) => fields.about === id)
    await deployment.event('delivered', ({ fields }) => fields.id === notice.fields.id)
  }
}

/**
 * Ids whose delivery was begun in one life of the relay and again in a later one, with the number of lives that ended in
 * the middle of it. A delivery that is settled is never begun again, and no more of them than there are places for a
 * destination are begun and not settled at a time: that bounds what a kill can do.
 */
function begunAgain(lives: readonly ServiceProcess[]): Map<string, number> {
  const again = new Map<string, number>()
  const keyOf = ({ fields }: Happening): string => `${fields.destination} ${fields.id}`
  const begun = lives.map(({ events }) => new Set(events.filter(({ name }) => name === 'attempt').map(keyOf)))
  for (const [i, keys] of begun.entries()) {
    const later = new Set(begun.slice(i + 1).flatMap(set => [...set]))
    const deferred = new Set(
      lives[i]?.events.filter(({ name }) => name === 'deferred').map(({ fields }) => fields.id),
    )
    const open = [...keys]
      .map(key => key.split(' '))
      .filter(([destination, id]) => later.has(`${destination} ${id}`) && !deferred.has(id))
    for (const [destination, list] of Map.groupBy(open, ([destination]) => destination)) {
      assert.ok(list.length <= CONCURRENCY, `life ${i}: ${list.length} on their way to ${destination}`)
    }
    for (const [, id = ''] of open) again.set(id, (again.get(id) ?? 0) + 1)
  }
  return again
}
