/**
 * Which file of the repository says what, by its path alone.
 *
 * Original ptt layout: a file at the root named after the local-part. Ours: a folder a domain, with `domain.toml`,
 * `aliases.toml`, `users/<local-part>.toml` and `groups/<local-part>.toml`. A path that means nothing is an error: it may
 * be a user with a typing mistake. What starts with a dot, and README, LICENSE and their like, are for people and tools, and not read.
 */

import { isDomain, normalizeDomain } from '../smtp/domain.ts'
import { formatMailbox, type Mailbox, parseMailbox } from '../smtp/path.ts'
import { foldLocalPart, foldMailbox } from './may-send.ts'

export type Place =
  | { readonly kind: 'user'; readonly domain: string; readonly localPart: string }
  | { readonly kind: 'group'; readonly domain: string; readonly localPart: string }
  | { readonly kind: 'original'; readonly localPart: string }
  | { readonly kind: 'aliases'; readonly domain: string }
  | { readonly kind: 'domain'; readonly domain: string }
  | { readonly kind: 'ignored' }
  | { readonly kind: 'problem'; readonly rule: string }

const FOR_PEOPLE =
  /^(README|LICENSE|COPYING|CODEOWNERS|OWNERS|CONTRIBUTING|CHANGES|CHANGELOG)(\.(md|txt|rst|adoc))?$/

export function placeOf(path: string): Place {
  const parts = path.split('/')
  const [first = '', second, third] = parts
  const name = parts.at(-1) ?? ''
  if (parts.some(part => part.startsWith('.')) || FOR_PEOPLE.test(name)) return { kind: 'ignored' }
  if (path.includes('\ufffd')) return problem('the name of the file is not UTF-8')
  if (second === undefined) {
    const localPart = localPartOf(unquote(first))
    if (localPart === null)
      return problem(
        'not a local-part: a file at the root is a user in the original layout (README and LICENSE are not read)',
      )
    return { kind: 'original', localPart }
  }
  const domain = domainOf(first)
  if (domain === null) return problem(`the folder "${first}" is not a domain: write it like example.com/`)
  if (parts.length === 2 && second === 'domain.toml') return { kind: 'domain', domain }
  if (parts.length === 2 && second === 'aliases.toml') return { kind: 'aliases', domain }
  if (parts.length === 3 && (second === 'users' || second === 'groups') && third?.endsWith('.toml')) {
    const localPart = localPartOf(third.slice(0, -'.toml'.length))
    if (localPart === null) return problem('the name of the file is not a local-part')
    return { kind: second === 'users' ? 'user' : 'group', domain, localPart }
  }
  return problem(
    `not a file of a domain's folder: ${first}/ has domain.toml, aliases.toml, users/NAME.toml and groups/NAME.toml`,
  )
}

/** The file of a user in our layout; `null` when his local-part cannot be the name of a file that is read. */
export function pathOfUser(mailbox: Mailbox): string | null {
  return pathOf('user', mailbox)
}

/** The same of a group. */
export function pathOfGroup(mailbox: Mailbox): string | null {
  return pathOf('group', mailbox)
}

function pathOf(kind: 'user' | 'group', { localPart, domain }: Mailbox): string | null {
  const path = `${domain}/${kind}s/${localPart}.toml`
  const place = placeOf(path)
  return place.kind === kind && place.localPart === localPart ? path : null
}

/** Lower-case A-labels; `null` when it is no domain name. */
export function domainOf(text: string): string | null {
  return isDomain(text, { utf8: true }) ? normalizeDomain(text) : null
}

/** In the form the directory compares; `null` when no mailbox has it, or when it is a whole address. */
export function localPartOf(text: string): string | null {
  if (text === '' || /[/@]/.test(text)) return null
  const mailbox = mailboxOf(formatMailbox({ localPart: text, domain: 'example.com' }), '')
  return mailbox && foldLocalPart(mailbox.localPart)
}

/**
 * Whom people and programs mean by a name: `alice`, of the deployment's domain, `alice@example.com`, `al ice`,
 * `"al ice"@example.com`. In the form the directory compares; `null` when no mailbox can have it.
 */
export function mailboxCalled(name: string, ourDomain: string): Mailbox | null {
  const at = name.lastIndexOf('@')
  const localPart = localPartOf(unquote(at < 0 ? name : name.slice(0, at)))
  const domain = domainOf(at < 0 ? ourDomain : name.slice(at + 1))
  return localPart === null || domain === null ? null : { localPart, domain }
}

/** A mailbox, where a local-part alone means one of `domain`; as it is written, or `null`. */
export function mailboxOf(text: string, domain: string): Mailbox | null {
  try {
    const mailbox = parseMailbox(text.includes('@') ? text : `${text}@${domain}`, { utf8: true })
    if (mailbox.domain.startsWith('[')) return null
    foldMailbox(mailbox)
    return mailbox
  } catch {
    return null
  }
}

// The original writes a local-part that is no atom in quotes, RFC 5321 §4.1.2.
function unquote(name: string): string {
  return /^".*"$/.test(name) ? name.slice(1, -1).replace(/\\(.)/g, '$1') : name
}

function problem(rule: string): Place {
  return { kind: 'problem', rule }
}
