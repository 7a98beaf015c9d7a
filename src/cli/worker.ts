/**
 * A service as several processes (`workers` in ptt.toml): the foreman, who has what there is once and takes no sessions, and
 * workers, who take the sessions and ask it. What they ask is the service's matter (`shared.ts` of each).
 */

import cluster from 'node:cluster'
import { availableParallelism } from 'node:os'
import type { Config } from '../config/schema.ts'
import type { Log } from '../observe/event.ts'
import type { SignerOverrides } from '../signer/keep-keys.ts'
import { signOnEachCore } from '../signer/sign-message-threads.ts'
import { type Calls, Channel } from '../workers/channel.ts'
import { giveBackWhenCalm } from './calm.ts'
import { keepHeap } from './heap.ts'
import { type FromForeman, type FromWorker, WORKER, Workers } from './workers.ts'

interface Service {
  readonly port?: number
  reload(): Promise<void>
  close(): Promise<void>
}

interface Foreman {
  /** It takes connections itself once all workers are there; resolves with the port. Not given: the workers do. */
  open?(workers: number): Promise<number>
  /** It stops doing so, and finishes what it needs workers for. */
  drain?(): Promise<void>
  readonly hooksPort: number | undefined
  attend(worker: Channel<Calls, Calls>): void
  /** In force. */
  commit(): string
  /** All workers are there. */
  begin?(): void
  reload(): Promise<void>
  close(): Promise<void>
}

/** What a worker is told first. */
interface Setup {
  readonly config: Config
  readonly overrides: SignerOverrides
  readonly workers: number
}

interface Parts {
  supervise(config: Config, log: Log): Promise<Foreman>
  work(
    config: Config,
    log: Log,
    foreman: Channel<Calls, Calls>,
    workers: number,
    overrides?: SignerOverrides,
  ): Promise<Service>
}

/** The services that can be several processes. */
const PARTS = {
  submission: async (): Promise<Parts> => ({
    supervise: (await import('../submission/shared.ts')).superviseSubmission,
    work: (await import('../submission/service.ts')).startSubmissionWorker,
  }),
  signer: async (): Promise<Parts> => ({
    supervise: (await import('../signer/shared.ts')).superviseSigner,
    work: (await import('../signer/service.ts')).startSignerWorker,
  }),
  relay: async (): Promise<Parts> => ({
    supervise: (await import('../relay/service.ts')).superviseRelay,
    work: (await import('../relay/visitor.ts')).startVisitor,
  }),
}
type Divisible = keyof typeof PARTS

/** How many workers the service is to have; 1: it is one process, and takes the sessions itself. */
export function workersOf(name: string, config: Config): number {
  if (!Object.hasOwn(PARTS, name)) return 1
  const { workers } = config[name as Divisible]
  return workers === 'auto' ? availableParallelism() : workers
}

/** This process is one of a foreman's workers: which one. */
export function workerNumber(): number | null {
  return cluster.isWorker ? Number(process.env[WORKER]) : null
}

/** The service, for whoever starts it: `reload` and `close` reach all workers. `words`: the command that each runs. */
export async function startForeman(
  name: string,
  words: readonly string[],
  config: Config,
  log: Log,
  overrides: SignerOverrides = {},
): Promise<Service> {
  const { supervise } = await PARTS[name as Divisible]()
  const count = workersOf(name, config)
  const foreman = await supervise(config, log)
  const setup: Setup = { config, overrides, workers: count }
  const workers = new Workers({
    count,
    words,
    log,
    attend(channel) {
      channel.on('setup', () => setup)
      foreman.attend(channel)
    },
  })
  try {
    const shared = await workers.start()
    const own = await foreman.open?.(count)
    foreman.begin?.()
    // One that takes connections itself says this, and the rest, as a service of one process does.
    const tell: Log['event'] = own === undefined ? log.event.bind(log) : () => {}
    const port = own ?? shared
    tell('started', { port, workers: count, hooks_port: foreman.hooksPort })
    return {
      port,
      async reload() {
        await foreman.reload()
        workers.reload()
        tell('reloaded', { directory: foreman.commit() })
      },
      async close() {
        tell('stopping')
        await foreman.drain?.()
        await workers.close()
        await foreman.close()
        tell('stopped')
      },
    }
  } catch (error) {
    await workers.close()
    await foreman.close()
    throw error
  }
}

/**
 * A worker, whose configuration is the foreman's: what has changed in the file since is for the next start of all. It ends by
 * the foreman's order, or by SIGTERM, with what is under way finished; and at once when the foreman is gone, which loses
 * nothing that was acknowledged. Other signals are the foreman's.
 */
export async function runWorker(name: string, log: Log): Promise<void> {
  const send = (message: FromWorker) => process.send?.(message)
  const channel = new Channel<{ setup: (none: null) => Setup }, Calls>(say => send({ say }))
  const started = Promise.withResolvers<Service>()
  let closing = false
  const orders = {
    async close() {
      if (closing) return
      closing = true
      await (await started.promise).close()
      process.exit(0)
    },
    async reload() {
      const service = await started.promise
      await service
        .reload()
        .catch((error: Error) => log.event('alarm', { reason: `not reloaded: ${error.message}` }))
    },
  }
  process.on('message', (message: FromForeman) => {
    if ('say' in message) channel.receive(message.say)
    else if ('order' in message) void orders[message.order]()
  })
  // A signal to all of a terminal or a unit reaches us as well.
  process.on('SIGHUP', () => {}).on('SIGINT', () => {})
  process.on('SIGTERM', () => void orders.close())
  const { config, overrides, workers } = await channel.ask('setup', null)
  keepHeap()
  if (name === 'signer') signOnEachCore(workers)
  const { work } = await PARTS[name as Divisible]()
  const service = await work(config, log, channel as Channel<Calls, Calls>, workers, overrides)
  started.resolve(service)
  giveBackWhenCalm()
  send({ ready: service.port ?? 0 })
}
