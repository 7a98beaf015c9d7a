/** Knot DNS (knotd), as a primary that takes updates. */

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DnsPeer, type PrimaryPeerOptions, secretOf, startDnsPeer } from './dns.ts'
import { which } from './need.ts'

export function startKnot(options: PrimaryPeerOptions): Promise<DnsPeer> {
  const { zones, tsigKey } = options
  return startDnsPeer('knot', { zone: Object.keys(zones)[0] ?? '.' }, (folder, port) => {
    mkdirSync(join(folder, 'zones'), { recursive: true })
    for (const [zone, text] of Object.entries(zones)) writeFileSync(join(folder, 'zones', zone), text)
    const config = `
server:
    rundir: "${folder}"
    listen: 127.0.0.1@${port}
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
  - id: ${tsigKey.name}
    algorithm: ${tsigKey.algorithm}
    secret: ${secretOf(tsigKey)}
acl:
  - id: update
    key: ${tsigKey.name}
    action: update
    update-type: [TXT]
template:
  - id: default
    storage: "${join(folder, 'zones')}"
    file: "%s"
    acl: update
zone:
${Object.keys(zones)
  .map(zone => `  - domain: ${zone}\n`)
  .join('')}`
    const file = join(folder, 'knot.conf')
    writeFileSync(file, config, { mode: 0o600 })
    return { program: which('knotd') ?? 'knotd', args: ['-c', file] }
  })
}
