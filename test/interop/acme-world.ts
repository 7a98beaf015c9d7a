/** What the ACME tests share: Pebble, BIND with the zone of the names, and a deployment's [certificate] in a folder. */

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Keeper, type KeeperOptions } from '../../src/certificate/keeper.ts'
import { parseConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { txtText } from '../../src/dns/rdata.ts'
import { parseTsigKey } from '../../src/dns/tsig.ts'
import { askPrimary } from '../../src/net/nsupdate.ts'
import { type EventName, type Fields, logTo } from '../../src/observe/event.ts'
import { startBind, startBindResolver } from '../peers/bind.ts'
import type { DnsPeer, MasterFiles } from '../peers/dns.ts'
import { type Pebble, type PebbleOptions, startPebble } from '../peers/pebble.ts'
import { temporaryFolder } from '../peers/program.ts'

export const HOST = 'mail.example.test'
export const RECORD = `_acme-challenge.${HOST}`
export const TSIG = `acme-key:hmac-sha256:${Buffer.alloc(32, 7).toString('base64')}`

const HEAD = `$TTL 60
@ SOA ns hostmaster 1 3600 600 86400 5
@ NS ns
ns A 127.0.0.1
`

export interface World {
  readonly folder: string
  readonly config: Config
  readonly pebble: Pebble
  readonly bind: DnsPeer
  readonly events: { readonly name: EventName; readonly fields: Fields }[]
  keeper(options?: Partial<KeeperOptions>): Keeper
  /** What a keeper in the same place would be, with these lines of [certificate] beside. */
  configWith(...lines: readonly string[]): Config
  states(): string[]
  alarms(): string[]
  /** The TXT values at a name, as the primary has them. */
  txt(name?: string): Promise<string[]>
}

export interface WorldOptions {
  /** Lines of the zone example.test. */
  readonly records?: string
  /** Other zones, lines beside SOA and NS. */
  readonly zones?: MasterFiles
  readonly toml?: readonly string[]
  readonly pebble?: Omit<PebbleOptions, 'dnsPort'>
  /** Pebble asks a recursive server, which follows CNAMEs but remembers: for one order only. */
  readonly recursive?: true
}

export async function startWorld(t: TestContext, options: WorldOptions = {}): Promise<World> {
  const { path: folder, remove } = temporaryFolder('acme')
  t.after(remove)
  const zones = Object.entries({ 'example.test': options.records ?? '', test: '', ...options.zones })
  const bind = await startBind({
    zones: Object.fromEntries(zones.map(([zone, records]) => [zone, `${HEAD}${records}`])),
    tsigKey: parseTsigKey(TSIG),
  })
  t.after(() => bind.stop())
  const recursive = options.recursive ? await startBindResolver({ forward: { test: bind.port } }) : null
  t.after(() => recursive?.stop())
  const pebble = await startPebble({ ...options.pebble, dnsPort: recursive?.port ?? bind.port })
  t.after(() => pebble.stop())
  mkdirSync(join(folder, 'dns'))
  writeFileSync(join(folder, 'dns/tsig.key'), TSIG, { mode: 0o600 })

  const configWith = (...lines: readonly string[]) => {
    const usual = [
      'terms_agreed = true',
      `directory = "${pebble.directory}"`,
      `ca = "${pebble.ca}"`,
      `primary = "127.0.0.1:${bind.port}"`,
      `resolver = ["127.0.0.1:${bind.port}"]`,
      `authorities = ["127.0.0.1:${bind.port}"]`,
      'propagation = "2s"',
    ]
    const nameOf = (line: string) => line.split(' ')[0]
    const kept = usual.filter(line => !lines.some(other => nameOf(other) === nameOf(line)))
    const toml = ['domain = "example.test"', '[certificate]', ...kept, ...lines].join('\n')
    return parseConfig(toml, join(folder, 'ptt.toml'))
  }
  const config = configWith(...(options.toml ?? []))
  const events: World['events'] = []
  const log = logTo((name, fields) => {
    assert.ok(!JSON.stringify(fields).includes('PRIVATE KEY'))
    events.push({ name, fields })
  })
  return {
    folder,
    config,
    pebble,
    bind,
    events,
    configWith,
    keeper: (other = {}) => {
      const keeper = new Keeper({ config, log, signal: new AbortController().signal, ...other })
      keeper.prepare()
      return keeper
    },
    states: () =>
      events.filter(({ name }) => name === 'certificate').map(({ fields }) => String(fields.state)),
    alarms: () => events.filter(({ name }) => name === 'alarm').map(({ fields }) => String(fields.reason)),
    async txt(name = RECORD) {
      const found = await askPrimary({ host: '127.0.0.1', port: bind.port }, name, 'TXT')
      assert.notEqual(found.kind, 'failure')
      return found.kind === 'answer' ? found.records.map(txtText).sort() : []
    },
  }
}
