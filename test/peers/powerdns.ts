/** PowerDNS (pdns_server) over SQLite, as a primary that takes updates. */

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type DnsPeer, type PrimaryPeerOptions, secretOf, startDnsPeer } from './dns.ts'
import { which } from './need.ts'
import { run, temporaryFolder } from './program.ts'

const SCHEMA = '/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql'

export async function startPowerDns(options: PrimaryPeerOptions): Promise<DnsPeer> {
  const { zones, tsigKey, types = ['TXT'] } = options
  // What pdnsutil does takes a while: once, and not again for every port that is tried.
  const prepared = temporaryFolder('powerdns-database')
  const database = join(prepared.path, 'pdns.sqlite3')
  const policy = join(prepared.path, 'policy.lua')
  const config = [
    'launch=gsqlite3',
    `gsqlite3-database=${database}`,
    'gsqlite3-dnssec=yes',
    // Nothing is remembered: what an update changed is looked for a moment later.
    ...['cache-ttl=0', 'query-cache-ttl=0', 'negquery-cache-ttl=0', 'zone-cache-refresh-interval=0'],
    'dnsupdate=yes',
    'allow-dnsupdate-from=127.0.0.0/8',
    `lua-dnsupdate-policy-script=${policy}`,
    'allow-axfr-ips=',
    'daemon=no',
    'guardian=no',
    'distributor-threads=1',
    'version-string=anonymous',
    'security-poll-suffix=',
  ]
  writeFileSync(join(prepared.path, 'pdns.conf'), `${config.join('\n')}\n`)
  writeFileSync(policy, POLICY.replace('TYPES', types.map(type => `[pdns.${type}]=true`).join(', ')))
  const sqlite = new DatabaseSync(database)
  sqlite.exec(readFileSync(SCHEMA, 'utf8'))
  sqlite.close()
  const pdnsutil = async (...args: string[]): Promise<void> => {
    const { code, output } = await run(which('pdnsutil') ?? 'pdnsutil', [
      `--config-dir=${prepared.path}`,
      ...args,
    ])
    assert.equal(code, 0, `pdnsutil ${args[0]}: ${output}`)
  }
  await pdnsutil('import-tsig-key', tsigKey.name, tsigKey.algorithm, secretOf(tsigKey))
  for (const [zone, text] of Object.entries(zones)) {
    const file = join(prepared.path, zone)
    writeFileSync(file, text)
    await pdnsutil('load-zone', zone, file)
    await pdnsutil('set-meta', zone, 'TSIG-ALLOW-DNSUPDATE', tsigKey.name)
    await pdnsutil('set-meta', zone, 'TSIG-ALLOW-AXFR', tsigKey.name)
  }
  const peer = await startDnsPeer('powerdns', { zone: Object.keys(zones)[0] ?? '.' }, (folder, port) => {
    const own = [`socket-dir=${folder}`, 'local-address=127.0.0.1', `local-port=${port}`]
    writeFileSync(join(folder, 'pdns.conf'), `${[...config, ...own].join('\n')}\n`)
    return { program: which('pdns_server') ?? 'pdns_server', args: [`--config-dir=${folder}`] }
  })
  return {
    ...peer,
    stop: async () => {
      await peer.stop()
      prepared.remove()
    },
  }
}

/** PowerDNS has no list of types that a key may change, but asks a script. */
const POLICY = `local types = { TYPES }
function updatepolicy(request)
  return types[request:getQType()] == true
end
`
