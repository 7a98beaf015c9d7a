/** In which order the addresses of the hosts of one preference are tried. Pure. */

import type { Target } from '../../net/race.ts'
import type { MailHost } from '../destination.ts'
import type { TlsPolicy } from '../tls-policy.ts'
import type { Source } from './source.ts'

export interface Candidate extends Target {
  readonly host: MailHost
  /** Of the host: the message's, and what DNS says above it. */
  readonly policy: TlsPolicy
  /** The message did without what the destination asks of TLS: the connection is for nobody else. */
  readonly waived: boolean
  /** `host [address]` */
  readonly remote: string
}

export interface Reachable {
  readonly host: MailHost
  readonly policy: TlsPolicy
  readonly waived: boolean
  readonly addresses: readonly string[]
}

/**
 * Hosts as they come (they were shuffled, RFC 5321 §5.1); of the addresses IPv6 first and the families in turn (RFC 8305 §4),
 * so that a family that leads nowhere costs one attempt; those that did not answer lately last.
 * @param source what we send from: a family that it has no address of is left out
 */
export function candidatesOf(
  reachable: readonly Reachable[],
  source: Source,
  port: number,
  isDead: (address: string) => boolean,
): Candidate[] {
  const all = reachable.flatMap(({ host, policy, waived, addresses }) =>
    inTurn(addresses).flatMap((address): Candidate[] => {
      const localAddress = isIpv6(address) ? source.ipv6 : source.ipv4
      if (localAddress === null) return []
      const from = localAddress === undefined ? {} : { localAddress }
      return [
        {
          host,
          policy,
          waived,
          address,
          port: host.route?.host.port ?? port,
          remote: `${host.name} [${address}]`,
          ...from,
        },
      ]
    }),
  )
  const [dead = [], alive = []] = [
    all.filter(one => isDead(one.address)),
    all.filter(one => !isDead(one.address)),
  ]
  return [...alive, ...dead]
}

function inTurn(addresses: readonly string[]): string[] {
  const six = addresses.filter(isIpv6)
  const four = addresses.filter(address => !isIpv6(address))
  return Array.from({ length: Math.max(six.length, four.length) }, (_, n) => [six[n], four[n]])
    .flat()
    .filter(address => address !== undefined)
}

function isIpv6(address: string): boolean {
  return address.includes(':')
}
