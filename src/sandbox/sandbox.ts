/**
 * NAME        sandbox: the Internet in a box. The three services as they always run, each a process of its own, and
 *             around them what they need: a primary DNS server, a Git repository with one user, an MX to deliver to.
 * STANDARDS   those of its parts: dns-server, internet.
 * HOLDS       in its folder everything a deployment holds, and the user's password in clear. None of it is of use
 *             elsewhere: its names end in .test (RFC 6761 §6.2).
 * REACHES     127.0.0.1.
 * BUGS        DNS server and MX are in this process: when it is killed, the services end too.
 */

import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { readPem, readSecret } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import { hopName } from '../config/tables/hop.ts'
import { parseTsigKey } from '../dns/tsig.ts'
import { formatEndpoint } from '../net/endpoint.ts'
import { Resolver } from '../net/resolver.ts'
import type { Account } from '../net/submit.ts'
import type { KeyPair } from '../net/tls.ts'
import type { Log } from '../observe/event.ts'
import { startDnsServer } from './dns-server.ts'
import { type Arrival, sendFirstMessage } from './first-message.ts'
import { claim, type Hop, type Paths, pathsOf, type SandboxFile, writeSandboxFile } from './folder.ts'
import { type Delivery, startInternet } from './internet.ts'
import { Journal } from './journal.ts'
import { afterEach, openLogs } from './logs.ts'
import { type Initialize, prepare, USER } from './prepare.ts'
import { DOMAIN, INTERNET_HOST, zones } from './world.ts'

export interface SandboxOptions {
  /** An absolute path. */
  readonly folder: string
  /** Deletes what is in the folder first. */
  readonly fresh: boolean
  /** `null`: ports that are free. */
  readonly portBase: number | null
  /** One line for the person at the terminal. */
  readonly print: (line: string) => void
  /** Tell what happens after the first message too. */
  readonly live: boolean
  /** Aborted: the start is given up. */
  readonly signal: AbortSignal
  readonly tools: Tools
}

/** What the commands of ptt do, handed in: a sandbox is below them. */
export interface Tools {
  readonly initialize: Initialize
  readonly selfSigned: (names: readonly [string, ...string[]]) => Promise<KeyPair>
  /** The three services with the configuration `file`, not started yet. `output`: an open file for what each one logs. */
  readonly supervise: (file: string, output: (service: string) => number, log: Log) => Services
}

export interface Services {
  start(): Promise<void>
  pids(): ReadonlyMap<string, number>
  close(): Promise<void>
}

export interface Sandbox {
  readonly paths: Paths
  readonly file: SandboxFile
  /** Sends it and tells each hop. @throws SandboxError */
  sendFirstMessage(): Promise<Arrival>
  close(): Promise<void>
}

/** The log of a hop may come a moment after the message has arrived. */
const HOPS_MS = 2_000

/** @throws SandboxError when one is already at work in the folder. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const paths = pathsOf(options.folder)
  const closers: (() => unknown)[] = [claim(paths.folder)]
  const close = async () => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer()
  }
  try {
    return await start(options, paths, closers, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function start(
  options: SandboxOptions,
  paths: Paths,
  closers: (() => unknown)[],
  close: () => Promise<void>,
): Promise<Sandbox> {
  const { fresh, portBase, tools, print, signal } = options
  // Whoever waits for this file must not find that of the last time.
  rmSync(paths.file, { force: true })
  const config = await prepare(paths, { fresh, portBase, initialize: tools.initialize })
  signal.throwIfAborted()
  const journal = new Journal({ print, live: options.live, now: Date.now })
  const logs = openLogs(paths.logs, line => journal.hear(line))
  closers.push(logs.close)

  const { primary, tsigKey } = config.signer
  const dns = await startDnsServer({
    zones: zones(config),
    tsigKey: parseTsigKey(readSecret(tsigKey)),
    port: primary.port,
    stateFile: join(paths.folder, 'dns', 'zones.json'),
    log: logs.open('dns'),
  })
  closers.push(() => dns.close())
  const resolver = new Resolver({ servers: [primary] })
  closers.push(() => resolver.close())
  const arrivals = new Arrivals()
  const internet = await startInternet({
    port: config.relay.smtpPort,
    hostname: INTERNET_HOST,
    maildir: paths.maildir,
    certificate: await tools.selfSigned([INTERNET_HOST]),
    resolver,
    log: logs.open('internet'),
    onDelivery: delivery => arrivals.add(delivery),
  })
  closers.push(() => internet.close())

  let file = describe(config, paths)
  let written = false
  const services = tools.supervise(
    config.file,
    logs.output,
    // Each start and end of a service is an event, and changes `pids`.
    afterEach(logs.open('ptt'), () => {
      file = { ...file, pids: { sandbox: process.pid, ...Object.fromEntries(services.pids()) } }
      if (written) writeSandboxFile(paths.file, file)
    }),
  )
  closers.push(async () => {
    await services.close()
    if (written) writeSandboxFile(paths.file, { ...file, pids: {} })
    written = false
  })
  signal.throwIfAborted()
  signal.addEventListener('abort', () => void services.close())
  print(`starting in ${paths.folder}: ${placesOf(file)}`)
  await services.start()
  writeSandboxFile(paths.file, file)
  written = true
  return {
    paths,
    get file() {
      return file
    },
    async sendFirstMessage() {
      try {
        const arrival = await sendFirstMessage({
          account: accountOf(file),
          sender: { localPart: USER, domain: DOMAIN },
          recipient: { localPart: 'bob', domain: 'internet.test' },
          delivered: messageId => arrivals.of(messageId),
          onRetry: reason => print(`not yet: ${reason}`),
        })
        await journal.tellHops(arrival.delivery.id, AbortSignal.timeout(HOPS_MS))
        return arrival
      } finally {
        journal.release()
      }
    },
    close,
  }
}

/** Who waits for a message to arrive, and what has. */
class Arrivals {
  readonly #waiting = new Map<string, (delivery: Delivery) => void>()

  add(delivery: Delivery): void {
    this.#waiting.get(delivery.messageId)?.(delivery)
  }

  of(messageId: string): Promise<Delivery> {
    return new Promise(resolve => this.#waiting.set(messageId, resolve))
  }
}

function describe(config: Config, paths: Paths): SandboxFile {
  const { submission, signer, relay, hop, directory } = config
  const listener = (
    service: Config['signer' | 'relay'],
    role: string,
    client: Config['submission' | 'signer'],
  ): Hop => ({
    ...service.listen,
    name: hopName(role),
    ca: hop.ca,
    certificate: client.hopCertificate,
    key: client.hopKey,
  })
  return {
    submission: {
      ...submission.listen,
      username: `${USER}@${DOMAIN}`,
      password: readSecret(paths.password).trim(),
      ca: hop.ca,
    },
    signer: listener(signer, 'signer', submission),
    relay: listener(relay, 'relay', signer),
    dns: { ...signer.primary, zone: signer.zone, tsigKeyFile: signer.tsigKey },
    git: directory.repository,
    internet: { host: '127.0.0.1', port: relay.smtpPort, maildir: paths.maildir },
    config: config.file,
    pids: {},
  }
}

function placesOf({ submission, signer, relay, dns, internet }: SandboxFile): string {
  const places = Object.entries({ submission, signer, relay, dns, internet })
  return places.map(([name, place]) => `${name} ${formatEndpoint(place)}`).join(', ')
}

function accountOf({ submission }: SandboxFile): Account {
  const { host, port, username, password, ca } = submission
  return { server: { host, port }, username, password, ca: readPem(ca) }
}
