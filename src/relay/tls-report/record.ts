/** The record by which a domain asks for reports: RFC 8460 §3, at `_smtp._tls.<domain>`. Pure. */

import { SmtpError } from '../../smtp/error.ts'
import { type Mailbox, parseMailbox } from '../../smtp/path.ts'
import { quoted } from '../mta-sts/policy.ts'

export function recordName(domain: string): string {
  return `_smtp._tls.${domain}`
}

/** A place that reports go to. `uri` is as it was written. */
export type Destination =
  | { readonly kind: 'mail'; readonly uri: string; readonly mailbox: Mailbox }
  | { readonly kind: 'https'; readonly uri: string; readonly url: string }

export type TlsRptRecord =
  | { readonly kind: 'reports'; readonly destinations: readonly Destination[] }
  | { readonly kind: 'none'; readonly reason: string }

/** A record that names more is one that wants somebody else flooded. */
const MAX_DESTINATIONS = 5

// tlsrpt-version field-delim, field-delim = *WSP ";" *WSP
const VERSION = /^v=TLSRPTv1[ \t]*;/
// tlsrpt-ext-name = (ALPHA / DIGIT) *31(ALPHA / DIGIT / "_" / "-" / "."); the value is not ours to judge (§3, last paragraph).
const FIELD = /^([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=(.*)$/s

/** @param records the TXT records at the name, the strings of each joined */
export function parseRecords(records: readonly string[]): TlsRptRecord {
  // §3: "records that do not begin with "v=TLSRPTv1;" are discarded. If the number of resulting records is not one …"
  const [record, ...others] = records.filter(text => VERSION.test(text))
  if (record === undefined) return none('no record begins with v=TLSRPTv1;')
  if (others.length > 0) return none(`there are ${others.length + 1} records: senders take that for none`)
  const uris: string[] = []
  // tlsrpt-record = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]
  const fields = record.replace(VERSION, '').split(';')
  if (fields.at(-1)?.trim() === '') fields.pop()
  for (const text of fields) {
    const [, name, value = ''] = FIELD.exec(trim(text)) ?? []
    if (name === undefined) return none(`${quoted(trim(text))} is not name=value`)
    // tlsrpt-rua = %s"rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri)
    if (name === 'rua') uris.push(...value.split(',').map(trim))
  }
  if (uris.length === 0) return none('it has no rua=')
  const destinations = uris.flatMap(uri => destinationOf(uri) ?? [])
  if (destinations.length === 0) return none(`no rua= is a mailto: or https: URI: ${quoted(uris.join(','))}`)
  const once = new Map(destinations.map(destination => [destination.uri, destination]))
  return { kind: 'reports', destinations: [...once.values()].slice(0, MAX_DESTINATIONS) }
}

/** `null`: of another scheme, or not what it should be; another one of the list may do. */
function destinationOf(uri: string): Destination | null {
  // RFC 3986 §3.1: schemes are compared without regard to case.
  const scheme = uri.slice(0, uri.indexOf(':') + 1).toLowerCase()
  if (scheme === 'https:') {
    const url = URL.parse(uri)
    // Who has the report need not have a name and a password for it.
    if (url === null || url.username !== '' || url.password !== '') return null
    return { kind: 'https', uri, url: url.href }
  }
  if (scheme !== 'mailto:') return null
  try {
    // mailtoURI = "mailto:" [ to ] [ hfields ] (RFC 6068 §2): what fields it wishes is not for a report to have.
    const [to = ''] = uri.slice(scheme.length).split('?')
    return { kind: 'mail', uri, mailbox: parseMailbox(decodeURIComponent(to), { utf8: true }) }
  } catch (error) {
    if (error instanceof SmtpError || error instanceof URIError) return null
    throw error
  }
}

function none(reason: string): TlsRptRecord {
  return { kind: 'none', reason }
}

/** WSP only. */
function trim(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '')
}
