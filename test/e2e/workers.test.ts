/** Services as several processes: what was promised of one holds of all together. */

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { THROTTLE } from '../../src/submission/throttle.ts'
import { need } from '../peers/need.ts'
import { pttCommand } from '../peers/sandbox.ts'
import { type SmtpSink, startSmtpSink } from '../peers/smtp-sink.ts'
import {
  type Deployment,
  DOMAIN,
  deploy,
  type Happening,
  PASSWORD,
  type ServiceName,
  USER,
} from './deployment.ts'
import { Dialog } from './dialog.ts'
import { type Acknowledgement, PersistentClient } from './persistent-client.ts'
import { type ServiceProcess, startProcess } from './service-process.ts'

const BOB = 'bob@internet.test'
const CLIENTS = 3
const SITES = 6

const messageOf = (n: number): string =>
  `From: ${USER}\r\nTo: ${BOB}\r\nSubject: message ${n}\r\n\r\nIt is ${n}.\r\n`

/** The foreman's own, which comes when all its workers are there. */
async function running(
  t: TestContext,
  deployment: Deployment,
  name: ServiceName,
  workers: number,
): Promise<ServiceProcess> {
  const life = startProcess(t, deployment, name)
  await Promise.race([
    deployment.event('started', ({ service, fields }) => service === name && fields.workers === workers),
    life.started.then(() => new Promise(() => {})),
  ])
  return life
}

interface Crowd {
  readonly deployment: Deployment
  readonly sink: SmtpSink
  readonly lives: Readonly<Record<ServiceName, ServiceProcess>>
}

async function crowd(
  t: TestContext,
  toml: { signer?: string[]; submission?: string[] } = {},
): Promise<Crowd> {
  const sink = await startSmtpSink()
  t.after(() => sink.stop())
  const { signer = [], submission = [] } = toml
  const deployment = await deploy(t, {
    services: [],
    smtpPort: sink.port,
    toml: {
      relay: ['workers = 2', 'retry = ["100ms"]'],
      signer: ['workers = 2', 'hop_wait = "30s"', ...signer],
      submission: ['workers = 2', 'hop_wait = "30s"', ...submission],
    },
  })
  const relaying = await running(t, deployment, 'relay', 2)
  const signing = await running(t, deployment, 'signer', 2)
  await deployment.event('key', ({ fields }) => fields.state === 'active')
  return {
    deployment,
    sink,
    lives: { relay: relaying, signer: signing, submission: await running(t, deployment, 'submission', 2) },
  }
}

/** Of each worker that lives, its process id, by its number. */
function pids(deployment: Deployment, service: ServiceName): Map<number, number> {
  const found = new Map<number, number>()
  for (const { service: of, name, fields } of deployment.events)
    if (
      of === service &&
      name === 'started' &&
      typeof fields.worker === 'number' &&
      typeof fields.pid === 'number'
    )
      found.set(fields.worker, fields.pid)
  return found
}

const workersIn = (happenings: readonly Happening[]): unknown[] =>
  [...new Set(happenings.map(({ fields }) => fields.worker))].toSorted()

const plain = (password: string) => `AUTH PLAIN ${Buffer.from(`\0${USER}\0${password}`).toString('base64')}`

/** Each goes to the next worker in turn. */
async function dial(t: TestContext, deployment: Deployment): Promise<Dialog> {
  const options = { ca: deployment.authority.certificate, servername: 'localhost' }
  const dialog = await Dialog.tls(deployment.config.submission.listen.port, options)
  t.after(() => dialog.destroy())
  await dialog.expect(220)
  await dialog.say('EHLO client.test', 250)
  return dialog
}

/** So many clients send until `until` is over, at least `count` messages. */
async function submit(
  deployment: Deployment,
  count: number,
  until: Promise<void> = Promise.resolve(),
  to: (n: number) => string = () => BOB,
): Promise<Map<number, Acknowledgement>> {
  const acknowledged = new Map<number, Acknowledgement>()
  let next = 0
  let over = false
  const send = async () => {
    const client = new PersistentClient(deployment)
    try {
      while (next < count || !over) {
        const n = next++
        acknowledged.set(n, await client.send(messageOf(n), to(n)))
      }
    } finally {
      client.close()
    }
  }
  const ending = until.finally(() => {
    over = true
  })
  await Promise.all([ending, ...Array.from({ length: CLIENTS }, send)])
  return acknowledged
}

/** Whether the budget held one more. */
async function tryToSend(deployment: Deployment, n: number): Promise<boolean> {
  const client = new PersistentClient(deployment)
  try {
    await client.send(messageOf(n), BOB)
    return true
  } catch (error) {
    assert.match(String(error), /550 5\.7\.1 example\.test may send 27 messages an hour/)
    return false
  } finally {
    client.close()
  }
}

test('all three: both workers take part, share the budget of the hour, and stop in good order', async t => {
  if (!need(t, 'smtp-sink')) return
  const { deployment, lives } = await crowd(t, { signer: ['budget_per_hour = 27'] })
  const acknowledged = await submit(deployment, 20)
  for (const { id } of acknowledged.values())
    await deployment.event('delivered', ({ fields }) => fields.id === id)
  for (const [service, name] of [
    ['submission', 'accepted'],
    ['signer', 'signed'],
  ] as const) {
    const done = deployment.events.filter(each => each.service === service && each.name === name)
    assert.deepEqual(workersIn(done), [1, 2], name)
  }
  const more = await Promise.all(Array.from({ length: 12 }, (_, n) => tryToSend(deployment, 100 + n)))
  assert.equal(more.filter(sent => sent).length, 27 - acknowledged.size)

  for (const service of ['submission', 'signer', 'relay'] as const) {
    await lives[service].stop()
    const stopped = deployment.events.filter(each => each.service === service && each.name === 'stopped')
    assert.deepEqual(workersIn(stopped), [1, 2, undefined], service)
  }
})

test('a worker is killed again and again: nothing acknowledged is lost, and another takes its place', async t => {
  if (!need(t, 'smtp-sink')) return
  const { deployment, sink } = await crowd(t)
  const victims = ['submission', 'signer', 'signer'] as const
  const siege = async () => {
    for (const [kill, service] of victims.entries()) {
      // Between the messages that pass through it meanwhile.
      const seen = deployment.events.length
      let left = 5
      const isNew = (each: Happening) =>
        each.service === 'submission' && deployment.events.indexOf(each) >= seen
      await deployment.event('accepted', each => isNew(each) && left-- === 0)
      const worker = (kill % 2) + 1
      const pid = pids(deployment, service).get(worker) ?? assert.fail()
      process.kill(pid, 'SIGKILL')
      const alarm = await deployment.event('alarm', ({ fields }) => fields.pid === pid)
      assert.deepEqual(
        [alarm.service, alarm.fields.worker, alarm.fields.signal],
        [service, worker, 'SIGKILL'],
      )
      // It is back when it says where it listens.
      await deployment.event(
        'started',
        each =>
          deployment.events.indexOf(each) > deployment.events.indexOf(alarm) &&
          each.service === service &&
          each.fields.port !== undefined,
      )
    }
  }
  const acknowledged = await submit(deployment, 30, siege())
  let unanswered = 0
  for (const each of acknowledged.values()) {
    await deployment.event('delivered', ({ fields }) => fields.id === each.id)
    unanswered += each.unanswered
    // Submission waits for the signer; of its own end a client hears by the end of the connection.
    assert.deepEqual(
      each.failures.filter(failure => /^\d/.test(failure)),
      [],
    )
  }
  const copies = sink.messages().map(text => /^Subject: message (\d+)$/m.exec(text)?.[1])
  assert.equal(new Set(copies).size, acknowledged.size)
  // Who has got no answer sends again, as another message.
  assert.ok(copies.length <= acknowledged.size + unanswered)
  t.diagnostic(`${acknowledged.size} messages, ${victims.length} kills, ${unanswered} never answered`)
})

test('guesses are counted once, whichever worker they meet', async t => {
  const deployment = await deploy(t, { services: [], toml: { submission: ['workers = 2'] } })
  await running(t, deployment, 'submission', 2)
  for (let guess = 0; guess < THROTTLE.free; guess++)
    await (await dial(t, deployment)).say(plain('guess'), 535)
  // Two connections: the one worker and the other.
  for (const dialog of [await dial(t, deployment), await dial(t, deployment)])
    assert.match(await dialog.say(plain(PASSWORD)), /^454 4\.7\.0 /)
  assert.deepEqual(
    workersIn(deployment.events.filter(({ fields }) => /before/.test(String(fields.reason)))),
    [1, 2],
  )
})

test('who was given to a worker that ends before it takes him is not left waiting', async t => {
  const deployment = await deploy(t, { services: [], toml: { submission: ['workers = 2'] } })
  await running(t, deployment, 'submission', 2)
  const { port } = deployment.config.submission.listen
  const workers = [...pids(deployment, 'submission').values()]
  for (const pid of workers) process.kill(pid, 'SIGSTOP')
  const sockets = [1, 2, 3].map(() => connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }))
  t.after(() => sockets.map(socket => socket.destroy()))
  await Promise.all(sockets.map(socket => once(socket, 'connect')))
  // Where it was not given yet, it is a later worker's.
  const ends = sockets.map(socket => Promise.race([once(socket, 'secureConnect'), once(socket, 'close')]))
  for (const socket of sockets) socket.on('error', () => {})
  for (const pid of workers) process.kill(pid, 'SIGKILL')
  await Promise.all(ends.map(end => end.catch(() => {})))
})

test('a commit is in force at all workers', async t => {
  const deployment = await deploy(t, { services: [], toml: { submission: ['workers = 2'] } })
  const { pid } = await running(t, deployment, 'submission', 2)
  const sessions = [await dial(t, deployment), await dial(t, deployment)]
  for (const session of sessions) await session.say(plain(PASSWORD), 235)
  const verifier = formatVerifier(await makeVerifier(PASSWORD, { iterations: 4096 }))
  const suspended = `password = "${verifier}"\nsuspended = "on leave"\n`
  const commit = await deployment.repository.commit({ [`${DOMAIN}/users/alice.toml`]: suspended })
  process.kill(pid, 'SIGHUP')
  for (const worker of [1, 2, undefined])
    await deployment.event(
      'reloaded',
      ({ fields }) => fields.worker === worker && fields.directory === commit,
    )
  for (const session of sessions) assert.match(await session.say('NOOP'), /^421 .*on leave/)
})

test('the relay: a large message is asked for in pieces by who sends it, and arrives whole', async t => {
  if (!need(t, 'smtp-sink')) return
  const { deployment, sink } = await crowd(t)
  // Of several pieces, and of no round number.
  const body = Array.from({ length: 60_001 }, (_, n) => `Line ${n} of a long message.\r\n`).join('')
  const client = new PersistentClient(deployment)
  t.after(() => client.close())
  const { id } = await client.send(`${messageOf(1)}${body}`, BOB)
  await deployment.event('delivered', ({ fields }) => fields.id === id)
  const [arrived = '', ...others] = sink.messages()
  assert.equal(others.length, 0)
  assert.ok(arrived.includes(body.replaceAll('\r\n', '\n')))
})

test('the relay: visitors are killed while they deliver; each message arrives, and the sites are kept to', async t => {
  if (!need(t, 'smtp-sink')) return
  // Places at a site are few, and counted by the one process that has the queue.
  const places = 3
  const sinks = []
  for (const host of ['127.0.0.1', '127.0.0.2']) {
    const sink: SmtpSink = await startSmtpSink({
      host,
      ...(sinks[0] && { port: sinks[0].port }),
    })
    t.after(() => sink.stop())
    sinks.push(sink)
  }
  const [first = assert.fail(), second = assert.fail()] = sinks
  const deployment = await deploy(t, {
    services: [],
    smtpPort: first.port,
    zones: [
      {
        origin: 'internet.test',
        // Sites are spread over the workers by their names.
        records: Array.from({ length: SITES }, (_, n) => ({
          name: `d${n}`,
          type: 'A',
          data: `127.0.0.${1 + (n % 2)}`,
        })),
      },
    ],
    toml: { relay: ['workers = 2', 'retry = ["100ms"]', `concurrency = ${places}`] },
  })
  const relay = await running(t, deployment, 'relay', 2)
  for (const name of ['signer', 'submission'] as const) await deployment.start(name)
  await deployment.event('key', ({ fields }) => fields.state === 'active')
  const to = (n: number) => `bob@d${n % SITES}.internet.test`
  const siege = async () => {
    for (const worker of [1, 2, 1]) {
      const seen = deployment.events.length
      await deployment.event(
        'attempt',
        each => deployment.events.indexOf(each) >= seen && each.fields.worker === worker,
      )
      process.kill(pids(deployment, 'relay').get(worker) ?? assert.fail(), 'SIGKILL')
      await deployment.event(
        'alarm',
        each => deployment.events.indexOf(each) >= seen && each.fields.worker === worker,
      )
      await deployment.event(
        'started',
        each =>
          deployment.events.indexOf(each) >= seen && each.fields.worker === worker && !('pid' in each.fields),
      )
    }
  }
  const acknowledged = await submit(deployment, 60, siege(), to)
  for (const { id, failures } of acknowledged.values()) {
    assert.deepEqual(failures, [])
    await deployment.event('delivered', ({ fields }) => fields.id === id)
  }
  const deferred = deployment.events.filter(({ name }) => name === 'deferred')
  assert.ok(
    deferred.every(({ fields }) => fields.status === '4.3.0'),
    JSON.stringify(deferred),
  )
  // What was on its way at a kill may be there twice, and no more than there are places can be.
  for (const [at, sink] of [first, second].entries()) {
    const copies = sink.messages().map(text => Number(/^Subject: message (\d+)$/m.exec(text)?.[1]))
    const sent = [...acknowledged.keys()].filter(n => n % 2 === at)
    assert.deepEqual(
      [...new Set(copies)].toSorted((a, b) => a - b),
      sent.toSorted((a, b) => a - b),
    )
    assert.ok(copies.length <= sent.length + 3 * places * SITES)
  }
  t.diagnostic(`${acknowledged.size} messages, ${deferred.length} were on their way at a kill`)
  await relay.stop()
})

test('SIGTERM to the foreman: both workers finish the message in hand', async t => {
  const deployment = await deploy(t, {
    services: ['relay', 'signer'],
    toml: { submission: ['workers = 2'], relay: ['engine = "memory"'] },
  })
  await deployment.event('key', ({ fields }) => fields.state === 'active')
  const submission = await running(t, deployment, 'submission', 2)
  const sessions = [await dial(t, deployment), await dial(t, deployment)]
  for (const session of sessions) {
    await session.say(plain(PASSWORD), 235)
    await session.say(`MAIL FROM:<${USER}>`, 250)
    await session.say(`RCPT TO:<${BOB}>`, 250)
    await session.say('DATA', 354)
  }
  const ended = submission.stop()
  for (const worker of [1, 2])
    await deployment.event(
      'stopping',
      ({ service, fields }) => service === 'submission' && fields.worker === worker,
    )
  for (const [n, session] of sessions.entries()) {
    session.send(`${messageOf(n)}.\r\n`)
    assert.match(await session.expect(), /^250 .*Queued as /)
  }
  await ended
})

test('a port that is taken is said once, and nothing stays', async t => {
  const deployment = await deploy(t, {
    services: ['relay'],
    toml: { relay: ['workers = 2'], submission: ['workers = 2'] },
  })
  const { port } = deployment.config.submission.listen
  const holder = createServer().listen(port, '127.0.0.1')
  t.after(() => holder.close())
  await once(holder, 'listening')
  // Of the relay it is the foreman that listens, of submission the first worker.
  const ends = (['relay', 'submission'] as const).map(async service => {
    const child = spawn(...pttCommand(service, '--config', deployment.config.file), {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    t.after(() => child.kill('SIGKILL'))
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    // Its pipe is closed when the last of its processes has ended.
    const [code] = await once(child, 'close')
    assert.equal(code, 1)
    assert.equal(said.match(/another program already listens on 127\.0\.0\.1:\d+/g)?.length, 1, said)
  })
  await Promise.all(ends)
})
