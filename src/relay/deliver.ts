/**
 * A job from lease to settlement: attempted, judged, told about, settled. The order matters. A notice is queued before
 * the failure it reports is settled: a crash in between makes the attempt again, never loses the notice.
 */

import type { Peer } from '../net/peer.ts'
import { type Job, type Queue, QueueError, type RecipientResult } from '../queue/queue.ts'
import { nextDue } from '../queue/schedule.ts'
import { formatMailbox } from '../smtp/path.ts'
import { attempt, type Means } from './attempt.ts'
import { expired } from './capability.ts'
import { EXPANDED } from './expand.ts'
import { type NoticeKind, noticeAtDeadline, noticesAfter, type Reported, warnAtMs } from './notice.ts'
import { TO_SIGNER } from './notification.ts'
import { evidence } from './outcome.ts'
import type { Settler } from './settle.ts'
import type { Place } from './site/sites.ts'
import { SPECIAL } from './special.ts'
import { isOfAddress, type Suppressions } from './suppression.ts'
import type { Telling } from './telling.ts'
import { deliverByMs, mustReturn } from './times.ts'
import type { Judgement } from './verdicts.ts'

export interface Delivery extends Means {
  readonly queue: Queue
  readonly signer: Pick<Peer, 'deliver'>
  readonly settler: Settler
  readonly suppressions: Pick<Suppressions, 'find' | 'add'>
  /** For how long an address is not written to that a peer says does not exist; 0: suppression is off. */
  readonly suppressMs: number
  readonly telling: Telling
  readonly retryMs: readonly number[]
  /** After how long the sender is told of a delay. */
  readonly warnMs: number
}

/** Never throws for what the world does. What is thrown is a fault of ours, for `putOff`, or that the relay stops. */
export async function deliver(job: Job, delivery: Delivery, place: Place): Promise<void> {
  try {
    const over = await work(job, delivery, place)
    if (over) await delivery.telling.ended(job)
    // No place at the site, which is known now: it will be leased again when there is one.
    else delivery.queue.release(job)
  } catch (error) {
    // `ptt queue remove` took it away in the meantime: there is nothing left to do.
    if (!(error instanceof QueueError) || error.code !== 'gone') throw error
    delivery.queue.release(job)
  }
}

/**
 * A job that a fault of ours has broken off: it waits like one that a peer has put off, is told of, and given up in time.
 * The same fault again, now in telling, leaves nobody waiting for ever: who was not told is in the log.
 */
export async function putOff(job: Job, error: unknown, delivery: Delivery): Promise<void> {
  const { now, log, telling, random, warnMs, settler } = delivery
  const { id } = job.message
  const alarm = (about: string, reason: unknown) => {
    const stack = reason instanceof Error ? reason.stack : undefined
    log.event('alarm', { id, about, error: String(reason), stack }, 'error')
  }
  alarm('delivery', error)
  const nowMs = now()
  const said = {
    atMs: nowMs,
    status: '4.3.0',
    diagnostic: 'An error of our own, which an alarm in the log tells',
  }
  const jitter = random()
  const decided = job.recipients.map(index =>
    decide({ index, action: 'deferred', evidence: said }, job, delivery, nowMs, jitter),
  )
  report(decided, job, delivery, 0)
  const notices = noticesAfter(job.message, decided, { nowMs, warnMs })
  try {
    for (const notice of notices) await telling.tell(notice, job.message)
  } catch (error) {
    alarm('notice', error)
  }
  await settler.settle(job, toldResults(decided, notices, job, nowMs))
  await telling.ended(job)
}

/** @returns false: there was no place */
async function work(leased: Job, delivery: Delivery, place: Place): Promise<boolean> {
  const startedMs = delivery.now()
  // Who was expanded is not waiting for anything.
  const job = leased.destination === EXPANDED ? leased : await tellDeadline(leased, delivery)
  const judgements = await judge(job, delivery, place)
  if (judgements === null) return false
  const nowMs = delivery.now()
  // One jitter for all of them: recipients that were deferred together stay one job, and one notice.
  const jitter = delivery.random()
  const decided = judgements.map(judgement => decide(judgement, job, delivery, nowMs, jitter))
  const { telling, settler } = delivery
  const notices = noticesAfter(job.message, decided, { nowMs, warnMs: delivery.warnMs })
  report(decided, job, delivery, nowMs - startedMs)
  const results = toldResults(decided, notices, job, nowMs)
  await suppress(job, results, delivery, nowMs)
  const gathered = notices.filter(({ kind }) => GATHERED.has(kind))
  const together = gathered.length > 0 && (await telling.isOneOfSeveral(job))
  for (const notice of notices)
    if (!together || !gathered.includes(notice)) await telling.tell(notice, job.message)
  if (!together) {
    await settler.settle(job, results)
    return true
  }
  // Whoever has the message is not sent it once more because others of the job wait to be told of.
  const indices = new Set(gathered.flatMap(({ reports }) => reports.map(({ index }) => index)))
  const [early, late] = [false, true].map(is => results.filter(({ index }) => indices.has(index) === is))
  if (early !== undefined && early.length > 0) await settler.settle(job, early, 'keep')
  const fault = (error: unknown) => putOff(job, error, delivery)
  await telling.add({ job, notices: gathered, results: late ?? [], fault })
  return true
}

/** What may be told of several jobs at once: nobody who waits for it has the message. */
const GATHERED: ReadonlySet<NoticeKind> = new Set(['failed', 'delayed', 'overdue'])

function toldResults(
  decided: readonly Reported[],
  notices: ReturnType<typeof noticesAfter>,
  { message }: Job,
  nowMs: number,
): RecipientResult[] {
  const told = new Set(notices.flatMap(({ reports }) => reports.map(({ index }) => index)))
  return decided.map((result): RecipientResult => {
    if (result.action !== 'deferred') return result
    const delayToldMs = told.has(result.index) ? nowMs : message.recipients[result.index]?.delayToldMs
    return delayToldMs === undefined ? result : { ...result, delayToldMs }
  })
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
  await delivery.telling.tell(notice, message)
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
