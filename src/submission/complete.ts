/**
 * What a submission server adds to a message, RFC 6409 §8: Received always; Date and Message-ID where they are missing.
 * They go before the header section; what the author wrote stays as it is, octet for octet.
 */

import { formatDate } from '../message/date.ts'
import { endOfHeader, field, fieldsNamed, MAX_HEADER_OCTETS, parseHeader } from '../message/header.ts'
import { formatMessageId } from '../message/message-id.ts'
import { formatReceived, type Stamp } from '../message/received.ts'
import { SmtpError } from '../smtp/error.ts'

/**
 * @param content the message as it came, in pieces
 * @param domain for the Message-ID
 * @returns the message to send on, in pieces
 * @throws SmtpError when the header section cannot be read or has not exactly one From: it could not be signed
 */
export function complete(content: readonly Uint8Array[], stamp: Stamp, domain: string): Uint8Array[] {
  const header = parseHeader(headerSection(content))
  const authors = fieldsNamed(header, 'From').length
  if (authors !== 1) {
    const reason = authors === 0 ? 'has no From field' : 'has more than one From field'
    throw new SmtpError(550, '5.6.0', `The message ${reason}: it cannot be signed`)
  }
  const added = [formatReceived(stamp)]
  if (fieldsNamed(header, 'Date').length === 0) {
    added.push(field('Date', formatDate(stamp.dateMs, stamp.offsetMinutes ?? 0)).octets)
  }
  if (fieldsNamed(header, 'Message-ID').length === 0) {
    added.push(field('Message-ID', formatMessageId(stamp.id, domain)).octets)
  }
  return [...added, ...content]
}

/** The octets up to the empty line, joining only the pieces that hold them. */
function headerSection(content: readonly Uint8Array[]): Uint8Array {
  let joined: Uint8Array = content[0] ?? new Uint8Array(0)
  let searched = 0
  for (let next = 1; ; next++) {
    const end = endOfHeader(joined, searched)
    if (end >= 0) return joined.subarray(0, end)
    const piece = content[next]
    // A message may be a header section alone (RFC 5322 §3.5).
    if (piece === undefined) return joined
    if (joined.length > MAX_HEADER_OCTETS) {
      throw new SmtpError(552, '5.3.4', `The header section is longer than ${MAX_HEADER_OCTETS} octets`)
    }
    searched = joined.length
    joined = Buffer.concat([joined, piece])
  }
}
