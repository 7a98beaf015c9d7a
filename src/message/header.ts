/**
 * The header section, RFC 5322 §2.2 and RFC 6532: found in content that is still coming in, split into fields, and
 * fields of our own written. A parsed field keeps its octets: nothing here rewrites what somebody else wrote.
 */

import { SmtpError } from '../smtp/error.ts'

export interface Field {
  /** As it was written: compare names without regard to case. */
  readonly name: string
  /** The whole field with its CRLF, folded as it came. */
  readonly octets: Uint8Array
}

/** What we accept of a header section; RFC 5322 sets no limit, Postfix holds 100 KiB. */
export const MAX_HEADER_OCTETS = 256 * 1024

// RFC 5322 §2.1.1: a line must not be longer than 998 characters and should not be longer than 78.
const LINE_LIMIT = 998
const LINE_PREFERRED = 78

/**
 * The offset after the empty line that ends the header section: 2 when the content starts with CRLF (a section without
 * fields), -1 when the end is not there yet. `from`: how many octets an earlier call has searched in vain.
 */
export function endOfHeader(octets: Uint8Array, from = 0): number {
  if (from < 2 && octets.length >= 2 && octets[0] === 13 && octets[1] === 10) return 2
  const at = view(octets).indexOf('\r\n\r\n', Math.max(0, from - 3), 'latin1')
  return at < 0 ? -1 : at + 4
}

// field-name = 1*ftext (RFC 5322 §3.6.8); WSP before the colon is obsolete but must be read (§4.5.8).
const FIELD_NAME = /[!-9;-~]+[ \t]*:/y

/**
 * The fields of a header section, up to its empty line or to the end of `octets`.
 * @throws SmtpError 554 5.6.0 naming the line that is not a field.
 */
export function parseHeader(octets: Uint8Array): Field[] {
  const end = endOfHeader(octets)
  const text = view(end < 0 ? octets : octets.subarray(0, end - 2)).toString('latin1')
  const fields: Field[] = []
  let line = 1
  for (let start = 0; start < text.length; ) {
    FIELD_NAME.lastIndex = start
    // Not `exec`, whose array would be more than all the rest that is kept of a field.
    if (!FIELD_NAME.test(text))
      throw new SmtpError(554, '5.6.0', `Header line ${line} ${complaint(text, start)}`)
    const colon = FIELD_NAME.lastIndex - 1
    const name = text.slice(start, colon)
    let next = colon
    do {
      const crlf = text.indexOf('\r\n', next)
      next = crlf < 0 ? text.length : crlf + 2
      line++
    } while (isWsp(text.charCodeAt(next)))
    fields.push({
      name: isWsp(text.charCodeAt(colon - 1)) ? name.trimEnd() : name,
      octets: octets.subarray(start, next),
    })
    start = next
  }
  return fields
}

function complaint(text: string, start: number): string {
  if (isWsp(text.charCodeAt(start))) return 'continues a field, but none was begun'
  const crlf = text.indexOf('\r\n', start)
  const shown = text.slice(start, crlf < 0 ? undefined : crlf).replace(/[^ -~]/g, '?')
  return `is not a field (name, colon, value): ${shown.length > 40 ? `${shown.slice(0, 40)}...` : shown}`
}

/** The value of a field: unfolded (RFC 5322 §2.2.3), without the white space around it, as UTF-8. */
export function fieldBody(field: Field): string {
  const octets = view(field.octets)
  return trim(octets.toString('utf8', octets.indexOf(58) + 1).replace(/\r\n/g, ''))
}

export function fieldsNamed(header: readonly Field[], name: string): Field[] {
  const wanted = name.toLowerCase()
  return header.filter(field => field.name.length === wanted.length && field.name.toLowerCase() === wanted)
}

/**
 * A field of our own, folded to 78 characters at white space where there is some.
 * @throws RangeError when the name or the value cannot stand in a field: CR, LF or NUL in it, or a line over 998.
 */
export function field(name: string, value: string): Field {
  if (!/^[!-9;-~]+$/.test(name)) throw new RangeError(`not a field name: ${JSON.stringify(name)}`)
  if (/[\r\n\0]/.test(value)) throw new RangeError(`CR, LF or NUL in the value of ${name}`)
  const text = fold(`${name}: ${trim(value)}`)
  for (const line of text.split('\r\n'))
    if (Buffer.byteLength(line) > LINE_LIMIT)
      throw new RangeError(`a line of ${name} is longer than 998 octets`)
  return { name, octets: Buffer.from(`${text}\r\n`) }
}

// RFC 5322 §2.2.3: a CRLF goes in before white space, and no line may be of white space alone (§3.2.2).
function fold(text: string): string {
  if (text.length <= LINE_PREFERRED) return text
  let folded = ''
  let line = ''
  for (const [word] of text.matchAll(/[ \t]*[^ \t]+|[ \t]+$/g)) {
    const mayBreak = isWsp(word.charCodeAt(0)) && line.trim() !== '' && word.trim() !== ''
    if (mayBreak && line.length + word.length > LINE_PREFERRED) {
      folded += `${line}\r\n`
      line = word
    } else line += word
  }
  return folded + line
}

// Not `/[ \t]+$/`, which looks at every run of white space from each of its characters: a folded field may have 256 KiB of it.
function trim(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isWsp(text.charCodeAt(start))) start++
  while (end > start && isWsp(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isWsp(code: number): boolean {
  return code === 32 || code === 9
}

/** The same octets as a Buffer, for its searching and slicing; nothing is copied. */
function view(octets: Uint8Array): Buffer {
  return Buffer.isBuffer(octets) ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength)
}
