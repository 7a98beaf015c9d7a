/** Reverse-path and forward-path, RFC 5321 §4.1.2, with the UTF-8 of RFC 6531 §3.3. */

import { isAddressLiteral, isAscii, isDomain, normalizeDomain, octetsOf } from './domain.ts'
import { SmtpError } from './error.ts'
import { type AddressLimits, LIMITS } from './limits.ts'
import type { EnhancedStatusCode } from './status.ts'

/**
 * A mailbox. `localPart` is its value, without quotes or backslashes; `domain` is as it was written: a domain name
 * (U-labels only under SMTPUTF8) or an address literal with its brackets. `domain` is empty only for the
 * `<Postmaster>` of RFC 5321 §4.5.1, in a forward-path.
 */
export interface Mailbox {
  readonly localPart: string
  readonly domain: string
}

/** `null` is the null reverse-path `<>` (RFC 5321 §4.5.5): a bounce must never answer it. */
export type ReversePath = Mailbox | null
export type ForwardPath = Mailbox

export interface PathOptions {
  /** MAIL had SMTPUTF8 (RFC 6531 §3.4). */
  readonly utf8?: boolean
  /** How long an address and its parts may be; not given: `LIMITS`. */
  readonly limits?: AddressLimits
}

// Reverse-path = Path / "<>"
/** @throws SmtpError 501 5.1.7; 550 5.6.7 for an address that is not ASCII without `utf8`. */
export function parseReversePath(text: string, options: PathOptions = {}): ReversePath {
  return text === '<>' ? null : parsePath(text, options, REVERSE)
}

// Forward-path = Path, and "<Postmaster>" in any case (RFC 5321 §4.1.1.3).
/** @throws SmtpError 501 5.1.3; 553 5.6.7 for an address that is not ASCII without `utf8`. */
export function parseForwardPath(text: string, options: PathOptions = {}): ForwardPath {
  if (POSTMASTER.test(text)) return { localPart: text.slice(1, -1), domain: '' }
  return parsePath(text, options, FORWARD)
}

// Mailbox = Local-part "@" ( Domain / address-literal )
/** An address without angle brackets. @throws SmtpError 501 5.1.3 */
export function parseMailbox(text: string, options: PathOptions = {}): Mailbox {
  return mailbox(text, options, FORWARD)
}

/** `<Smith@bar.com>`, `<>`, `<Postmaster>`. */
export function formatPath(path: ReversePath): string {
  return path === null ? '<>' : `<${formatMailbox(path)}>`
}

/** With the least quoting (RFC 5321 §4.1.2). */
export function formatMailbox({ localPart, domain }: Mailbox): string {
  const local = DOT_STRING.test(localPart) ? localPart : `"${localPart.replace(/["\\]/g, '\\$&')}"`
  return domain === '' ? local : `${local}@${domain}`
}

/** Quoted forms are equal to unquoted ones, domains in any case and form; local-parts may be case-sensitive. */
export function sameMailbox(a: Mailbox, b: Mailbox): boolean {
  return sameLocalPart(a.localPart, b.localPart) && normalizeDomain(a.domain) === normalizeDomain(b.domain)
}

const sameLocalPart = (a: string, b: string): boolean =>
  a === b || (a.toLowerCase() === 'postmaster' && b.toLowerCase() === 'postmaster')

/** Whether the path can travel without SMTPUTF8: a U-label can, as its A-label, a local-part cannot. */
export function isAsciiPath(path: ReversePath): boolean {
  return path === null || isAscii(path.localPart)
}

/** What is said about a bad path depends on the command it stands in. */
interface Role {
  readonly malformed: EnhancedStatusCode
  /** RFC 6531 §3.5. */
  readonly notAsciiCode: number
}
const REVERSE: Role = { malformed: '5.1.7', notAsciiCode: 550 }
const FORWARD: Role = { malformed: '5.1.3', notAsciiCode: 553 }

const POSTMASTER = /^<postmaster>$/i
// atext (RFC 5322 §3.2.3), with UTF8-non-ascii (RFC 6531 §3.3).
const ATEXT = "[\\w!#$%&'*+/=?^`{|}~\\u0080-\\u{10ffff}-]"
// Dot-string = Atom *("." Atom)
const DOT_STRING = new RegExp(`^${ATEXT}+(?:\\.${ATEXT}+)*$`, 'u')
// Quoted-string = DQUOTE *QcontentSMTP DQUOTE; qtextSMTP = %d32-33 / %d35-91 / %d93-126; quoted-pairSMTP = %d92 %d32-126
const QUOTED_STRING = /^"(?:[ !#-[\]-~\u0080-\u{10ffff}]|\\[ -~])*"$/u
// Path = "<" [ A-d-l ":" ] Mailbox ">"; A-d-l = At-domain *( "," At-domain )
const SOURCE_ROUTE = /^@[^,:"\s]+(?:,@[^,:"\s]+)*:/u
const C1 = /[\x80-\x9f]/

function parsePath(text: string, options: PathOptions, role: Role): Mailbox {
  if (!text.startsWith('<') || !text.endsWith('>'))
    throw malformed(role, 'a path is written <local-part@domain>')
  const { pathOctets } = options.limits ?? LIMITS
  if (octetsOf(text) > pathOctets) throw malformed(role, `path longer than ${pathOctets} octets`)
  return mailbox(withoutRoute(text.slice(1, -1), options, role), options, role)
}

// The source route is parsed and ignored, as RFC 5321 §3.3 and Appendix C ask.
function withoutRoute(inside: string, options: PathOptions, role: Role): string {
  if (!inside.startsWith('@')) return inside
  const [route] = SOURCE_ROUTE.exec(inside) ?? []
  const domains = route?.slice(1, -1).split(',@') ?? []
  if (route === undefined || !domains.every(domain => isHost(domain, options))) {
    throw malformed(role, 'bad source route')
  }
  return inside.slice(route.length)
}

function mailbox(text: string, options: PathOptions, role: Role): Mailbox {
  const utf8 = options.utf8 === true
  // RFC 5321 §4.1.2: characters that are not ASCII need SMTPUTF8 (RFC 6531 §3.5).
  if (!utf8 && !isAscii(text)) {
    throw new SmtpError(role.notAsciiCode, '5.6.7', 'Address is not ASCII: say SMTPUTF8 with MAIL')
  }
  const at = text.lastIndexOf('@')
  if (at < 0) throw malformed(role, 'no domain')
  const local = text.slice(0, at)
  const domain = text.slice(at + 1)
  if (!isHost(domain, options)) throw malformed(role, 'bad domain')
  // RFC 5321 §4.5.3.1.1: the limit is in octets.
  const { localPartOctets } = options.limits ?? LIMITS
  if (octetsOf(local) > localPartOctets)
    throw malformed(role, `local-part longer than ${localPartOctets} octets`)
  return { localPart: localPartOf(local, role), domain }
}

// Local-part = Dot-string / Quoted-string
function localPartOf(text: string, role: Role): string {
  if (C1.test(text) || !text.isWellFormed()) throw malformed(role, 'bad local-part')
  if (DOT_STRING.test(text)) return text
  if (QUOTED_STRING.test(text)) return text.slice(1, -1).replace(/\\(.)/gsu, '$1')
  throw malformed(role, 'bad local-part')
}

const isHost = (text: string, options: PathOptions): boolean =>
  isDomain(text, options) || isAddressLiteral(text, options)

function malformed(role: Role, what: string): SmtpError {
  return new SmtpError(501, role.malformed, `Malformed address: ${what}`)
}
