/**
 * A job from lease to settlement: attempted, judged, told about, settled. The order matters. A notice is queued before
 * the failure it reports is settled: a crash in between makes the attempt again, never loses the notice.
 */

import type { Language } from '../message/language/words.ts'
import type { Peer } from '../net/peer.ts'
import { type Job, type Message, type Queue, QueueError, type RecipientResult } from '../queue/queue.ts'
import { nextDue } from '../queue/schedule.ts'
import { formatMailbox } from '../smtp/path.ts'
import { attempt, type Means } from './attempt.ts'
import { expired } from './capability.ts'
import { EXPANDED } from './expand.ts'
import { type DueNotice, noticeAtDeadline, noticesAfter, type Reported, warnAtMs } from './notice.ts'
import { notification, TO_SIGNER } from './notification.ts'
import { evidence } from './outcome.ts'
import type { Settler } from './settle.ts'
import type { Place } from './site/sites.ts'
import { SPECIAL } from './special.ts'
import { isOfAddress, type Suppressions } from './suppression.ts'
import { deliverByMs, mustReturn } from './times.ts'
import type { Judgement } from './verdicts.ts'

export interface Delivery extends Means {
  readonly queue: Queue
  readonly signer: Pick<Peer, 'deliver'>
  readonly settler: Settler
  readonly suppressions: Pick<Suppressions, 'find' | 'add'>
  /** For how long an address is not written to that a peer says does not exist; 0: suppression is off. */
  readonly suppressMs: number
  readonly postmaster: string
  /** Of notices. */
  readonly language: Language
  readonly retryMs: readonly number[]
  readonly expireMs: number
  /** After how long the sender is told of a delay. */
  readonly warnMs: number
  /** A message was queued that is due now. */
  readonly wake: () => void
}

/** Never throws for what the world does; a spool that cannot be written is the caller's to report. */
export async function deliver(job: Job, delivery: Delivery, place: Place): Promise<void> {
  try {
    await work(job, delivery, place)
  } catch (error) {
    // `ptt queue remove` took it away in the meantime: there is nothing left to do.
    if (!(error instanceof QueueError) || error.code !== 'gone') throw error
    delivery.queue.release(job)
  }
}

async function work(leased: Job, delivery: Delivery, place: Place): Promise<void> {
  const startedMs = delivery.now()
  // Who was expanded is not waiting for anything.
  const job = leased.destination === EXPANDED ? leased : await tellDeadline(leased, delivery)
  const judgements = await judge(job, delivery, place)
  // No place at the site, which is known now: it will be leased again when there is one.
  if (judgements === null) return delivery.queue.release(leased)
  const nowMs = delivery.now()
  // One jitter for all of them: recipients that were deferred together stay one job, and one notice.
  const jitter = delivery.random()
  const decided = judgements.map(judgement => decide(judgement, job, delivery, nowMs, jitter))
  const notices = noticesAfter(job.message, decided, { nowMs, warnMs: delivery.warnMs })
  report(decided, job, delivery, nowMs - startedMs)
  for (const notice of notices) await tell(notice, job.message, delivery)
  const told = new Set(notices.flatMap(({ reports }) => reports.map(({ index }) => index)))
  const results = decided.map((result): RecipientResult => {
    if (result.action !== 'deferred') return result
    const delayToldMs = told.has(result.index) ? nowMs : job.message.recipients[result.index]?.delayToldMs
    return delayToldMs === undefined ? result : { ...result, delayToldMs }
  })
  await suppress(job, results, delivery, nowMs)
  await delivery.settler.settle(job, results)
}

/** Before it is settled: a crash in between suppresses once more, to the same effect. */
async function suppress(
  { message }: Job,
  results: readonly RecipientResult[],
  { suppressions, suppressMs, log }: Delivery,
  nowMs: number,
): Promise<void> {
  const { id, reversePath, recipients } = message
  if (reversePath === null || suppressMs === 0) return
  for (const { index, action, evidence } of results) {
    const mailbox = recipients[index]?.mailbox
    // Only what a peer has said itself counts: what we conclude of DNS may be better tomorrow.
    const said = evidence.remote !== undefined && isOfAddress(evidence.category)
    if (action !== 'failed' || !said || mailbox === undefined) continue
    const recipient = formatMailbox(mailbox).toLowerCase()
    const { diagnostic: reason, category = '' } = evidence
    const untilMs = nowMs + suppressMs
    const facts = { senderDomain: reversePath.domain, recipient, category, reason, id }
    try {
      await suppressions.add({ ...facts, sinceMs: nowMs, untilMs })
      log.event('suppressed', { id, recipient, category, until: new Date(untilMs).toISOString() })
    } catch (error) {
      log.event('alarm', { id, about: 'suppression', error: String(error) }, 'error')
    }
  }
}

/**
 * RFC 2852 §4.1.3: the sender hears that the time is over when it is, and not only after one more attempt. Returns the job
 * with that noted.
 */
async function tellDeadline(job: Job, delivery: Delivery): Promise<Job> {
  const delayToldMs = delivery.now()
  const { message } = job
  const notice = noticeAtDeadline(message, job.recipients, delayToldMs)
  if (notice === null) return job
  await tell(notice, message, delivery)
  const told = new Set(notice.reports.map(({ index }) => index))
  const recipients = message.recipients.map((recipient, index) =>
    told.has(index) ? { ...recipient, delayToldMs } : recipient,
  )
  return { ...job, message: { ...message, recipients } }
}

async function judge(job: Job, delivery: Delivery, place: Place): Promise<Judgement[] | null> {
  // A domain may be called `constructor`.
  const special = Object.hasOwn(SPECIAL, job.destination) ? SPECIAL[job.destination] : undefined
  if (special !== undefined) return special(job, delivery, place)
  const over = expired(job.message, delivery.now())
  if (over === null) return attempt(job, delivery, place)
  // RFC 2852 §4.1.3: no further attempt. What was said at the last one is still the best there is to tell.
  return job.recipients.map(index => {
    const last = job.message.recipients[index]?.last
    if (last !== undefined) return { index, action: 'failed', evidence: { ...last, status: over.status } }
    return { index, action: 'failed', evidence: evidence(over, delivery.now()), attempted: false }
  })
}

/** So many times a peer is heeded that asks for a time shorter than ours. */
const HEEDED = 3

/** When a deferred recipient is due again, or that its time is over (RFC 5321 §4.5.4.1). */
function decide(judgement: Judgement, job: Job, delivery: Delivery, nowMs: number, jitter: number): Reported {
  const { action, ...said } = judgement
  if (action !== 'deferred') return { action, ...said }
  const { index, evidence, waitMs = 0 } = judgement
  const { message } = job
  const { expiresMs } = message
  if (mustReturn(message, nowMs) || nowMs >= expiresMs)
    return { index, action: 'failed', evidence: { ...evidence, status: '5.4.7' } }
  const recipient = message.recipients[index]
  const attempts = (recipient?.attempts ?? 0) + 1
  const usualMs = nextDue(attempts, nowMs, () => jitter, delivery.retryMs)
  const askedMs = nowMs + Math.round(waitMs * (1 + jitter / 10))
  // A greylist that wants five minutes wants us back soon after; one that wants them again and again gets them as others do.
  const regularMs = waitMs > 0 && attempts <= HEEDED ? askedMs : Math.max(usualMs, askedMs)
  // The sender is told of a delay when it has lasted as long as was said, not at the attempt after that.
  const warnMs = recipient === undefined ? null : warnAtMs(message, recipient, delivery.warnMs)
  const marks = [expiresMs, deliverByMs(message), warnMs].flatMap(ms => (ms !== null && ms > nowMs ? ms : []))
  return { ...judgement, action, dueMs: Math.min(regularMs, ...marks) }
}

/**
 * Queues a notice, before the results it tells of are settled: a crash in between makes the attempt again and the notice
 * is known by its id; it is neither lost nor told twice.
 */
async function tell(notice: DueNotice, message: Message, delivery: Delivery): Promise<void> {
  const { hostname, postmaster, expireMs, language, queue, settler, log } = delivery
  const content = await queue.content(message.id)
  const facts = { hostname, postmaster, nowMs: delivery.now(), expireMs, language }
  const mail = notification(message, notice, content, facts)
  if (mail === null) return
  await settler.keep(message.id, () => queue.put(mail.message, [mail.content]))
  const { kind, reports } = notice
  const id = mail.message.envelope.xptt?.id
  log.event('notice', { id, about: message.id, kind, recipients: reports.length })
  delivery.wake()
}

const EVENTS = {
  delivered: 'delivered',
  failed: 'bounced',
  deferred: 'deferred',
  expanded: 'expanded',
} as const

/** One line for all recipients who were told the same. */
function report(results: readonly Reported[], job: Job, delivery: Delivery, ms: number): void {
  const groups = Map.groupBy(results, ({ action, evidence }) => `${action} ${evidence.diagnostic}`)
  for (const [first, ...others] of groups.values()) {
    if (first === undefined) continue
    const recipients = [first, ...others].flatMap(({ index }) => {
      const recipient = job.message.recipients[index]
      return recipient === undefined ? [] : [formatMailbox(recipient.mailbox)]
    })
    const { status, diagnostic, remote, category, tls, policy, site, source } = first.evidence
    const due = first.action === 'deferred' ? new Date(first.dueMs).toISOString() : undefined
    // A notice goes by the id it will have; that the signer took it is no delivery yet.
    const id = job.message.envelope.xptt?.id ?? job.message.id
    const handed = job.destination === TO_SIGNER && first.action === 'delivered'
    const facts = {
      id,
      recipients,
      remote,
      status,
      reply: diagnostic,
      category,
      tls,
      policy,
      site,
      source,
      due,
      ms,
    }
    // Nobody is told of a notice that cannot be delivered (RFC 5321 §6.1) but who reads the log.
    const lost = first.action === 'failed' && job.message.reversePath === null
    if (lost) delivery.log.event('alarm', { about: 'double bounce', ...facts }, 'error')
    else delivery.log.event(handed ? 'attempt' : EVENTS[first.action], facts)
  }
}
