/** The header section of a message that is held in pieces. */

import { SmtpError } from '../smtp/error.ts'
import { endOfHeader, MAX_HEADER_OCTETS } from './header.ts'

/**
 * The octets up to and with the empty line, or all of them where the message is a header section alone (RFC 5322
 * §3.5). Joins only the pieces that hold it.
 * @throws SmtpError 552 5.3.4 when it is longer than `MAX_HEADER_OCTETS`
 */
export function headerSection(content: readonly Uint8Array[]): Uint8Array {
  let joined: Uint8Array = content[0] ?? new Uint8Array(0)
  let searched = 0
  for (let next = 1; ; next++) {
    const end = endOfHeader(joined, searched)
    const section = end < 0 ? joined : joined.subarray(0, end)
    if (section.length > MAX_HEADER_OCTETS) {
      throw new SmtpError(552, '5.3.4', `The header section is longer than ${MAX_HEADER_OCTETS} octets`)
    }
    const piece = content[next]
    if (end >= 0 || piece === undefined) return section
    searched = joined.length
    joined = Buffer.concat([joined, piece])
  }
}
