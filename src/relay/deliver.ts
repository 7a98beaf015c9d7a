/**
 * A job from lease to settlement: attempted, judged, told about, settled. The order matters. A notice is queued before
 * the failure it reports is settled: a crash in between makes the attempt again, never loses the notice.
 */

import type { Peer } from '../net/peer.ts'
import { type Job, type Queue, QueueError, type RecipientResult } from '../queue/queue.ts'
import { nextDue } from '../queue/schedule.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { formatMailbox } from '../smtp/path.ts'
import { attempt, type Judgement, type Means } from './attempt.ts'
import { failureNotice, TO_SIGNER } from './bounce.ts'
import { evidence, fromReply } from './outcome.ts'
import type { Settler } from './settle.ts'

export interface Delivery extends Means {
  readonly queue: Queue
  readonly signer: Peer
  readonly settler: Settler
  readonly postmaster: string
  readonly retryMs: readonly number[]
  readonly expireMs: number
  /** A message was queued that is due now. */
  readonly wake: () => void
}

/** Never throws for what the world does; a spool that cannot be written is the caller's to report. */
export async function deliver(job: Job, delivery: Delivery): Promise<void> {
  try {
    await work(job, delivery)
  } catch (error) {
    // `ptt queue remove` took it away in the meantime: there is nothing left to do.
    if (!(error instanceof QueueError) || error.code !== 'gone') throw error
    delivery.queue.release(job)
  }
}

async function work(job: Job, delivery: Delivery): Promise<void> {
  const startedMs = delivery.now()
  const judgements =
    job.destination === TO_SIGNER ? await toSigner(job, delivery) : await attempt(job, delivery)
  const results = judgements.map(judgement => decide(judgement, job, delivery))
  report(results, job, delivery, delivery.now() - startedMs)
  await notify(results, job, delivery)
  await delivery.settler.settle(job, results)
}

/** A notice of ours goes to the signer and comes back signed, to be delivered. */
async function toSigner(job: Job, delivery: Delivery): Promise<Judgement[]> {
  const { message } = job
  const envelope: Envelope = {
    ...message.envelope,
    reversePath: message.reversePath,
    recipients: message.recipients.map(recipient => ({ forwardPath: recipient.mailbox })),
  }
  const answer = await delivery.signer.deliver(envelope, [await delivery.queue.content(message.id)])
  const verdict = fromReply(answer)
  const action = verdict.action === 'next' ? 'deferred' : verdict.action
  return job.recipients.map(index => ({
    index,
    action,
    evidence: evidence(verdict, delivery.now(), 'signer'),
  }))
}

/** When a deferred recipient is due again, or that its time is over (RFC 5321 §4.5.4.1). */
function decide(judgement: Judgement, job: Job, delivery: Delivery): RecipientResult {
  const { index, action, evidence } = judgement
  if (action !== 'deferred') return { index, action, evidence }
  const { expiresMs } = job.message
  const nowMs = delivery.now()
  if (nowMs >= expiresMs) {
    const diagnostic = `Not delivered in time, given up; the last answer: ${evidence.diagnostic}`
    return { index, action: 'failed', evidence: { ...evidence, status: '5.4.7', diagnostic } }
  }
  const attempts = job.message.recipients[index]?.attempts ?? 0
  const dueMs = Math.min(nextDue(attempts, nowMs, delivery.random, delivery.retryMs), expiresMs)
  return { index, action, evidence, dueMs }
}

async function notify(results: readonly RecipientResult[], job: Job, delivery: Delivery): Promise<void> {
  const failures = results.filter(result => result.action === 'failed')
  if (failures.length === 0 || job.message.reversePath === null) return
  const { hostname, postmaster, expireMs, queue, log } = delivery
  const content = await queue.content(job.message.id)
  const notice = failureNotice(job.message, failures, content, {
    hostname,
    postmaster,
    nowMs: delivery.now(),
    expireMs,
  })
  if (notice === null) return
  await queue.put(notice.message, [notice.content])
  log.event('notice', {
    id: notice.message.envelope.xptt?.id,
    about: job.message.id,
    failures: failures.length,
  })
  delivery.wake()
}

const EVENTS = {
  delivered: 'delivered',
  failed: 'bounced',
  deferred: 'deferred',
  expanded: 'queued',
} as const

/** One line for all recipients who were told the same. */
function report(results: readonly RecipientResult[], job: Job, delivery: Delivery, ms: number): void {
  const groups = Map.groupBy(results, ({ action, evidence }) => `${action} ${evidence.diagnostic}`)
  for (const [first, ...others] of groups.values()) {
    if (first === undefined) continue
    const recipients = [first, ...others].flatMap(({ index }) => {
      const recipient = job.message.recipients[index]
      return recipient === undefined ? [] : [formatMailbox(recipient.mailbox)]
    })
    const { status, diagnostic, remote } = first.evidence
    const due = first.action === 'deferred' ? new Date(first.dueMs).toISOString() : undefined
    const facts = { id: job.message.id, recipients, remote, status, reply: diagnostic, due, ms }
    delivery.log.event(EVENTS[first.action], facts)
  }
}
