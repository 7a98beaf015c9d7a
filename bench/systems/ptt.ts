/**
 * ptt as an operator has it: installed as one script (from the sources only to be profiled), what `ptt init` makes, three processes, TLS and a password on the way in, mutual TLS between
 * them. Its log goes to files, its spool to the same disk as the others'. A DNS server of the sandbox has the destinations.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { initialize } from '../../src/cli/init.ts'
import { hopName } from '../../src/config/tables/hop.ts'
import { formatTsigKey, parseTsigKey } from '../../src/dns/tsig.ts'
import { silent } from '../../src/observe/event.ts'
import { startDnsServer } from '../../src/sandbox/dns-server.ts'
import type { ZoneData } from '../../src/sandbox/dns-zone.ts'
import { freePort } from '../../test/peers/port.ts'
import { addressOf, MOST_DESTINATIONS } from '../load/load.ts'
import { DESTINATIONS_DOMAIN, SENDER_DOMAIN } from '../load/message.ts'
import { PASSWORD, SELECTOR, type Surroundings, type System, USERNAME } from './system.ts'

const ROOT = join(import.meta.dirname, '../..')
const SERVICES = ['relay', 'signer', 'submission'] as const
type ServiceName = (typeof SERVICES)[number]
const { version: VERSION } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'),
) as { version: string }
const START_MS = 30_000

/** Our own zone: nobody remembers that the key was not there (the last number of the SOA), so it signs at once. */
const OWN_ZONE: ZoneData = {
  origin: SENDER_DOMAIN,
  records: [
    { name: '@', type: 'SOA', data: `ns.${SENDER_DOMAIN} hostmaster.${SENDER_DOMAIN} 1 3600 600 86400 0` },
  ],
}

/** An MX of its own for each destination: none shares a site with another. */
export const DESTINATIONS: ZoneData = {
  origin: DESTINATIONS_DOMAIN,
  records: Array.from({ length: MOST_DESTINATIONS }, (_, at) => at + 1).flatMap(number => [
    { name: `d${number}`, type: 'MX', data: `10 mx${number}.${DESTINATIONS_DOMAIN}`, ttlSeconds: 3600 },
    { name: `mx${number}`, type: 'A', data: addressOf(number), ttlSeconds: 3600 },
  ]),
}

export async function startPtt(around: Surroundings): Promise<System> {
  const { folder, sinkPort } = around
  const ports = {
    dns: await freePort(),
    submission: await freePort(),
    signer: await freePort(),
    relay: await freePort(),
  }
  const deployment = await initialize({
    dir: folder,
    domain: SENDER_DOMAIN,
    user: { name: USERNAME, password: PASSWORD },
    settings: merged(settingsOf(ports, sinkPort), around.settings),
  })
  const { config } = deployment
  writeFileSync(join(folder, 'dkim/bench.pem'), around.dkimKey, { mode: 0o600 })
  const dns = await startDnsServer({
    zones: [OWN_ZONE, DESTINATIONS],
    tsigKey: parseTsigKey(formatTsigKey(deployment.tsigKey)),
    port: ports.dns,
    log: silent,
  })
  const main = around.profile === null ? await bundled(folder) : join(ROOT, 'src/cli/main.ts')
  const running: ChildProcess[] = []
  const stop = async () => {
    // Who hands on to others ends before them.
    for (const child of running.toReversed()) {
      const gone = once(child, 'exit')
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGTERM')
      await gone
    }
    await dns.close()
  }
  try {
    for (const name of SERVICES) running.push(await startService(name, main, config.file, around))
    await signs(join(folder, 'signer.log'))
  } catch (error) {
    await stop()
    throw error
  }
  return {
    version: VERSION,
    doors: {
      tls: {
        port: ports.submission,
        ca: readFileSync(config.hop.ca, 'utf8'),
        credentials: { username: `${USERNAME}@${SENDER_DOMAIN}`, password: PASSWORD },
      },
      // As the signer comes to it.
      relay: {
        port: ports.relay,
        ca: readFileSync(config.hop.ca, 'utf8'),
        credentials: null,
        hop: {
          name: hopName('relay'),
          certificate: readFileSync(config.signer.hopCertificate, 'utf8'),
          key: readFileSync(config.signer.hopKey, 'utf8'),
        },
      },
    },
    processes: around.processes,
    stop,
  }
}

function settingsOf(
  ports: Readonly<Record<ServiceName | 'dns', number>>,
  sinkPort: number,
): Readonly<Record<string, Readonly<Record<string, string | number | readonly string[]>>>> {
  const at = (port: number) => `127.0.0.1:${port}`
  return {
    submission: { listen: at(ports.submission), signer: at(ports.signer) },
    signer: {
      listen: at(ports.signer),
      relay: at(ports.relay),
      primary: at(ports.dns),
      authoritative: [at(ports.dns)],
      resolver: [at(ports.dns)],
      // The key that all have, and no second signature (Ed25519), which the others do not make.
      selector: SELECTOR,
      key: ['dkim/bench.pem'],
    },
    relay: {
      listen: at(ports.relay),
      signer: at(ports.signer),
      resolver: [at(ports.dns)],
      smtp_port: sinkPort,
      private_networks: ['127.0.0.0/8'],
      // docs/shaping.md, "Concurrency adapts": for one destination, as many at a time as Postfix is given here.
      concurrency: 50,
    },
  }
}

/** Key by key: what is asked for has the last word. */
function merged(usual: ReturnType<typeof settingsOf>, asked: Surroundings['settings']): typeof usual {
  const tables = [...new Set([...Object.keys(usual), ...Object.keys(asked)])]
  return Object.fromEntries(tables.map(table => [table, { ...usual[table], ...asked[table] }]))
}

/** What `npm run build` makes of the sources as they are now. */
async function bundled(folder: string): Promise<string> {
  const { buildBundle } = await import(pathToFileURL(join(ROOT, 'scripts/build-bundle.mjs')).href)
  const into = join(folder, 'bundle')
  await buildBundle(into)
  return join(into, 'main.cjs')
}

async function startService(
  name: ServiceName,
  main: string,
  file: string,
  { folder, profile, processes }: Surroundings,
): Promise<ChildProcess> {
  const log = openSync(join(folder, `${name}.log`), 'a', 0o600)
  const profiling =
    profile === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`, `--cpu-prof-name=${name}.cpuprofile`]
  const [program, ...args] = processes.wrap([process.execPath, ...profiling, main, name, '--config', file])
  const child = spawn(program, args, {
    stdio: ['ignore', log, log, 'ipc'],
  })
  closeSync(log)
  processes.add(child.pid ?? 0)
  const ready = once(child, 'message', { signal: AbortSignal.timeout(START_MS) })
  const ended = once(child, 'exit').then(() => {
    throw new Error(`ptt ${name} does not start: ${readFileSync(join(folder, `${name}.log`), 'utf8')}`)
  })
  await Promise.race([ready, ended])
  // It ends by a signal later, as it should.
  ended.catch(() => {})
  return child
}

/** Resolves when the key is seen in DNS: until then every message is put off. */
async function signs(log: string): Promise<void> {
  const untilMs = performance.now() + START_MS
  while (!/"event":"key".*"state":"active"/.test(readFileSync(log, 'utf8'))) {
    if (performance.now() > untilMs)
      throw new Error(`the signer has no active key: ${readFileSync(log, 'utf8')}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}
