/** The first part of a notification, for people: RFC 6522 §3, "an easily understood description". */

import { formatMailbox } from '../smtp/path.ts'
import { formatDate } from './date.ts'
import type { RecipientReport, StatusNotification } from './dsn.ts'
import {
  clip,
  diagnosticText,
  inAscii,
  isReply,
  originalValues,
  type Part,
  part,
  printable,
} from './dsn-part.ts'
import { decodeEncodedWords } from './encoded-word.ts'
import { explain } from './explanation.ts'

const TEXT_WIDTH = 72

/** @param utf8 the notice goes to an address that needs SMTPUTF8, so 8 bits pass anyway */
export function textPart(notice: StatusNotification, utf8: boolean): Part {
  const text = Buffer.from(textOf(notice))
  const ascii = text.every(octet => octet < 128)
  return part(
    `text/plain; charset=${ascii ? 'us-ascii' : 'utf-8'}`,
    text,
    ascii ? '7bit' : utf8 ? '8bit' : 'quoted-printable',
  )
}

function textOf(notice: StatusNotification): string {
  const original = originalValues(notice.original)
  const about = ['Subject', 'Date', 'To']
    .map(name => [name, printable(decodeEncodedWords(original(name)), true)] as const)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `  ${name}: ${clip(value, 200)}`)
  const paragraphs = [
    wrap(`This is the mail server ${notice.reportingMta}. ${opening(notice)}`, ''),
    ...notice.reports.map(report => describe(report, notice)),
  ]
  if (about.length > 0) paragraphs.push(['The message:', ...about].join('\r\n'))
  if (notice.originalId !== undefined)
    paragraphs.push(
      wrap(
        `If you ask your mail administrator (${formatMailbox(inAscii(notice.postmaster))}), give this number:`,
        '',
      ),
      `  ${notice.originalId}`,
    )
  return `${paragraphs.join('\r\n\r\n')}\r\n`
}

function opening({ action, reports }: StatusNotification): string {
  const whom = reports.length === 1 ? 'this recipient' : `these ${reports.length} recipients`
  switch (action) {
    case 'failed':
      return `I am sorry to say that your message could not be delivered to ${whom}. We have stopped trying.`
    case 'delayed':
      return `I am sorry to say that your message has not reached ${whom} yet. You need not send it again: we keep trying.`
    case 'relayed':
      return `Your message has been passed on to the mail server of ${whom}, which has taken it.`
    case 'expanded':
      return `Your message has been passed on to those for whom ${whom} stands.`
    default:
      return action satisfies never
  }
}

function describe(report: RecipientReport, notice: StatusNotification): string {
  const { evidence } = report
  const lines = [
    `  ${formatMailbox(report.mailbox)}`,
    wrap(report.explanation ?? explain(evidence.status), '    '),
  ]
  // A temporary error that ended in failure: time ran out (RFC 3464 §2.3.3 "failed").
  if (evidence.status.startsWith('4') && notice.action === 'failed')
    lines.push(
      wrap(
        `We have tried for ${duration(notice.nowMs - notice.arrivedMs)}; this is what happened last.`,
        '    ',
      ),
    )
  if (notice.action === 'delayed' && report.retryUntilMs !== undefined)
    lines.push(wrap(`We keep trying until ${formatDate(report.retryUntilMs, notice.offsetMinutes)}.`, '    '))
  const when = formatDate(evidence.atMs, notice.offsetMinutes)
  const remote = clip(printable(evidence.remote ?? '', true), 300)
  const noted = remote === '' ? 'Our server noted' : `Our server noted of ${remote}`
  const who = isReply(evidence) ? `The server ${remote} said` : noted
  lines.push(wrap(`${who} (${when}):`, '    '), wrap(diagnosticText(evidence, true), '      '))
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
