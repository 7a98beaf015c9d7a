/** Services of one deployment, pinned to some cores together with what sends to them and takes from them. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { initialize } from '../../src/cli/init.ts'
import { formatTsigKey, parseTsigKey } from '../../src/dns/tsig.ts'
import { silent } from '../../src/observe/event.ts'
import { startDnsServer } from '../../src/sandbox/dns-server.ts'
import type { ZoneRecord } from '../../src/sandbox/dns-zone.ts'
import { freePort } from '../../test/peers/port.ts'
import type { Load, Worked } from './load.ts'

export type ServiceName = 'submission' | 'signer' | 'relay'

export interface Bed {
  /** So many cores for all of it. */
  readonly cores: number
  readonly workers: number
  readonly services: readonly ServiceName[]
  readonly load: Pick<Load, 'from' | 'fresh' | 'to'>
}

export interface Figures {
  readonly perSecond: number
  /** ms of CPU a message: of the one process of a service that is not multiplied (0 where there is none), of its workers, of sending and taking. */
  readonly oneMs: number
  readonly workersMs: number
  readonly loadMs: number
  /** How evenly the workers had work: what the least busy one had of what the busiest had. */
  readonly evenness: number
  readonly complaints: readonly string[]
}

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')
const DOMAIN = 'bench.test'
const USER = { name: 'alice', password: 'correct-horse-battery-staple' }
const SESSIONS = 24
const DESTINATIONS = 40
const START_MS = 60_000
const WARM_SECONDS = 1

/** Starts all of it in `folder`, measures for `seconds`, and ends it. */
export async function measure(bed: Bed, folder: string, seconds: number): Promise<Figures> {
  mkdirSync(folder)
  const [submission, signer, relay, smtp, dnsPort] = await Promise.all(Array.from({ length: 5 }, freePort))
  const at = (port: number | undefined) => `127.0.0.1:${port}`
  const workers = (name: ServiceName) => (bed.services.includes(name) ? { workers: bed.workers } : {})
  const { config, tsigKey } = await initialize({
    dir: folder,
    domain: DOMAIN,
    user: USER,
    settings: {
      submission: { listen: at(submission), signer: at(signer), ...workers('submission') },
      signer: {
        listen: at(signer),
        relay: at(relay),
        primary: at(dnsPort),
        authoritative: [at(dnsPort)],
        ...workers('signer'),
      },
      relay: {
        listen: at(relay),
        signer: at(signer),
        resolver: [at(dnsPort)],
        smtp_port: smtp ?? 0,
        private_networks: ['127.0.0.0/8'],
        ...workers('relay'),
      },
    },
  })
  const dns = await startDnsServer({
    zones: [
      { origin: DOMAIN, records: [SOA] },
      ...Array.from({ length: DESTINATIONS }, (_, at) => ({
        origin: `d${at + 1}.test`,
        records: [{ name: '@', type: 'A', data: `127.0.1.${at + 1}`, ttlSeconds: 3600 } as const],
      })),
    ],
    tsigKey: parseTsigKey(formatTsigKey(tsigKey)),
    port: dnsPort ?? 0,
    log: silent,
  })
  const cores = Array.from({ length: bed.cores }, (_, core) => core).join(',')
  const children: ChildProcess[] = []
  const begin = async (name: string, args: readonly string[]): Promise<ChildProcess> => {
    const log = openSync(join(folder, `${name}.log`), 'a', 0o600)
    const child = spawn('taskset', ['-c', cores, process.execPath, ...args], {
      stdio: ['ignore', log, log, 'ipc'],
    })
    closeSync(log)
    children.push(child)
    const early = once(child, 'exit').then(() => {
      throw new Error(`${name} ended: ${readFileSync(join(folder, `${name}.log`), 'utf8').slice(-2000)}`)
    })
    early.catch(() => {})
    await Promise.race([once(child, 'message', { signal: AbortSignal.timeout(START_MS) }), early])
    return child
  }
  try {
    const load: Load = {
      ...bed.load,
      file: config.file,
      sessions: SESSIONS,
      destinations: DESTINATIONS,
      user: { name: `${USER.name}@${DOMAIN}`, password: USER.password },
    }
    const driver = await begin('load', [join(import.meta.dirname, 'load.ts'), JSON.stringify(load)])
    for (const name of ['relay', 'signer', 'submission'] as const)
      if (bed.services.includes(name)) await begin(name, [MAIN, name, '--config', config.file])
    if (bed.services.includes('signer')) await signs(join(folder, 'signer.log'))
    const services = children.slice(1)
    await drive(driver, WARM_SECONDS)
    const before = services.map(cpuOf)
    const worked = await drive(driver, seconds)
    const after = services.map(cpuOf)
    return figures(worked, before, after, bed.workers)
  } finally {
    // The last one first: who hands on ends before whom it hands to.
    for (const child of children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    await dns.close()
  }
}

const SOA: ZoneRecord = {
  name: '@',
  type: 'SOA',
  data: `ns.${DOMAIN} hostmaster.${DOMAIN} 1 3600 600 86400 0`,
}

async function drive(driver: ChildProcess, seconds: number): Promise<Worked> {
  driver.send(seconds)
  const signal = AbortSignal.timeout(seconds * 1000 + 90_000)
  const [worked] = (await Promise.race([
    once(driver, 'message', { signal }),
    once(driver, 'exit').then(() => {
      throw new Error('the load has ended: its log says why')
    }),
  ])) as [Worked]
  return worked
}

/** Of a service's processes, by process id; the first is the service itself. */
type Cpu = ReadonlyMap<number, number>

function figures(worked: Worked, before: readonly Cpu[], after: readonly Cpu[], workers: number): Figures {
  const { messages, seconds, cpuMs, complaints } = worked
  let one = 0
  let many = 0
  let evenness = 1
  for (const [service, now] of after.entries()) {
    const [own = 0, ...others] = [...now].map(([pid, ms]) => ms - (before[service]?.get(pid) ?? 0))
    if (workers === 1) many += [own, ...others].reduce((sum, ms) => sum + ms, 0)
    else {
      one += own
      many += others.reduce((sum, ms) => sum + ms, 0)
      // A git that waits for what it may be asked is a child too.
      const busy = others.toSorted((a, b) => b - a).slice(0, workers)
      evenness = Math.min(evenness, Math.min(...busy) / Math.max(...busy, 1))
    }
  }
  return {
    perSecond: messages / seconds,
    oneMs: one / messages,
    workersMs: many / messages,
    loadMs: cpuMs / messages,
    evenness,
    complaints,
  }
}

/** proc(5): user and system time, in ms, of a service and its children. */
function cpuOf({ pid = 0 }: ChildProcess): Cpu {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
  return new Map([pid, ...children.map(Number)].map(each => [each, ticksOf(each) * 10]))
}

function ticksOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** Resolves when a key signs: until then every message is put off. */
async function signs(log: string): Promise<void> {
  const untilMs = performance.now() + START_MS
  while (!/"event":"key".*"state":"active"/.test(readFileSync(log, 'utf8'))) {
    if (performance.now() > untilMs) throw new Error('the signer has no active key')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
