/**
 * What may stand in a file of the repository, and what is said about the rest: file, line and rule.
 *
 * The descriptions are the ones of docs/users.md (document.ts). No rule repeats a value of `password`, nor a line of the
 * file around an error of syntax: it ends in logs.
 */

import { parse, TomlError } from 'smol-toml'
import * as z from 'zod'
import type { Mailbox } from '../smtp/path.ts'
import type { AppPassword, DayLimits, UserLimits } from './directory.ts'
import {
  appPasswords,
  checkSalts,
  limits,
  members,
  number,
  type Password,
  passwords,
  reason,
  selectorTemplate,
  senders,
  targets,
  totalLimits,
  verifier,
} from './fields.ts'
import { check, type Parsed } from './problem.ts'

export interface UserFile {
  readonly password: Password
  readonly app_passwords?: readonly AppPassword[] | undefined
  readonly senders: readonly string[]
  readonly targets: readonly Mailbox[]
  readonly limits?: UserLimits | undefined
  readonly suspended?: string | undefined
}

export interface GroupFile {
  /** `alice@example.com` */
  readonly members: readonly string[]
  readonly senders: readonly string[]
  readonly targets: readonly Mailbox[]
}

export interface DomainFile {
  readonly default_limits?: UserLimits | undefined
  readonly total_limits?: DayLimits | undefined
  /** Messages an hour. */
  readonly signing_budget?: number | undefined
  readonly sign?: 'never' | undefined
  /** A template. */
  readonly selector?: string | undefined
}

export type { Parsed }

/** Each file's keys, for a domain. */
export function fileSchemas(domain: string) {
  return {
    user: z
      .strictObject({
        password: z
          .unknown()
          .transform(passwords)
          .meta({
            description:
              'A verifier, which ptt user passwd makes: it serves PLAIN, LOGIN and SCRAM-SHA-256, and the password cannot be read from it. A list has a second one, for SCRAM-SHA-1.',
            examples: ['SCRAM-SHA-256$15000:<salt>$<StoredKey>:<ServerKey>'],
          }),
        app_passwords: appPasswords.optional().meta({
          description:
            'More passwords, for one program each, by name: each can be taken away alone. ptt user app-password add makes one; at most 10.',
          examples: [{ phone: 'SCRAM-SHA-256$…' }],
        }),
        senders: senders(domain)
          .default([])
          .meta({
            description:
              "What the user may send as, beside the own address: alice, alice@example.com, or *@news.example.com for every address there; in the folder's domain or beneath it.",
            examples: [['sales', '*@news.example.com']],
          }),
        targets: targets(domain)
          .default([])
          .meta({
            description: 'Where mail for the user goes. None: where the MX of the domain leads.',
            examples: [['alice@home.example']],
          }),
        limits: limits.optional().meta({
          description: 'What the user may do at most; each key replaces the one of domain.toml.',
          examples: [{ message_size: '10 MiB', messages_per_day: 1000 }],
        }),
        suspended: reason.optional().meta({
          description: 'The user may not send, and is told this. Take the line out to let the user in again.',
          examples: ['Your computer sends spam: call the help desk, 555-0100'],
        }),
      })
      .superRefine(checkSalts),
    group: z.strictObject({
      members: members(domain).meta({
        description: 'The users who may send as this address; those of other domains of the repository too.',
        examples: [['alice', 'bob@example.org']],
      }),
      senders: senders(domain)
        .default([])
        .meta({ description: 'What they may send as as well.', examples: [['*@news.example.com']] }),
      targets: targets(domain)
        .default([])
        .meta({
          description: 'Where mail for this address goes. None: where the MX of the domain leads.',
          examples: [['alice', 'bob@example.org']],
        }),
    }),
    domain: z.strictObject({
      default_limits: limits.optional().meta({
        description: 'What each user of the domain may do at most, where the own file says nothing.',
        examples: [{ message_size: '25 MiB', messages_per_day: 500 }],
      }),
      total_limits: totalLimits.optional().meta({
        description: 'What all users of the domain may do together at most.',
        examples: [{ messages_per_day: 20_000 }],
      }),
      signing_budget: number().meta({
        description:
          'Messages from addresses of the domain that the signer signs in an hour. More are refused, with an alarm: what somebody could send at most who has broken into submission.',
        examples: [5000],
      }),
      sign: z
        .literal('never', 'write "never", or leave it out: then it is signed')
        .optional()
        .meta({
          description:
            'Messages from addresses of the domain go out without a DKIM signature. Not set: what cannot be signed is not sent.',
          examples: ['never'],
        }),
      selector: selectorTemplate.optional().meta({
        description:
          'The selectors of the keys that the signer makes for the domain; {date}, {random}, {number}, {algorithm} are filled in. Not set: `[signer] selector_template` of ptt.toml.',
        examples: ['{date}-{random}-{algorithm}'],
      }),
    }),
    aliases: z.record(z.string(), targets(domain)),
    original: z
      .strictObject({
        password: z.string().transform((text, context) => verifier(text, 'BLAKE2B-512', context)),
        targets: targets(domain),
        insecure: z
          .literal(false, 'submission without TLS is never allowed: write false, or leave it out')
          .default(false),
      })
      .transform(({ password, targets }) => ({ password: { verifier: password }, targets, senders: [] })),
  }
}

/** One domain's schemas. */
export class Schema {
  readonly #files: ReturnType<typeof fileSchemas>

  constructor(domain: string) {
    this.#files = fileSchemas(domain)
  }

  user(file: string, text: string): Parsed<UserFile> {
    return readToml(file, text, this.#files.user)
  }

  group(file: string, text: string): Parsed<GroupFile> {
    return readToml(file, text, this.#files.group)
  }

  aliases(file: string, text: string): Parsed<Record<string, Mailbox[]>> {
    return readToml(file, text, this.#files.aliases)
  }

  /** That it is there says that the domain is one of ours, also when it has no user. */
  domain(file: string, text: string): Parsed<DomainFile> {
    return readToml(file, text, this.#files.domain)
  }

  /** The original layout, JSON. */
  original(file: string, text: string): Parsed<UserFile> {
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch (error) {
      const line = Number(
        /line (\d+)/.exec((error as Error).message)?.[1] ?? text.trimEnd().split('\n').length,
      )
      const rule =
        'not JSON: a file at the root is a user in the original layout, {"targets": […], "password": "…"}'
      return { ok: false, problems: [{ file, line, rule }] }
    }
    return check(file, text, value, this.#files.original)
  }
}

function readToml<Value>(file: string, text: string, schema: z.ZodType<Value>): Parsed<Value> {
  let value: unknown
  try {
    value = parse(text, { unsafeKeyBehaviour: 'throw' })
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // The first line of the message; those after it show the file.
    const [first = ''] = error.message.split('\n')
    const rule = `not TOML: ${first.replace(/^Invalid TOML document: /, '')} (column ${error.column})`
    return { ok: false, problems: [{ file, line: error.line, rule }] }
  }
  return check(file, text, value, schema)
}
