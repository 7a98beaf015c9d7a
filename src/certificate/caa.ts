/**
 * Whether a CA may issue for a name: CAA, RFC 8659, with the parameters of RFC 8657. The CA looks at the same records and
 * has the last word; this explains to the operator beforehand, and spares the CA an order that cannot succeed.
 */

import type { DnsAnswer, DnsFailure } from '../dns/answer.ts'
import type { Caa } from '../dns/rdata.ts'

/** Who asks whom, and how. */
export interface Applicant {
  /** Names of the CA in CAA records, from its directory (RFC 8555 §7.1.1 caaIdentities); empty: it does not say. */
  readonly identities: readonly string[]
  /** The URL of our account at the CA. */
  readonly accountUri: string
}

export type CaaVerdict =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'forbidden'; readonly explanation: string }
  /** The records could not be looked up: a CA does not issue then either (RFC 8659 §3). */
  | DnsFailure

/** The CAA records at a name, CNAMEs followed. */
export type CaaLookup = (name: string) => Promise<DnsAnswer<Caa>>

/** @param name a domain name, no wildcard */
export async function checkCaa(name: string, applicant: Applicant, lookup: CaaLookup): Promise<CaaVerdict> {
  const found = await relevantRecords(name, lookup)
  if (found.kind === 'failure') return found
  return judge(found.records, found.owner, applicant)
}

/** RFC 8659 §3: those of the nearest name, from `name` up to the top level domain, that has any. */
async function relevantRecords(
  name: string,
  lookup: CaaLookup,
): Promise<
  DnsFailure | { readonly kind: 'found'; readonly owner: string; readonly records: readonly Caa[] }
> {
  const labels = name.split('.')
  for (let at = 0; at < labels.length; at++) {
    const owner = labels.slice(at).join('.')
    const found = await lookup(owner)
    if (found.kind === 'failure') return found
    if (found.kind === 'answer') return { kind: 'found', owner, records: found.records }
  }
  return { kind: 'found', owner: name, records: [] }
}

/** RFC 8659 §4; `owner` is the name that has the records. */
export function judge(records: readonly Caa[], owner: string, applicant: Applicant): CaaVerdict {
  // §4.5: who does not understand a critical property must not issue.
  const critical = records.find(record => (record.flags & CRITICAL) !== 0 && !KNOWN.has(tagOf(record)))
  if (critical !== undefined) {
    const explanation = `${owner} CAA ${shown(critical)} is critical, and CAs do not know it: remove it, or its flag 128`
    return { kind: 'forbidden', explanation }
  }
  // §4.2: properties of other kinds restrict nothing.
  const issue = records.filter(record => tagOf(record) === 'issue')
  const { identities } = applicant
  if (issue.length === 0 || identities.length === 0) return { kind: 'allowed' }
  const objections: string[] = []
  for (const record of issue) {
    const objection = objectionTo(record, applicant)
    if (objection === null) return { kind: 'allowed' }
    objections.push(`${owner} CAA ${shown(record)} ${objection}`)
  }
  const remedy = `allow it by ${owner} CAA 0 issue "${identities[0]}"`
  return { kind: 'forbidden', explanation: `${objections.join('; ')}: ${remedy}` }
}

const CRITICAL = 128
/** RFC 8659 §4, RFC 9495, and what the CA/Browser Forum's requirements have beside them. */
const KNOWN = new Set([
  'issue',
  'issuewild',
  'iodef',
  'issuemail',
  'issuevmc',
  'contactemail',
  'contactphone',
])

const tagOf = ({ tag }: Caa): string => tag.toLowerCase()
const shown = ({ flags, tag, value }: Caa): string => `${flags} ${tag} ${JSON.stringify(value)}`

/** Why an issue property does not allow the CA; `null`: it does. */
function objectionTo(record: Caa, { identities, accountUri }: Applicant): string | null {
  const issue = parseIssue(record.value)
  if (issue === null) return 'is malformed, which allows nobody'
  if (issue.issuer === '') return 'allows nobody'
  if (!identities.some(identity => identity.toLowerCase() === issue.issuer)) {
    return `allows another CA, not ${identities.join(' or ')}`
  }
  // RFC 8657 §3: one account; two are nobody.
  const accounts = issue.parameters.filter(([tag]) => tag === 'accounturi')
  if (accounts.length > 0 && !(accounts.length === 1 && accounts[0]?.[1] === accountUri)) {
    return `allows another account, not ours (accounturi=${accountUri})`
  }
  // RFC 8657 §4.
  const methods = issue.parameters.filter(([tag]) => tag === 'validationmethods')
  if (methods.length > 0 && !(methods.length === 1 && methods[0]?.[1].split(',').includes('dns-01'))) {
    return 'does not allow the method we use (validationmethods=dns-01)'
  }
  return null
}

interface Issue {
  /** Lower case; empty: nobody. */
  readonly issuer: string
  /** Tags in lower case. */
  readonly parameters: readonly (readonly [tag: string, value: string])[]
}

// Each hyphen has one way to be read: a value has up to 65,535 octets, and who reads it twice is quadratic.
const LABEL = '[a-z0-9]+(?:-+[a-z0-9]+)*'
const ISSUER = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*)?$`, 'i')
const PARAMETER = new RegExp(`^(${LABEL})[ \\t]*=[ \\t]*([\\x21-\\x3a\\x3c-\\x7e]*)$`, 'i')

/** Without the spaces and tabs around it, in time that grows as its length does. */
function trimmed(part: string): string {
  let end = part.length
  while (part[end - 1] === ' ' || part[end - 1] === '\t') end--
  return part.slice(0, end).replace(/^[ \t]+/, '')
}

/** RFC 8659 §4.2; `null`: malformed, which is as good as an empty issuer. */
export function parseIssue(value: string): Issue | null {
  const [issuer = '', ...rest] = value.split(';').map(trimmed)
  if (!ISSUER.test(issuer)) return null
  const parameters: (readonly [string, string])[] = []
  // One semicolon with nothing behind it is no parameter, and allowed.
  for (const part of rest.length === 1 && rest[0] === '' ? [] : rest) {
    const [, tag, text] = PARAMETER.exec(part) ?? []
    if (tag === undefined || text === undefined) return null
    parameters.push([tag.toLowerCase(), text])
  }
  return { issuer: issuer.toLowerCase(), parameters }
}
