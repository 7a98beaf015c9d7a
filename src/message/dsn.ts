/**
 * Delivery status notifications (RFC 3464) in a multipart/report (RFC 6522), first of all for people to read. They go to
 * the reverse-path with the null reverse-path (RFC 5321 §4.5.5) and say that a program wrote them (RFC 3834).
 *
 * A notice must arrive, or a failure stays untold; so it is 7-bit, which every server takes. It has 8-bit parts only when
 * its own recipient has an address beyond ASCII, which needs SMTPUTF8 anyway (then in the types of RFC 6533), or when the
 * sender asked for all of an 8-bit message back (RET=FULL).
 */

import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import { formatDate } from './date.ts'
import { fields, inAscii, isAscii, isPrintable, type NameValue, originalValues } from './dsn-part.ts'
import { returnedPart } from './dsn-returned.ts'
import { statusPart } from './dsn-status.ts'
import { textPart } from './dsn-text.ts'
import { encodeWords } from './encoded-word.ts'
import { type Circumstance, type Language, wordsOf } from './language/words.ts'
import { formatMessageId } from './message-id.ts'

export interface StatusNotification {
  /** Of the notice, not of the original: Message-ID and boundary are made of it. */
  readonly id: string
  /** RFC 3464 §2.3.3. `delayed`: it is still tried. `relayed`: by a server from which no notice of delivery will come. `expanded`: to several others. */
  readonly action: 'failed' | 'delayed' | 'relayed' | 'expanded'
  /** Host name of the relay. */
  readonly reportingMta: string
  readonly postmaster: Mailbox
  /** The reverse-path of the original. */
  readonly recipient: Mailbox
  readonly arrivedMs: number
  readonly nowMs: number
  /** Of the local time, east of UTC. */
  readonly offsetMinutes?: number
  /** ENVID of RFC 3461 §4.4, decoded. */
  readonly envelopeId?: string
  /** RFC 2852 §5: the deliver-by-time. */
  readonly deliverByMs?: number
  /** RFC 4865 §5.1.2: `for;3600` or `until;2007-05-01T10:00:00Z`. */
  readonly futureRelease?: string
  /** Of what people read. */
  readonly language: Language
  /** The id the original has in our logs. */
  readonly originalId?: string
  readonly reports: readonly RecipientReport[]
  /** Content of the original, or its header section. */
  readonly original: Uint8Array
  /** RFC 3461 §4.3: what of it comes back. When nobody said: all of it where it is small and 7-bit. */
  readonly ret?: 'FULL' | 'HDRS'
  /** Whether the original is an SMTPUTF8 message: its header is UTF-8 then. */
  readonly smtputf8: boolean
}

export interface RecipientReport {
  readonly mailbox: Mailbox
  /** ORCPT of RFC 3461 §4.2, decoded. */
  readonly originalRecipient?: { readonly addressType: string; readonly address: string }
  /** Of a delay: until when it is tried. */
  readonly retryUntilMs?: number
  /** What the person is told, where the status code does not say it. */
  readonly circumstance?: Circumstance
  readonly evidence: {
    readonly atMs: number
    readonly status: string
    readonly diagnostic: string
    /** `host [address]` of the server that said it; without, the diagnostic is our own. */
    readonly remote?: string
    /** False: `atMs` is no time of an attempt. */
    readonly attempted?: boolean
  }
}

export function buildNotification(notice: StatusNotification): Uint8Array {
  const utf8 = !isAscii(notice.recipient.localPart + notice.recipient.domain)
  const status = statusPart(notice, utf8)
  const parts = [textPart(notice, utf8), status, returnedPart(notice, utf8)]
  const boundary = boundaryFor(
    notice.id,
    parts.map(({ octets }) => octets),
  )
  const eightBit = utf8 || parts.some(({ encoding }) => encoding === '8bit')
  const header = headerOf(notice, utf8, [
    ['MIME-Version', '1.0'],
    ['Content-Type', `multipart/report; report-type=${status.subtype}; boundary="${boundary}"`],
    ['Content-Transfer-Encoding', eightBit ? '8bit' : '7bit'],
  ])
  const octets = [header, Buffer.from('\r\nThis is a MIME message: a report about the delivery of mail.\r\n')]
  for (const part of parts) octets.push(Buffer.from(`\r\n--${boundary}\r\n`), part.octets)
  octets.push(Buffer.from(`\r\n--${boundary}--\r\n`))
  return Buffer.concat(octets)
}

// RFC 2046 §5.1.1: the boundary must not appear in what it encloses, whatever somebody put into the original.
function boundaryFor(id: string, parts: readonly Buffer[]): string {
  let boundary = `=_${id}`
  while (parts.some(octets => octets.includes(`--${boundary}`))) boundary += '_'
  return boundary
}

function headerOf(notice: StatusNotification, utf8: boolean, mime: readonly NameValue[]): Uint8Array {
  const original = originalValues(notice.original)
  const messageId = /^<[!-;=?-~]{1,900}>$/.exec(original('Message-ID'))?.[0]
  const subject = original('Subject')
  const shown = subject !== '' && subject.length <= 200 && isPrintable(subject, utf8)
  const words = wordsOf(notice.language)
  const [what, whatAlone] = words.subject[notice.action]
  return fields([
    ['Date', formatDate(notice.nowMs, notice.offsetMinutes)],
    ['From', `${encodeWords(words.from)} <${formatMailbox(inAscii(notice.postmaster))}>`],
    ['To', `<${formatMailbox(notice.recipient)}>`],
    ['Subject', shown ? `${encodeWords(what)}: ${subject}` : encodeWords(whatAlone)],
    ['Message-ID', formatMessageId(notice.id, notice.reportingMta)],
    // RFC 3834 §3.1.5: so that it is shown with the message it is about.
    ...(messageId
      ? ([
          ['In-Reply-To', messageId],
          ['References', messageId],
        ] as const)
      : []),
    // RFC 3834 §5.2: a DSN is never "auto-generated".
    ['Auto-Submitted', 'auto-replied'],
    ...mime,
  ])
}
