/** replies.toml: what the replies of other servers mean beyond their codes. The first rule that fits counts. */

import * as z from 'zod'
import { list, oneOf, text } from './field.ts'
import { type Rule, readRules, readShippedRules } from './rules.ts'
import * as kind from './value.ts'

/** What a reply is about. */
export const CATEGORIES = [
  // The recipient: 5xx is final, and the address is not written to again for a while.
  'bad-address',
  'inactive',
  // The recipient, at this moment.
  'mailbox-full',
  'busy-mailbox',
  // The message.
  'too-large',
  'spam',
  'policy',
  'authentication',
  // We: who comes from this address is turned away, whatever he brings.
  'blocked',
  'rate-limited',
  'greylisted',
  'our-dns',
  // They.
  'their-trouble',
  'routing',
  'protocol',
  'other',
] as const
export type Category = (typeof CATEGORIES)[number]

const expression: kind.Kind<RegExp> = {
  noun: 'a regular expression',
  write: 'write one as JavaScript has them; letters of either case fit',
  parse(written) {
    try {
      return new RegExp(written, 'i')
    } catch {
      return undefined
    }
  },
}
const hosts = list(text(kind.word), 'a list of names', 'write for example ["*.example.com"]')

export const RULE = z
  .object({
    name: z.string({ error: 'is missing: write whose reply it is and what it says' }),
    /** Names of the MX host: all when not given. */
    hosts: hosts.exactOptional(),
    /** What the reply must hold: `421 4.7.0 [TS01] Messages from …`, its lines joined by spaces. */
    reply: text(expression),
    category: oneOf(CATEGORIES),
    /** Instead of what the code says: the message waits, or is returned. */
    action: oneOf(['defer', 'fail']).exactOptional(),
    /** The message is not tried again before. */
    waitMs: text(kind.duration).exactOptional(),
    /** Nothing is sent to the site for as long. */
    pauseMs: text(kind.duration).exactOptional(),
    /** What the operator can do. */
    advice: z.string().exactOptional(),
    /** Replies as they were seen: each must fit this rule, and none before it. */
    examples: list(z.string(), 'a list of replies', 'write replies as they came').exactOptional(),
  })
  .strict()

export type ReplyRule = Rule<typeof RULE>

/** The operator's rules, then those that come with ptt. @throws ConfigError */
export function readReplies(path: string | undefined): ReplyRule[] {
  const ours = readShippedRules('replies.toml', 'reply', RULE)
  return path === undefined ? ours : [...readRules(path, 'reply', RULE), ...ours]
}
