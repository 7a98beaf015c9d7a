/** The second part of a notification, for programs: message/delivery-status of RFC 3464 §2, or its like of RFC 6533 §4.1. */

import { normalizeDomain } from '../smtp/domain.ts'
import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import { formatDate } from './date.ts'
import type { RecipientReport, StatusNotification } from './dsn.ts'
import {
  clip,
  diagnosticText,
  fields,
  isAscii,
  isReply,
  type NameValue,
  type Part,
  part,
  printable,
} from './dsn-part.ts'

export interface StatusPart extends Part {
  /** What `report-type` says. */
  readonly subtype: 'delivery-status' | 'global-delivery-status'
}

/** @param utf8 the notice goes to an address that needs SMTPUTF8, so 8 bits pass anyway */
export function statusPart(notice: StatusNotification, utf8: boolean): StatusPart {
  const global = utf8 && !notice.reports.every(isAsciiReport)
  const groups = [perMessage(notice), ...notice.reports.map(report => perRecipient(report, notice, global))]
  const body = Buffer.concat(
    groups.flatMap((group, i) => (i === 0 ? [fields(group)] : [Buffer.from('\r\n'), fields(group)])),
  )
  const subtype = global ? 'global-delivery-status' : 'delivery-status'
  return { subtype, ...part(`message/${subtype}`, body, global ? '8bit' : '7bit') }
}

function isAsciiReport({ mailbox, originalRecipient, evidence }: RecipientReport): boolean {
  const addresses = formatMailbox(mailbox) + decodeUnitext(originalRecipient?.address ?? '')
  return isAscii(addresses) && isAscii(diagnosticText(evidence, true))
}

// RFC 3464 §2.2, with Deliver-By-Date of RFC 2852 §5 and Future-Release-Request of RFC 4865 §5.1.2.
function perMessage(notice: StatusNotification): NameValue[] {
  const date = (ms: number): string => formatDate(ms, notice.offsetMinutes)
  const { envelopeId, deliverByMs, futureRelease } = notice
  const group: NameValue[] = []
  if (envelopeId !== undefined) group.push(['Original-Envelope-Id', quotable(envelopeId, 200)])
  group.push(['Reporting-MTA', `dns; ${notice.reportingMta}`], ['Arrival-Date', date(notice.arrivedMs)])
  if (deliverByMs !== undefined) group.push(['Deliver-By-Date', date(deliverByMs)])
  if (futureRelease !== undefined) group.push(['Future-Release-Request', futureRelease])
  return group
}

// RFC 3464 §2.3; RFC 3461 §6.3 says where each is from.
function perRecipient(report: RecipientReport, notice: StatusNotification, global: boolean): NameValue[] {
  const { mailbox, originalRecipient, evidence, retryUntilMs } = report
  const { remote } = evidence
  const date = (ms: number): string => formatDate(ms, notice.offsetMinutes)
  const group: NameValue[] = []
  if (originalRecipient !== undefined)
    group.push(['Original-Recipient', originalRecipientOf(originalRecipient, global)])
  group.push(
    ['Final-Recipient', finalRecipient(mailbox, global)],
    ['Action', notice.action],
    ['Status', evidence.status],
  )
  if (remote !== undefined) group.push(['Remote-MTA', `dns; ${hostOf(remote)}`])
  // The type of our own diagnostics is not registered, hence its x- (RFC 3464 §2.1.2, §2.3.6).
  const type = isReply(evidence) ? 'smtp' : 'x-ptt'
  group.push(['Diagnostic-Code', `${type}; ${diagnosticText(evidence, global)}`])
  if (evidence.attempted !== false) group.push(['Last-Attempt-Date', date(evidence.atMs)])
  // RFC 3464 §2.3.9: in no other.
  if (notice.action === 'delayed' && retryUntilMs !== undefined)
    group.push(['Will-Retry-Until', date(retryUntilMs)])
  return group
}

// RFC 6533 §3: the utf-8 address type, as it is where 8 bits pass, else as utf-8-addr-xtext.
function finalRecipient(mailbox: Mailbox, global: boolean): string {
  const address = formatMailbox(mailbox)
  if (isAscii(address)) return `rfc822; ${address}`
  if (global) return `utf-8; ${address}`
  const encoded = unitext(address)
  // Six and more characters for one: with a long domain in A-labels it still fits on a line.
  const shorter = (): string =>
    unitext(formatMailbox({ ...mailbox, domain: normalizeDomain(mailbox.domain) }))
  return `utf-8; ${encoded.length > 900 ? shorter() : encoded}`
}

/**
 * As the sender gave it, case and all (RFC 3461 §5.2.1). Of the type utf-8 it is decoded where 8 bits pass, and encoded
 * where they do not (RFC 6533 §3).
 */
function originalRecipientOf(
  { addressType, address }: { readonly addressType: string; readonly address: string },
  global: boolean,
): string {
  const type = quotable(addressType, 100)
  if (type.toLowerCase() !== 'utf-8') return `${type}; ${quotable(address, 900)}`
  if (global) return `${type}; ${printable(decodeUnitext(address), true)}`
  const encoded = isAscii(address) ? address : unitext(address)
  return `${type}; ${quotable(encoded, 900)}`
}

// utf-8-addr-xtext of RFC 6533 §3: QCHAR / EmbeddedUnicodeChar.
function unitext(text: string): string {
  const hex = (char: string): string =>
    `\\x{${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(2, '0')}}`
  return text.replace(/[^!-*,-<>-[\]-~]/gu, hex)
}

// EmbeddedUnicodeChar = "\x{" HEXPOINT "}". What is none stays as it is: the RFC wants it copied "without alteration".
function decodeUnitext(text: string): string {
  return text.replace(/\\x\{([0-9A-F]{2,6})\}/g, (whole, hex) => {
    const point = Number.parseInt(hex, 16)
    return point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? whole : String.fromCodePoint(point)
  })
}

/** In ASCII and on one line, otherwise as it is: "the value MUST appear" (RFC 3461 §6.3), spaces and all. */
function quotable(text: string, length: number): string {
  return clip(text.replace(/[\r\n]+/g, ' ').replace(/[^ -~]/gu, '?'), length)
}

function hostOf(remote: string): string {
  return quotable(remote.split(' ')[0] ?? '', 255)
}
