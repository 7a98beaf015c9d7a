/** sources.toml: the addresses that mail leaves from, in pools by the domain of the sender. */

import * as z from 'zod'
import { integer, list, text } from './field.ts'
import { type Rule, readRules } from './rules.ts'
import * as kind from './value.ts'

const address: kind.Kind<string> = {
  noun: 'an IP address',
  write: 'write an address of this machine, such as "192.0.2.1" or "2001:db8::1"',
  parse(written) {
    const host = kind.endpoint(0, 0).parse(written.includes(':') ? `[${written}]` : written)?.host
    return host !== undefined && /^[\d.]+$|:/.test(host) ? host : undefined
  },
}
export const RULE = z
  .object({
    name: text(kind.word),
    /** Not set: the pool of those whose senders have no other. */
    pool: text(kind.word).exactOptional(),
    /** At most one of each family. */
    addresses: list(text(address), 'a list of addresses', address.write).refine(
      all =>
        all.length > 0 &&
        all.filter(one => one.includes(':')).length <= 1 &&
        all.filter(one => !one.includes(':')).length <= 1,
      'write one IPv4 address, or one IPv6 address, or one of each',
    ),
    /** The name in EHLO: it should lead to the addresses, and they to it. */
    hostname: text(kind.domainName).exactOptional(),
    /** Whose mail goes through the pool: domains of the reverse-path. */
    senders: list(text(kind.domainPattern), 'a list of domains', kind.domainPattern.write).exactOptional(),
    /** Of the pool's mail, relative to the others. */
    weight: integer(1, 1000).exactOptional(),
    /** Messages on the first day of a new address, one for each recipient. Not set: no warm-up. */
    firstDay: integer(1, 1_000_000).exactOptional(),
    since: z.date({ error: 'write a date, such as 2026-11-20' }).exactOptional(),
    /** So many times as much on each day that follows. */
    growth: z
      .number({ error: 'write a number, such as 1.5' })
      .gt(1, { error: 'write more than 1' })
      .exactOptional(),
    /** When a day's share has become this, there is no limit any more. */
    until: integer(1, 1_000_000_000).exactOptional(),
  })
  .strict()
  .refine(rule => (rule.firstDay === undefined) === (rule.since === undefined), {
    path: ['since'],
    error: 'a warm-up wants both first_day and since',
  })

export interface WarmUp {
  readonly sinceMs: number
  readonly firstDay: number
  readonly growth: number
  readonly until: number
}

export type SourceRule = Omit<Rule<typeof RULE>, 'since' | 'firstDay' | 'growth' | 'until'> & {
  readonly warmUp?: WarmUp
}

/** @throws ConfigError */
export function readSources(path: string | undefined): SourceRule[] {
  if (path === undefined) return []
  return readRules(path, 'source', RULE).map(({ since, firstDay, growth, until, ...rule }) =>
    since === undefined || firstDay === undefined
      ? rule
      : {
          ...rule,
          warmUp: { sinceMs: since.getTime(), firstDay, growth: growth ?? 1.5, until: until ?? 100_000 },
        },
  )
}
