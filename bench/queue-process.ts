/** One process of `bench/queue.ts`: `node queue-process.ts FOLDER WHAT COUNT FLIGHT`; its figures are a line of JSON. */

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { keepHeap } from '../src/cli/heap.ts'
import { openEmbedded } from '../src/queue/embedded/embedded.ts'
import type { Job, NewMessage, Queue, RecipientResult, Skip } from '../src/queue/queue.ts'

export interface Figures {
  readonly perSecond: number
  readonly cpuMicros: number
  readonly p99Ms: number
  /** Since the process was started. */
  readonly firstMs: number
  /** All of it; what is the process's own; and pages of files, which the system takes back when it needs them. */
  readonly rssMiB: number
  readonly ownMiB: number
  readonly mappedMiB: number
  readonly fileMiB: number
}

const SMALL = 4096
const CONTENT = Buffer.alloc(SMALL, 'x')
const DESTINATIONS = 1000
/** It has no room, and a tenth of what is queued is due there. */
export const FULL = 'full.example'
const HOUR_MS = 3600_000
const WEEK_MS = 7 * 24 * HOUR_MS

let minted = 0

function mint(domain: string, dueInMs: number): [NewMessage, Uint8Array[]] {
  const id = `${process.pid}-${String(minted++).padStart(16, '0')}`
  const nowMs = Date.now()
  const mailbox = { localPart: 'recipient', domain }
  const message: NewMessage = {
    id,
    arrivedMs: nowMs,
    dueMs: nowMs + dueInMs,
    expiresMs: nowMs + WEEK_MS,
    recipients: [{ mailbox, destination: domain }],
    envelope: {
      reversePath: { localPart: 'sender', domain: 'example.com' },
      recipients: [{ forwardPath: mailbox }],
      body: '8BITMIME',
      smtputf8: false,
      sizeOctets: SMALL,
      authenticatedAs: 'sender@example.com',
      xptt: { id, commit: '0123456789abcdef0123456789abcdef01234567' },
    },
  }
  return [message, [CONTENT]]
}

export const fresh = (): [NewMessage, Uint8Array[]] => mint(`d${minted % DESTINATIONS}.example`, 0)
/** What is queued: mostly due within a day. */
const waiting = (): [NewMessage, Uint8Array[]] =>
  minted % 10 === 0
    ? mint(FULL, 0)
    : mint(`d${minted % DESTINATIONS}.example`, HOUR_MS + (minted % 86_400) * 1000)

const skip = (destination: string): Skip => (destination === FULL ? 'park' : false)

async function through(queue: Queue): Promise<void> {
  await queue.put(...fresh())
  const [job] = await queue.lease(Date.now(), 1, skip)
  if (!job) throw new Error('nothing to lease')
  await queue.settle(job, resultsOf(job))
}

function resultsOf(job: Job): RecipientResult[] {
  const evidence = {
    atMs: Date.now(),
    status: '2.0.0',
    diagnostic: '250 2.0.0 OK',
    remote: 'mx.example [192.0.2.1]',
  }
  return job.recipients.map(index => ({ index, action: 'delivered', evidence }))
}

/** Everything, also what is not due yet. */
async function drain(queue: Queue): Promise<void> {
  const [job] = await queue.lease(Date.now() + WEEK_MS, 1)
  if (job) await queue.settle(job, resultsOf(job))
}

const WORK = {
  fill: queue => queue.put(...waiting()),
  through,
  drain,
  list: queue => queue.list({ limit: 100 }),
  filtered: async queue => {
    const filter = { sender: '@nobody.example' }
    let after: string | null = ''
    while (after !== null) after = (await queue.search({ limit: 100, filter, after })).after
  },
  step: queue => queue.search({ limit: 100, filter: { sender: '@nobody.example' } }),
  due: queue => queue.nextDue(),
  sweep: queue => queue.sweep(Date.now()),
} as const satisfies Record<string, (queue: Queue) => Promise<unknown>>

export type Work = keyof typeof WORK

function octetsOf(folder: string): number {
  const names = readdirSync(folder).filter(name => name.endsWith('.mdb'))
  return names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

export function memoryFigures(): Pick<Figures, 'rssMiB' | 'ownMiB' | 'mappedMiB'> {
  const status = readFileSync('/proc/self/status', 'utf8')
  const mebibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) / 1024
  return { rssMiB: mebibytes('VmRSS'), ownMiB: mebibytes('RssAnon'), mappedMiB: mebibytes('RssFile') }
}

if (import.meta.main) {
  keepHeap()
  const [folder = '', what = '', count = '', flight = ''] = process.argv.slice(2)
  const work: (queue: Queue) => Promise<unknown> = WORK[what as Work]
  const queue = await openEmbedded({ folder })
  await work(queue)
  const firstMs = performance.now()
  let left = Number(count) - 1
  const took: number[] = []
  const worker = async () => {
    while (left-- > 0) {
      const begin = performance.now()
      await work(queue)
      took.push(performance.now() - begin)
    }
  }
  const cpu = process.cpuUsage()
  const begin = performance.now()
  await Promise.all(Array.from({ length: Number(flight) }, worker))
  const seconds = (performance.now() - begin) / 1000
  const { user, system } = process.cpuUsage(cpu)
  took.sort((one, other) => one - other)
  const figures: Figures = {
    perSecond: took.length / seconds,
    cpuMicros: (user + system) / Math.max(took.length, 1),
    p99Ms: took[Math.floor(took.length * 0.99)] ?? 0,
    firstMs,
    ...memoryFigures(),
    fileMiB: octetsOf(folder) / 2 ** 20,
  }
  await queue.close()
  console.log(JSON.stringify(figures))
}
