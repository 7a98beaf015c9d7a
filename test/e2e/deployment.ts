/**
 * A whole deployment in a temporary folder for tests that cross the services: its own CA, a Git repository of users, a
 * primary DNS server, and the three services in this process on free ports, their events kept in a list.
 */

import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { EventEmitter, once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { issue, makeAuthority } from '../../src/cli/authority.ts'
import { parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { formatVerifier, makeVerifier } from '../../src/directory/password.ts'
import { parseTsigKey } from '../../src/dns/tsig.ts'
import type { KeyPair, Role } from '../../src/net/tls.ts'
import { type EventName, type Fields, type Level, type Log, logTo } from '../../src/observe/event.ts'
import { startRelay } from '../../src/relay/service.ts'
import { type DnsServer, startDnsServer } from '../../src/sandbox/dns-server.ts'
import type { ZoneData, ZoneRecord } from '../../src/sandbox/dns-zone.ts'
import { startSigner } from '../../src/signer/service.ts'
import { startSubmission } from '../../src/submission/service.ts'
import type { Submission } from '../peers/client.ts'
import { type GitRepository, makeGitRepository } from '../peers/git-repository.ts'
import { freePort } from '../peers/port.ts'
import { temporaryFolder } from '../peers/program.ts'

export const DOMAIN = 'example.test'
export const USER = `alice@${DOMAIN}`
export const PASSWORD = 'correct horse battery staple'
export const TSIG = `ptt._update.${DOMAIN}:hmac-sha256:${Buffer.alloc(32, 7).toString('base64')}`

/** One for all deployments of a test file: finding primes takes its time. */
const DKIM_KEY = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
}).privateKey

export interface Happening {
  readonly service: string
  readonly name: EventName
  readonly fields: Fields
  readonly level: Level | undefined
}

export type ServiceName = 'submission' | 'signer' | 'relay'

type Table = ServiceName | 'directory' | 'limits'

export interface Deployment {
  readonly folder: string
  readonly config: Config
  readonly authority: KeyPair
  readonly repository: GitRepository
  readonly dns: DnsServer
  readonly events: readonly Happening[]
  /** The first event (past or to come) of that name, or of one of those names, that `matches`. */
  event(
    name: EventName | readonly EventName[],
    matches?: (happening: Happening) => boolean,
  ): Promise<Happening>
  /** Something happened in a process that is not this one. */
  hear(happening: Happening): void
  /** A submission that works, to be changed at will. */
  submission(message: string, to: readonly string[]): Submission
  start(name: ServiceName): Promise<void>
  stop(name: ServiceName): Promise<void>
  reload(name: ServiceName): Promise<void>
}

export interface DeployOptions {
  /** Where MXs listen: the relay's `smtp_port`. */
  readonly smtpPort?: number
  /** Of our own zone: an MX, where notices are to be delivered. */
  readonly records?: readonly ZoneRecord[]
  /** Zones beside our own; `internet.test` with an MX on 127.0.0.1 when not given. */
  readonly zones?: readonly ZoneData[]
  /** Lines of TOML that go into a table: `{ relay: ['retry = ["1s"]'] }`. */
  readonly toml?: Partial<Record<Table, readonly string[]>>
  readonly services?: readonly ServiceName[]
  /** As whom alice may send, beside herself. */
  readonly senders?: readonly string[]
  /** Files of the repository beside alice's. */
  readonly files?: Readonly<Record<string, string>>
}

const STARTERS = { submission: startSubmission, signer: startSigner, relay: startRelay }

function withSoa(records: readonly ZoneRecord[]): readonly ZoneRecord[] {
  return records.some(({ type }) => type === 'SOA') ? records : [SOA, ...records]
}

/** Nobody remembers that a record was not there: a key signs as soon as it is published. */
const SOA: ZoneRecord = {
  name: '@',
  type: 'SOA',
  data: `ns.${DOMAIN} hostmaster.${DOMAIN} 1 3600 600 86400 0`,
}
const INTERNET: ZoneData = {
  origin: 'internet.test',
  records: [
    { name: '@', type: 'MX', data: '10 mx.internet.test' },
    { name: 'mx', type: 'A', data: '127.0.0.1' },
  ],
}

/** Everything ends with the test. */
export async function deploy(t: TestContext, options: DeployOptions = {}): Promise<Deployment> {
  const folder = temporaryFolder('deployment')
  t.after(() => folder.remove())
  const at = (name: string) => join(folder.path, name)
  const write = (name: string, text: string) => {
    mkdirSync(join(at(name), '..'), { recursive: true })
    writeFileSync(at(name), text, { mode: 0o600 })
  }
  const authority = await makeAuthority(DOMAIN)
  write('hop/ca.pem', authority.certificate)
  for (const role of ['submission', 'signer', 'relay'] as const)
    writePair(write, `hop/${role}`, await issue(authority, { role }))
  writePair(
    write,
    'tls/submission',
    await issue(authority, { names: [`mail.${DOMAIN}`, 'localhost', '127.0.0.1'] }),
  )
  write('dkim/ptt.pem', DKIM_KEY)
  write('dns/tsig.key', `${TSIG}\n`)

  const repository = await makeGitRepository()
  t.after(() => repository.remove())
  const verifier = formatVerifier(await makeVerifier(PASSWORD, { iterations: 4096 }))
  const senders = JSON.stringify(options.senders ?? [])
  await repository.commit({
    [`${DOMAIN}/users/alice.toml`]: `password = "${verifier}"\nsenders = ${senders}\n`,
    ...options.files,
  })

  const heard = new EventEmitter()
  heard.setMaxListeners(0)
  const events: Happening[] = []
  const hear = (happening: Happening) => {
    events.push(happening)
    heard.emit('event', happening)
  }
  t.after(() => {
    for (const happening of events) assertNoSecret(happening)
  })
  const dns = await startDnsServer({
    zones: [{ origin: DOMAIN, records: withSoa(options.records ?? []) }, ...(options.zones ?? [INTERNET])],
    tsigKey: parseTsigKey(TSIG),
    log: serviceLog(hear, 'dns'),
  })
  t.after(() => dns.close())

  const port = { submission: await freePort(), signer: await freePort(), relay: await freePort() }
  const toml = tomlOf(options, port, dns.port, repository.path)
  write('ptt.toml', toml)
  const config = parseConfig(toml, at('ptt.toml'))

  const running = new Map<ServiceName, Awaited<ReturnType<(typeof STARTERS)[ServiceName]>>>()
  const deployment: Deployment = {
    folder: folder.path,
    config,
    authority,
    repository,
    dns,
    events,
    hear,
    async event(name, matches = () => true) {
      const signal = AbortSignal.timeout(60_000)
      for (let seen = 0; ; seen++) {
        while (seen === events.length) {
          await once(heard, 'event', { signal }).catch(() =>
            assert.fail(
              `no event ${name}; there were:\n${events.map(line => JSON.stringify(line)).join('\n')}`,
            ),
          )
        }
        const happening = events[seen]
        if (happening !== undefined && [name].flat().includes(happening.name) && matches(happening)) {
          return happening
        }
      }
    },
    submission: (message, to) => ({
      port: port.submission,
      username: USER,
      password: PASSWORD,
      ca: at('hop/ca.pem'),
      from: USER,
      to,
      message,
    }),
    async start(name) {
      running.set(name, await STARTERS[name](config, serviceLog(hear, name)))
    },
    async stop(name) {
      await running.get(name)?.close()
      running.delete(name)
    },
    async reload(name) {
      await running.get(name)?.reload()
    },
  }
  t.after(async () => {
    for (const name of ['submission', 'signer', 'relay'] as const) await deployment.stop(name)
  })
  const services = options.services ?? ['relay', 'signer', 'submission']
  for (const name of services) await deployment.start(name)
  if (services.includes('signer')) await deployment.event('key', ({ fields }) => fields.state === 'active')
  return deployment
}

function tomlOf(
  options: DeployOptions,
  port: Readonly<Record<ServiceName, number>>,
  dnsPort: number,
  repository: string,
): string {
  const tables: Record<Table, string[]> = {
    limits: [],
    directory: [`repository = "${repository}"`],
    submission: [`listen = "127.0.0.1:${port.submission}"`, `signer = "127.0.0.1:${port.signer}"`],
    signer: [
      `listen = "127.0.0.1:${port.signer}"`,
      `relay = "127.0.0.1:${port.relay}"`,
      `primary = "127.0.0.1:${dnsPort}"`,
      // One key, made once for all deployments of a test file.
      'key = "dkim/ptt.pem"',
    ],
    relay: [
      `listen = "127.0.0.1:${port.relay}"`,
      `signer = "127.0.0.1:${port.signer}"`,
      `resolver = ["127.0.0.1:${dnsPort}"]`,
      `private_networks = ["127.0.0.0/8", "::1"]`,
      ...(options.smtpPort === undefined ? [] : [`smtp_port = ${options.smtpPort}`]),
    ],
  }
  const lines = [`domain = "${DOMAIN}"`]
  for (const [table, keys] of Object.entries(tables)) {
    // What the test says of a key stands for what is said here.
    const own = options.toml?.[table as Table] ?? []
    const nameOf = (line: string) => line.split(' ')[0]
    const kept = keys.filter(line => !own.some(other => nameOf(other) === nameOf(line)))
    lines.push('', `[${table}]`, ...kept, ...own)
  }
  return `${lines.join('\n')}\n`
}

function writePair(write: (name: string, text: string) => void, name: string, pair: KeyPair): void {
  write(`${name}.pem`, pair.certificate)
  write(`${name}.key`, pair.key)
}

/** The pair of a role, as the CA of the deployment would make it. */
export function pairOf(deployment: Deployment, role: Role): Promise<KeyPair> {
  return issue(deployment.authority, { role })
}

/** The log is read by more people than the secrets of a deployment. */
function assertNoSecret({ name, fields }: Happening): void {
  const line = JSON.stringify(fields)
  for (const secret of [PASSWORD, TSIG.split(':')[2] ?? '', 'PRIVATE KEY'])
    assert.ok(!line.includes(secret), `${name} has a secret: ${line}`)
}

function serviceLog(hear: (happening: Happening) => void, service: string): Log {
  return logTo((name, fields, level) => {
    for (const [key, value] of Object.entries(fields)) {
      assert.match(key, /^[a-z][a-z0-9_]*$/, `${name}.${key}`)
      assert.ok(mayBeLogged(value), `${name}.${key}`)
    }
    hear({ service, name, fields, level })
  })
}

/** What `Fields` allows, held at run time too: an object that is spread into a line brings content with it. */
function mayBeLogged(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(element => typeof element === 'string')
  return value === null || ['string', 'number', 'boolean', 'undefined'].includes(typeof value)
}
