/** Adding, changing and removing users: what each is in files. edit.ts makes the commit of it. */

import { parse } from 'smol-toml'
import type { Mailbox } from '../smtp/path.ts'
import { type Change, EditError, type EditOptions, edit, type Files } from './edit.ts'
import { domainOf, localPartOf, pathOfUser, placeOf } from './layout.ts'
import { formatVerifier, type Verifier } from './password.ts'
import { Schema } from './schema.ts'

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
  const mailbox = mailboxOfUser(name, options.domain)
  const user = `${mailbox.localPart}@${mailbox.domain}`
  const path = pathOfUser(mailbox)
  if (path === null)
    throw new EditError(`"${mailbox.localPart}" cannot be the name of a file: choose another`)
  const lines = [`# ${user}`, `password = ${JSON.stringify(formatVerifier(verifier))}`]
  if (senders.length > 0)
    lines.push(`senders = [${senders.map(sender => JSON.stringify(sender)).join(', ')}]`)
  const text = `${lines.join('\n')}\n`
  const read = new Schema(mailbox.domain).user(path, text)
  if (!read.ok) throw new EditError(read.problems.map(({ rule }) => rule).join('\n'))
  const commit = await edit(options, `users: Add ${user}`, files => {
    const other = pathNow(files, mailbox, options.domain)
    if (other !== null) throw new EditError(`${user} is there already (${other}): see ptt user passwd`)
    if (!domainsOf(files, options.domain).has(mailbox.domain))
      throw new EditError(
        `${mailbox.domain} is not a domain of this repository: commit an empty ${mailbox.domain}/domain.toml first`,
      )
    return [[path, text]]
  })
  return { user, commit, path }
}

/** A user of the original layout moves to ours with his new verifier. */
export async function setPassword(options: EditOptions, name: string, verifier: Verifier): Promise<Done> {
  const mailbox = mailboxOfUser(name, options.domain)
  const user = `${mailbox.localPart}@${mailbox.domain}`
  let path = ''
  const commit = await edit(options, `users: Change the password of ${user}`, files => {
    const now = pathOrError(files, mailbox, options.domain)
    const text = files.get(now) ?? ''
    const changes =
      placeOf(now).kind === 'original' ? moved(now, text, mailbox, verifier) : [replaced(now, text, verifier)]
    path = changes.at(-1)?.[0] ?? now
    return changes
  })
  return { user, commit, path }
}

export async function removeUser(options: EditOptions, name: string): Promise<Done> {
  const mailbox = mailboxOfUser(name, options.domain)
  const user = `${mailbox.localPart}@${mailbox.domain}`
  let path = ''
  const commit = await edit(options, `users: Remove ${user}`, files => {
    path = pathOrError(files, mailbox, options.domain)
    return [[path, null]]
  })
  return { user, commit, path }
}

/** Comments and everything else of the file stay as somebody wrote them. */
function replaced(path: string, text: string, verifier: Verifier): Change {
  const line = `password = ${JSON.stringify(formatVerifier(verifier))}`
  const after = text.replace(/^[ \t]*(?:password|"password"|'password')[ \t]*=.*$/m, found => {
    const comment = /^[^"']*=\s*("[^"\\]*"|'[^']*')(\s*#.*?)(\r?)$/.exec(found)
    return `${line}${comment?.[2] ?? ''}${found.endsWith('\r') ? '\r' : ''}`
  })
  if (withoutPassword(after) !== withoutPassword(text) || after === text)
    throw new EditError(`the password in ${path} is not on a line of its own: change it there by hand`)
  return [path, after]
}

function withoutPassword(text: string): string | null {
  try {
    return JSON.stringify({ ...parse(text), password: null })
  } catch {
    return null
  }
}

function moved(path: string, text: string, mailbox: Mailbox, verifier: Verifier): Change[] {
  const read = new Schema(mailbox.domain).original(path, text)
  const to = pathOfUser(mailbox)
  if (!read.ok || to === null)
    throw new EditError(`${path} cannot be moved to ${mailbox.domain}/users/: edit it by hand`)
  const { targets } = JSON.parse(text) as { targets: string[] }
  const lines = [
    `# ${mailbox.localPart}@${mailbox.domain}`,
    `password = ${JSON.stringify(formatVerifier(verifier))}`,
  ]
  if (targets.length > 0)
    lines.push(`targets = [${targets.map(target => JSON.stringify(target)).join(', ')}]`)
  return [
    [path, null],
    [to, `${lines.join('\n')}\n`],
  ]
}

function mailboxOfUser(name: string, ourDomain: string): Mailbox {
  const at = name.lastIndexOf('@')
  const localPart = localPartOf(at < 0 ? name : name.slice(0, at))
  const domain = domainOf(at < 0 ? ourDomain : name.slice(at + 1))
  if (localPart === null || domain === null)
    throw new EditError(`${JSON.stringify(name)} is not a name: write alice, or alice@${ourDomain}`)
  return { localPart, domain }
}

function pathNow(files: Files, { localPart, domain }: Mailbox, ourDomain: string): string | null {
  for (const path of files.keys()) {
    const place = placeOf(path)
    const where =
      place.kind === 'user' ? place.domain : place.kind === 'original' ? domainOf(ourDomain) : null
    if ('localPart' in place && place.localPart === localPart && where === domain) return path
  }
  return null
}

function pathOrError(files: Files, mailbox: Mailbox, ourDomain: string): string {
  const path = pathNow(files, mailbox, ourDomain)
  if (path !== null) return path
  throw new EditError(`there is no user ${mailbox.localPart}@${mailbox.domain}: ptt user list shows all`)
}

function domainsOf(files: Files, ourDomain: string): Set<string | null> {
  const domains = new Set([domainOf(ourDomain)])
  for (const path of files.keys()) {
    const place = placeOf(path)
    if ('domain' in place) domains.add(place.domain)
  }
  return domains
}
