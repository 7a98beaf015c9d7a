/**
 * Which notices are due to the sender, and why: RFC 3461 §5.2 and RFC 2852 §4.1, as a function of what was asked and what
 * happened. Pure. Nobody is told about a message whose reverse-path is null (RFC 3461 §5.2).
 */

import type { Evidence, Message, Recipient, RecipientResult } from '../queue/queue.ts'
import { deliverByMs, isOverdue, releasedMs } from './times.ts'

/**
 * Why a notice is due. `delayed`: it takes long; `overdue`: it took longer than the sender gave it. The actions of RFC 3464
 * §2.3.3 are failed, relayed, expanded and delayed; `delivered` is not a relay's to say: it does not see the mailbox.
 */
export type NoticeKind = 'failed' | 'relayed' | 'expanded' | 'delayed' | 'overdue'

export interface DueNotice {
  readonly kind: NoticeKind
  /** At least one. */
  readonly reports: readonly DueReport[]
}

export interface DueReport {
  /** Into `message.recipients`. */
  readonly index: number
  readonly evidence: Evidence
  /** Nothing was attempted yet: `evidence` is only of a time that passed. */
  readonly attempted?: false
  /** For the person who reads it, where the status code does not say why he is told. */
  readonly explanation?: string
}

/** What the peer that took a message does with it. */
export interface PeerPromises {
  /** RFC 3461: it reports delivery itself. */
  readonly dsn: boolean
  /** RFC 2852: it knows of the deliver-by-time. */
  readonly deliverBy: boolean
}

/** A result; of a delivery also what the peer promises, and of none that there was no attempt. */
export type Reported = RecipientResult & {
  readonly peer?: PeerPromises
  readonly attempted?: false
}

/** After an attempt: of each kind at most one notice, for all recipients it is due for. */
export function noticesAfter(
  message: Message,
  results: readonly Reported[],
  { nowMs, warnMs }: { readonly nowMs: number; readonly warnMs: number },
): DueNotice[] {
  if (message.reversePath === null) return []
  const failed: DueReport[] = []
  const relayed: DueReport[] = []
  const expanded: DueReport[] = []
  const delayed: DueReport[] = []
  const overdue: DueReport[] = []
  for (const result of results) {
    const recipient = message.recipients[result.index]
    if (recipient === undefined) continue
    const { index, evidence, attempted } = result
    const report: DueReport = { index, evidence, ...(attempted === undefined ? {} : { attempted }) }
    switch (result.action) {
      case 'failed':
        if (wants(recipient, 'FAILURE')) failed.push({ ...report, ...reasonToTellFailed(evidence) })
        break
      case 'delivered': {
        const explanation = reasonToTellRelayed(message, recipient, result.peer, nowMs)
        if (explanation !== null) relayed.push({ ...report, explanation })
        break
      }
      case 'deferred': {
        const late = overdueReport(message, result.index, nowMs, result.evidence)
        if (late !== null) overdue.push(late)
        else if (isToBeWarned(message, recipient, nowMs, warnMs)) delayed.push(report)
        break
      }
      case 'expanded':
        // RFC 3461 §5.2.7.3 c.
        if (recipient.notify?.includes('SUCCESS')) expanded.push({ ...report, explanation: EXPANDED })
        break
      default:
        result satisfies never
    }
  }
  const notices: DueNotice[] = [
    { kind: 'failed', reports: failed },
    { kind: 'relayed', reports: relayed },
    { kind: 'expanded', reports: expanded },
    { kind: 'delayed', reports: delayed },
    { kind: 'overdue', reports: overdue },
  ]
  return notices.filter(({ reports }) => reports.length > 0)
}

/**
 * RFC 2852 §4.1.3: before an attempt that comes after the deliver-by-time, by-mode N. The sender is told of the time that
 * passed, whatever becomes of the attempt.
 */
export function noticeAtDeadline(
  message: Message,
  indices: readonly number[],
  nowMs: number,
): DueNotice | null {
  const reports = indices.flatMap(index => overdueReport(message, index, nowMs) ?? [])
  return reports.length === 0 ? null : { kind: 'overdue', reports }
}

/** When the delay of a recipient is to be told, if it lasts; `null` when it is not, or was already. */
export function warnAtMs(message: Message, recipient: Recipient, warnMs: number): number | null {
  const untold = message.reversePath !== null && recipient.delayToldMs === undefined
  return untold && wants(recipient, 'DELAY') ? releasedMs(message) + warnMs : null
}

// RFC 3461 §4.1: without NOTIFY, failure is told, and delay where the relay likes (§5.2.5); success never is (§5.2.2 e).
function wants({ notify }: Recipient, element: 'FAILURE' | 'DELAY'): boolean {
  return notify === undefined || notify.includes(element)
}

function reasonToTellFailed({ category }: Evidence): Pick<DueReport, 'explanation'> {
  return category === 'suppressed' ? { explanation: SUPPRESSED } : {}
}

const SUPPRESSED =
  'Mail to this address could not be delivered before, or its owner does not want it, so it was not sent again.'

const EXPANDED =
  'The address stands for several others, and the message is on its way to them. You will hear of it again only if delivery to one of them fails.'

function isNever({ notify }: Recipient): boolean {
  return notify?.length === 0
}

/** Why the sender hears that a message was passed on, in a sentence for him; `null` when he does not. */
function reasonToTellRelayed(
  message: Message,
  recipient: Recipient,
  peer: PeerPromises | undefined,
  nowMs: number,
): string | null {
  if (peer === undefined || isNever(recipient)) return null
  // RFC 3461 §5.2.2 b. A peer that has DSN was passed the request on, and answers it.
  if (recipient.notify?.includes('SUCCESS') && !peer.dsn)
    return 'The server there does not report when a message reaches the mailbox. You will hear of it again only if delivery fails.'
  const { deliverBy } = message.envelope
  // RFC 2852 §4.1.4.2.
  if (deliverBy?.mode === 'N' && !peer.deliverBy && !isOverdue(message, nowMs))
    return 'The server there does not know of the time you set for delivery, and will not tell you when it is over.'
  // RFC 2852 §4.1.4.
  return deliverBy?.trace ? 'You asked for a report of each server that passes the message on.' : null
}

// RFC 3461 §5.2.5.
function isToBeWarned(message: Message, recipient: Recipient, nowMs: number, warnMs: number): boolean {
  const at = warnAtMs(message, recipient, warnMs)
  return at !== null && nowMs >= at
}

/** RFC 2852 §4.1.3, by-mode N: a delay with status 4.4.7, once the time has passed and if it was not told since. */
function overdueReport(message: Message, index: number, nowMs: number, latest?: Evidence): DueReport | null {
  const recipient = message.recipients[index]
  const deadlineMs = deliverByMs(message)
  if (recipient === undefined || message.reversePath === null || deadlineMs === null) return null
  if (message.envelope.deliverBy?.mode !== 'N' || nowMs < deadlineMs || !wants(recipient, 'DELAY'))
    return null
  if (recipient.delayToldMs !== undefined && recipient.delayToldMs >= deadlineMs) return null
  const explanation = 'The time you set for delivery is over.'
  const said = latest ?? recipient.last
  if (said !== undefined) return { index, evidence: { ...said, status: '4.4.7' }, explanation }
  const evidence = {
    atMs: nowMs,
    status: '4.4.7',
    diagnostic: 'Delivery time expired before the first attempt',
  }
  return { index, evidence, attempted: false, explanation }
}
