/** Addresses that several users may send as: who is in a group. Each change is one commit. */

import { EditError, type EditOptions, edit } from './edit.ts'
import { pathOfGroup } from './layout.ts'
import { addressOf, mailboxNamed, newMailboxNamed, pathNow, requireDomain, userPath } from './names.ts'
import { Schema } from './schema.ts'
import { listIn } from './toml-edit.ts'
import { changed } from './users.ts'

export interface Grouped {
  /** `sales@example.com` */
  readonly group: string
  readonly commit: string
  readonly path: string
}

/** The group is made when it is not there. Who is a member already stays one. */
export async function addMembers(
  options: EditOptions,
  name: string,
  members: readonly string[],
): Promise<Grouped> {
  const mailbox = mailboxNamed(name, options.domain)
  const group = addressOf(mailbox)
  const users = members.map(member => mailboxNamed(member, options.domain))
  const own = pathOfGroup(mailbox)
  if (own === null) throw new EditError(`"${mailbox.localPart}" cannot be the name of a file: choose another`)
  let path = own
  const commit = await edit(options, `groups: Add ${users.map(addressOf).join(', ')} to ${group}`, files => {
    requireDomain(files, mailbox.domain, options.domain)
    for (const user of users) userPath(files, user, options.domain)
    const now = pathNow('group', files, mailbox, options.domain)
    if (now === null) newMailboxNamed(name, options.domain)
    path = now ?? own
    const text = files.get(path) ?? `# ${group}\nmembers = []\n`
    const there = new Set(membersOf(path, text, mailbox.domain))
    const more = users.filter(user => !there.has(addressOf(user)))
    const words = more.map(user => addressOf(user.domain === mailbox.domain ? { ...user, domain: '' } : user))
    return [changed(path, text, 'members', [...listIn(text, 'members'), ...words])]
  })
  return { group, commit, path }
}

/** Without `members`, the group itself. */
export async function removeMembers(
  options: EditOptions,
  name: string,
  members: readonly string[],
): Promise<Grouped> {
  const mailbox = mailboxNamed(name, options.domain)
  const group = addressOf(mailbox)
  const users = members.map(member => addressOf(mailboxNamed(member, options.domain)))
  const subject =
    users.length === 0 ? `groups: Remove ${group}` : `groups: Remove ${users.join(', ')} from ${group}`
  let path = ''
  const commit = await edit(options, subject, files => {
    const now = pathNow('group', files, mailbox, options.domain)
    if (now === null) throw new EditError(`there is no group ${group}: ptt group list shows all`)
    path = now
    if (users.length === 0) return [[path, null]]
    const text = files.get(path) ?? ''
    const there = membersOf(path, text, mailbox.domain)
    for (const user of users)
      if (!there.includes(user)) throw new EditError(`${user} is not a member of ${group}`)
    const left = listIn(text, 'members').filter((_, index) => !users.includes(there[index] ?? ''))
    return [changed(path, text, 'members', left)]
  })
  return { group, commit, path }
}

function membersOf(path: string, text: string, domain: string): readonly string[] {
  const read = new Schema(domain).group(path, text)
  if (!read.ok) throw new EditError(`${path} is broken: repair it first`)
  return read.value.members
}
