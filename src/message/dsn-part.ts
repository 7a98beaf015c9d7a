/** What the parts of a notification are made of: fields, MIME parts, and what others said made fit to be quoted. */

import { normalizeDomain } from '../smtp/domain.ts'
import type { Mailbox } from '../smtp/path.ts'
import { field, fieldBody, fieldsNamed, parseHeader } from './header.ts'
import { quotedPrintable } from './quoted-printable.ts'

export type NameValue = readonly [name: string, value: string]

/** How a part's octets are written (RFC 2045 §6). */
export type Encoding = '7bit' | '8bit' | 'quoted-printable' | 'base64'

export interface Part {
  /** With its own header section. */
  readonly octets: Buffer
  readonly encoding: Encoding
}

export function fields(list: readonly NameValue[]): Uint8Array {
  return Buffer.concat(list.map(([name, value]) => field(name, value).octets))
}

export function part(
  type: string,
  body: Uint8Array,
  encoding: Encoding,
  more: readonly NameValue[] = [],
): Part {
  const header = fields([['Content-Type', type], ['Content-Transfer-Encoding', encoding], ...more])
  return { octets: Buffer.concat([header, Buffer.from('\r\n'), encode(body, encoding)]), encoding }
}

function encode(body: Uint8Array, encoding: Encoding): Uint8Array {
  switch (encoding) {
    case 'quoted-printable':
      return Buffer.from(quotedPrintable(body))
    case 'base64':
      return Buffer.from(
        Buffer.from(body)
          .toString('base64')
          .replace(/.{76}(?=.)/g, '$&\r\n'),
      )
    default:
      return body
  }
}

export function clip(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}...` : text
}

/** Without control characters, and in ASCII unless `utf8`. */
export function printable(text: string, utf8: boolean): string {
  const clean = text
    .replace(/[\p{Cc}\p{Cs}\u2028\u2029]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
  return utf8 ? clean : clean.replace(/[^ -~]/gu, '?')
}

export function isPrintable(text: string, utf8: boolean): boolean {
  return printable(text, utf8) === text
}

export function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text)
}

/** Another's text: no control characters, no line that cannot be folded, and no end to it where it has none. */
export function diagnosticText(
  { diagnostic, status }: { readonly diagnostic: string; readonly status: string },
  utf8: boolean,
): string {
  const text = printable(diagnostic, utf8).replace(/\S{200}(?=\S)/gu, '$& ')
  return clip(text, 2000) || status
}

/** Whether the diagnostic is a reply of the remote server (RFC 3461 §9.2), and not ours about it. */
export function isReply({
  diagnostic,
  remote,
}: {
  readonly diagnostic: string
  readonly remote?: string
}): boolean {
  return remote !== undefined && /^[2-5]\d\d(?:[ -]|$)/.test(diagnostic)
}

/** Our postmaster's address, for one: it must not be what makes the notice need SMTPUTF8. */
export function inAscii({ localPart, domain }: Mailbox): Mailbox {
  return { localPart, domain: normalizeDomain(domain) }
}

/** Values of the original's header; a header that is not one has none. */
export function originalValues(original: Uint8Array): (name: string) => string {
  try {
    const header = parseHeader(original)
    return name => {
      const [first] = fieldsNamed(header, name)
      return first ? fieldBody(first) : ''
    }
  } catch {
    return () => ''
  }
}
