/** A report is made, and given to the places that a domain names: RFC 8460 §5.3, §5.4. */

import type { Log } from '../../observe/event.ts'
import type { Queue } from '../../queue/queue.ts'
import type { Mailbox } from '../../smtp/path.ts'
import { type ReportMail, reportMail, reportMailId } from './mail.ts'
import type { Destination } from './record.ts'
import {
  buildReport,
  filenameOf,
  gzip,
  reportIdOf,
  type Subject,
  type Submitter,
  submitterDomain,
} from './report.ts'
import { dueMs } from './schedule.ts'
import type { PolicyCount } from './tally.ts'

/**
 * POST over HTTPS, redirects not followed. Resolves with the status of the answer, whatever it is; rejects when there was
 * none.
 */
export type Post = (
  url: string,
  contentType: string,
  octets: Uint8Array,
  signal: AbortSignal,
) => Promise<{ readonly status: number }>

export interface Giving {
  readonly queue: Pick<Queue, 'put'>
  readonly post: Post
  readonly submitter: Submitter
  readonly postmaster: Mailbox
  readonly now: () => number
  /** A message was queued that is due now. */
  readonly wake: () => void
  readonly log: Log
}

export interface Given {
  readonly uris: readonly string[]
  /** Why they do not have it; `null`: they do. */
  readonly failed: string | null
}

/** One mail to all who want mail, and a POST for each of the others. Never rejects for what they do. */
export async function give(
  subject: Subject,
  counts: readonly PolicyCount[],
  destinations: readonly Destination[],
  giving: Giving,
  signal: AbortSignal,
): Promise<Given[]> {
  if (destinations.length === 0) return []
  const { submitter, post } = giving
  const reportId = reportIdOf(subject, submitter)
  const zipped = await gzip(buildReport(counts, subject, submitter, reportId))
  const mails = destinations.filter(one => one.kind === 'mail')
  const to = mails.map(({ mailbox }) => mailbox)
  const byMail = async (): Promise<null> => {
    await mail(subject, { reportId, zipped, counts, to }, giving)
    return null
  }
  const byPost = async (url: string): Promise<string | null> => {
    const { status } = await post(url, 'application/tlsrpt+gzip', zipped, signal)
    // §5.4: "typically a 200 or 201".
    return status >= 200 && status < 300 ? null : `HTTP ${status}`
  }
  return Promise.all([
    ...(to.length === 0
      ? []
      : [
          tried(
            mails.map(({ uri }) => uri),
            byMail,
          ),
        ]),
    ...destinations.flatMap(one => (one.kind === 'https' ? [tried([one.uri], () => byPost(one.url))] : [])),
  ])
}

async function tried(uris: readonly string[], work: () => Promise<string | null>): Promise<Given> {
  try {
    return { uris, failed: await work() }
  } catch (error) {
    return { uris, failed: error instanceof Error ? error.message : String(error) }
  }
}

/** From here on it is the queue's, which tries for a day. One that it has already is no failure. */
async function mail(
  subject: Subject,
  report: Pick<ReportMail, 'reportId' | 'zipped' | 'counts' | 'to'>,
  { queue, submitter, postmaster, now, wake, log }: Giving,
): Promise<void> {
  const seed = await seedOf(subject, submitter)
  const id = reportMailId(dueMs(subject.day, 0), seed.slice(0, 10))
  const { message, content } = reportMail({
    ...report,
    id,
    subject,
    filename: filenameOf(subject, submitter, Buffer.from(seed.slice(0, 4)).toString('hex')),
    submitter: submitterDomain(submitter),
    postmaster,
    hostname: submitter.hostname,
    nowMs: now(),
  })
  await queue.put(message, [content])
  log.event('notice', { id, about: subject.domain, kind: 'tls-report', recipients: report.to.length })
  wake()
}

/** 0 ≤ x < 1, and the same after a restart: §4.1, reports should not all come at once. */
export async function jitterOf(subject: Subject, submitter: Submitter): Promise<number> {
  const seed = await seedOf(subject, submitter)
  return ((seed[10] ?? 0) * 256 + (seed[11] ?? 0)) / 65_536
}

/** 32 octets, others for each host, day and domain. */
async function seedOf({ day, domain }: Subject, { hostname }: Submitter): Promise<Uint8Array> {
  const text = new TextEncoder().encode(`${hostname} ${day} ${domain}`)
  return new Uint8Array(await crypto.subtle.digest('SHA-256', text))
}
