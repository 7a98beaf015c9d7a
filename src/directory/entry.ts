/** One file of the repository, read: what it says of a user, a group, a domain or its aliases. */

import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import { type Target, targetAt } from './alias.ts'
import type { DayLimits, User, UserLimits } from './directory.ts'
import { localPartOf, placeOf } from './layout.ts'
import { lineAt } from './lines.ts'
import type { Parsed, Problem } from './problem.ts'
import { type GroupFile, Schema, type UserFile } from './schema.ts'

export type Entry =
  /** As the file alone has him: without groups and the limits of the domain. */
  | { readonly kind: 'user'; readonly domain: string; readonly user: User; readonly target: Target }
  | { readonly kind: 'group'; readonly domain: string; readonly group: GroupEntry }
  | { readonly kind: 'aliases'; readonly domain: string; readonly aliases: readonly Alias[] }
  | ({ readonly kind: 'domain'; readonly domain: string } & DomainRules)

/** What domain.toml says. */
export interface DomainRules {
  /** Of each user who has none of his own. */
  readonly limits: UserLimits | undefined
  /** Of all users together. */
  readonly totalLimits: DayLimits | undefined
  readonly signingBudget: number | undefined
  /** `never`: it goes out unsigned. */
  readonly sign?: 'never' | undefined
  /** A template for the selectors of its keys. */
  readonly selector?: string | undefined
}

/** A mailbox that several users may send as. */
export interface GroupEntry extends GroupFile {
  /** `sales@example.com` */
  readonly name: string
  readonly memberLines: readonly number[]
  readonly target: Target
}

export interface Alias {
  readonly name: string
  readonly target: Target
}

/** A file that has no problem, or every problem of it. */
export type Read =
  | { readonly ok: true; readonly entry: Entry }
  | { readonly ok: false; readonly problems: Problem[] }

/** Files of one deployment; one schema a domain is made, when it is first seen. */
export class EntryParser {
  readonly #domain: string
  readonly #schemas = new Map<string, Schema>()

  /** `domain` is the deployment's: the one of the original layout. */
  constructor(domain: string) {
    this.#domain = domain
  }

  parse(path: string, octets: Uint8Array): Read | null {
    const place = placeOf(path)
    if (place.kind === 'ignored') return null
    if (place.kind === 'problem') return failed(path, place.rule)
    const text = utf8(octets)
    if (text === null) return failed(path, 'the file is not UTF-8')
    const domain = place.kind === 'original' ? this.#domain : place.domain
    const schema = this.#schema(domain)
    switch (place.kind) {
      case 'domain':
        return made(schema.domain(path, text), ({ value }) => {
          const { default_limits: limits, total_limits: totalLimits, signing_budget: signingBudget } = value
          const { sign, selector } = value
          return { kind: 'domain', domain, limits, totalLimits, signingBudget, sign, selector }
        })
      case 'aliases':
        return aliasesOf(path, domain, schema.aliases(path, text))
      case 'group':
        return made(schema.group(path, text), ({ value, lines }) => {
          const memberLines = value.members.map((_, index) => lineAt(text, lines, ['members', index]))
          const name = formatMailbox({ localPart: place.localPart, domain })
          return {
            kind: 'group',
            domain,
            group: {
              ...value,
              name,
              memberLines,
              target: targetAt(value.targets, path, lines.get('targets') ?? 1),
            },
          }
        })
      case 'user':
        return made(schema.user(path, text), ({ value, lines }) =>
          userOf(path, place.localPart, domain, value, lines),
        )
      case 'original':
        return made(schema.original(path, text), ({ value, lines }) => {
          return userOf(path, place.localPart, domain, value, lines)
        })
    }
  }

  #schema(domain: string): Schema {
    const schema = this.#schemas.get(domain) ?? new Schema(domain)
    this.#schemas.set(domain, schema)
    return schema
  }
}

type Success<Value> = Extract<Parsed<Value>, { ok: true }>

function made<Value>(file: Parsed<Value>, entry: (file: Success<Value>) => Entry): Read {
  return file.ok ? { ok: true, entry: entry(file) } : { ok: false, problems: [...file.problems] }
}

function failed(file: string, rule: string): Read {
  return { ok: false, problems: [{ file, line: 1, rule }] }
}

function userOf(
  file: string,
  localPart: string,
  domain: string,
  { password, app_passwords, senders, targets, limits, suspended }: UserFile,
  lines: Success<unknown>['lines'],
): Entry {
  const name = formatMailbox({ localPart, domain })
  const own = senders.includes(name) ? senders : [name, ...senders]
  const user: User = {
    ...{ name, localPart, domain, ...password, senders: own, targets },
    ...(app_passwords?.length ? { appPasswords: app_passwords } : {}),
    ...(limits === undefined ? {} : { limits }),
    ...(suspended === undefined ? {} : { suspended }),
  }
  return { kind: 'user', domain, user, target: targetAt(targets, file, lines.get('targets') ?? 1) }
}

function aliasesOf(file: string, domain: string, read: Parsed<Record<string, Mailbox[]>>): Read {
  if (!read.ok) return { ok: false, problems: [...read.problems] }
  const aliases: Alias[] = []
  const problems: Problem[] = []
  for (const [key, to] of Object.entries(read.value)) {
    const line = read.lines.get(key) ?? 1
    const localPart = localPartOf(key)
    if (localPart === null) problems.push({ file, line, rule: `${JSON.stringify(key)} is not a local-part` })
    else aliases.push({ name: formatMailbox({ localPart, domain }), target: targetAt(to, file, line) })
  }
  return problems.length > 0
    ? { ok: false, problems }
    : { ok: true, entry: { kind: 'aliases', domain, aliases } }
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function utf8(octets: Uint8Array): string | null {
  try {
    return UTF_8.decode(octets)
  } catch {
    return null
  }
}
