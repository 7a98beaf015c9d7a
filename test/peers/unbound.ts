/** Unbound, as a recursive server that is told where the zones of a test are. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DnsPeer, startDnsPeer } from './dns.ts'
import { which } from './need.ts'
import { isRoot } from './program.ts'

export interface UnboundOptions {
  /** Zone → port of 127.0.0.1 where its authoritative server is. */
  readonly stubs: Readonly<Record<string, number>>
  /** DS or DNSKEY records: what is below them is validated (RFC 4035), the rest is insecure. */
  readonly trustAnchors?: readonly string[]
  /** An address of 127.0.0.0/8 where it is to answer on port 53 too, for programs that read /etc/resolv.conf: only root can. */
  readonly alsoOn53?: string
}

export function startUnbound(options: UnboundOptions): Promise<DnsPeer> {
  const { stubs, trustAnchors = [], alsoOn53 } = options
  return startDnsPeer('unbound', 'recursive', (folder, port) => {
    const config = `
server:
    directory: "${folder}"
    chroot: ""
    username: "${isRoot ? 'root' : ''}"
    pidfile: ""
    use-syslog: no
    logfile: ""
    do-daemonize: no
    interface: 127.0.0.1@${port}
${alsoOn53 === undefined ? '' : `    interface: ${alsoOn53}@53\n`}    port: ${port}
    num-threads: 1
    access-control: 127.0.0.0/8 allow
    do-not-query-localhost: no
    do-ip6: no
    local-zone: "test." nodefault
    module-config: "validator iterator"
    val-log-level: 2
${trustAnchors.map(anchor => `    trust-anchor: "${anchor}"\n`).join('')}
remote-control:
    control-enable: no
${Object.entries(stubs)
  .map(([zone, to]) => `stub-zone:\n    name: "${zone}"\n    stub-addr: 127.0.0.1@${to}\n`)
  .join('')}`
    const file = join(folder, 'unbound.conf')
    writeFileSync(file, config)
    return { program: which('unbound') ?? 'unbound', args: ['-d', '-p', '-c', file] }
  })
}
