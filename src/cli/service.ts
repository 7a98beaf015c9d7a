/**
 * `ptt submission`, `ptt signer`, `ptt relay`: one service as one process, or with workers (worker.ts). `ptt certificate` runs as
 * they do.
 *
 * SIGHUP reloads, SIGTERM and SIGINT close it in good order; a second one ends it at once, which loses nothing that was
 * acknowledged. Under `ptt up` a channel to the parent tells it when the service is ready, and tells the service when
 * the parent is gone.
 */

import { isDeepStrictEqual } from 'node:util'
import { Command } from 'commander'
import { loadConfig } from '../config/load.ts'
import { type Config, tomlKey } from '../config/schema.ts'
import { type SocketName, unwantedSocket } from '../net/passed-socket.ts'
import type { Log } from '../observe/event.ts'
import { openLog } from '../observe/log.ts'
import type { SignerOverrides } from '../signer/keep-keys.ts'
import { signOnEachCore } from '../signer/sign-message-threads.ts'
import { giveBackWhenCalm } from './calm.ts'
import { keepHeap } from './heap.ts'
import { type Adjusted, addKeyOptions, adjust, type KeyOptions } from './key-options.ts'
import { type ConfigOption, configOption, verboseOption } from './options.ts'
import { runWorker, startForeman, workerNumber, workersOf } from './worker.ts'

export const SERVICES = ['submission', 'signer', 'relay'] as const
export type ServiceName = (typeof SERVICES)[number]
export type ProcessName = ServiceName | 'certificate'

export interface Service {
  /** The port it listens on, if it does: the configured one, or the one the system gave for 0. */
  readonly port?: number
  reload(): Promise<void>
  close(): Promise<void>
}

/** What a service says to the `ptt up` that started it. */
export interface Ready {
  readonly ready: ProcessName
  readonly port?: number | undefined
}

type Start = (config: Config, log: Log, overrides?: SignerOverrides) => Promise<Service>

const STARTERS: Record<ProcessName, () => Promise<Start>> = {
  submission: async () => (await import('../submission/service.ts')).startSubmission,
  signer: async () => {
    const { startSigner } = await import('../signer/service.ts')
    signOnEachCore()
    return startSigner
  },
  relay: async () => (await import('../relay/service.ts')).startRelay,
  certificate: async () => (await import('../certificate/service.ts')).startCertificate,
}

const WORDS: Record<ServiceName, { alias: string; description: string; help: string; reload: string }> = {
  submission: {
    alias: 'lipap',
    description: 'take mail from users over TLS and pass it to the signer',
    help: 'It keeps nothing on disk: a client is told 250 when the relay has the message on disk.',
    reload: 'read the certificate of [submission] and the users again',
  },
  signer: {
    alias: 'nec',
    description: 'sign mail with DKIM, keep the public keys in DNS, pass mail to the relay',
    help: 'It keeps no mail on disk. What it cannot sign it defers; nothing leaves unsigned. ptt key looks after its keys.',
    reload: 'read the users again, look at the records of the keys in DNS',
  },
  relay: {
    alias: 'mti-gf',
    description: 'keep mail on disk until it is delivered to the Internet',
    help: 'The only service with a spool.',
    reload: 'look for what is due',
  },
}

export function serviceCommand(name: ServiceName): Command {
  const { alias, description, help, reload } = WORDS[name]
  const command = new Command(name)
    .alias(alias)
    .description(description)
    .addOption(configOption())
    .addOption(verboseOption())
    .addHelpText(
      'after',
      `
${help}

Examples:
  ptt ${name}                          with ptt.toml of this folder
  ptt ${name} -c /etc/ptt/ptt.toml     with another
  ptt ${name} | jq .                   the log is one JSON line an event

Signals:
  SIGHUP            ${reload}; tell in the log what has changed in ptt.toml
  SIGTERM, SIGINT   finish what is in hand and stop`,
    )
    .action(async (options: ConfigOption & { verbose?: true } & KeyOptions) => {
      const adjusting = name === 'signer' ? (config: Config) => adjust(config, options) : undefined
      await runService(name, options.config, options.verbose ?? false, adjusting)
    })
  return name === 'signer' ? addKeyOptions(command) : command
}

/** Resolves when the service has started; the process ends by a signal, or with its parent. */
export async function runService(
  name: ProcessName,
  /** Or where it is to be read. */
  given: Config | string,
  verbose: boolean,
  /** What the command line says above ptt.toml. */
  adjusting: (config: Config) => Adjusted = config => ({ config, overrides: {}, complaints: [] }),
): Promise<void> {
  const worker = workerNumber()
  const told = openLog({ service: name, level: verbose ? 'debug' : 'info' })
  const log = worker === null ? told : told.with({ worker })
  // Our fault. Better a fresh process than one whose state nobody knows; what was acknowledged is on disk.
  const fail = (cause: unknown) => {
    const error = cause instanceof Error ? cause : new Error(String(cause))
    log.event('failed', { reason: error.message, stack: error.stack }, 'error')
    process.exit(1)
  }
  if (worker !== null) {
    process.on('uncaughtException', fail).on('unhandledRejection', fail)
    return runWorker(name, log).catch(error => {
      process.stderr.write(`ptt ${name}: worker ${worker}: ${explain(error)}\n`)
      process.exit(1)
    })
  }
  const { config, overrides, complaints } = adjusting(typeof given === 'string' ? loadConfig(given) : given)
  refuseUnwantedSocket(name, config)
  let service: Service | undefined
  let closing = false
  /** One reload after the other; those asked for while it starts come when it has. */
  let reloaded: Promise<void> = Promise.resolve()
  const started = Promise.withResolvers<Service>()
  const reload = async () => {
    const running = await started.promise
    tellChanges(name, config, log, adjusting)
    await running.reload().catch(error => log.event('alarm', { reason: `not reloaded: ${explain(error)}` }))
  }
  const close = async () => {
    if (closing) process.exit(1)
    closing = true
    await service?.close()
    process.exit(0)
  }
  process.on('SIGHUP', () => {
    reloaded = reloaded.then(reload)
  })
  process.on('SIGTERM', () => void close()).on('SIGINT', () => void close())

  for (const reason of complaints) log.event('alarm', { reason }, 'warn')
  keepHeap()
  const start: Start =
    workersOf(name, config) > 1
      ? () => startForeman(name, process.argv.slice(2), config, log, overrides)
      : await STARTERS[name]()
  service = await start(config, log, overrides).catch(asStarting)
  started.resolve(service)
  process.on('uncaughtException', fail).on('unhandledRejection', fail)
  giveBackWhenCalm()

  if (process.send) {
    process.on('disconnect', () => closing || void close())
    process.send({ ready: name, port: service.port } satisfies Ready)
    process.channel?.unref()
  }
}

/** A socket that systemd has opened for us, and that nothing here is behind: its clients would wait for ever. */
function refuseUnwantedSocket(name: ProcessName, { submission }: Config): void {
  const hops: SocketName[] = name === 'certificate' ? [] : ['smtp']
  const doors: SocketName[] = ['submissions', ...(submission.listenStarttls ? (['submission'] as const) : [])]
  const wanted = name === 'submission' ? doors : hops
  const unwanted = unwantedSocket(wanted, process.env, [process.pid])
  if (unwanted === undefined) return
  const reason =
    name === 'submission' && unwanted === 'submission'
      ? '[submission] of ptt.toml has no listen_starttls'
      : `${name} has none of that name`
  throw new Error(`a socket named "${unwanted}" was passed, but ${reason}`)
}

/** @throws Error what keeps a service from starting, in words */
function asStarting(error: unknown): never {
  throw new Error(explain(error), { cause: error })
}

/** The configuration is read at start only: a file that has changed since is an alarm, with the keys that differ. */
function tellChanges(
  name: ProcessName,
  running: Config,
  log: Log,
  adjusting: (config: Config) => Adjusted,
): void {
  try {
    const keys = changedKeys(name, running, adjusting(loadConfig(running.file)).config)
    if (keys.length > 0) {
      log.event(
        'alarm',
        { reason: `the configuration has changed: restart ${name} to apply it`, keys },
        'warn',
      )
    }
  } catch (error) {
    log.event('alarm', { reason: `the configuration on disk has problems: ${(error as Error).message}` })
  }
}

type Table = 'hop' | 'directory' | 'hooks' | 'timeouts' | 'limits' | ProcessName

/** The tables a process reads; where it does not read all of one, the keys. */
function tablesOf(name: ProcessName): [table: Table, keys?: readonly string[]][] {
  if (name === 'certificate')
    return [
      ['certificate'],
      ['submission', ['hostname', 'certificate', 'key']],
      ['signer', ['tsigKey', 'primary', 'zone']],
    ]
  const both: [Table][] = [['hop'], ['directory'], ['hooks'], [name]]
  if (name === 'relay') return [...both, ['timeouts'], ['limits', ['replyLineOctets']]]
  const received = ['localPartOctets', 'domainOctets', 'pathOctets', 'commandLineOctets', 'textLineOctets']
  return name === 'submission' ? [...both, ['limits', received]] : both
}

/** Of the keys a service reads, those that differ, as they are written in the file. */
export function changedKeys(name: ProcessName, one: Config, other: Config): string[] {
  const top = (['domain', 'postmaster'] as const).filter(key => one[key] !== other[key])
  const below = tablesOf(name).flatMap(([table, only]) => {
    const before: Record<string, unknown> = one[table] ?? {}
    const after: Record<string, unknown> = other[table] ?? {}
    return (only ?? Object.keys({ ...before, ...after }))
      .filter(key => !isDeepStrictEqual(before[key], after[key]))
      .map(key => `${table}.${tomlKey(key)}`)
  })
  return [...top, ...below]
}

/** Why a service did not start, in one line. */
export function explain(cause: unknown): string {
  const error = cause as Partial<NodeJS.ErrnoException> & { address?: string; port?: number }
  const where =
    error.port === undefined
      ? ''
      : ` ${error.address?.includes(':') ? `[${error.address}]` : error.address}:${error.port}`
  if (error.code === 'EADDRINUSE') return `another program already listens on${where}`
  if (error.code === 'EADDRNOTAVAIL') return `this machine does not have the address of${where}: see listen`
  if (error.code === 'EACCES' && error.syscall === 'listen') {
    return `may not listen on${where}: ports below 1024 need root or CAP_NET_BIND_SERVICE`
  }
  if (error.code === 'ENOENT' && error.path) return `there is no file ${error.path}: see \`ptt config check\``
  return (error.message ?? String(cause)).replace(/\s*\n\s*/g, ' ')
}
