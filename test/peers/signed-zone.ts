/**
 * A small DNS of its own, from one trust anchor down: a signed zone `test` on BIND, zones below it that are signed or not, and a
 * validating Unbound to ask. So secure, insecure, bogus and "no answer" are what a validator makes of real zones.
 */

import { signZone, startBindStatic } from './bind.ts'
import type { DnsPeer } from './dns.ts'
import { startUnbound } from './unbound.ts'

export interface ZoneBelow {
  /** Records of a master file (RFC 1035 §5.1), beside SOA and NS. */
  readonly records: string
  /**
   * `nsec3`: absence is proved by hashes (RFC 5155); `expired`: the signatures were good once; `unsigned`: without a DS record;
   * `broken`: its servers answer SERVFAIL.
   */
  readonly how: 'signed' | 'nsec3' | 'expired' | 'unsigned' | 'broken'
  /** Changed after it was signed: what it changes is bogus. */
  readonly forge?: (signed: string) => string
}

export interface SignedDns {
  /** Of the validating resolver, on 127.0.0.1. */
  readonly port: number
  /** What either server has logged. */
  output(): string
  stop(): Promise<void>
}

const TOP = 'test'
const HEAD = '$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n'
const ARGUMENTS: Readonly<Record<'signed' | 'nsec3' | 'expired', readonly string[]>> = {
  signed: [],
  nsec3: ['-3', 'ab12', '-H', '0'],
  expired: ['-P', '-s', 'now-40d', '-e', 'now-10d'],
}

/**
 * @param zones name (`secure.test`) → zone; one below another is delegated by the records of that
 * @param alsoOn53 an address where the resolver is to answer on port 53 too
 */
export async function startSignedDns(
  zones: Readonly<Record<string, ZoneBelow>>,
  alsoOn53?: string,
): Promise<SignedDns> {
  const files: Record<string, string> = {}
  const delegations: string[] = []
  for (const [zone, { records, how, forge = (text: string) => text }] of Object.entries(zones)) {
    if (how === 'broken') {
      files[zone] = 'this is no zone\n'
      continue
    }
    if (zone.split('.').length === 2) delegations.push(`${zone}. NS ns.${zone}.\nns.${zone}. A 127.0.0.1\n`)
    if (how === 'unsigned') {
      files[zone] = HEAD + records
      continue
    }
    const { masterFile, ds } = await signZone(zone, HEAD + records, ARGUMENTS[how])
    files[zone] = forge(masterFile)
    delegations.push(ds)
  }
  const top = await signZone(TOP, HEAD + delegations.join(''))
  const authority: DnsPeer = await startBindStatic({ [TOP]: top.masterFile, ...files })
  const stubs = Object.fromEntries([TOP, ...Object.keys(zones)].map(zone => [zone, authority.port]))
  const on53 = alsoOn53 === undefined ? {} : { alsoOn53 }
  const resolver = await startUnbound({ stubs, trustAnchors: [top.anchor], ...on53 }).catch(async error => {
    await authority.stop()
    throw error
  })
  return {
    port: resolver.port,
    output: () => `${authority.output()}\n${resolver.output()}`,
    async stop() {
      await resolver.stop()
      await authority.stop()
    },
  }
}
