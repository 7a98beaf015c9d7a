/**
 * Failure notices: delivery status notifications (RFC 3464) in a multipart/report (RFC 6522), first of all for people to
 * read. They go to the reverse-path with the null reverse-path (RFC 5321 §4.5.5) and say that a program wrote them (RFC 3834).
 *
 * A notice must arrive, or a failure stays untold; so it is 7-bit, which every server takes. Only when its own recipient has
 * an address beyond ASCII, which needs SMTPUTF8 anyway, it has 8-bit parts in the types of RFC 6533.
 */

import { normalizeDomain } from '../smtp/domain.ts'
import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import { formatDate } from './date.ts'
import { decodeEncodedWords } from './encoded-word.ts'
import { explain } from './explanation.ts'
import { endOfHeader, field, fieldBody, fieldsNamed, parseHeader } from './header.ts'
import { formatMessageId } from './message-id.ts'
import { quotedPrintable } from './quoted-printable.ts'

export interface FailureNotice {
  /** Of the notice, not of the original: Message-ID and boundary are made of it. */
  readonly id: string
  /** Host name of the relay. */
  readonly reportingMta: string
  readonly postmaster: Mailbox
  /** The reverse-path of the original. */
  readonly recipient: Mailbox
  readonly arrivedMs: number
  readonly nowMs: number
  /** Of the local time, east of UTC. */
  readonly offsetMinutes?: number
  /** ENVID of RFC 3461, decoded. */
  readonly envelopeId?: string
  /** The id the original has in our logs. */
  readonly originalId?: string
  readonly failures: readonly Failure[]
  /** Content of the original, or its header section: the header is returned, all of it when it is small. */
  readonly original: Uint8Array
  /** Whether the original is an SMTPUTF8 message: its header is UTF-8 then. */
  readonly smtputf8: boolean
}

export interface Failure {
  readonly mailbox: Mailbox
  /** RFC 3464 §2.3.3. `delayed`: it is still tried, until `retryUntilMs`. */
  readonly action: 'failed' | 'delayed'
  readonly retryUntilMs?: number
  readonly evidence: {
    readonly atMs: number
    readonly status: string
    readonly diagnostic: string
    /** `host [address]` of the server that said it; without, the diagnostic is our own. */
    readonly remote?: string
  }
}

/** What is returned whole. Postfix has bounce_size_limit 50000. */
const SMALL_OCTETS = 50_000
const LINE_LIMIT = 998
const TEXT_WIDTH = 72

export function buildFailureNotice(notice: FailureNotice): Uint8Array {
  const utf8 = !isAscii(notice.recipient.localPart + notice.recipient.domain)
  const status = statusPart(notice, utf8)
  const parts = [textPart(notice, utf8), status.part, returnedPart(notice, utf8)]
  const boundary = boundaryFor(notice.id, parts)
  const header = headerOf(notice, utf8, [
    ['MIME-Version', '1.0'],
    ['Content-Type', `multipart/report; report-type=${status.subtype}; boundary="${boundary}"`],
    ['Content-Transfer-Encoding', utf8 ? '8bit' : '7bit'],
  ])
  const preamble = 'This is a MIME message: a report about mail that was not delivered.\r\n'
  const octets: Uint8Array[] = [header, Buffer.from(`\r\n${preamble}`)]
  for (const part of parts) octets.push(Buffer.from(`\r\n--${boundary}\r\n`), part)
  octets.push(Buffer.from(`\r\n--${boundary}--\r\n`))
  return Buffer.concat(octets)
}

// RFC 2046 §5.1.1: the boundary must not appear in what it encloses, whatever somebody put into the original.
function boundaryFor(id: string, parts: readonly Uint8Array[]): string {
  let boundary = `=_${id}`
  while (parts.some(octets => Buffer.from(octets).includes(`--${boundary}`))) boundary += '_'
  return boundary
}

type NameValue = readonly [name: string, value: string]

function fields(list: readonly NameValue[]): Uint8Array {
  return Buffer.concat(list.map(([name, value]) => field(name, value).octets))
}

function headerOf(notice: FailureNotice, utf8: boolean, mime: readonly NameValue[]): Uint8Array {
  const original = originalHeader(notice)
  const messageId = /^<[!-;=?-~]{1,900}>$/.exec(original('Message-ID'))?.[0]
  const subject = original('Subject')
  const shown = subject !== '' && subject.length <= 200 && isPrintable(subject, utf8)
  const what = isDelay(notice) ? 'Delayed' : 'Not delivered'
  return fields([
    ['Date', formatDate(notice.nowMs, notice.offsetMinutes)],
    ['From', `Mail delivery <${formatMailbox(postmasterOf(notice))}>`],
    ['To', `<${formatMailbox(notice.recipient)}>`],
    [
      'Subject',
      shown
        ? `${what}: ${subject}`
        : isDelay(notice)
          ? 'Your message is delayed'
          : 'Your message was not delivered',
    ],
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

/** In ASCII: his address must not be what makes the notice need SMTPUTF8. */
function postmasterOf({ postmaster }: FailureNotice): Mailbox {
  return { localPart: postmaster.localPart, domain: normalizeDomain(postmaster.domain) }
}

function isDelay(notice: FailureNotice): boolean {
  return notice.failures.every(failure => failure.action === 'delayed')
}

/** Values of the original's header; a header that is not one has none. */
function originalHeader(notice: FailureNotice): (name: string) => string {
  try {
    const header = parseHeader(notice.original)
    return name => {
      const [first] = fieldsNamed(header, name)
      return first ? fieldBody(first) : ''
    }
  } catch {
    return () => ''
  }
}

// The first part: RFC 6522 §3, "an easily understood description".

function textPart(notice: FailureNotice, utf8: boolean): Uint8Array {
  const text = Buffer.from(humanText(notice))
  const ascii = text.every(octet => octet < 128)
  return part(
    `text/plain; charset=${ascii ? 'us-ascii' : 'utf-8'}`,
    text,
    ascii ? '7bit' : utf8 ? '8bit' : 'quoted',
  )
}

function humanText(notice: FailureNotice): string {
  const { failures } = notice
  const whom = failures.length === 1 ? 'this recipient' : `these ${failures.length} recipients`
  const opening = isDelay(notice)
    ? `your message has not reached ${whom} yet. You need not send it again: we keep trying.`
    : `your message could not be delivered to ${whom}. We have stopped trying.`
  const original = originalHeader(notice)
  const about = ['Subject', 'Date', 'To']
    .map(name => [name, printable(decodeEncodedWords(original(name)), true)] as const)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `  ${name}: ${clip(value, 200)}`)
  const paragraphs = [
    wrap(`This is the mail server ${notice.reportingMta}. I am sorry to say that ${opening}`, ''),
    ...failures.map(failure => describe(failure, notice)),
  ]
  if (about.length > 0) paragraphs.push(['The message:', ...about].join('\r\n'))
  if (notice.originalId !== undefined)
    paragraphs.push(
      wrap(
        `If you ask your mail administrator (${formatMailbox(postmasterOf(notice))}), give this number:`,
        '',
      ),
      `  ${notice.originalId}`,
    )
  return `${paragraphs.join('\r\n\r\n')}\r\n`
}

function describe(failure: Failure, notice: FailureNotice): string {
  const { evidence } = failure
  const lines = [`  ${formatMailbox(failure.mailbox)}`, wrap(explain(evidence.status), '    ')]
  // A temporary error that ended in failure: time ran out (RFC 3464 §2.3.3 "failed").
  if (evidence.status.startsWith('4') && failure.action === 'failed')
    lines.push(
      wrap(
        `We have tried for ${duration(notice.nowMs - notice.arrivedMs)}; this is what happened last.`,
        '    ',
      ),
    )
  if (failure.action === 'delayed' && failure.retryUntilMs !== undefined)
    lines.push(
      wrap(`We keep trying until ${formatDate(failure.retryUntilMs, notice.offsetMinutes)}.`, '    '),
    )
  const when = formatDate(evidence.atMs, notice.offsetMinutes)
  const who =
    evidence.remote === undefined
      ? 'Our server noted'
      : `The server ${clip(printable(evidence.remote, true), 300)} said`
  lines.push(wrap(`${who} (${when}):`, '    '), wrap(diagnosticText(failure, true), '      '))
  return lines.join('\r\n')
}

function duration(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000))
  for (const [unit, length] of [
    ['day', 1440],
    ['hour', 60],
  ] as const)
    if (minutes >= length) return plural(Math.round(minutes / length), unit)
  return plural(minutes, 'minute')
}

function plural(n: number, unit: string): string {
  return `${n} ${unit}${n === 1 ? '' : 's'}`
}

function wrap(text: string, indent: string): string {
  const lines: string[] = []
  let line = indent
  for (const word of text.split(' ')) {
    if (line.length > indent.length && line.length + 1 + word.length > TEXT_WIDTH) {
      lines.push(line)
      line = indent
    }
    line += line.length > indent.length ? ` ${word}` : word
  }
  return [...lines, line].join('\r\n')
}

// The second part: RFC 3464 §2.

function statusPart(notice: FailureNotice, utf8: boolean): { subtype: string; part: Uint8Array } {
  const addresses = notice.failures.map(failure => formatMailbox(failure.mailbox)).join('')
  const global =
    utf8 && !(isAscii(addresses) && notice.failures.every(failure => isAscii(diagnosticText(failure, true))))
  const date = (ms: number): string => formatDate(ms, notice.offsetMinutes)
  const groups: NameValue[][] = [
    [
      ...(notice.envelopeId === undefined ? [] : ([['Original-Envelope-Id', notice.envelopeId]] as const)),
      ['Reporting-MTA', `dns; ${notice.reportingMta}`],
      ['Arrival-Date', date(notice.arrivedMs)],
    ],
  ]
  for (const failure of notice.failures) {
    const { evidence } = failure
    // The type of our own diagnostics is not registered, hence its x- (RFC 3464 §2.1.2, §2.3.6).
    const type = evidence.remote === undefined ? 'x-ptt' : 'smtp'
    groups.push([
      ['Final-Recipient', finalRecipient(failure.mailbox, global)],
      ['Action', failure.action],
      ['Status', evidence.status],
      ...(evidence.remote === undefined
        ? []
        : ([['Remote-MTA', `dns; ${hostOf(evidence.remote)}`]] as const)),
      ['Diagnostic-Code', `${type}; ${diagnosticText(failure, global)}`],
      ['Last-Attempt-Date', date(evidence.atMs)],
      ...(failure.action === 'delayed' && failure.retryUntilMs !== undefined
        ? ([['Will-Retry-Until', date(failure.retryUntilMs)]] as const)
        : []),
    ])
  }
  const subtype = global ? 'global-delivery-status' : 'delivery-status'
  const body = Buffer.concat(
    groups.flatMap((group, i) => (i === 0 ? [fields(group)] : [Buffer.from('\r\n'), fields(group)])),
  )
  return { subtype, part: part(`message/${subtype}`, body, global ? '8bit' : '7bit') }
}

// RFC 6533 §3: the utf-8 address type, as it is where 8 bits pass, else as utf-8-addr-xtext.
function finalRecipient(mailbox: Mailbox, global: boolean): string {
  const address = formatMailbox(mailbox)
  if (isAscii(address)) return `rfc822; ${address}`
  if (global) return `utf-8; ${address}`
  const hex = (char: string): string =>
    `\\x{${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, '0')}}`
  const xtext = (text: string): string => text.replace(/[^!-*,-<>-[\]-~]/gu, hex)
  const encoded = xtext(address)
  // Six and more characters for one: with a long domain in A-labels it still fits on a line.
  const shorter = (): string => xtext(formatMailbox({ ...mailbox, domain: normalizeDomain(mailbox.domain) }))
  return `utf-8; ${encoded.length > 900 ? shorter() : encoded}`
}

function hostOf(remote: string): string {
  return clip(printable(remote.split(' ')[0] ?? '', false), 255)
}

// Another's text: no control characters, no line that cannot be folded, and no end to it where it has none.
function diagnosticText(failure: Failure, utf8: boolean): string {
  const text = printable(failure.evidence.diagnostic, utf8).replace(/\S{200}(?=\S)/gu, '$& ')
  return clip(text, 2000) || failure.evidence.status
}

function clip(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}...` : text
}

function printable(text: string, utf8: boolean): string {
  const clean = text
    .replace(/[\p{Cc}\p{Cs}\u2028\u2029]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
  return utf8 ? clean : clean.replace(/[^ -~]/gu, '?')
}

function isPrintable(text: string, utf8: boolean): boolean {
  return printable(text, utf8) === text
}

function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text)
}

// The third part: RFC 6522 §3 and §4, RFC 6533 §4.2 and §4.3.

function returnedPart(notice: FailureNotice, utf8: boolean): Uint8Array {
  const { original } = notice
  const end = endOfHeader(original)
  const header = end < 0 ? original : original.subarray(0, end - 2)
  const global = notice.smtputf8 && !header.every(octet => octet < 128)
  if (end >= 0 && original.length <= SMALL_OCTETS && fits(original, utf8 && notice.smtputf8))
    return part(
      global ? 'message/global' : 'message/rfc822',
      original,
      original.every(octet => octet < 128) ? '7bit' : '8bit',
    )
  const type = global ? 'message/global-headers' : 'text/rfc822-headers'
  return part(
    type,
    header,
    fits(header, false) ? '7bit' : global && utf8 && fits(header, true) ? '8bit' : 'quoted',
  )
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

function part(type: string, body: Uint8Array, encoding: '7bit' | '8bit' | 'quoted'): Uint8Array {
  const header = fields([
    ['Content-Type', type],
    ['Content-Transfer-Encoding', encoding === 'quoted' ? 'quoted-printable' : encoding],
  ])
  return Buffer.concat([
    header,
    Buffer.from('\r\n'),
    encoding === 'quoted' ? Buffer.from(quotedPrintable(body)) : body,
  ])
}
