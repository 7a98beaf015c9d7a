/** Two commits' directories → who gains and loses what. Verifiers are compared, never shown. */

import { formatMailbox } from '../smtp/path.ts'
import type { WholeDirectory } from './assemble.ts'
import type { User } from './directory.ts'
import { formatVerifier, type Verifier } from './password.ts'

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
    | 'message_size'
    | 'recipients_per_message'
  /** `null`: it is new. */
  readonly before: string | null
  /** `null`: it is gone. */
  readonly after: string | null
}

type Plain = Pick<WholeDirectory, 'domains' | 'users' | 'groups' | 'aliases'>

/** For a repository that has no commit yet. */
export const EMPTY: Plain = { domains: new Set(), users: new Map(), groups: new Map(), aliases: new Map() }

export function compare(before: Plain, after: Plain): Difference[] {
  const differences: Difference[] = [...sets('domain', before.domains, after.domains, domain => domain)]
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
  const single = (
    what: Difference['what'],
    before: string | number | undefined,
    after: string | number | undefined,
  ) => {
    const shown = (value: string | number | undefined) => (value === undefined ? null : String(value))
    if (before !== after) differences.push({ who: name, what, before: shown(before), after: shown(after) })
  }
  single('suspended', was?.suspended, is?.suspended)
  single('message_size', was?.limits?.messageOctets, is?.limits?.messageOctets)
  single('recipients_per_message', was?.limits?.recipientsPerMessage, is?.limits?.recipientsPerMessage)
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
