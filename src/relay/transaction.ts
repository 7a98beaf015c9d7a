/** The recipients of a job over one open connection: as many transactions as the peer's limits want. */

import { ConnectionError } from '../net/connection.ts'
import { ContentError, type Source } from '../net/content.ts'
import { deliver, roomFor, type TransactionReplies } from '../net/transaction.ts'
import type { Log } from '../observe/event.ts'
import type { Message } from '../queue/queue.ts'
import { SmtpError } from '../smtp/error.ts'
import { inability } from './capability.ts'
import type { PeerPromises } from './notice.ts'
import { onwardEnvelope } from './onward.ts'
import { fromConnectionError, fromMailReply, fromRcptReply, fromReply, type Verdict } from './outcome.ts'
import type { Link } from './site/links.ts'

/**
 * @param recipients indices into `message.recipients`
 * @returns a verdict for each of them but those whom the session had no transaction left for (RFC 9422 §4.1); never throws
 * for what a peer or a network does
 */
export async function transact(
  link: Link,
  message: Message,
  recipients: readonly number[],
  content: Source,
  recipientsPerTransaction: number,
  { now, log }: { readonly now: () => number; readonly log: Log },
): Promise<Map<number, Verdict>> {
  const { connection } = link
  const verdicts = new Map<number, Verdict>()
  const peer = promisesOf(link)
  const { start, sizeOctets } = content
  const sent = start.length === sizeOctets ? [start] : content
  let left = [...recipients]
  while (left.length > 0) {
    const impossible = inability(connection.extensions, message, now())
    if (impossible !== null) {
      for (const index of left) verdicts.set(index, impossible)
      return verdicts
    }
    const room = roomFor(connection)
    if (room.transactions <= 0) return verdicts
    // RFC 9422 §4.2. Of RCPTDOMAINMAX (§4.3) at most one is ever used: a connection serves one destination.
    const group = left.slice(0, Math.min(recipientsPerTransaction, room.recipients))
    const rest = left.slice(group.length)
    try {
      const onward = { extensions: connection.extensions, requireTls: link.requireTls, nowMs: now() }
      const replies = await deliver(connection, onwardEnvelope(message, group, onward), sent)
      const again = judge(replies, group, verdicts, peer)
      left = [...again, ...rest]
      if (left.length > 0 || replies.message === null) await clear(link)
      // RFC 5321 §3.8: the peer is going away. Who was not judged yet may be tried elsewhere.
      if (!connection.usable) throw new ConnectionError('closed', 'MAIL', 'the peer said 421')
    } catch (error) {
      // An address this peer cannot be given (RFC 6531 §3.2): said by our own client before anything was sent.
      if (error instanceof SmtpError) {
        for (const index of left) verdicts.set(index, { ...fromReply(error.reply), action: 'next' })
        return verdicts
      }
      if (error instanceof ContentError) {
        log.event('alarm', { about: 'spool', error: error.message }, 'error')
        for (const index of left) verdicts.set(index, unreadable(error))
        return verdicts
      }
      if (!(error instanceof ConnectionError)) throw error
      const verdict = fromConnectionError(error)
      const elsewhere: Verdict = { ...verdict, action: 'next' }
      for (const index of group) if (!verdicts.has(index)) verdicts.set(index, verdict)
      for (const index of rest) if (!verdicts.has(index)) verdicts.set(index, elsewhere)
      return verdicts
    }
  }
  return verdicts
}

/** Another host would not get more of it. */
function unreadable({ message: diagnostic }: ContentError): Verdict {
  return { action: 'deferred', status: '4.3.0', diagnostic }
}

function promisesOf({ connection: { extensions } }: Link): PeerPromises {
  return { dsn: extensions.has('DSN'), deliverBy: extensions.has('DELIVERBY') }
}

/** Writes the verdicts of one transaction; returns those who did not fit into it and may come in the next. */
function judge(
  replies: TransactionReplies,
  group: readonly number[],
  verdicts: Map<number, Verdict>,
  peer: PeerPromises,
): number[] {
  if (replies.mail.code >= 300) {
    for (const index of group) verdicts.set(index, fromMailReply(replies.mail))
    return []
  }
  const again: number[] = []
  const accepted = replies.recipients.filter(answer => answer.code < 300).length
  const someAccepted = accepted > 0
  const shared = accepted > 1 ? ({ shared: true } as const) : {}
  for (const [position, index] of group.entries()) {
    const answer = replies.recipients[position] ?? replies.mail
    // RFC 5321 §4.5.3.1.10: 452 (or 552) after some were taken means "enough for this transaction".
    if ((answer.code === 452 || answer.code === 552) && someAccepted) again.push(index)
    else if (answer.code >= 300) verdicts.set(index, fromRcptReply(answer))
    else if (replies.message !== null) verdicts.set(index, { ...fromReply(replies.message), ...shared, peer })
  }
  return again
}

async function clear({ connection }: Link): Promise<void> {
  if (connection.usable) await connection.reset()
}
