/**
 * BIND 9 (named), as a primary that takes updates, as a secondary, and as a recursive server. It listens on
 * addresses of interfaces only, so on no other one of 127.0.0.0/8 than the first.
 */

import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TsigKey } from '../../src/dns/tsig.ts'
import {
  type DnsPeer,
  type MasterFiles,
  type PrimaryPeerOptions,
  type Probe,
  type SecondaryPeerOptions,
  secretOf,
  startDnsPeer,
} from './dns.ts'
import { which } from './need.ts'
import { run as runProgram, temporaryFolder } from './program.ts'

export function startBind(options: PrimaryPeerOptions): Promise<DnsPeer> {
  const { zones, tsigKey, types = ['TXT'] } = options
  const policy =
    `update-policy { grant ${tsigKey.name} zonesub ${types.join(' ')}; }; ` +
    `allow-transfer { key ${tsigKey.name}; };`
  return startDnsPeer('bind', probe(zones), (folder, port) =>
    run(folder, port, [
      ...head(folder, port, 'recursion no;'),
      keyStatement(tsigKey),
      ...writeZones(folder, zones, policy),
    ]),
  )
}

export function startBindSecondary(
  options: Omit<SecondaryPeerOptions, 'address' | 'port'>,
): Promise<DnsPeer> {
  const { zone, primary, tsigKey } = options
  return startDnsPeer('bind-secondary', { zone }, (folder, port) =>
    run(folder, port, [
      ...head(folder, port, 'recursion no;'),
      keyStatement(tsigKey),
      `zone "${zone}" { type secondary; file "zone"; allow-notify { 127.0.0.0/8; };`,
      `  primaries { 127.0.0.1 port ${primary} key "${tsigKey.name}"; }; };`,
    ]),
  )
}

/** As tsig-keygen prints it. */
export function keyStatement(key: TsigKey): string {
  return `key "${key.name}" { algorithm ${key.algorithm}; secret "${secretOf(key)}"; };`
}

/** Serves zones that are not to be changed (signed ones). */
export function startBindStatic(zones: MasterFiles): Promise<DnsPeer> {
  return startDnsPeer('bind', probe(zones), (folder, port) =>
    run(folder, port, [...head(folder, port, 'recursion no;'), ...writeZones(folder, zones, '')]),
  )
}

export interface BindResolverOptions {
  /** Zone → port of 127.0.0.1 where its server is. */
  readonly forward: Readonly<Record<string, number>>
}

export function startBindResolver(options: BindResolverOptions): Promise<DnsPeer> {
  return startDnsPeer('bind-resolver', 'recursive', (folder, port) => {
    const zones = Object.entries(options.forward).map(
      ([zone, to]) => `zone "${zone}" { type forward; forward only; forwarders { 127.0.0.1 port ${to}; }; };`,
    )
    return run(folder, port, [...head(folder, port, 'recursion yes; allow-recursion { any; };'), ...zones])
  })
}

function head(folder: string, port: number, more: string): string[] {
  return [
    'options {',
    `  directory "${folder}"; pid-file none; session-keyfile "${join(folder, 'session.key')}";`,
    `  listen-on port ${port} { 127.0.0.1; }; listen-on-v6 { none; };`,
    `  dnssec-validation no; notify no; allow-transfer { none; }; empty-zones-enable no; ${more}`,
    '};',
    'controls { };',
  ]
}

function writeZones(folder: string, zones: MasterFiles, policy: string): string[] {
  mkdirSync(join(folder, 'zones'), { recursive: true })
  return Object.entries(zones).map(([zone, text]) => {
    writeFileSync(join(folder, 'zones', zone), text)
    return `zone "${zone}" { type primary; file "zones/${zone}"; check-names ignore; ${policy} };`
  })
}

function run(folder: string, port: number, config: string[]): { program: string; args: string[] } {
  const file = join(folder, 'named.conf')
  writeFileSync(file, `${config.join('\n')}\n`)
  return { program: which('named') ?? 'named', args: ['-g', '-c', file, '-p', String(port), '-n', '1'] }
}

function probe(zones: MasterFiles): Probe {
  return { zone: Object.keys(zones)[0] ?? '.' }
}

export interface SignedZone {
  /** One record a line. */
  readonly masterFile: string
  /** The DNSKEY record that a validating resolver is to trust, */
  readonly anchor: string
  /** or the DS records for the zone above. */
  readonly ds: string
}

/** A zone signed with a new key (RFC 4035). `more`: arguments of dnssec-signzone. */
export async function signZone(
  zone: string,
  masterFile: string,
  more: readonly string[] = [],
): Promise<SignedZone> {
  const folder = temporaryFolder('signzone')
  const at = (name: string) => join(folder.path, name)
  try {
    const file = at('zone')
    writeFileSync(file, masterFile)
    const keygen = ['-q', '-K', folder.path, '-a', 'ECDSAP256SHA256', '-f', 'KSK', zone]
    const key = await finished('dnssec-keygen', keygen, folder.path)
    const how = ['-q', '-S', '-z', '-O', 'full', '-K', folder.path, ...more]
    await finished('dnssec-signzone', [...how, '-o', zone, '-f', `${file}.signed`, file], folder.path)
    const lines = readFileSync(at(`${key.trim()}.key`), 'utf8').split('\n')
    const anchor = lines.find(line => line !== '' && !line.startsWith(';')) ?? ''
    const ds = readFileSync(at(`dsset-${zone}.`), 'utf8')
    return { masterFile: readFileSync(`${file}.signed`, 'utf8'), anchor, ds }
  } finally {
    folder.remove()
  }
}

async function finished(program: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, output } = await runProgram(which(program) ?? program, args, { cwd })
  assert.equal(code, 0, `${program}: ${output}`)
  return output
}
