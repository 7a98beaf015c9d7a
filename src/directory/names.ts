/** Names as people write them on the command line, and where in the repository what they name is. */

import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import type { Files } from './edit.ts'
import { domainOf, mailboxCalled, placeOf } from './layout.ts'
import { EditError } from './passing-clone.ts'

/** `alice`, of the deployment's domain, or `alice@example.com`. */
export function mailboxNamed(name: string, ourDomain: string): Mailbox {
  const mailbox = mailboxCalled(name, ourDomain)
  if (mailbox !== null) return mailbox
  throw new EditError(`${JSON.stringify(name)} is not a name: write alice, or alice@${ourDomain}`)
}

/**
 * Of something new. RFC 5321 §4.1.2: who wants to receive mail should not have mailboxes whose local-part needs quotes;
 * those that somebody has put into the repository otherwise are read all the same.
 */
export function newMailboxNamed(name: string, ourDomain: string): Mailbox {
  const mailbox = mailboxNamed(name, ourDomain)
  const address = addressOf(mailbox)
  if (!address.startsWith('"')) return mailbox
  const words = JSON.stringify(mailbox.localPart)
  throw new EditError(
    `${words} needs quotes in an address (${address}), which many programs do not take (RFC 5321 §4.1.2): choose a name without spaces, and with dots only between other characters`,
  )
}

export function domainNamed(name: string): string {
  const domain = domainOf(name)
  if (domain === null)
    throw new EditError(`${JSON.stringify(name)} is not a domain: write it like example.com`)
  return domain
}

/** `alice@example.com`, `"al ice"@example.com`: by which the directory knows it. */
export function addressOf(mailbox: Mailbox): string {
  return formatMailbox(mailbox)
}

/** The file of a user or a group, in whatever layout and case it is. */
export function pathNow(
  kind: 'user' | 'group',
  files: Files,
  { localPart, domain }: Mailbox,
  ourDomain: string,
): string | null {
  for (const path of files.keys()) {
    const place = placeOf(path)
    if (!('localPart' in place) || place.localPart !== localPart) continue
    const ours = place.kind === kind || (place.kind === 'original' && kind === 'user')
    if (ours && ('domain' in place ? place.domain : domainOf(ourDomain)) === domain) return path
  }
  return null
}

export function userPath(files: Files, mailbox: Mailbox, ourDomain: string): string {
  const path = pathNow('user', files, mailbox, ourDomain)
  if (path !== null) return path
  throw new EditError(`there is no user ${addressOf(mailbox)}: ptt user list shows all`)
}

/** Domains that have a folder, and the deployment's. */
function domainsOf(files: Files, ourDomain: string): Set<string | null> {
  const domains = new Set([domainOf(ourDomain)])
  for (const path of files.keys()) {
    const place = placeOf(path)
    if ('domain' in place) domains.add(place.domain)
  }
  return domains
}

/** One that is the deployment's, or has a folder. */
export function requireDomain(files: Files, domain: string, ourDomain: string): void {
  if (!domainsOf(files, ourDomain).has(domain))
    throw new EditError(`${domain} is not a domain of this repository: ptt domain add ${domain}`)
}

/** The folder a domain has: as somebody wrote it, `Example.com` too. */
export function folderOf(files: Files, domain: string): string {
  for (const path of files.keys()) {
    const place = placeOf(path)
    if ('domain' in place && place.domain === domain) return path.slice(0, path.indexOf('/'))
  }
  return domain
}
