/**
 * Addresses that a field shows without naming them as its mailboxes: in display names, comments, quoted strings and
 * encoded words. People take them for the author, and so do programs that read addresses with less than a parser.
 */

import type { Mailbox } from '../smtp/path.ts'
import { decodeEncodedWords } from './encoded-word.ts'

// What cannot stand in an address, for any reader; everything else around an "@" is taken for one.
const BREAK = new Set(' \t\r\n<>()[]",;:\\@\u00a0')
/** RFC 5321 §4.5.3.1.3: no path is longer. What is looked at on either side is a little more. */
const REACH = 320

// Letters that look like "@" and ".": those IDNA reads as full stops (RFC 3490 §3.1), and the forms Unicode has of "@".
const COMMERCIAL_AT = /[\uff20\ufe6b]/g
const FULL_STOP = /[\u3002\uff0e\uff61]/g

/** The first address shown in the value of a field that is not `admitted`; `null` when there is none. */
export function addressShown(text: string, admitted: (mailbox: Mailbox) => boolean): string | null {
  for (const version of new Set([text, decodeEncodedWords(text)])) {
    const plain = version.replace(COMMERCIAL_AT, '@').replace(FULL_STOP, '.')
    for (let at = plain.indexOf('@'); at >= 0; at = plain.indexOf('@', at + 1)) {
      const localPart = plain.slice(reach(plain, at, -1) + 1, at)
      const domain = plain.slice(at + 1, reach(plain, at, 1))
      if (localPart === '' || domain === '') continue
      const trimmed = { localPart: trim(localPart), domain: trim(domain) }
      // "Meet@Noon" is a name: no domain is without a dot.
      if (!trimmed.domain.includes('.')) continue
      // 'bob@example.org', in apostrophes, is bob@example.org to people.
      if (!admitted({ localPart, domain }) && !admitted(trimmed)) return `${localPart}@${domain}`
    }
  }
  return null
}

/** Where the piece of text on this side of the "@" stops. */
function reach(text: string, at: number, step: 1 | -1): number {
  let end = at + step
  while (end >= 0 && end < text.length && Math.abs(end - at) < REACH && !BREAK.has(text.charAt(end)))
    end += step
  return end
}

function trim(text: string): string {
  return text.replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, '')
}
