/** MTA-STS as text: the TXT record (RFC 8461 §3.1), the policy (§3.2), and which MX hosts it means (§4.1). Pure. */

import { isDomain } from '../../smtp/domain.ts'

export type StsMode = 'enforce' | 'testing' | 'none'

export interface StsPolicy {
  readonly mode: StsMode
  /** In lower case: host names, some with `*.` in place of the first label. Empty only where the mode is `none`. */
  readonly mx: readonly string[]
  readonly maxAgeSeconds: number
}

export type StsRecord =
  | { readonly kind: 'record'; readonly id: string }
  | { readonly kind: 'none'; readonly reason: string }

export type ParsedPolicy =
  | { readonly kind: 'policy'; readonly policy: StsPolicy }
  | { readonly kind: 'invalid'; readonly reason: string }

const RECORD_START = 'v=STSv1;'
// sts-id = %s"id=" 1*32(ALPHA / DIGIT)
const ID = /^id=([A-Za-z0-9]{1,32})$/
// sts-extension = sts-ext-name "=" sts-ext-value ; name: (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / ".")
const RECORD_FIELD = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+$/

/**
 * The id of the policy that a domain has.
 *
 * @param txts those at `_mta-sts.` and the domain, the strings of each joined without spaces
 */
export function parseStsRecord(txts: readonly string[]): StsRecord {
  // §3.1: what does not begin so is discarded, and of the rest there must be one.
  const records = txts.filter(txt => txt.startsWith(RECORD_START))
  const [record] = records
  if (record === undefined) return { kind: 'none', reason: 'no TXT record begins with v=STSv1;' }
  if (records.length > 1) return { kind: 'none', reason: `${records.length} TXT records begin with v=STSv1;` }
  // sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim] ; sts-field-delim = *WSP ";" *WSP
  const fields = record.slice(RECORD_START.length).split(';')
  const last = fields.pop() ?? ''
  const parts = fields.map(withoutWsp)
  // White space at the end belongs to a delimiter, which may be left out, and then so must it.
  if (withoutWsp(last) !== '') parts.push(last.replace(/^[ \t]+/, ''))
  const malformed = parts.find(part => !RECORD_FIELD.test(part))
  if (malformed !== undefined)
    return { kind: 'none', reason: `the TXT record is malformed at ${quoted(malformed)}` }
  // §3.2: of a field that is repeated the first counts.
  const id = ID.exec(parts.find(part => part.startsWith('id=')) ?? '')?.[1]
  if (id === undefined)
    return { kind: 'none', reason: 'the TXT record has no id of 1 to 32 letters and digits' }
  return { kind: 'record', id }
}

/** One of 365.25 days, in seconds (§3.2). */
const LONGEST_MAX_AGE = 31_557_600
// sts-policy-ext-name, and those of the fields that are known ; sts-policy-field-delim = ":" *WSP
const POLICY_FIELD = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):/
// sts-policy-ext-value: no controls
const POLICY_VALUE = /^[^\x00-\x1f\x7f]+$/
// sts-policy-max-age-value = 1*10(DIGIT)
const MAX_AGE = /^\d{1,10}$/

/**
 * Lines end in CRLF or LF. Unknown fields are ignored, and so are lines that are empty, which the ABNF does not have and
 * people write.
 */
export function parseStsPolicy(text: string): ParsedPolicy {
  const fields = new Map<string, string>()
  const mx: string[] = []
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    if (withoutWsp(line) === '') continue
    const name = POLICY_FIELD.exec(line)?.[1]
    const value = withoutWsp(line.slice((name?.length ?? 0) + 1))
    if (name === undefined || !POLICY_VALUE.test(value))
      return invalid(`line ${at + 1} is not "name: value": ${quoted(line)}`)
    if (name !== 'mx') {
      // §3.2: of a field that is repeated the first counts.
      if (!fields.has(name)) fields.set(name, value)
      continue
    }
    // sts-policy-mx-value = ["*."] Domain
    if (!isDomain(value.startsWith('*.') ? value.slice(2) : value))
      return invalid(`line ${at + 1}: mx ${quoted(value)} is no host name, and no *. before one`)
    mx.push(value.toLowerCase())
  }
  const version = fields.get('version')
  if (version !== 'STSv1') return invalid(`version is ${shown(version)} and not STSv1`)
  const mode = fields.get('mode')
  if (mode !== 'enforce' && mode !== 'testing' && mode !== 'none')
    return invalid(`mode is ${shown(mode)} and not enforce, testing or none`)
  const maxAge = fields.get('max_age')
  if (maxAge === undefined || !MAX_AGE.test(maxAge) || Number(maxAge) > LONGEST_MAX_AGE)
    return invalid(`max_age is ${shown(maxAge)} and not 0 to ${LONGEST_MAX_AGE} seconds`)
  if (mx.length === 0 && mode !== 'none') return invalid(`mode is ${mode}, and no mx is named`)
  return { kind: 'policy', policy: { mode, mx, maxAgeSeconds: Number(maxAge) } }
}

/** §4.1: `*` stands for the whole first label, and for nothing else. */
export function mxMatches(patterns: readonly string[], host: string): boolean {
  const name = (host.endsWith('.') ? host.slice(0, -1) : host).toLowerCase()
  const dot = name.indexOf('.')
  const wildcard = dot > 0 ? `*${name.slice(dot)}` : null
  return patterns.some(pattern => pattern.toLowerCase() === name || pattern.toLowerCase() === wildcard)
}

function invalid(reason: string): ParsedPolicy {
  return { kind: 'invalid', reason }
}

const isWsp = (character: string | undefined): boolean => character === ' ' || character === '\t'

/** Not with a regular expression: on a line of 64 KiB of spaces some take minutes. */
function withoutWsp(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isWsp(text[start])) start++
  while (end > start && isWsp(text[end - 1])) end--
  return text.slice(start, end)
}

const shown = (value: string | undefined): string => (value === undefined ? 'missing' : quoted(value))

/** Others' text, for logs and reports. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text).replace(
    /[\x7f-\x9f]/g,
    control => `\\u00${control.charCodeAt(0).toString(16)}`,
  )
