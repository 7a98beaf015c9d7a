/** Names as people write them on the command line, and where in the repository what they name is. */

import type { Mailbox } from '../smtp/path.ts'
import type { Files } from './edit.ts'
import { domainOf, localPartOf, placeOf } from './layout.ts'
import { EditError } from './passing-clone.ts'

/** `alice`, of the deployment's domain, or `alice@example.com`. */
export function mailboxNamed(name: string, ourDomain: string): Mailbox {
  const at = name.lastIndexOf('@')
  const localPart = localPartOf(at < 0 ? name : name.slice(0, at))
  const domain = domainOf(at < 0 ? ourDomain : name.slice(at + 1))
  if (localPart === null || domain === null)
    throw new EditError(`${JSON.stringify(name)} is not a name: write alice, or alice@${ourDomain}`)
  return { localPart, domain }
}

export function domainNamed(name: string): string {
  const domain = domainOf(name)
  if (domain === null)
    throw new EditError(`${JSON.stringify(name)} is not a domain: write it like example.com`)
  return domain
}

export function addressOf({ localPart, domain }: Mailbox): string {
  return `${localPart}@${domain}`
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
