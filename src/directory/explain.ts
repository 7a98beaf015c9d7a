/** Why a user may or may not send as somebody: the rule, and the file, line and commit it stands in. */

import { formatMailbox, parseMailbox, type ReversePath } from '../smtp/path.ts'
import type { WholeDirectory } from './assemble.ts'
import type { Clone } from './clone.ts'
import { type CommitInfo, commitOfLine } from './commit-info.ts'
import { CommitReader } from './commit-reader.ts'
import type { User } from './directory.ts'
import { placeOf } from './layout.ts'
import { lineAt } from './lines.ts'
import { foldMailbox, maySend } from './may-send.ts'
import { Schema } from './schema.ts'

export interface Explanation {
  readonly allowed: boolean
  /** `alice@example.com`, or as it was asked where there is no such user. */
  readonly user: string
  readonly rule: string
  /** In force, and what was asked. */
  readonly commit: string
  readonly where: Where | null
  /** What the user may send as, where the question was answered with no. */
  readonly senders: readonly string[]
}

export interface Where {
  readonly file: string
  readonly line: number
  readonly text: string
  /** That made the line what it is. */
  readonly made: CommitInfo
}

interface Found {
  readonly allowed: boolean
  readonly rule: string
  readonly at: { readonly file: string; readonly line: number } | null
}

/** `domain` is the deployment's. */
export async function explain(
  clone: Clone,
  commit: string,
  domain: string,
  name: string,
  reversePath: ReversePath,
): Promise<Explanation> {
  const directory = await new CommitReader(clone, domain).read(commit)
  const user = directory.user(name)
  const files = new Sources(clone, commit)
  if (user === undefined) {
    const rule = directory.groups.has(name)
      ? 'a group does not sign in: its members do'
      : 'there is no such user'
    return { allowed: false, user: name, rule, commit, where: null, senders: [] }
  }
  const { allowed, rule, at } = await decide(directory, files, user, reversePath, domain)
  const where = at && {
    ...at,
    text: ((await files.text(at.file)).split('\n')[at.line - 1] ?? '').trim(),
    made: await commitOfLine(clone, commit, at.file, at.line),
  }
  return { allowed, user: user.name, rule, commit, where, senders: allowed ? [] : user.senders }
}

/** In the order in which submission asks (RFC 6409 §6.1). */
async function decide(
  directory: WholeDirectory,
  files: Sources,
  user: User,
  reversePath: ReversePath,
  domain: string,
): Promise<Found> {
  const own = await files.of('user', user, domain)
  const line = (...path: (string | number)[]) => lineAt(own.text, own.lines, path)
  if (user.suspended !== undefined)
    return { allowed: false, rule: 'suspended', at: { file: own.file, line: line('suspended') } }
  const decision = maySend(user, reversePath)
  if (!decision.allowed)
    return { allowed: false, rule: decision.reason, at: { file: own.file, line: line('senders') } }
  if (reversePath === null)
    return { allowed: true, rule: 'the null reverse-path is for everybody (RFC 6409 §3.2)', at: null }
  const folded = foldMailbox(reversePath)
  const address = formatMailbox(folded)
  const matching = (pattern: string) => pattern === address || pattern === `*@${folded.domain}`
  if (address === user.name)
    return { allowed: true, rule: 'the own address', at: { file: own.file, line: 1 } }
  const index = own.senders.findIndex(matching)
  if (index >= 0)
    return {
      allowed: true,
      rule: `senders: ${own.senders[index]}`,
      at: { file: own.file, line: line('senders', index) },
    }
  for (const group of directory.groups.values()) {
    const member = group.members.indexOf(user.name)
    const sender = group.senders.findIndex(matching)
    if (member < 0 || (group.name !== address && sender < 0)) continue
    const mailbox = parseMailbox(group.name, { utf8: true })
    const { file, text, lines } = await files.of('group', mailbox, domain)
    const path = group.name === address ? ['members', member] : ['senders', sender]
    const rule =
      group.name === address ? `member of ${group.name}` : `member of ${group.name}: ${group.senders[sender]}`
    return { allowed: true, rule, at: { file, line: lineAt(text, lines, path) } }
  }
  throw new Error(`${user.name} may send as ${address}, and no file says so`)
}

/** The files of a commit as text. */
class Sources {
  readonly #clone: Clone
  readonly #commit: string

  constructor(clone: Clone, commit: string) {
    this.#clone = clone
    this.#commit = commit
  }

  async text(file: string): Promise<string> {
    return (await this.#clone.run(['cat-file', 'blob', `${this.#commit}:${file}`])).toString()
  }

  /** The file of a user or a group, in whatever case and layout it is written. */
  async of(
    kind: 'user' | 'group',
    { localPart, domain }: { localPart: string; domain: string },
    ourDomain: string,
  ) {
    for (const file of (await this.#clone.files(this.#commit)).keys()) {
      const place = placeOf(file)
      const of = 'domain' in place ? place.domain : ourDomain
      const same = place.kind === kind || (kind === 'user' && place.kind === 'original')
      if (!same || !('localPart' in place) || place.localPart !== localPart || of !== domain) continue
      const text = await this.text(file)
      const schema = new Schema(domain)
      const read =
        kind === 'group'
          ? schema.group(file, text)
          : place.kind === 'user'
            ? schema.user(file, text)
            : schema.original(file, text)
      if (read.ok) return { file, text, lines: read.lines, senders: read.value.senders }
    }
    throw new Error(`no file has ${formatMailbox({ localPart, domain })}`)
  }
}
