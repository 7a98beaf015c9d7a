/**
 * Which notices are due to the sender, and why: RFC 3461 §5.2 and RFC 2852 §4.1, as a function of what was asked and what
 * happened. Pure. Nobody is told about a message whose reverse-path is null (RFC 3461 §5.2).
 */

import type { Circumstance } from '../message/language/words.ts'
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
  readonly circumstance?: Circumstance
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
        if (wants(recipient, 'FAILURE'))
          failed.push(evidence.category === 'suppressed' ? { ...report, circumstance: 'suppressed' } : report)
        break
      case 'delivered': {
        const circumstance = reasonToTellRelayed(message, recipient, result.peer, nowMs)
        if (circumstance !== null) relayed.push({ ...report, circumstance })
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
        if (recipient.notify?.includes('SUCCESS')) expanded.push({ ...report, circumstance: 'expanded' })
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

function isNever({ notify }: Recipient): boolean {
  return notify?.length === 0
}

/** Why the sender hears that a message was passed on; `null` when he does not. */
function reasonToTellRelayed(
  message: Message,
  recipient: Recipient,
  peer: PeerPromises | undefined,
  nowMs: number,
): Circumstance | null {
  if (peer === undefined || isNever(recipient)) return null
  // RFC 3461 §5.2.2 b. A peer that has DSN was passed the request on, and answers it.
  if (recipient.notify?.includes('SUCCESS') && !peer.dsn) return 'no report'
  const { deliverBy } = message.envelope
  // RFC 2852 §4.1.4.2.
  if (deliverBy?.mode === 'N' && !peer.deliverBy && !isOverdue(message, nowMs)) return 'no deadline'
  // RFC 2852 §4.1.4.
  return deliverBy?.trace ? 'trace' : null
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
  const circumstance = 'overdue' as const
  const said = latest ?? recipient.last
  if (said !== undefined) return { index, evidence: { ...said, status: '4.4.7' }, circumstance }
  const evidence = {
    atMs: nowMs,
    status: '4.4.7',
    diagnostic: 'Delivery time expired before the first attempt',
  }
  return { index, evidence, attempted: false, circumstance }
}
