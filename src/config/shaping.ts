/** shaping.toml: how the hosts of large providers want to be treated, in rules of which later ones have the last word. */

import * as z from 'zod'
import { integer, list, text } from './field.ts'
import { type Rule, readRules, readShippedRules } from './rules.ts'
import * as kind from './value.ts'

const patterns = list(
  text(kind.domainPattern),
  'a list of names',
  'write for example ["*.example.com"]',
).exactOptional()

export const RULE = z
  .object({
    name: z.string({ error: 'is missing: write for whom the rule is, such as "Gmail"' }),
    /** Why: shown by `ptt shaping explain`. */
    because: z.string().exactOptional(),
    /** Either, or both: of the domain that is written to, and of every one of its MX hosts. */
    domains: patterns,
    hosts: patterns,
    initialConcurrency: integer(1, 1000).exactOptional(),
    concurrency: integer(1, 1000).exactOptional(),
    messagesPerSecond: z
      .number({ error: 'write a number, such as 10 or 0.5' })
      .positive({ error: 'write more than 0' })
      .exactOptional(),
    connectionsPerMinute: integer(1, 1_000_000).exactOptional(),
    messagesPerConnection: integer(1, 1_000_000).exactOptional(),
    connectionAgeMs: text(kind.wait).exactOptional(),
    idleMs: text(kind.wait).exactOptional(),
    recipientsPerTransaction: integer(1, 1000).exactOptional(),
  })
  .strict()

export type ShapingRule = Rule<typeof RULE>

/** The rules that come with ptt, then the operator's. @throws ConfigError */
export function readShaping(path: string | undefined): ShapingRule[] {
  const ours = readShippedRules('shaping.toml', 'shaping', RULE)
  return path === undefined ? ours : [...ours, ...readRules(path, 'shaping', RULE)]
}
