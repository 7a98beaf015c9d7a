/**
 * What an image runs with: ptt.toml of the config disk, if there is one, the options of the kernel command line above it, and
 * what an image always is, such as where mail is kept.
 */

import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'smol-toml'
import { ConfigError, loadConfig, parseToml } from '../config/load.ts'
import type { Config } from '../config/schema.ts'

export const SERVICES = ['submission', 'signer', 'relay'] as const
export type Service = (typeof SERVICES)[number]

/** As commander gives them; those of a DKIM key go to `ptt signer` as they are. */
export interface BootOptions {
  readonly domain?: string
  readonly postmaster?: string
  readonly repository?: string
  readonly branch?: string
  readonly hostname?: string
  readonly listen?: string
  readonly destination?: string
  readonly signer?: string
  readonly dnsServer?: string
  readonly dnsKey?: string
  readonly resolver?: string
  readonly set?: readonly string[]
  /** Of the signer: a key that is given is not made. */
  readonly seed?: string
  readonly p?: string
}

type Value = string | number | boolean | readonly unknown[]
type Toml = Record<string, unknown>

export interface Machine {
  readonly service: Service
  /** What the config disk was copied to, and what is written to: in memory. */
  readonly home: string
  /** The data disk, where there is one. */
  readonly data: string | undefined
}

/** Option → the key of ptt.toml, which each service may have elsewhere. */
const KEYS: Readonly<Record<Service, Partial<Record<keyof BootOptions, string>>>> = {
  submission: { hostname: 'hostname', listen: 'listen', destination: 'signer' },
  signer: { listen: 'listen', destination: 'relay', dnsServer: 'primary', resolver: 'resolver' },
  relay: {
    hostname: 'hostname',
    listen: 'listen',
    signer: 'signer',
    dnsServer: 'resolver',
    resolver: 'resolver',
  },
}
const EVERYWHERE: readonly (readonly [option: keyof BootOptions, table: string, key: string])[] = [
  ['domain', '', 'domain'],
  ['postmaster', '', 'postmaster'],
  ['repository', 'directory', 'repository'],
  ['branch', 'directory', 'branch'],
]

/** Where others look for it: on this machine alone nobody would find it. */
const LISTEN: Readonly<Record<Service, string>> = {
  submission: '[::]:465',
  signer: '[::]:2525',
  relay: '[::]:2526',
}

/** Of the config disk → where the programs look for it. */
const OF_PROGRAMS: Readonly<Record<string, string>> = {
  ssh: '.ssh',
  gnupg: '.gnupg',
  gitconfig: '.gitconfig',
  netrc: '.netrc',
}

/**
 * Writes the ptt.toml that the service is started with, and gives what is in it.
 * @throws Error or ConfigError with what is wrong
 */
export function prepare(machine: Machine, options: BootOptions): Config {
  const { home } = machine
  const given = join(home, 'ptt.toml')
  const toml: Toml = existsSync(given) ? parseToml(readFileSync(given, 'utf8'), given) : {}
  for (const [table, key, value] of settingsOf(machine, options)) put(toml, table, key, value)
  for (const [from, to] of Object.entries(OF_PROGRAMS)) {
    if (existsSync(join(home, from)) && !existsSync(join(home, to))) symlinkSync(from, join(home, to))
  }
  const file = join(home, 'machine.toml')
  writeFileSync(file, stringify(toml), { mode: 0o600 })
  const config = loadConfig(file)
  check(machine, config, options)
  return config
}

/** What options and the machine say, the last of a key counts. */
export function settingsOf(
  { service, home, data }: Machine,
  options: BootOptions,
): [table: string, key: string, value: Value][] {
  const settings: [string, string, Value][] = []
  for (const [option, table, key] of EVERYWHERE) add(settings, table, key, options[option])
  for (const [option, key] of Object.entries(KEYS[service])) {
    const value = options[option as keyof BootOptions]
    add(settings, service, key, key === 'resolver' && typeof value === 'string' ? value.split(',') : value)
  }
  for (const text of options.set ?? []) settings.push(parseSetting(text))
  if (!settings.some(([table, key]) => table === service && key === 'listen'))
    settings.unshift([service, 'listen', LISTEN[service]])
  if (options.dnsKey !== undefined) {
    const path = join(home, 'dns', 'tsig.key')
    if (existsSync(join(home, options.dnsKey))) settings.push(['signer', 'tsig_key', options.dnsKey])
    else {
      mkdirSync(join(home, 'dns'), { recursive: true, mode: 0o700 })
      writeFileSync(path, `${options.dnsKey}\n`, { mode: 0o600 })
      settings.push(['signer', 'tsig_key', path])
    }
  }
  // What is to outlast the machine is on its disk, whatever ptt.toml calls it; a clone can be made again.
  const kept = data ?? join(home, 'state')
  settings.push([service, 'clone', join(kept, 'clone.git')])
  if (service === 'relay') settings.push(['relay', 'spool', join(kept, 'spool')])
  if (service === 'signer') settings.push(['signer', 'state', join(kept, 'dkim')])
  if (service === 'submission') settings.push(['submission', 'state', join(kept, 'usage')])
  return settings
}

function add(
  settings: [string, string, Value][],
  table: string,
  key: string,
  value: string | readonly string[] | undefined,
): void {
  if (value !== undefined) settings.push([table, key, value])
}

/** `relay.concurrency=10`: a value of TOML, or else a string without its quotes, which the kernel takes away. */
export function parseSetting(text: string): [table: string, key: string, value: Value] {
  const [, table = '', key, written] = /^(?:([a-z_.]+)\.)?([a-z_]+)=(.*)$/s.exec(text) ?? []
  if (key === undefined || written === undefined)
    throw new Error(`--set ${text}: write TABLE.KEY=VALUE, such as relay.concurrency=10`)
  try {
    const { value } = parse(`value = ${written}`)
    return [table, key, value as Value]
  } catch {
    return [table, key, written]
  }
}

function put(toml: Toml, table: string, key: string, value: Value): void {
  let at = toml
  for (const name of table === '' ? [] : table.split('.')) {
    const inner = at[name] ?? {}
    if (typeof inner !== 'object' || Array.isArray(inner))
      throw new Error(`${table} of ptt.toml is not a table`)
    at[name] = inner
    at = inner as Toml
  }
  at[key] = value
}

/** What would go well on a machine that keeps its files. */
function check({ service, data }: Machine, config: Config, { seed, p }: BootOptions): void {
  const problem = (key: string, message: string) => {
    throw new ConfigError([{ file: config.file, line: null, key, message }])
  }
  const { signer, relay } = config
  const given = seed !== undefined || p !== undefined || signer.seed !== undefined || signer.key.length > 0
  if (service === 'signer' && data === undefined && !given)
    problem(
      'signer.key',
      'the keys that the signer makes would be lost with the machine: give it a data disk, or a seed (--seed, or [signer] seed on the config disk), or keys of your own',
    )
  if (service === 'relay' && relay.engine === 'memory')
    problem('relay.engine', 'a machine keeps its mail on the data disk: take it out')
}
