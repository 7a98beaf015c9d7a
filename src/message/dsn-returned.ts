/** The third part of a notification: the original, or its header section. RFC 6522 §3 and §4, RFC 6533 §4.2 and §4.3. */

import type { StatusNotification } from './dsn.ts'
import { type Part, part } from './dsn-part.ts'
import { endOfHeader } from './header.ts'

/** What is returned whole when nobody said RET. Postfix has bounce_size_limit 50000. */
const SMALL_OCTETS = 50_000
/** RFC 3461 §6.2 lets us return less than RET=FULL asks for above "some implementation-specified length". */
const FULL_OCTETS = 10 * 1024 * 1024
const LINE_LIMIT = 998

/** @param utf8 the notice goes to an address that needs SMTPUTF8, so 8 bits pass anyway */
export function returnedPart(notice: StatusNotification, utf8: boolean): Part {
  const { original } = notice
  const end = endOfHeader(original)
  const header = end < 0 ? original : original.subarray(0, end - 2)
  const global = notice.smtputf8 && !isSevenBit(header)
  const whole = end < 0 ? null : wholePart(notice, global, utf8)
  if (whole !== null) return whole
  if (fits(header, false)) return part(global ? GLOBAL_HEADERS : HEADERS, header, '7bit')
  if (!global) return part(HEADERS, header, 'quoted-printable')
  return part(GLOBAL_HEADERS, header, utf8 && fits(header, true) ? '8bit' : 'quoted-printable')
}

const HEADERS = 'text/rfc822-headers'
const GLOBAL_HEADERS = 'message/global-headers'

/** RFC 3461 §4.3 and §6.2: the whole message only in a notice of failure. */
function wholePart(notice: StatusNotification, global: boolean, utf8: boolean): Part | null {
  const { original, ret, action } = notice
  if (action !== 'failed' || ret === 'HDRS') return null
  const asked = ret === 'FULL'
  if (original.length > (asked ? FULL_OCTETS : SMALL_OCTETS)) return null
  if (fits(original, false)) return part(global ? 'message/global' : 'message/rfc822', original, '7bit')
  if (utf8 && notice.smtputf8 && fits(original, true))
    return part(global ? 'message/global' : 'message/rfc822', original, '8bit')
  if (!asked) return null
  // RFC 6532 §3.7: a message/global may be encoded, which a message/rfc822 may not (RFC 2046 §5.2.1).
  if (global) return part('message/global', original, 'base64')
  return fits(original, true) ? part('message/rfc822', original, '8bit') : null
}

function isSevenBit(octets: Uint8Array): boolean {
  return octets.every(octet => octet < 128)
}

/** Whether the octets can stand in the notice as they are. */
function fits(octets: Uint8Array, eightBit: boolean): boolean {
  let line = 0
  for (const octet of octets) {
    line = octet === 10 ? 0 : line + 1
    // CR counts until its LF comes.
    if ((octet > 127 && !eightBit) || octet === 0 || line > LINE_LIMIT + 1) return false
  }
  return true
}
