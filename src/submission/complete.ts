/**
 * What a submission server adds to a message, RFC 6409 §8: Received always; Date and Message-ID where they are missing.
 * They go before the header section; what the author wrote stays as it is, octet for octet.
 */

import { formatDate } from '../message/date.ts'
import { field, fieldsNamed, parseHeader } from '../message/header.ts'
import { formatMessageId } from '../message/message-id.ts'
import { formatReceived, type Stamp } from '../message/received.ts'
import { headerSection } from '../message/section.ts'
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
