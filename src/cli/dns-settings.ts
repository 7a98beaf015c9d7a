/** What `ptt dns` holds the DNS against, out of the configuration, the repository of users and the signer's keys. */

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { FileError, readText } from '../config/file.ts'
import type { Config } from '../config/schema.ts'
import { readSources } from '../config/sources.ts'
import { readRepository } from '../directory/edit.ts'
import { sameAddress } from '../dns/address.ts'
import type { Settings } from '../dns-plan/plan.ts'
import { View } from '../dns-plan/view.ts'
import { Resolver } from '../net/resolver.ts'
import { wantedRecords } from '../signer/known-keys.ts'
import { sameKeyRecord } from '../signer/publish.ts'
import { editOptions } from './repository.ts'

/**
 * @param asked the domains that are wanted; none: all there are
 * @throws Error for one that is not ours; FileError for a policy that cannot be read
 */
export async function dnsSettings(config: Config, asked: readonly string[]): Promise<Settings> {
  const { dns, submission, relay } = config
  const directory = await readRepository(editOptions(config.file))
  const domains = domainsOf(config.domain, directory.domains, asked)
  const unsigned = domains.filter(domain => directory.signing?.get(domain)?.never === true)
  return {
    domains,
    unsigned: new Set(unsigned),
    hostname: relay.hostname,
    egress: egressOf(config),
    spf: dns.spf,
    all: dns.spfAll,
    dmarc: dns.dmarc,
    dmarcRua: dns.dmarcRua,
    tlsrptRua: dns.tlsrptRua,
    mtaStsId: dns.mtaSts === undefined ? null : policyId(dns.mtaSts),
    submission: {
      hostname: submission.hostname,
      port: submission.listen.port,
      starttlsPort: submission.listenStarttls?.port ?? null,
    },
    ...keysOf(config),
    sameKey: sameKeyRecord,
    ttlSeconds: dns.ttlSeconds,
  }
}

/**
 * The public addresses of the relay, each with its name in EHLO: those of [dns], or else of its sources. Behind NAT the
 * sources have other addresses than the world sees, so [dns] has the last word.
 */
function egressOf({ dns, relay }: Config): Settings['egress'] {
  // The file is where the relay is, which may be another machine.
  const sources = relay.sources !== undefined && existsSync(relay.sources) ? readSources(relay.sources) : []
  const named = sources.flatMap(({ addresses, hostname = relay.hostname }) =>
    addresses.map(address => ({ address, hostname })),
  )
  if (dns.egress.length === 0) return named
  return dns.egress.map(
    address =>
      named.find(source => sameAddress(source.address, address)) ?? { address, hostname: relay.hostname },
  )
}

/** Asks as the signer does: its resolvers, or those of the relay where it has none. */
export function openView(config: Config): { view: View; close(): void } {
  const { signer, relay } = config
  const resolver = new Resolver({ servers: signer.resolver.length > 0 ? signer.resolver : relay.resolver })
  const view = new View({
    resolver,
    ...(signer.primaryFrom === 'soa' ? {} : { primary: { zone: signer.zone, endpoint: signer.primary } }),
    authoritative: signer.authoritative,
  })
  return { view, close: () => resolver.close() }
}

function domainsOf(own: string, directory: ReadonlySet<string>, asked: readonly string[]): string[] {
  const ours = new Set([own, ...[...directory].toSorted()])
  for (const domain of asked) {
    if (!ours.has(domain.toLowerCase()))
      throw new Error(`${domain} is none of our domains: ${[...ours].join(', ')}`)
  }
  return asked.length === 0 ? [...ours] : asked.map(domain => domain.toLowerCase())
}

/** On another machine than the signer's they cannot be read, and all else can still be looked at. */
function keysOf(config: Config): Pick<Settings, 'keys' | 'keysTrouble'> {
  try {
    const keys = wantedRecords(config, Date.now())
    const keysTrouble =
      keys.length > 0 ? null : `${config.signer.state}: the signer has made no key yet: start it`
    return { keys, keysTrouble }
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    return { keys: [], keysTrouble: error.message }
  }
}

/**
 * RFC 8461 §3.1: 1 to 32 letters and digits that are others for each policy. Made of the policy, it changes when that
 * does, and never else.
 */
function policyId(path: string): string {
  const policy = readText(path).replaceAll('\r\n', '\n')
  if (!/^version:\s*STSv1\s*$/m.test(policy))
    throw new FileError(`${path}: is no MTA-STS policy (RFC 8461 §3.2): the line "version: STSv1" is missing`)
  return createHash('sha256').update(policy).digest('hex').slice(0, 32)
}
