/** The files of a commit, each read alone → one directory, or what is wrong between them. */

import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import { type Target, type Targets, targetsOf, unendingTargets } from './alias.ts'
import type { Directory, User } from './directory.ts'
import type { DomainRules, Entry, GroupEntry } from './entry.ts'
import { domainOf, mailboxCalled } from './layout.ts'
import { foldLocalPart } from './may-send.ts'
import type { Problem } from './problem.ts'

/** A Directory that can be listed. */
export interface WholeDirectory extends Directory {
  /** By User.name. */
  readonly users: ReadonlyMap<string, User>
  /** By name, `sales@example.com`. */
  readonly groups: ReadonlyMap<string, Group>
  /** What aliases.toml files name, by address. */
  readonly aliases: ReadonlyMap<string, readonly Mailbox[]>
  /** What each domain.toml says, by domain. */
  readonly rules: ReadonlyMap<string, DomainRules>
}

export type Group = Pick<GroupEntry, 'name' | 'members' | 'senders' | 'targets'>

export type Entries = ReadonlyMap<string, { readonly oid: string; readonly entry: Entry }>

/** So many are looked at before others get their turn: about 5 ms (measured). */
export const MANY = 2000

interface Assembled {
  readonly directory: WholeDirectory
  readonly problems: readonly Problem[]
}

/** `domain` is the deployment's; `whole`: every file could be read, and who is not in `entries` is not there. */
export async function assemble(
  commit: string,
  domain: string,
  entries: Entries,
  whole: boolean,
): Promise<Assembled> {
  const problems: Problem[] = []
  const users = new Map<string, User>()
  const groups = new Map<string, Group>()
  const domains = new Set<string>()
  const aliases = new Map<string, readonly Mailbox[]>()
  const targets: Targets = new Map()
  const rules = new Map<string, DomainRules>()
  const grouped: { readonly file: string; readonly group: GroupEntry }[] = []
  const add = (name: string, target: Target) => {
    const other = targets.get(name)
    const { file, line } = target
    if (other) problems.push({ file, line, rule: `${name} is already in ${other.file}:${other.line}` })
    else targets.set(name, target)
  }
  let index = 0
  for (const [file, { entry }] of entries) {
    if (index++ % MANY === MANY - 1) await turn()
    domains.add(entry.domain)
    switch (entry.kind) {
      case 'user':
        add(entry.user.name, entry.target)
        users.set(entry.user.name, entry.user)
        break
      case 'group':
        add(entry.group.name, entry.group.target)
        grouped.push({ file, group: entry.group })
        break
      case 'aliases':
        for (const { name, target } of entry.aliases) {
          add(name, target)
          aliases.set(name, target.to)
        }
        break
      case 'domain':
        rules.set(entry.domain, entry)
    }
  }
  for (const { file, group } of grouped) {
    for (const [index, member] of group.members.entries())
      if (whole && !users.has(member))
        problems.push({
          file,
          line: group.memberLines[index] ?? 1,
          rule: `members: there is no user ${member}`,
        })
    const { name, members, senders, targets } = group
    groups.set(name, { name, members, senders, targets })
  }
  await turn()
  complete(users, groups, rules)
  problems.push(...unendingTargets(targets))
  const scram = users.values().every(user => user.verifier.scheme === 'SCRAM-SHA-256')
  const parts = { commit, domain, domains, users, groups, scram, aliases, rules, targets }
  return { directory: new CommitDirectory(parts), problems }
}

/** What a user has of his groups and his domain. */
function complete(
  users: Map<string, User>,
  groups: ReadonlyMap<string, Group>,
  rules: ReadonlyMap<string, DomainRules>,
): void {
  const granted = new Map<string, Set<string>>()
  for (const { name, members, senders } of groups.values())
    for (const member of members) {
      const more = granted.get(member) ?? new Set(users.get(member)?.senders)
      for (const sender of [name, ...senders]) more.add(sender)
      granted.set(member, more)
    }
  for (const [name, senders] of granted) {
    const user = users.get(name)
    if (user) users.set(name, { ...user, senders: [...senders] })
  }
  if (rules.values().every(({ limits, totalLimits }) => limits === undefined && totalLimits === undefined))
    return
  for (const [name, user] of users) {
    const { limits: usual, totalLimits: domainLimits } = rules.get(user.domain) ?? {}
    if (usual === undefined && domainLimits === undefined) continue
    // Most have none of their own: then it is one object for all of them.
    const limits = usual && user.limits ? { ...usual, ...user.limits } : (user.limits ?? usual)
    users.set(name, { ...user, limits, domainLimits })
  }
}

interface Parts {
  readonly commit: string
  readonly domain: string
  readonly domains: ReadonlySet<string>
  readonly users: ReadonlyMap<string, User>
  readonly groups: ReadonlyMap<string, Group>
  readonly scram: boolean
  readonly aliases: ReadonlyMap<string, readonly Mailbox[]>
  readonly rules: ReadonlyMap<string, DomainRules>
  readonly targets: Targets
}

class CommitDirectory implements WholeDirectory {
  readonly #parts: Parts
  readonly signingBudgets: ReadonlyMap<string, number>
  readonly signing: ReadonlyMap<string, { readonly never: boolean; readonly selectorTemplate?: string }>

  constructor(parts: Parts) {
    this.#parts = parts
    this.signingBudgets = new Map(
      parts.rules
        .entries()
        .flatMap(([domain, { signingBudget }]) =>
          signingBudget === undefined ? [] : [[domain, signingBudget] as const],
        ),
    )
    this.signing = new Map(
      parts.rules.entries().flatMap(([domain, { sign, selector }]) => {
        if (sign === undefined && selector === undefined) return []
        const template = selector === undefined ? {} : { selectorTemplate: selector }
        return [[domain, { never: sign === 'never', ...template }] as const]
      }),
    )
  }

  get commit() {
    return this.#parts.commit
  }

  get domains() {
    return this.#parts.domains
  }

  get users() {
    return this.#parts.users
  }

  get groups() {
    return this.#parts.groups
  }

  get scram() {
    return this.#parts.scram
  }

  get aliases() {
    return this.#parts.aliases
  }

  get rules() {
    return this.#parts.rules
  }

  user(name: string): User | undefined {
    const mailbox = mailboxCalled(name, this.#parts.domain)
    return mailbox === null ? undefined : this.#parts.users.get(formatMailbox(mailbox))
  }

  targets(mailbox: Mailbox): readonly Mailbox[] | undefined {
    // RFC 5321 §4.5.1: <Postmaster> without a domain is the deployment's.
    const domain = mailbox.domain === '' ? this.#parts.domain : domainOf(mailbox.domain)
    if (domain === null) return undefined
    const localPart = foldLocalPart(mailbox.localPart)
    return targetsOf(this.#parts.targets, formatMailbox({ localPart, domain }))
  }
}

// Taken when this is loaded: tests that replace timers must not stop a reading in its middle.
const { setImmediate } = globalThis

export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
