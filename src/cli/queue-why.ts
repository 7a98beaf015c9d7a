/** The story of a message as text for people and as JSON for programs: how it came, what was tried, what it waits for. */

import { isOver, scopeKey } from '../queue/hold.ts'
import type { Attempt, Hold, Message, Recipient, Story } from '../queue/queue.ts'
import { triedUntilMs } from '../relay/times.ts'
import { formatMailbox, formatPath } from '../smtp/path.ts'
import { duration, iso, messageJson, printable, size, time, told, when } from './queue-format.ts'
import { holdFor, stateOf } from './queue-selection.ts'

const MOST_NAMED = 5

export interface Facts {
  readonly story: Story
  /** In force. */
  readonly holds: ReadonlyMap<string, Hold>
  /** `selector._domainkey.domain` of each signature; none where the content is gone. */
  readonly signatures: readonly string[]
  readonly nowMs: number
}

export function formatStory({ story, holds, signatures, nowMs }: Facts): string {
  const { message, attempts, ended } = story
  const { authenticatedAs, xptt } = message.envelope
  const lines = [
    message.id,
    `  From      ${formatPath(message.reversePath)}${authenticatedAs ? `, submitted by ${authenticatedAs}` : ''}`,
    ...(xptt?.commit ? [`  Allowed   by commit ${xptt.commit} of the directory`] : []),
    ...(signatures.length > 0 ? [`  Signed    with ${signatures.join(', ')}`] : []),
    `  Arrived   ${time(message.arrivedMs)}, ${duration(nowMs - message.arrivedMs)} ago, ${size(message.sizeOctets)}`,
    ...endLines(story, nowMs),
    '  Attempts',
    ...(attempts.length === 0 ? ['    none'] : attempts.flatMap(attempt => attemptLines(message, attempt))),
    ...(ended === null ? ['  Waits for', ...waitLines(message, holds, nowMs)] : recipientLines(story)),
  ]
  return lines.map(line => `${printable(line)}\n`).join('')
}

export function storyJson({ story, holds, signatures, nowMs }: Facts): object {
  const { message, attempts, ended } = story
  return {
    ...messageJson(message),
    signatures,
    attempts: attempts.map(({ atMs, sinceMs, recipients, ...attempt }) => ({
      at: iso(atMs),
      since: iso(sinceMs),
      recipients: recipients.map(index => nameOf(message, index)),
      ...attempt,
    })),
    ended: ended && { at: iso(ended.atMs), how: ended.how, recipients: ended.recipients },
    waits:
      ended === null
        ? waits(message, holds, nowMs).map(({ recipients, hold, dueMs, state }) => ({
            recipients,
            state,
            ...(hold === undefined ? { until: iso(dueMs) } : { hold: holdJson(hold) }),
          }))
        : [],
    ...(ended === null ? { triedUntil: iso(triedUntilMs(message)) } : {}),
  }
}

/** The holds there are, for people. */
export function formatHolds(holds: Iterable<Hold>, nowMs: number): string {
  const lines = [...holds]
    .filter(hold => !isOver(hold, nowMs))
    .map(hold => `${scopeKey(hold)}: ${reasonOf(hold, nowMs)}`)
  return lines.length === 0 ? 'Nothing is held.\n' : lines.map(line => `${printable(line)}\n`).join('')
}

export function holdJson({ kind, name, reason, sinceMs, untilMs }: Hold): object {
  return { kind, name, reason, since: iso(sinceMs), until: untilMs === null ? null : iso(untilMs) }
}

/** From the header of a message: `selector._domainkey.domain` of each DKIM-Signature (RFC 6376 §3.5, s= and d=). */
export function signaturesOf(content: Uint8Array): string[] {
  const octets = Buffer.from(content.buffer, content.byteOffset, content.length)
  const end = octets.indexOf('\r\n\r\n')
  // RFC 5322 §2.1: a message may be a body only.
  const header = octets.indexOf('\r\n') === 0 ? '' : octets.toString('latin1', 0, end < 0 ? undefined : end)
  const fields = header.replace(/\r\n(?=[ \t])/g, '').split('\r\n')
  return fields.flatMap(field => {
    const [, tags] = /^DKIM-Signature[ \t]*:(.*)$/i.exec(field) ?? []
    const tag = (name: string) => new RegExp(`(?:^|;)\\s*${name}\\s*=\\s*([^;\\s]+)`).exec(tags ?? '')?.[1]
    const [selector, domain] = [tag('s'), tag('d')]
    return selector === undefined || domain === undefined ? [] : [`${selector}._domainkey.${domain}`]
  })
}

function endLines({ message, ended }: Story, nowMs: number): string[] {
  if (ended === null) {
    const untilMs = triedUntilMs(message)
    return [`  Tried     until ${time(untilMs)}, ${when(untilMs, nowMs)}`]
  }
  const how = ended.how === 'removed' ? 'was removed by an operator' : 'is done'
  return [`  Ended     ${time(ended.atMs)}: it ${how}`]
}

function attemptLines(message: Message, attempt: Attempt): string[] {
  const { atMs, sinceMs, times, action, remote, tls, policy, destination, recipients } = attempt
  const at = times === 1 ? time(atMs) : `${time(sinceMs)} to ${time(atMs)}, ${times} times`
  const where = remote === undefined ? destination : `${remote} for ${destination}`
  return [
    `    ${at}: ${action}: ${named(recipients.map(index => nameOf(message, index)))}`,
    `      ${where}${tls === undefined ? '' : `, TLS: ${tls}`}`,
    ...(policy === undefined ? [] : [`      as asked: ${policy}`]),
    `      ${told(attempt)}`,
  ]
}

interface Wait {
  readonly recipients: readonly string[]
  readonly state: string
  readonly hold: Hold | undefined
  readonly dueMs: number
}

/** Those who wait for the same together. */
function waits(message: Message, holds: ReadonlyMap<string, Hold>, nowMs: number): Wait[] {
  const each = message.recipients.flatMap(recipient => {
    const state = stateOf(message, recipient, holds, nowMs)
    if (state === null) return []
    const hold = state === 'held' ? holdFor(message, recipient, holds) : undefined
    const { dueMs } = recipient
    return [{ recipient: formatMailbox(recipient.mailbox), state, hold, dueMs }]
  })
  const groups = Map.groupBy(each, ({ state, hold, dueMs }) =>
    hold === undefined ? `${state} ${dueMs}` : scopeKey(hold),
  )
  return [...groups.values()].flatMap(([first, ...others]) =>
    first === undefined
      ? []
      : [{ ...first, recipients: [first, ...others].map(({ recipient }) => recipient) }],
  )
}

const WAITING: Readonly<Record<string, string>> = {
  due: 'a place: it is under way, or its destination has no room just now; due',
  deferred: 'another attempt',
  scheduled: 'the time its sender wanted (FUTURERELEASE):',
}

function waitLines(message: Message, holds: ReadonlyMap<string, Hold>, nowMs: number): string[] {
  return waits(message, holds, nowMs).flatMap(({ recipients, state, hold, dueMs }) => [
    `    ${named(recipients)}`,
    hold === undefined
      ? `      ${WAITING[state] ?? state} ${time(dueMs)}, ${when(dueMs, nowMs)}`
      : `      the end of a hold (${scopeKey(hold)}): ${reasonOf(hold, nowMs)}`,
  ])
}

function reasonOf({ reason, sinceMs, untilMs }: Hold, nowMs: number): string {
  const until = untilMs === null ? 'until it is released' : `until ${time(untilMs)}, ${when(untilMs, nowMs)}`
  return `${reason}; since ${time(sinceMs)}, ${until}`
}

function recipientLines({ message, ended }: Story): string[] {
  const groups = Map.groupBy(message.recipients, ({ state }) => state)
  const more = (ended?.recipients ?? 0) - message.recipients.length
  return [
    '  Recipients',
    ...[...groups].map(
      ([state, recipients]) =>
        `    ${state}: ${named(recipients.map(({ mailbox }: Recipient) => formatMailbox(mailbox)))}`,
    ),
    ...(more > 0 ? [`    and ${more} more, of whom nothing is kept`] : []),
  ]
}

function nameOf({ recipients }: Message, index: number): string {
  const recipient = recipients[index]
  return recipient === undefined ? `recipient ${index + 1}` : formatMailbox(recipient.mailbox)
}

function named(names: readonly string[]): string {
  const more = names.length - MOST_NAMED
  return more > 1 ? `${names.slice(0, MOST_NAMED).join(', ')} and ${more} more` : names.join(', ')
}
