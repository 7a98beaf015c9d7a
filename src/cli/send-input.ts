/**
 * What programs hand to sendmail on standard input, as a message: line ends of the system, an mbox line on top, no header
 * at all, Bcc fields (RFC 5322 §3.6.3). Nothing here knows of sockets.
 */

import { isAscii, isUtf8 } from 'node:buffer'
import { type Address, parseAddressList } from '../message/address.ts'
import { type Field, field, fieldBody, fieldsNamed, parseHeader } from '../message/header.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { formatPath, isAsciiPath, type Mailbox, type ReversePath, sameMailbox } from '../smtp/path.ts'

export interface Input {
  /** Bcc and Resent-Bcc are among them. */
  readonly header: readonly Field[]
  /** After the empty line. */
  readonly body: Buffer
}

/** `ignoreDots`: a line with nothing but a dot is text, not the end (sendmail -i). */
export function readInput(octets: Buffer, options: { readonly ignoreDots: boolean }): Input {
  let text = octets.toString('latin1')
  if (!options.ignoreDots) {
    const dot = /(?:^|\n)\.\r?(?:\n|$)/.exec(text)
    if (dot !== null) text = text.slice(0, dot.index === 0 && text.startsWith('.') ? 0 : dot.index + 1)
  }
  // RFC 5321 §2.3.8: lines end with CRLF. A CR without LF stays: the server refuses it with a reason.
  text = text.replace(/\r?\n/g, '\r\n')
  if (text !== '' && !text.endsWith('\r\n')) text += '\r\n'
  // The line that begins a message in an mbox file (RFC 4155); it is no field.
  text = text.replace(/^From .*\r\n/, '')
  const end = headerEnd(text)
  const header = parseHeader(Buffer.from(text.slice(0, end), 'latin1'))
  const body = text.startsWith('\r\n', end) ? end + 2 : end
  return { header, body: Buffer.from(text.slice(body), 'latin1') }
}

const FIELD_LINE = /^[!-9;-~]+[ \t]*:/

/** Where the header section ends: at an empty line, or at the first line that cannot be in one. */
function headerEnd(text: string): number {
  let at = 0
  while (at < text.length) {
    const crlf = text.indexOf('\r\n', at)
    const line = text.slice(at, crlf)
    const continued = at > 0 && /^[ \t]/.test(line) && line.trim() !== ''
    if (!continued && !FIELD_LINE.test(line)) return at
    at = crlf + 2
  }
  return at
}

const ADDRESS_FIELD = /^(?:resent-)?(?:from|sender|reply-to|to|cc|bcc)$/i
/** A name of this machine where a mailbox should be: `root`, `root (Cron Daemon)`, `Root <root>`. */
const BARE = /(^|,\s*)([\w.+-]+)(?=\s*(?:\([^()]*\)\s*)?(?:,|$))/g
const BARE_IN_ANGLES = /<([\w.+-]+)>/g

/** As sendmail does: a local-part alone gets the domain. Fields that have none stay octet for octet. */
export function qualified({ header, body }: Input, domain: string): Input {
  const qualify = (one: Field): Field => {
    if (!ADDRESS_FIELD.test(one.name)) return one
    const value = fieldBody(one)
    // A comma between quotes is no separator: names with quotes are for their writer to qualify.
    if (value.includes('"')) return one
    const whole = value.replace(BARE, `$1$2@${domain}`).replace(BARE_IN_ANGLES, `<$1@${domain}>`)
    return whole === value ? one : field(one.name, whole)
  }
  return { header: header.map(qualify), body }
}

/**
 * Who the message says it is for (sendmail -t): To, Cc and Bcc; when it is resent, those who get it now (RFC 5322 §3.6.6).
 * @throws SmtpError 554 5.6.0 when one of the fields is malformed.
 */
export function recipientsOf({ header }: Input): Mailbox[] {
  const resent = listed(header, ['Resent-To', 'Resent-Cc', 'Resent-Bcc'])
  const addresses = resent.length > 0 ? resent : listed(header, ['To', 'Cc', 'Bcc'])
  return distinct(addresses.map(({ mailbox }) => mailbox))
}

function listed(header: readonly Field[], names: readonly string[]): Address[] {
  return names.flatMap(name => fieldsNamed(header, name).flatMap(one => parseAddressList(fieldBody(one))))
}

/** Nobody gets two copies. */
export function distinct(mailboxes: readonly Mailbox[]): Mailbox[] {
  return mailboxes.filter((one, at) => mailboxes.findIndex(other => sameMailbox(one, other)) === at)
}

/** The message as it is sent: no Bcc, and an author. */
export function contentOf({ header, body }: Input, sender: ReversePath): Uint8Array[] {
  const kept = header.filter(({ name }) => !/^(?:resent-)?bcc$/i.test(name))
  const author =
    sender !== null && fieldsNamed(kept, 'From').length === 0 ? [field('From', formatPath(sender))] : []
  return [Buffer.concat([...author, ...kept].map(({ octets }) => octets)), Buffer.from('\r\n'), body]
}

export function envelopeOf(
  reversePath: ReversePath,
  recipients: readonly Mailbox[],
  content: readonly Uint8Array[],
): Envelope {
  const [header = Buffer.alloc(0)] = content
  const paths = [reversePath, ...recipients]
  return {
    reversePath,
    recipients: recipients.map(forwardPath => ({ forwardPath })),
    // RFC 6152 §3: any octet above 127.
    body: content.every(piece => isAscii(piece)) ? '7BIT' : '8BITMIME',
    // RFC 6531 §3.4, RFC 6532 §3: an address or a field is not ASCII. Octets that are no UTF-8 are somebody's old charset.
    smtputf8: !paths.every(isAsciiPath) || (!isAscii(header) && isUtf8(header)),
    sizeOctets: content.reduce((sum, piece) => sum + piece.length, 0),
  }
}
