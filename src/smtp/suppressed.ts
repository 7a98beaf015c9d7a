/**
 * Who is not written to, as the relay tells it to submission: in the reply to a message, which it comes before, a recipient
 * a line. So the next RCPT can be refused without a question (docs/replies.md). Only between ptt's own servers.
 *
 * ```
 * 250-2.0.0 XPTT suppressed 1767571200 1770163200 bob@example.net 550 5.1.1 No such user
 * 250 2.0.0 Queued as 01KAXE0000000000000000000A
 * ```
 *
 * The lines stand first, and nowhere else are they looked for: what follows may quote the words of a stranger's server, and
 * he could write such lines too where a long text is folded.
 */

import { normalizeDomain } from './domain.ts'
import { type Reply, reply, TEXT_OCTETS } from './reply.ts'
import { decodeXtext, encodeXtext } from './xtext.ts'

export interface Suppressed {
  /** The mailbox in lower case. */
  readonly recipient: string
  /** The reply of its server, or the operator's words. */
  readonly reason: string
  readonly sinceMs: number
  readonly untilMs: number
}

/** What a reply says, and of whom it tells. */
export interface SplitReply {
  readonly reply: Reply
  readonly suppressed: readonly Suppressed[]
}

/** Told with one message at most: 5 KiB. Who is left out is told of with a later one. */
export const MOST_TOLD = 10

const TAG = 'XPTT '
// "XPTT suppressed" SP since SP until SP xtext SP reason; times are seconds since 1970, the reason is what a reply may say.
const LINE = /^XPTT suppressed (\d{1,12}) (\d{1,12}) (\S+) ([\t -~]*)$/
const LATEST_SECONDS = 999_999_999_999
const UNPRINTABLE = /[^\t -~]/gu
const CONTROL = /[\0-\x1f\x7f]/
/** A reason that is cut has at least this much. */
const LEAST_REASON = 40
const NOBODY: readonly Suppressed[] = []

/** Under which a recipient is suppressed for the senders of a domain, whatever their case. @throws SmtpError 501 5.1.2 */
export function suppressionKey(senderDomain: string, recipient: string): string {
  return `${normalizeDomain(senderDomain)}/${recipient.toLowerCase()}`
}

/** For the sender: in a reply, or in a notice. */
export function textOf({ recipient, reason, sinceMs, untilMs }: Suppressed): string {
  const since = new Date(sinceMs).toISOString().slice(0, 10)
  const until = new Date(untilMs).toISOString().slice(0, 10)
  return `${recipient} is not written to from ${since} until ${until}: ${reason}`
}

/** The refusal of a recipient; or of a message to him and `others` like him. */
export function refuseSuppressed(first: Suppressed, others = 0): Reply {
  const more = others > 0 ? `, and ${others} more like it` : ''
  return reply(550, '5.7.1', `Suppressed: ${textOf(first)}${more}`)
}

/** The reply with the lines that tell of `suppressed` before it. */
export function tellSuppressed(answer: Reply, suppressed: readonly Suppressed[]): Reply {
  if (suppressed.length === 0) return answer
  const lines = suppressed.flatMap(each => formatSuppressed(each) ?? []).slice(0, MOST_TOLD)
  return { ...answer, lines: [...lines, ...answer.lines] }
}

/** The reply as a client is to see it. Whatever a line with our tag says, he does not; what is no such line tells of nobody. */
export function splitSuppressed(answer: Reply): SplitReply {
  if (answer.lines[0]?.startsWith(TAG) !== true) return { reply: answer, suppressed: NOBODY }
  const rest = answer.lines.findIndex(line => !line.startsWith(TAG))
  const end = rest < 0 ? answer.lines.length : rest
  const told = answer.lines.slice(0, Math.min(end, MOST_TOLD))
  return {
    reply: { ...answer, lines: rest < 0 ? [''] : answer.lines.slice(end) },
    suppressed: told.flatMap(line => parseSuppressed(line) ?? []),
  }
}

/** One line, which is not folded: the reason is cut to fit. `null` where an address leaves no room for one. */
export function formatSuppressed({ recipient, reason, sinceMs, untilMs }: Suppressed): string | null {
  const head = `XPTT suppressed ${seconds(sinceMs)} ${seconds(untilMs)} ${encodeXtext(recipient)} `
  const room = TEXT_OCTETS - head.length
  // As it would be written in any reply.
  const printable = reason.replace(UNPRINTABLE, '?')
  if (printable.length <= room) return head + printable
  return room < LEAST_REASON ? null : `${head}${printable.slice(0, room - 3)}...`
}

/** `null` for any line that `formatSuppressed` has not written. */
export function parseSuppressed(line: string): Suppressed | null {
  if (line.length > TEXT_OCTETS) return null
  const [, since, until, xtext, reason] = LINE.exec(line) ?? []
  if (xtext === undefined || reason === undefined) return null
  let recipient: string
  try {
    recipient = decodeXtext(xtext)
  } catch {
    return null
  }
  if (CONTROL.test(recipient)) return null
  return { recipient, reason, sinceMs: Number(since) * 1000, untilMs: Number(until) * 1000 }
}

/** Since 1970, within what LINE reads and `Date` knows. */
function seconds(timeMs: number): number {
  return Math.min(Math.max(Math.floor(timeMs / 1000), 0), LATEST_SECONDS)
}
