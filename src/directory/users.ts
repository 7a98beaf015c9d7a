/** Adding and removing users, and their passwords: what each is in files. edit.ts makes the commit of it. */

import type { Mailbox } from '../smtp/path.ts'
import { type Change, EditError, type EditOptions, edit, type Files } from './edit.ts'
import { pathOfUser, placeOf } from './layout.ts'
import { addressOf, mailboxNamed, newMailboxNamed, pathNow, requireDomain, userPath } from './names.ts'
import { formatVerifier, type Verifier } from './password.ts'
import { Schema } from './schema.ts'
import { formatValue, setKey, type TomlValue } from './toml-edit.ts'

export interface Done {
  /** `alice@example.com` */
  readonly user: string
  readonly commit: string
  /** What the repository now has for him, or had. */
  readonly path: string
}

export interface NewUser {
  /** `alice`, of the deployment's domain, or `alice@example.com`. */
  readonly name: string
  readonly senders: readonly string[]
  readonly verifier: Verifier
}

/** In our layout; his domain is the deployment's or has a folder already. */
export async function addUser(options: EditOptions, { name, senders, verifier }: NewUser): Promise<Done> {
  const mailbox = newMailboxNamed(name, options.domain)
  const user = addressOf(mailbox)
  const path = pathOfUser(mailbox)
  if (path === null)
    throw new EditError(`"${mailbox.localPart}" cannot be the name of a file: choose another`)
  const text = userFile(user, verifier, senders.length > 0 ? { senders } : {})
  const read = new Schema(mailbox.domain).user(path, text)
  if (!read.ok) throw new EditError(read.problems.map(({ rule }) => rule).join('\n'))
  const commit = await edit(options, `users: Add ${user}`, files => {
    const other = pathNow('user', files, mailbox, options.domain)
    if (other !== null) throw new EditError(`${user} is there already (${other}): see ptt user passwd`)
    requireDomain(files, mailbox.domain, options.domain)
    return [[path, text]]
  })
  return { user, commit, path }
}

/** The text of a user's file. */
export function userFile(
  name: string,
  verifier: Verifier,
  keys: Readonly<Record<string, TomlValue>>,
): string {
  const lines = [`# ${name}`, `password = ${formatValue(formatVerifier(verifier))}`]
  for (const [key, value] of Object.entries(keys)) lines.push(`${key} = ${formatValue(value)}`)
  return `${lines.join('\n')}\n`
}

/** A user of the original layout moves to ours with his new verifier. */
export async function setPassword(options: EditOptions, name: string, verifier: Verifier): Promise<Done> {
  const mailbox = mailboxNamed(name, options.domain)
  const user = addressOf(mailbox)
  let path = ''
  const commit = await edit(options, `users: Change the password of ${user}`, files => {
    const now = userPath(files, mailbox, options.domain)
    const text = files.get(now) ?? ''
    const changes =
      placeOf(now).kind === 'original' ? moved(now, text, mailbox, verifier) : [replaced(now, text, verifier)]
    path = changes.at(-1)?.[0] ?? now
    return changes
  })
  return { user, commit, path }
}

/** And from the groups he is in. */
export async function removeUser(options: EditOptions, name: string): Promise<Done> {
  const mailbox = mailboxNamed(name, options.domain)
  const user = addressOf(mailbox)
  let path = ''
  const commit = await edit(options, `users: Remove ${user}`, files => {
    path = userPath(files, mailbox, options.domain)
    return [[path, null], ...withoutMember(files, user)]
  })
  return { user, commit, path }
}

function withoutMember(files: Files, user: string): Change[] {
  return [...files].flatMap(([path, text]): Change[] => {
    const place = placeOf(path)
    if (place.kind !== 'group') return []
    const read = new Schema(place.domain).group(path, text)
    if (!read.ok || !read.value.members.includes(user)) return []
    return [
      changed(
        path,
        text,
        'members',
        read.value.members.filter(member => member !== user),
      ),
    ]
  })
}

/** A file with a key set, the rest as it was. */
export function changed(path: string, text: string, key: string, value: TomlValue | undefined): Change {
  const after = setKey(text, [key], value)
  if (after === null) throw new EditError(`${key} in ${path} has a comment within: change it there by hand`)
  return [path, after]
}

function replaced(path: string, text: string, verifier: Verifier): Change {
  return changed(path, text, 'password', formatVerifier(verifier))
}

function moved(path: string, text: string, mailbox: Mailbox, verifier: Verifier): Change[] {
  const read = new Schema(mailbox.domain).original(path, text)
  const to = pathOfUser(mailbox)
  if (!read.ok || to === null)
    throw new EditError(`${path} cannot be moved to ${mailbox.domain}/users/: edit it by hand`)
  const { targets } = JSON.parse(text) as { targets: string[] }
  return [
    [path, null],
    [to, userFile(addressOf(mailbox), verifier, targets.length > 0 ? { targets } : {})],
  ]
}
