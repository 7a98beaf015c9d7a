/** Domain names and address literals in commands: RFC 5321 §4.1.2 and §4.1.3, U-labels of RFC 6531 §3.3. */

import { SmtpError } from './error.ts'
import { type AddressLimits, LIMITS } from './limits.ts'

// sub-domain = Let-dig [Ldh-str]
const SUB_DOMAIN = '[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?'
// Domain = sub-domain *("." sub-domain)
const DOMAIN = new RegExp(`^${SUB_DOMAIN}(?:\\.${SUB_DOMAIN})*$`)
// RFC 1035 §2.3.4
const LONG_LABEL = new RegExp(`[^.]{${LIMITS.labelOctets + 1}}`)
const isName = (domain: string): boolean =>
  domain.length <= LIMITS.labelOctets || (domain.length <= LIMITS.nameOctets && !LONG_LABEL.test(domain))

export interface DomainOptions {
  readonly utf8?: boolean
  /** How long it may be as it is written; not given: `LIMITS`. */
  readonly limits?: Pick<AddressLimits, 'domainOctets'>
}

const withinLimits = (text: string, { limits = LIMITS }: DomainOptions): boolean =>
  text.length <= limits.domainOctets && octetsOf(text) <= limits.domainOctets

/** Domain, RFC 5321 §4.1.2; with `utf8` also with U-labels (RFC 6531 §3.3). */
export function isDomain(text: string, options: DomainOptions = {}): boolean {
  if (!withinLimits(text, options)) return false
  if (DOMAIN.test(text)) return isName(text)
  return options.utf8 === true && !isAscii(text) && toAscii(text) !== null
}

/** @throws SmtpError 501 5.1.2 */
export function parseDomain(text: string, options: { utf8?: boolean } = {}): string {
  if (!isDomain(text, options)) throw new SmtpError(501, '5.1.2', 'Malformed domain name')
  return text
}

// address-literal = "[" ( IPv4-address-literal / IPv6-address-literal / General-address-literal ) "]"
export function isAddressLiteral(text: string, options: DomainOptions = {}): boolean {
  if (!text.startsWith('[') || !text.endsWith(']') || !withinLimits(text, options)) return false
  const inside = text.slice(1, -1)
  const address = ipv6Address(inside)
  return address !== null ? isIpv6(address) : isIpv4(inside) || GENERAL_ADDRESS_LITERAL.test(inside)
}

/** The IP address in a literal; `null` when it holds none (General-address-literal). */
export function addressOfLiteral(literal: string): string | null {
  if (!isAddressLiteral(literal)) return null
  const inside = literal.slice(1, -1)
  return ipv6Address(inside) ?? (isIpv4(inside) ? inside : null)
}

/** As DNS and comparison want it: lower case, U-labels as A-labels (RFC 5890 §2.3.2.1). A literal stays as it is. */
export function normalizeDomain(domain: string): string {
  if (domain.startsWith('[')) return domain.toLowerCase()
  if (isAscii(domain)) return domain.toLowerCase()
  const ascii = toAscii(domain)
  if (ascii === null) throw new SmtpError(501, '5.1.2', 'Malformed internationalized domain name')
  return ascii
}

// U-labels → A-labels. `URL` has the IDNA tables (UTS #46). The label put behind keeps it from reading `１.2` as IPv4.
function toAscii(domain: string): string | null {
  if (NOT_IN_U_LABEL.test(domain) || HYPHEN_OUTSIDE.test(domain)) return null
  const url = URL.parse(`http://${domain}.a`)
  const ascii = url?.hostname.slice(0, -2) ?? ''
  return isDomain(ascii) ? ascii : null
}

export const isAscii = (text: string): boolean => !/[^\0-\x7f]/.test(text)
export const octetsOf = (text: string): number => (isAscii(text) ? text.length : Buffer.byteLength(text))
// ASCII beside letter, digit, hyphen and dot: `URL` would take it for its own syntax.
const NOT_IN_U_LABEL = /[\0-,/:-@[-`{-\x9f]/
// RFC 5891 §4.2.3.1: no label begins or ends with a hyphen; `URL` lets it pass.
const HYPHEN_OUTSIDE = /(?:^|\.)-|-(?:\.|$)/

// Snum = 1*3DIGIT ; 0 through 255
const SNUM = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|0?\\d?\\d)'
// IPv4-address-literal = Snum 3("."  Snum)
const IPV4 = new RegExp(`^${SNUM}(?:\\.${SNUM}){3}$`)
// General-address-literal = Standardized-tag ":" 1*dcontent
const GENERAL_ADDRESS_LITERAL = /^(?:[A-Za-z0-9-]*[A-Za-z0-9]):[!-Z^-~]+$/
// IPv6-hex = 1*4HEXDIG
const IPV6_HEX = /^[0-9A-Fa-f]{1,4}$/

const isIpv4 = (text: string): boolean => IPV4.test(text)

// IPv6-address-literal = "IPv6:" IPv6-addr
const ipv6Address = (inside: string): string | null => (/^ipv6:/i.test(inside) ? inside.slice(5) : null)

// IPv6-addr = IPv6-full / IPv6-comp / IPv6v4-full / IPv6v4-comp
function isIpv6(text: string): boolean {
  const [left = '', right, ...more] = text.split('::')
  if (more.length > 0) return false
  const comp = right !== undefined
  const groups = [...(left === '' ? [] : left.split(':')), ...(right ? right.split(':') : [])]
  if (!comp && left === '') return false
  const v4 = groups.at(-1)?.includes('.') === true && (!comp || right !== '')
  if (v4 && !isIpv4(groups.pop() ?? '')) return false
  if (!groups.every(group => IPV6_HEX.test(group))) return false
  // "::" stands for at least two groups of zeros (RFC 5321 §4.1.3).
  const full = v4 ? 6 : 8
  return comp ? groups.length <= full - 2 : groups.length === full
}
