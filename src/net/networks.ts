/** Sets of IP addresses, and those that nobody can be reached at over the Internet. */

import { BlockList, isIP, isIPv6 } from 'node:net'

/** `192.0.2.0/24`, `2001:db8::/32`, or a single address. */
export class Networks {
  readonly #list = new BlockList()

  /** @throws RangeError for what is no network */
  constructor(networks: readonly string[]) {
    for (const network of networks) {
      const [address = '', length] = network.split('/')
      const family = isIP(address)
      const bits = family === 6 ? 128 : 32
      const prefix = length === undefined ? bits : Number(length)
      if (family === 0 || !Number.isInteger(prefix) || prefix < 0 || prefix > bits)
        throw new RangeError(`${network} is not a network`)
      this.#list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4')
    }
  }

  has(address: string): boolean {
    return isIP(address) !== 0 && this.#list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
  }
}

/**
 * What the IANA registries of special-purpose addresses (RFC 6890) do not hold globally reachable: this host, private use,
 * link-local, shared (RFC 6598), documentation, benchmarks, multicast, reserved. `::ffff:0:0/96` is checked as the IPv4 it holds.
 */
export const UNREACHABLE = new Networks([
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  '::1/128',
  '100::/64',
  '2001:db8::/32',
  '3fff::/20',
  'fc00::/7',
  'fe80::/10',
  'ff00::/8',
])
