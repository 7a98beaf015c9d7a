/** Queued messages as text for people and as JSON for programs. */

import { scopeKey } from '../queue/hold.ts'
import type { Evidence, Hold, Message, Recipient } from '../queue/queue.ts'
import { deliverByMs, isHeld } from '../relay/times.ts'
import { formatMailbox, formatPath } from '../smtp/path.ts'
import { holdFor } from './queue-selection.ts'

const SECOND_MS = 1000
const UNITS: readonly [name: string, ms: number][] = [
  ['d', 86_400 * SECOND_MS],
  ['h', 3600 * SECOND_MS],
  ['min', 60 * SECOND_MS],
  ['s', SECOND_MS],
]
const WHY_LENGTH = 60

type Holds = ReadonlyMap<string, Hold>
const NO_HOLDS: Holds = new Map()

/** `foot` is the last line. */
export function formatTable(
  messages: readonly Message[],
  foot: string,
  nowMs: number,
  holds: Holds = NO_HOLDS,
): string {
  const rows = messages.map(message => {
    const pending = message.recipients.filter(({ state }) => state === 'pending')
    const next = pending.toSorted((one, other) => one.dueMs - other.dueMs)[0]
    const to = next ? formatMailbox(next.mailbox) : '-'
    return [
      message.id,
      duration(nowMs - message.arrivedMs),
      size(message.sizeOctets),
      formatPath(message.reversePath).slice(1, -1) || '<>',
      pending.length > 1 ? `${to} and ${pending.length - 1} more` : to,
      next ? nextOf(message, next, nowMs, holds) : '-',
      next?.last ? shortened(told(next.last)) : '-',
    ].map(printable)
  })
  const all = [['ID', 'AGE', 'SIZE', 'SENDER', 'TO', 'NEXT', 'WHY'], ...rows]
  const widths = [0, 1, 2, 3, 4, 5].map(column => Math.max(...all.map(row => row[column]?.length ?? 0)))
  const lines = all.map(row => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
  return `${lines.join('\n')}\n\n${foot}\n`
}

export function formatMessage(message: Message, nowMs: number, holds: Holds = NO_HOLDS): string {
  const { authenticatedAs, xptt, smtputf8, requireTls, priority, envelopeId, deliverBy, ret } =
    message.envelope
  const deadlineMs = deliverByMs(message)
  const lines = [
    message.id,
    `  Sender      ${formatPath(message.reversePath)}`,
    ...(authenticatedAs ? [`  Submitted   by ${authenticatedAs}`] : []),
    ...(xptt?.commit ? [`  Allowed     by commit ${xptt.commit} of the directory`] : []),
    `  Arrived     ${time(message.arrivedMs)}, ${duration(nowMs - message.arrivedMs)} ago`,
    `  Expires     ${time(message.expiresMs)}, ${when(message.expiresMs, nowMs)}`,
    `  Size        ${size(message.sizeOctets)}${smtputf8 ? ', SMTPUTF8' : ''}${requireTls ? ', REQUIRETLS' : ''}`,
    ...(priority ? [`  Priority    ${priority}`] : []),
    ...(deadlineMs === null
      ? []
      : [
          `  Deliver by  ${time(deadlineMs)}, ${when(deadlineMs, nowMs)}, or ${deliverBy?.mode === 'R' ? 'return it' : 'tell of the delay'}`,
        ]),
    ...(envelopeId ? [`  ENVID       ${envelopeId}`] : []),
    ...(ret ? [`  RET         ${ret}`] : []),
    '  Recipients',
    ...message.recipients.flatMap(recipient => formatRecipient(message, recipient, nowMs, holds)),
  ]
  return lines.map(line => `${printable(line)}\n`).join('')
}

/** In the table: when the next attempt is. */
function nextOf(message: Message, next: Recipient, nowMs: number, holds: Holds): string {
  const hold = holdFor(message, next, holds)
  if (hold !== undefined) return hold.untilMs === null ? 'held' : `held until ${time(hold.untilMs)}`
  return isHeld(message, next, nowMs) ? `held until ${time(next.dueMs)}` : when(next.dueMs, nowMs)
}

function formatRecipient(message: Message, recipient: Recipient, nowMs: number, holds: Holds): string[] {
  const { mailbox, destination, state, attempts, dueMs, last, notify, originalRecipient } = recipient
  const via = destination === mailbox.domain.toLowerCase() ? '' : ` via ${destination}`
  const tried = attempts === 1 ? '1 attempt' : `${attempts} attempts`
  const due = `${time(dueMs)}, ${when(dueMs, nowMs)}`
  const lines = [`    ${formatMailbox(mailbox)}${via}`]
  const hold = state === 'pending' ? holdFor(message, recipient, holds) : undefined
  if (hold !== undefined) lines.push(`      held (${scopeKey(hold)}): ${hold.reason}`)
  else if (isHeld(message, recipient, nowMs)) lines.push(`      held until ${due}`)
  else
    lines.push(
      state === 'pending' ? `      pending after ${tried}, next ${due}` : `      ${state} after ${tried}`,
    )
  if (notify) lines.push(`      notify ${notify.join(', ') || 'NEVER'}`)
  if (originalRecipient) lines.push(`      for ${originalRecipient.addressType};${originalRecipient.address}`)
  if (last) {
    lines.push(`      ${time(last.atMs)}: ${told(last)}`)
    if (last.remote) lines.push(`      said ${last.remote}${last.tls ? `, TLS: ${last.tls}` : ''}`)
  }
  return lines
}

/** Names and times as programs want them: mailboxes as text, times in ISO 8601. */
export function messageJson(message: Message): object {
  return {
    id: message.id,
    sender: formatPath(message.reversePath).slice(1, -1),
    arrived: iso(message.arrivedMs),
    expires: iso(message.expiresMs),
    sizeOctets: message.sizeOctets,
    ...(message.held === undefined ? {} : { held: message.held }),
    envelope: message.envelope,
    recipients: message.recipients.map(
      ({ mailbox, destination, state, attempts, dueMs, last, ...asked }) => ({
        recipient: formatMailbox(mailbox),
        destination,
        ...(asked.notify === undefined ? {} : { notify: asked.notify }),
        ...(asked.originalRecipient === undefined ? {} : { originalRecipient: asked.originalRecipient }),
        state,
        attempts,
        ...(state === 'pending' ? { due: iso(dueMs) } : {}),
        ...(last
          ? {
              last: {
                at: iso(last.atMs),
                status: last.status,
                diagnostic: last.diagnostic,
                ...(last.remote === undefined ? {} : { remote: last.remote }),
                ...(last.tls === undefined ? {} : { tls: last.tls }),
                ...(last.site === undefined ? {} : { site: last.site }),
              },
            }
          : {}),
      }),
    ),
  }
}

/** `now`, `in 5 min`, `3 h late`. */
export function when(ms: number, nowMs: number): string {
  if (Math.abs(ms - nowMs) < SECOND_MS) return 'now'
  return ms > nowMs ? `in ${duration(ms - nowMs)}` : `${duration(nowMs - ms)} late`
}

/** In the largest unit of which there are two: rounding hides little of it. */
export function duration(ms: number): string {
  const [name, unit] = UNITS.find(([, unit]) => ms >= 2 * unit) ?? ['s', SECOND_MS]
  return `${Math.max(Math.round(ms / unit), 0)} ${name}`
}

export function size(octets: number): string {
  if (octets < 1024) return `${octets} B`
  const kibibytes = octets / 1024
  return kibibytes < 1024 ? `${kibibytes.toFixed(1)} KiB` : `${(kibibytes / 1024).toFixed(1)} MiB`
}

export function time(ms: number): string {
  return `${iso(ms).slice(0, 19).replace('T', ' ')} UTC`
}

export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

/** Most replies have their status in them already. */
export function told({ status, diagnostic }: Evidence): string {
  return diagnostic.includes(status) ? diagnostic : `${status} ${diagnostic}`
}

function shortened(text: string): string {
  return text.length > WHY_LENGTH ? `${text.slice(0, WHY_LENGTH - 1)}…` : text
}

/** What others said must not reach a terminal as anything but text. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, '�')
}
