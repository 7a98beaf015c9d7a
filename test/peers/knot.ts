/** Knot DNS (knotd), as a primary that takes updates and as a secondary. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TsigKey } from '../../src/dns/tsig.ts'
import {
  type DnsPeer,
  type PrimaryPeerOptions,
  type SecondaryPeerOptions,
  secretOf,
  startDnsPeer,
} from './dns.ts'
import { which } from './need.ts'

export function startKnot(options: PrimaryPeerOptions): Promise<DnsPeer> {
  const { zones, tsigKey, types = ['TXT'] } = options
  return startDnsPeer('knot', { zone: Object.keys(zones)[0] ?? '.' }, (folder, port) => {
    mkdirSync(join(folder, 'zones'), { recursive: true })
    for (const [zone, text] of Object.entries(zones)) writeFileSync(join(folder, 'zones', zone), text)
    return run(
      folder,
      `${head(folder, `127.0.0.1@${port}`, tsigKey)}
acl:
  - id: update
    key: ${tsigKey.name}
    action: update
    update-type: [${types.join(', ')}]
  - id: transfer
    key: ${tsigKey.name}
    action: transfer
template:
  - id: default
    storage: "${join(folder, 'zones')}"
    file: "%s"
    acl: [update, transfer]
zone:
${Object.keys(zones)
  .map(zone => `  - domain: ${zone}\n`)
  .join('')}`,
    )
  })
}

export function startKnotSecondary(options: SecondaryPeerOptions): Promise<DnsPeer> {
  const { zone, primary, tsigKey, address = '127.0.0.1' } = options
  return startDnsPeer(
    'knot-secondary',
    { zone },
    (folder, port) =>
      run(
        folder,
        `${head(folder, `${address}@${port}`, tsigKey)}
remote:
  - id: primary
    address: 127.0.0.1@${primary}
    key: ${tsigKey.name}
acl:
  - id: notify
    address: 127.0.0.0/8
    action: notify
zone:
  - domain: ${zone}
    storage: "${folder}"
    master: primary
    acl: notify
`,
      ),
    options,
  )
}

function head(folder: string, listen: string, key: TsigKey): string {
  return `
server:
    rundir: "${folder}"
    listen: ${listen}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "${folder}"
    journal-db-max-size: 16M
    timer-db-max-size: 16M
    kasp-db-max-size: 16M
    catalog-db-max-size: 16M
key:
  - id: ${key.name}
    algorithm: ${key.algorithm}
    secret: ${secretOf(key)}`
}

function run(folder: string, config: string): { program: string; args: string[] } {
  const file = join(folder, 'knot.conf')
  writeFileSync(file, config, { mode: 0o600 })
  return { program: which('knotd') ?? 'knotd', args: ['-c', file] }
}
