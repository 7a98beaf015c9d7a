/**
 * One process of `bench/queue.ts`: `node queue-relay.ts FOLDER COUNT FLIGHT PORT`. The relay from its queue to a peer: a
 * message is put, leased, routed, sent over SMTP to the sink at PORT and settled. What comes before (TLS and SMTP of the hop,
 * expansion) is not here, so the share of the queue is larger than in a whole relay. Its figures are a line of JSON.
 *
 * `node queue-relay.ts sink`: takes all mail as cheaply as it can, and says at which port.
 */

import { createServer, type Socket } from 'node:net'
import { keepHeap } from '../src/cli/heap.ts'
import { readReplies } from '../src/config/replies.ts'
import { scramCrypto } from '../src/directory/scram.ts'
import type { DnsAnswer } from '../src/dns/answer.ts'
import { Networks, UNREACHABLE } from '../src/net/networks.ts'
import { logTo } from '../src/observe/event.ts'
import { openEmbedded } from '../src/queue/embedded/embedded.ts'
import { openMemoryShelf } from '../src/queue/memory/shelf.ts'
import { RETRY_MS } from '../src/queue/schedule.ts'
import { type Delivery, deliver, putOff } from '../src/relay/deliver.ts'
import { HostMemory } from '../src/relay/reach/host-memory.ts'
import { Scheduler } from '../src/relay/scheduler.ts'
import { Settler } from '../src/relay/settle.ts'
import { SHAPE } from '../src/relay/site/shape.ts'
import { Sites } from '../src/relay/site/sites.ts'
import { DayCounts, Sources } from '../src/relay/sources.ts'
import { Suppressions } from '../src/relay/suppression.ts'
import { Telling } from '../src/relay/telling.ts'
import { LIMITS, TIMEOUTS } from '../src/smtp/limits.ts'
import { reply } from '../src/smtp/reply.ts'
import { FULL, fresh, memoryFigures } from './queue-process.ts'

const HOUR_MS = 3600_000
const GRACE_MS = 10_000

function sink(socket: Socket): void {
  let left = ''
  let inContent = false
  socket.write('220 sink\r\n')
  socket.on('error', () => socket.destroy())
  socket.on('data', chunk => {
    left += chunk.toString('latin1')
    let said = ''
    for (;;) {
      const mark = inContent ? '\r\n.\r\n' : '\r\n'
      const at = left.indexOf(mark)
      if (at < 0) break
      const verb = left.slice(0, 4).toUpperCase()
      left = left.slice(at + mark.length)
      if (inContent || verb !== 'DATA')
        said += verb === 'EHLO' ? '250-sink\r\n250-8BITMIME\r\n250 PIPELINING\r\n' : '250 OK\r\n'
      else said += '354 Go on\r\n'
      inContent = !inContent && verb === 'DATA'
    }
    // So much that the end of the content is not cut.
    if (inContent && left.length > 4) left = left.slice(-4)
    if (said !== '') socket.write(said)
  })
}

async function relay(folder: string, count: number, flight: number, smtpPort: number): Promise<object> {
  const queue = await openEmbedded({ folder })
  const shelf = openMemoryShelf()
  const now = Date.now
  const done = Promise.withResolvers<void>()
  let delivered = 0
  let put = 0
  const next = async () => {
    if (put++ >= count) return
    await queue.put(...fresh())
    scheduler.wake()
  }
  const log = logTo((name, fields) => {
    if (name === 'bounced' || name === 'deferred') return done.reject(new Error(`${name}: ${fields.reply}`))
    if (name === 'alarm') console.error(fields)
    if (name !== 'delivered') return
    if (++delivered === count) done.resolve()
    else next().catch(done.reject)
  })
  const sites = new Sites({ shapeOf: () => SHAPE, now, unpark: destination => queue.unpark(destination) })
  const settler = new Settler(queue, log)
  const scheduler = new Scheduler({
    queue,
    sites,
    work: (job, place) => deliver(job, delivery, place),
    fault: (job, error) => putOff(job, error, delivery),
    sweep: async () => {},
    paused: () => settler.failing,
    now,
    log,
  })
  const hosts = new Networks(['127.0.0.0/8'])
  const delivery: Delivery = {
    queue,
    lookup: {
      trusted: false,
      resolver: {
        async mx(domain) {
          const records = [{ preference: 10, exchange: `mx.${domain}` }]
          return { kind: 'answer', name: domain, records, ttlSeconds: 60, authenticated: false }
        },
        async addresses(name) {
          const records = [{ address: '127.0.0.1', family: 4 as const }]
          return { kind: 'answer', name, records, ttlSeconds: 60, authenticated: false }
        },
        async query(): Promise<DnsAnswer<never>> {
          return { kind: 'nodata', ttlSeconds: 60, authenticated: false }
        },
      },
    },
    settler,
    telling: new Telling({
      queue,
      settler,
      hostname: 'relay.test',
      postmaster: 'postmaster@relay.test',
      language: 'en',
      expireMs: HOUR_MS,
      now,
      wake: () => scheduler.wake(),
      log,
    }),
    signer: { deliver: async () => reply(250, '2.0.0', 'OK') },
    suppressions: new Suppressions(shelf, now),
    suppressMs: HOUR_MS,
    replies: readReplies(undefined),
    sources: new Sources(() => [], 'relay.test', await DayCounts.open(shelf, now()), now),
    routes: [],
    tlsLevels: [],
    scram: scramCrypto,
    memory: new HostMemory(now),
    unreachable: UNREACHABLE,
    privateNetworks: hosts,
    hostname: 'relay.test',
    smtpPort,
    connectMs: 5000,
    timeouts: TIMEOUTS,
    replyLineOctets: LIMITS.replyLineOctetsRead,
    retryMs: RETRY_MS,
    warnMs: HOUR_MS,
    now,
    random: Math.random,
    log,
  }
  // What has no room is known to have none: an operator has seen to it.
  await queue.hold({ kind: 'destination', name: FULL, reason: 'a benchmark', sinceMs: now(), untilMs: null })
  scheduler.start()
  const cpu = process.cpuUsage()
  const begin = performance.now()
  await Promise.all([done.promise, ...Array.from({ length: flight }, next)])
  const seconds = (performance.now() - begin) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const figures = { perSecond: count / seconds, cpuMicros: (user + system) / count, ...memoryFigures() }
  await scheduler.close(GRACE_MS)
  sites.close()
  await queue.lift({ kind: 'destination', name: FULL })
  await queue.close()
  return figures
}

if (import.meta.main) {
  keepHeap()
  const [folder = '', count = '', flight = '', port = ''] = process.argv.slice(2)
  if (folder === 'sink') {
    const server = createServer(sink).listen(0, '127.0.0.1', () => {
      const address = server.address()
      console.log(JSON.stringify({ port: typeof address === 'object' ? address?.port : 0 }))
    })
  } else console.log(JSON.stringify(await relay(folder, Number(count), Number(flight), Number(port))))
}
