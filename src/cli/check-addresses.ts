/**
 * `ptt config check`: where the services of a machine listen, and where they look for each other.
 *
 * Whether an address is one of this machine is tried out, at a port the system chooses: nothing else knows all of them.
 */

import { lookup } from 'node:dns/promises'
import { createServer } from 'node:net'
import type { Config } from '../config/schema.ts'
import { type Endpoint, formatEndpoint } from '../net/endpoint.ts'
import type { ServiceName } from './service.ts'

export interface AddressFinding {
  /** As they are written in ptt.toml: `submission`, `listen`. */
  readonly keys: readonly string[]
  readonly message: string
  /** It may be meant so: the other service may be on another machine. */
  readonly warning: boolean
}

/** What a service listens at. */
interface Door {
  readonly keys: readonly string[]
  readonly endpoint: Endpoint
}

const EVERYWHERE = new Set(['::', '0.0.0.0'])

/** Errors first. Asks the resolver of the system for host names, and waits for its answer. */
export async function checkAddresses(
  config: Config,
  services: readonly ServiceName[],
): Promise<AddressFinding[]> {
  const doors = doorsOf(config, services)
  const errors = [...(await elsewhere(doors)), ...taken(doors)]
  return [...errors, ...(await apart(config, services))]
}

function doorsOf(config: Config, services: readonly ServiceName[]): Door[] {
  const { listenStarttls } = config.submission
  return services.flatMap(name => [
    { keys: [name, 'listen'], endpoint: config[name].listen },
    ...(name === 'submission' && listenStarttls !== undefined
      ? [{ keys: [name, 'listen_starttls'], endpoint: listenStarttls }]
      : []),
    ...[config.hooks?.[name] ?? []].flat().map(endpoint => ({ keys: ['hooks', name], endpoint })),
  ])
}

async function elsewhere(doors: readonly Door[]): Promise<AddressFinding[]> {
  const found: AddressFinding[] = []
  for (const { keys, endpoint } of doors) {
    const message = await whyNotHere(endpoint.host)
    if (message !== null) found.push({ keys, message, warning: false })
  }
  return found
}

/** Why no service of this machine can listen at `host`; `null`: one can. */
function whyNotHere(host: string): Promise<string | null> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => resolve(explain(host, code, message)))
    server.listen({ host, port: 0 }, () => server.close(() => resolve(null)))
  })
}

function explain(host: string, code: string | undefined, message: string): string {
  switch (code) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EAI_NODATA':
      return `${host} does not resolve: write an address of this machine, or "0.0.0.0" or "[::]" for all it has`
    case 'EADDRNOTAVAIL':
      return `${host} is no address of this machine: write one of its own, or name the services that are on it: ptt config check relay`
    case 'EAFNOSUPPORT':
      return `${host}: this machine has no IPv6: write an IPv4 address, or "0.0.0.0" for all it has`
    default:
      return `nobody can listen at ${host}: ${message}`
  }
}

/** Two services at one address and port: the second would not start. */
function taken(doors: readonly Door[]): AddressFinding[] {
  return doors.flatMap(({ keys, endpoint }, at) => {
    const other = doors.slice(0, at).find(before => collide(before.endpoint, endpoint))
    if (other === undefined) return []
    const message = `${formatEndpoint(endpoint)} is taken by ${other.keys.join('.')}: write another port`
    return [{ keys, message, warning: false }]
  })
}

function collide(one: Endpoint, other: Endpoint): boolean {
  if (one.port !== other.port || one.port === 0) return false
  return one.host === other.host || EVERYWHERE.has(one.host) || EVERYWHERE.has(other.host)
}

/** A service of this machine that looks for another one where that does not listen. */
async function apart(config: Config, services: readonly ServiceName[]): Promise<AddressFinding[]> {
  const neighbours: [name: ServiceName, other: ServiceName, target: Endpoint][] = [
    ['submission', 'signer', config.submission.signer],
    ['signer', 'relay', config.signer.relay],
    ['relay', 'signer', config.relay.signer],
  ]
  const found: AddressFinding[] = []
  for (const [name, other, target] of neighbours) {
    if (!services.includes(name) || !services.includes(other)) continue
    const { listen } = config[other]
    if (listen.port === 0 || (await leadsTo(target, listen))) continue
    const where = `nobody answers at ${formatEndpoint(target)}, as ${other}.listen is ${formatEndpoint(listen)}`
    const message = `${where}: write that, unless the ${other} is on another machine`
    found.push({ keys: [name, other], message, warning: true })
  }
  return found
}

async function leadsTo(target: Endpoint, listen: Endpoint): Promise<boolean> {
  if (target.port !== listen.port) return false
  if (target.host === listen.host) return true
  if (EVERYWHERE.has(listen.host)) return (await whyNotHere(target.host)) === null
  const [ours, theirs] = [await addressesOf(target.host), await addressesOf(listen.host)]
  return ours.some(address => theirs.includes(address))
}

async function addressesOf(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true }).catch(() => [])
  return found.map(({ address }) => address)
}
