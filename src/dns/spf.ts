/** SPF records, RFC 7208: read whole or not at all, as §4.6 asks. */

import { type IpAddress, parseAddress } from './address.ts'

export type Qualifier = '+' | '-' | '~' | '?'

export type Mechanism = { readonly qualifier: Qualifier } & (
  | { readonly name: 'all' }
  | { readonly name: 'include' | 'exists'; readonly domainSpec: string }
  /** `domainSpec` is empty where the domain itself is meant. */
  | {
      readonly name: 'a' | 'mx'
      readonly domainSpec: string
      readonly prefix4: number
      readonly prefix6: number
    }
  | { readonly name: 'ptr'; readonly domainSpec: string }
  | { readonly name: 'ip4' | 'ip6'; readonly address: IpAddress; readonly prefix: number }
)

export interface SpfRecord {
  /** In order; those after `all` are never looked at (§5.1). */
  readonly mechanisms: readonly Mechanism[]
  readonly redirect: string | null
}

/** A record with this is a permanent error for who checks it: as good as none, or worse (§2.6.7). */
export class SpfError extends Error {
  override readonly name = 'SpfError'
}

/** §4.5: the version is whole; `v=spf10` is another. */
export function isSpf(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text)
}

const DIRECTIVE = /^([+\-~?]?)([a-z][a-z0-9._-]*)(?:([:/])(.*))?$/i
const MODIFIER = /^([a-z][a-z0-9._-]*)=(.*)$/i
/** §5.3, §5.4: `//` begins the prefix for IPv6. */
const DUAL_CIDR = /^(.*?)(?:\/(0|[1-9]\d?))?(?:\/\/(0|[1-9]\d{0,2}))?$/

/** @throws SpfError */
export function parseSpf(text: string): SpfRecord {
  if (!isSpf(text)) throw new SpfError('is no SPF record')
  const mechanisms: Mechanism[] = []
  const modifiers = new Map<string, string>()
  for (const term of text.split(' ').slice(1)) {
    if (term === '') continue
    const modifier = MODIFIER.exec(term)
    if (modifier === null) {
      mechanisms.push(parseDirective(term))
      continue
    }
    const name = (modifier[1] ?? '').toLowerCase()
    // §6: each of the two at most once; unknown ones are passed over.
    if (modifiers.has(name) && (name === 'redirect' || name === 'exp'))
      throw new SpfError(`has ${name}= more than once`)
    modifiers.set(name, modifier[2] ?? '')
  }
  const redirect = modifiers.get('redirect')
  if (redirect === '') throw new SpfError('has redirect= of nothing')
  return { mechanisms, redirect: redirect ?? null }
}

function parseDirective(term: string): Mechanism {
  const [, sign, word = '', mark, rest = ''] = DIRECTIVE.exec(term) ?? []
  const qualifier = (sign || '+') as Qualifier
  const name = word.toLowerCase()
  switch (name) {
    case 'all':
      if (mark !== undefined) throw new SpfError(`'${term}': all takes nothing`)
      return { qualifier, name }
    case 'include':
    case 'exists':
      if (mark !== ':' || rest === '') throw new SpfError(`'${term}': the domain is missing`)
      return { qualifier, name, domainSpec: rest }
    case 'ptr':
      if (mark === '/' || (mark === ':' && rest === ''))
        throw new SpfError(`'${term}': write ptr or ptr:domain`)
      return { qualifier, name, domainSpec: rest }
    case 'a':
    case 'mx':
      return { qualifier, name, ...parseDualCidr(term, mark === '/' ? `/${rest}` : rest) }
    case 'ip4':
    case 'ip6':
      if (mark !== ':') throw new SpfError(`'${term}': the address is missing`)
      return { qualifier, name, ...parseNetwork(term, rest, name === 'ip4' ? 4 : 6) }
    default:
      throw new SpfError(`'${term}': there is no such mechanism`)
  }
}

function parseDualCidr(term: string, text: string) {
  const [, domainSpec = '', four, six] = DUAL_CIDR.exec(text) ?? []
  const prefix4 = four === undefined ? 32 : Number(four)
  const prefix6 = six === undefined ? 128 : Number(six)
  if (prefix4 > 32 || prefix6 > 128 || domainSpec.includes('/'))
    throw new SpfError(`'${term}': no such length of a prefix`)
  return { domainSpec, prefix4, prefix6 }
}

function parseNetwork(term: string, text: string, family: 4 | 6) {
  const [written = '', length, ...more] = text.split('/')
  const address = parseAddress(written)
  const longest = family === 4 ? 32 : 128
  if (address === null || address.family !== family || more.length > 0)
    throw new SpfError(`'${term}': is no IPv${family} address or network`)
  if (length !== undefined && !(/^(?:0|[1-9]\d*)$/.test(length) && Number(length) <= longest))
    throw new SpfError(`'${term}': no such length of a prefix`)
  return { address, prefix: length === undefined ? longest : Number(length) }
}
