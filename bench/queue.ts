/**
 * What the embedded queue does in a second: `node bench/queue.ts [--queued 1000000] [--flight 64] [--messages 40000]`.
 * Every figure is durable: each put and each settle is waited for until it is on the disk under --folder (default: the
 * system's temporary folder; is that a memory file system, the figures mean nothing).
 */

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openEmbedded } from '../src/queue/embedded/embedded.ts'
import type { Job, NewMessage, Queue } from '../src/queue/queue.ts'

const { values } = parseArgs({
  options: {
    queued: { type: 'string', default: '0' },
    flight: { type: 'string', default: '64' },
    messages: { type: 'string', default: '40000' },
    folder: { type: 'string', default: tmpdir() },
  },
})
const flight = Number(values.flight)
const messages = Number(values.messages)
const queued = Number(values.queued)

const SMALL = 4096
const LARGE = 200_000
const CONTENT = Buffer.alloc(LARGE, 'x')
const DESTINATIONS = 1000
const WEEK_MS = 7 * 24 * 3600_000
const evidence = { atMs: 0, status: '2.0.0', diagnostic: '250 2.0.0 OK', remote: 'mx.example [192.0.2.1]' }

let minted = 0

function mint(sizeOctets: number, dueInMs = 0): [NewMessage, Uint8Array[]] {
  const id = String(minted++).padStart(26, '0')
  const nowMs = Date.now()
  const mailbox = { localPart: 'recipient', domain: `d${minted % DESTINATIONS}.example` }
  const message: NewMessage = {
    id,
    arrivedMs: nowMs + dueInMs,
    expiresMs: nowMs + WEEK_MS,
    recipients: [{ mailbox, destination: mailbox.domain }],
    envelope: {
      reversePath: { localPart: 'sender', domain: 'example.com' },
      recipients: [{ forwardPath: mailbox }],
      body: '8BITMIME',
      smtputf8: false,
      sizeOctets,
      authenticatedAs: 'sender@example.com',
      xptt: { id, commit: '0123456789abcdef0123456789abcdef01234567' },
    },
  }
  return [message, [CONTENT.subarray(0, sizeOctets)]]
}

/** Runs `one` `count` times, so many at a time. */
async function rate(
  what: string,
  count: number,
  one: () => Promise<unknown>,
  atATime = flight,
): Promise<void> {
  let left = count
  const slowest: number[] = []
  const worker = async () => {
    while (left-- > 0) {
      const begin = performance.now()
      await one()
      slowest.push(performance.now() - begin)
    }
  }
  const cpu = process.cpuUsage()
  const begin = performance.now()
  await Promise.all(Array.from({ length: atATime }, worker))
  const seconds = (performance.now() - begin) / 1000
  const { user, system } = process.cpuUsage(cpu)
  slowest.sort((one, other) => one - other)
  const p99 = slowest[Math.floor(slowest.length * 0.99)] ?? 0
  const perSecond = Math.round(count / seconds).toLocaleString('en')
  const micros = Math.round((user + system) / count)
  console.log(`${what.padEnd(44)}${perSecond.padStart(9)}/s  CPU ${micros} µs each  p99 ${p99.toFixed(1)} ms`)
}

async function settleOne(queue: Queue, job: Job | undefined): Promise<void> {
  if (!job) throw new Error('nothing to lease')
  await queue.settle(
    job,
    job.recipients.map(index => ({ index, action: 'delivered', evidence })),
  )
}

function memory(): string {
  const status = readFileSync('/proc/self/status', 'utf8')
  const anonymous = Number(/^RssAnon:\s+(\d+)/m.exec(status)?.[1] ?? 0)
  const heap = process.memoryUsage().heapUsed
  return `memory of its own ${Math.round(anonymous / 1024)} MiB, of it ${Math.round(heap / 2 ** 20)} MiB heap`
}

const folder = mkdtempSync(join(values.folder, 'ptt-bench-queue-'))
try {
  const queue = await openEmbedded({ folder })
  const put = (size: number, dueInMs?: number) => queue.put(...mint(size, dueInMs))
  const through = async (size: number) => {
    await put(size)
    const [job] = await queue.lease(Date.now(), 1)
    await settleOne(queue, job)
  }
  if (queued > 0) {
    await rate(`put ${SMALL} octets, due later`, queued, () =>
      put(SMALL, WEEK_MS / 7 + (minted % 3600) * 1000),
    )
    const file = statSync(join(folder, 'queue.mdb')).size
    console.log(`${await queue.count()} queued: ${memory()}; ${Math.round(file / 2 ** 20)} MiB on disk`)
  }
  await rate(`put, lease, settle ${SMALL} octets`, messages, () => through(SMALL))
  await rate(`put ${SMALL} octets`, messages, () => put(SMALL))
  const leaseAndRelease = (limit: number) => async () => {
    for (const job of await queue.lease(Date.now(), limit)) queue.release(job)
  }
  await rate('lease 1, release', 5000, leaseAndRelease(1), 1)
  await rate('lease 500, release', 100, leaseAndRelease(500), 1)
  await rate('next due', 5000, () => queue.nextDue(), 1)
  await rate(`lease, settle`, messages, async () => settleOne(queue, (await queue.lease(Date.now(), 1))[0]))
  await rate(`put, lease, settle ${LARGE} octets (files)`, messages / 20, () => through(LARGE))
  console.log(memory())
  await queue.close()
} finally {
  rmSync(folder, { recursive: true })
}
