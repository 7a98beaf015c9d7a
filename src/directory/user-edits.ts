/** What a user may do: suspensions, senders and limits. Each is one commit. */

import { type Change, EditError, type EditOptions, edit } from './edit.ts'
import { placeOf } from './layout.ts'
import { addressOf, mailboxNamed, userPath } from './names.ts'
import { Schema } from './schema.ts'
import { formatValue, listIn, setKey } from './toml-edit.ts'
import { changed, type Done } from './users.ts'

/** He may not send any more, and is told the reason. */
export function suspendUser(options: EditOptions, name: string, reason: string): Promise<Done> {
  return editUser(
    options,
    name,
    user => `users: Suspend ${user}`,
    (path, text) => changed(path, text, 'suspended', reason),
  )
}

export function resumeUser(options: EditOptions, name: string): Promise<Done> {
  return editUser(
    options,
    name,
    user => `users: Resume ${user}`,
    (path, text) => changed(path, text, 'suspended', undefined),
  )
}

/** Patterns he may send as beside the own address; those that are there already are left. */
export function grantSenders(options: EditOptions, name: string, patterns: readonly string[]): Promise<Done> {
  const subject = (user: string) => `users: Let ${user} send as ${patterns.join(', ')}`
  return editUser(options, name, subject, (path, text, domain) => {
    const senders = sendersOf(path, text, domain)
    const there = new Set(senders.map(({ pattern }) => pattern))
    const more = patterns.filter(pattern => !there.has(patternOf(pattern, domain)))
    return changed(path, text, 'senders', [...senders.map(({ written }) => written), ...more])
  })
}

export function revokeSenders(
  options: EditOptions,
  name: string,
  patterns: readonly string[],
): Promise<Done> {
  const subject = (user: string) => `users: Let ${user} no longer send as ${patterns.join(', ')}`
  return editUser(options, name, subject, (path, text, domain) => {
    const senders = sendersOf(path, text, domain)
    const gone = new Set(patterns.map(pattern => patternOf(pattern, domain)))
    for (const pattern of gone)
      if (!senders.some(each => each.pattern === pattern))
        throw new EditError(`${pattern} is not among the senders in ${path}`)
    const left = senders.filter(({ pattern }) => !gone.has(pattern)).map(({ written }) => written)
    return changed(path, text, 'senders', left.length > 0 ? left : undefined)
  })
}

/** By key of the file; `null` takes it out, and the one of the domain counts. */
export type NewLimits = Readonly<Record<string, string | number | null>>

export function limitUser(options: EditOptions, name: string, limits: NewLimits): Promise<Done> {
  return editUser(
    options,
    name,
    user => `users: Limits of ${user}`,
    (path, text) => [path, withLimits(path, text, 'limits', limits)],
  )
}

export function withLimits(path: string, text: string, table: string, limits: NewLimits): string {
  let now = text
  for (const [key, value] of Object.entries(limits)) {
    const after = setKey(now, [table, key], value ?? undefined)
    if (after === null) throw new EditError(`${table}.${key} in ${path}: change it there by hand`)
    now = after
  }
  return now
}

async function editUser(
  options: EditOptions,
  name: string,
  subject: (user: string) => string,
  change: (path: string, text: string, domain: string) => Change,
): Promise<Done> {
  const mailbox = mailboxNamed(name, options.domain)
  const user = addressOf(mailbox)
  let path = ''
  const commit = await edit(options, subject(user), files => {
    path = userPath(files, mailbox, options.domain)
    if (placeOf(path).kind === 'original')
      throw new EditError(
        `${user} is in the original layout, which has no such key: ptt user passwd ${user} moves him`,
      )
    return [change(path, files.get(path) ?? '', mailbox.domain)]
  })
  return { user, commit, path }
}

/** As somebody wrote them, and as they are compared. */
function sendersOf(path: string, text: string, domain: string): { written: string; pattern: string }[] {
  const read = new Schema(domain).user(path, text)
  if (!read.ok) throw new EditError(`${path} is broken: repair it first`)
  const written = listIn(text, 'senders')
  return read.value.senders.map((pattern, index) => ({ written: written[index] ?? pattern, pattern }))
}

function patternOf(written: string, domain: string): string {
  const read = new Schema(domain).group('', `members = []\nsenders = ${formatValue([written])}`)
  if (!read.ok) throw new EditError(read.problems.map(({ rule }) => rule).join('\n'))
  return read.value.senders[0] ?? written
}
