/** Two commits' directories → who gains and loses what. Verifiers are compared, never shown. */

import { formatMailbox } from '../smtp/path.ts'
import type { WholeDirectory } from './assemble.ts'
import type { DayLimits, User } from './directory.ts'
import { formatVerifier, type Verifier } from './password.ts'

/** As its key is written in the file; those of a domain stand for all its users, or for the signer. */
type Limit =
  | 'message_size'
  | 'recipients_per_message'
  | 'messages_per_day'
  | 'recipients_per_day'
  | 'new_recipients_per_day'
  | `total_limits.${'messages' | 'recipients' | 'new_recipients'}_per_day`
  | 'signing_budget'

export interface Difference {
  /** `alice@example.com`, of a user, a group or an alias; `example.com` of a domain. */
  readonly who: string
  readonly what:
    | 'domain'
    | 'user'
    | 'group'
    | 'alias'
    | 'sender'
    | 'target'
    | 'suspended'
    | 'password'
    | 'app password'
    | 'sign'
    | 'selector'
    | Limit
  /** `null`: it is new. */
  readonly before: string | null
  /** `null`: it is gone. */
  readonly after: string | null
}

type Plain = Pick<WholeDirectory, 'domains' | 'users' | 'groups' | 'aliases' | 'rules'>

/** For a repository that has no commit yet. */
export const EMPTY: Plain = {
  domains: new Set(),
  users: new Map(),
  groups: new Map(),
  aliases: new Map(),
  rules: new Map(),
}

export function compare(before: Plain, after: Plain): Difference[] {
  const differences: Difference[] = [...sets('domain', before.domains, after.domains, domain => domain)]
  for (const domain of names(before.rules, after.rules)) {
    const [was, is] = [before.rules.get(domain), after.rules.get(domain)]
    const limits = perDay(was?.totalLimits, is?.totalLimits).map(
      ([what, from, to]) => [`total_limits.${what}`, from, to] as const,
    )
    differences.push(...limitsOf(domain, limits))
    differences.push(...limitsOf(domain, [['signing_budget', was?.signingBudget, is?.signingBudget]]))
    for (const what of ['sign', 'selector'] as const) {
      const [from = null, to = null] = [was?.[what], is?.[what]]
      if (from !== to) differences.push({ who: domain, what, before: from, after: to })
    }
  }
  for (const name of names(before.users, after.users))
    differences.push(...ofUser(name, before.users.get(name), after.users.get(name)))
  for (const name of names(before.groups, after.groups)) {
    const [was, is] = [before.groups.get(name), after.groups.get(name)]
    if (!was || !is) differences.push(whole('group', name, was, is))
    differences.push(...sets('target', written(was?.targets), written(is?.targets), () => name))
  }
  for (const name of names(before.aliases, after.aliases)) {
    const [was, is] = [before.aliases.get(name), after.aliases.get(name)]
    if (!was || !is) differences.push(whole('alias', name, was, is))
    differences.push(...sets('target', written(was), written(is), () => name))
  }
  return differences
}

function ofUser(name: string, was: User | undefined, is: User | undefined): Difference[] {
  const differences: Difference[] = []
  if (!was || !is) differences.push(whole('user', name, was, is))
  const senders = (user: User | undefined) => new Set(user?.senders.filter(sender => sender !== name))
  differences.push(...sets('sender', senders(was), senders(is), () => name))
  differences.push(...sets('target', written(was?.targets), written(is?.targets), () => name))
  const [before, after] = [was?.suspended ?? null, is?.suspended ?? null]
  if (before !== after) differences.push({ who: name, what: 'suspended', before, after })
  differences.push(
    ...limitsOf(name, [
      ['message_size', was?.limits?.messageOctets, is?.limits?.messageOctets],
      ['recipients_per_message', was?.limits?.recipientsPerMessage, is?.limits?.recipientsPerMessage],
      ...perDay(was?.limits, is?.limits),
    ]),
  )
  const apps = (user: User | undefined) => new Set(user?.appPasswords?.map(({ name }) => name))
  differences.push(...sets('app password', apps(was), apps(is), () => name))
  for (const { name: label, verifier } of was?.appPasswords ?? []) {
    const now = is?.appPasswords?.find(each => each.name === label)
    if (now && formatVerifier(now.verifier) !== formatVerifier(verifier))
      differences.push({ who: name, what: 'app password', before: label, after: label })
  }
  if (was && is && secret(was) !== secret(is))
    differences.push({ who: name, what: 'password', before: kind(was.verifier), after: kind(is.verifier) })
  return differences
}

type Numbers<What> = readonly (readonly [what: What, before: number | undefined, after: number | undefined])[]

function perDay(
  was: DayLimits | undefined,
  is: DayLimits | undefined,
): Numbers<'messages_per_day' | 'recipients_per_day' | 'new_recipients_per_day'> {
  return [
    ['messages_per_day', was?.messagesPerDay, is?.messagesPerDay],
    ['recipients_per_day', was?.recipientsPerDay, is?.recipientsPerDay],
    ['new_recipients_per_day', was?.newRecipientsPerDay, is?.newRecipientsPerDay],
  ]
}

function limitsOf(who: string, limits: Numbers<Limit>): Difference[] {
  const shown = (value: number | undefined) => (value === undefined ? null : String(value))
  return limits
    .filter(([, before, after]) => before !== after)
    .map(([what, before, after]) => ({ who, what, before: shown(before), after: shown(after) }))
}

function whole(what: Difference['what'], who: string, was: unknown, is: unknown): Difference {
  return { who, what, before: was === undefined ? null : who, after: is === undefined ? null : who }
}

function sets(
  what: Difference['what'],
  before: ReadonlySet<string>,
  after: ReadonlySet<string>,
  who: (value: string) => string,
): Difference[] {
  const gone = [...before]
    .filter(value => !after.has(value))
    .map(value => ({
      who: who(value),
      what,
      before: value,
      after: null,
    }))
  const added = [...after]
    .filter(value => !before.has(value))
    .map(value => ({
      who: who(value),
      what,
      before: null,
      after: value,
    }))
  return [...gone, ...added]
}

function written(targets: User['targets'] = []): Set<string> {
  return new Set(targets.map(formatMailbox))
}

function names(before: ReadonlyMap<string, unknown>, after: ReadonlyMap<string, unknown>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].toSorted()
}

function secret({ verifier, sha1Verifier }: User): string {
  return `${formatVerifier(verifier)} ${sha1Verifier ? formatVerifier(sha1Verifier) : ''}`
}

function kind(verifier: Verifier): string {
  return verifier.scheme === 'SCRAM-SHA-256'
    ? `${verifier.scheme}, ${verifier.iterations} iterations`
    : verifier.scheme
}
