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
import { explain, type Words, wordsOf } from './language/words.ts'

const TEXT_WIDTH = 72

/** @param utf8 the notice goes to an address that needs SMTPUTF8, so 8 bits pass anyway */
export function textPart(notice: StatusNotification, utf8: boolean): Part {
  const text = Buffer.from(textOf(notice))
  const ascii = text.every(octet => octet < 128)
  return part(
    `text/plain; charset=${ascii ? 'us-ascii' : 'utf-8'}`,
    text,
    ascii ? '7bit' : utf8 ? '8bit' : 'quoted-printable',
    [['Content-Language', notice.language]],
  )
}

function textOf(notice: StatusNotification): string {
  const words = wordsOf(notice.language)
  const original = originalValues(notice.original)
  const about = ['Subject', 'Date', 'To']
    .map(name => [name, printable(decodeEncodedWords(original(name)), true)] as const)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `  ${name}: ${clip(value, 200)}`)
  const opening = `${words.thisIs(notice.reportingMta)} ${words.opening[notice.action](notice.reports.length)}`
  const paragraphs = [wrap(opening, ''), ...notice.reports.map(report => describe(report, notice, words))]
  if (about.length > 0) paragraphs.push([words.theMessage, ...about].join('\r\n'))
  if (notice.originalId !== undefined)
    paragraphs.push(
      wrap(words.giveThisNumber(formatMailbox(inAscii(notice.postmaster))), ''),
      `  ${notice.originalId}`,
    )
  return `${paragraphs.join('\r\n\r\n')}\r\n`
}

function describe(report: RecipientReport, notice: StatusNotification, words: Words): string {
  const { evidence, circumstance } = report
  const why = circumstance === undefined ? explain(evidence.status, words) : words.circumstances[circumstance]
  const lines = [`  ${formatMailbox(report.mailbox)}`, wrap(why, '    ')]
  // A temporary error that ended in failure: time ran out (RFC 3464 §2.3.3 "failed").
  if (evidence.status.startsWith('4') && notice.action === 'failed')
    lines.push(wrap(words.tried(duration(notice.nowMs - notice.arrivedMs, words)), '    '))
  if (notice.action === 'delayed' && report.retryUntilMs !== undefined)
    lines.push(wrap(words.keepTrying(formatDate(report.retryUntilMs, notice.offsetMinutes)), '    '))
  const when = formatDate(evidence.atMs, notice.offsetMinutes)
  const remote = clip(printable(evidence.remote ?? '', true), 300)
  const noted = isReply(evidence)
    ? words.serverSaid(remote, when)
    : words.weNoted(remote === '' ? null : remote, when)
  lines.push(wrap(noted, '    '), wrap(diagnosticText(evidence, true), '      '))
  return lines.join('\r\n')
}

function duration(ms: number, words: Words): string {
  const minutes = Math.max(1, Math.round(ms / 60_000))
  if (minutes >= 1440) return words.days(Math.round(minutes / 1440))
  return minutes >= 60 ? words.hours(Math.round(minutes / 60)) : words.minutes(minutes)
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
