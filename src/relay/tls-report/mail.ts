/**
 * A report as mail: RFC 8460 §5.3, from the postmaster, by way of the signer like a notice of ours. It must arrive where TLS
 * does not (§3), and nobody is told where it does not arrive: the report of tomorrow says as much.
 */

import { formatDate } from '../../message/date.ts'
import { fields, inAscii, part } from '../../message/dsn-part.ts'
import { mintId } from '../../message/id.ts'
import { formatMessageId } from '../../message/message-id.ts'
import type { NewMessage } from '../../queue/queue.ts'
import { isAscii } from '../../smtp/domain.ts'
import { formatMailbox, type Mailbox } from '../../smtp/path.ts'
import { TO_SIGNER } from '../notification.ts'
import type { Subject } from './report.ts'
import type { PolicyCount } from './tally.ts'

/** What the id of a report ends in, so that its own delivery is known for what it is. Other ids have capitals only. */
const MARK = 'tlsrpt'
/** As that of a notice, while it waits for the signer: it comes back without it. */
const WAITING = '-notice'
/** RFC 8460 §5.5: "redelivery for up to 24 hours". */
export const REPORT_EXPIRE_MS = 24 * 3600_000

/**
 * Whether a message of the queue is a report of ours: the sessions that deliver it are in no report, and policies do not
 * stop it (RFC 8460 §3, §5.3.1).
 */
export function isReport({ id }: { readonly id: string }): boolean {
  return id.endsWith(MARK)
}

/** @param random 10 octets: the same ones make the same id, by which the queue knows a report that it has already */
export function reportMailId(nowMs: number, random: Uint8Array): string {
  return `${mintId(nowMs, random)}${MARK}`
}

export interface ReportMail {
  readonly id: string
  readonly subject: Subject
  readonly reportId: string
  readonly filename: string
  readonly zipped: Uint8Array
  readonly counts: readonly PolicyCount[]
  readonly to: readonly Mailbox[]
  readonly submitter: string
  readonly postmaster: Mailbox
  readonly hostname: string
  readonly nowMs: number
}

export function reportMail(mail: ReportMail): { readonly message: NewMessage; readonly content: Uint8Array } {
  const { id, to, postmaster, nowMs } = mail
  const content = contentOf(mail)
  return {
    message: {
      id: `${id}${WAITING}`,
      envelope: {
        reversePath: postmaster,
        // RFC 3461 §4.1, NEVER: whoever asked for a report at an address that is wrong is not our postmaster's to know.
        recipients: to.map(forwardPath => ({ forwardPath, notify: [] })),
        body: '7BIT',
        smtputf8: [...to, postmaster].some(mailbox => !isAscii(formatMailbox(mailbox))),
        xptt: { id },
      },
      arrivedMs: nowMs,
      expiresMs: nowMs + REPORT_EXPIRE_MS,
      recipients: to.map(mailbox => ({ mailbox, destination: TO_SIGNER, notify: [] })),
    },
    content,
  }
}

function contentOf(mail: ReportMail): Uint8Array {
  const { id, subject, reportId, submitter, postmaster, hostname, nowMs } = mail
  const boundary = `=_${id}`
  const header = fields([
    ['Date', formatDate(nowMs)],
    ['From', `TLS reports <${formatMailbox(inAscii(postmaster))}>`],
    ['To', mail.to.map(mailbox => `<${formatMailbox(mailbox)}>`).join(', ')],
    // tlsrpt-subject, §5.3.
    ['Subject', `Report Domain: ${subject.domain} Submitter: ${submitter} Report-ID: <${reportId}>`],
    ['TLS-Report-Domain', subject.domain],
    ['TLS-Report-Submitter', submitter],
    ['Message-ID', formatMessageId(id, hostname)],
    // RFC 8689 §3: §3 of RFC 8460 has reports delivered "despite any TLS-related failures", by others after us too.
    ['TLS-Required', 'No'],
    // RFC 3834 §5: nobody's message is answered by it.
    ['Auto-Submitted', 'auto-generated'],
    ['MIME-Version', '1.0'],
    ['Content-Type', `multipart/report; report-type="tlsrpt"; boundary="${boundary}"`],
    ['Content-Transfer-Encoding', '7bit'],
  ])
  const text = part('text/plain; charset=us-ascii', Buffer.from(textOf(mail)), '7bit')
  const attached = part('application/tlsrpt+gzip', mail.zipped, 'base64', [
    ['Content-Disposition', `attachment; filename="${mail.filename}"`],
  ])
  return Buffer.concat([
    header,
    Buffer.from(`\r\nThis is a MIME message: a report about TLS (RFC 8460).\r\n\r\n--${boundary}\r\n`),
    text.octets,
    Buffer.from(`\r\n--${boundary}\r\n`),
    attached.octets,
    Buffer.from(`\r\n--${boundary}--\r\n`),
  ])
}

function textOf({ subject, submitter, counts }: ReportMail): string {
  const lines = counts.map(({ policy, succeeded, failures }) => {
    const failed = failures.reduce((sum, { sessions }) => sum + sessions, 0)
    const of = policy.type === 'no-policy-found' ? 'no policy' : `policy ${policy.type} of ${policy.domain}`
    return `${of}: ${succeeded} sessions succeeded, ${failed} failed`
  })
  return [
    'This is an aggregate TLS report (RFC 8460)',
    `from ${submitter}`,
    `about mail to ${subject.domain}`,
    `on ${subject.day}, from 00:00 to 24:00 UTC.`,
    '',
    ...lines,
    '',
  ].join('\r\n')
}
