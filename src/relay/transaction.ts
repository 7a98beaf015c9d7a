/** The recipients of a job over one open connection: as many transactions as the peer's limits want. */

import { type Connection, ConnectionError } from '../net/connection.ts'
import { deliver, type TransactionReplies } from '../net/transaction.ts'
import type { Message } from '../queue/queue.ts'
import type { Envelope } from '../smtp/envelope.ts'
import { SmtpError } from '../smtp/error.ts'
import { fromConnectionError, fromMailReply, fromRcptReply, fromReply, type Verdict } from './outcome.ts'

/** RCPTs in one transaction, as Postfix has it; RFC 5321 §4.5.3.1.8 lets us count on 100. */
const RECIPIENTS_PER_TRANSACTION = 50

/**
 * @param recipients indices into `message.recipients`
 * @returns a verdict for each of them; never throws for what a peer or a network does
 */
export async function transact(
  connection: Connection,
  message: Message,
  recipients: readonly number[],
  content: Uint8Array,
): Promise<Map<number, Verdict>> {
  const verdicts = new Map<number, Verdict>()
  const impossible = unsupported(connection, message)
  if (impossible !== null) {
    for (const index of recipients) verdicts.set(index, impossible)
    return verdicts
  }
  let left = [...recipients]
  while (left.length > 0) {
    const group = left.slice(0, RECIPIENTS_PER_TRANSACTION)
    const rest = left.slice(RECIPIENTS_PER_TRANSACTION)
    try {
      const replies = await deliver(connection, envelopeOf(message, group), [content])
      const again = judge(replies, group, verdicts)
      left = [...again, ...rest]
      if (left.length > 0 || replies.message === null) await clear(connection)
      // RFC 5321 §3.8: the peer is going away. Who was not judged yet may be tried elsewhere.
      if (!connection.usable) throw new ConnectionError('closed', 'MAIL', 'the peer said 421')
    } catch (error) {
      // An address this peer cannot be given (RFC 6531 §3.2): said by our own client before anything was sent.
      if (error instanceof SmtpError) {
        for (const index of left) verdicts.set(index, { ...fromReply(error.reply), action: 'next' })
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

/** Writes the verdicts of one transaction; returns those who did not fit into it and may come in the next. */
function judge(
  replies: TransactionReplies,
  group: readonly number[],
  verdicts: Map<number, Verdict>,
): number[] {
  if (replies.mail.code >= 300) {
    for (const index of group) verdicts.set(index, fromMailReply(replies.mail))
    return []
  }
  const again: number[] = []
  const someAccepted = replies.recipients.some(answer => answer.code < 300)
  for (const [position, index] of group.entries()) {
    const answer = replies.recipients[position] ?? replies.mail
    // RFC 5321 §4.5.3.1.10: 452 (or 552) after some were taken means "enough for this transaction".
    if ((answer.code === 452 || answer.code === 552) && someAccepted) again.push(index)
    else if (answer.code >= 300) verdicts.set(index, fromRcptReply(answer))
    else if (replies.message !== null) verdicts.set(index, fromReply(replies.message))
  }
  return again
}

async function clear(connection: Connection): Promise<void> {
  if (connection.usable) await connection.reset()
}

/** What this peer cannot take, known before anything is sent. */
function unsupported(connection: Connection, message: Message): Verdict | null {
  const { extensions } = connection
  if (message.envelope.smtputf8 && !extensions.has('SMTPUTF8')) {
    // RFC 6531 §3.2: another host of the destination may have it.
    return {
      action: 'next',
      status: '5.6.7',
      diagnostic: 'The peer does not support SMTPUTF8, which this message needs',
    }
  }
  if (message.envelope.body === '8BITMIME' && !extensions.has('8BITMIME')) {
    // RFC 6152 §3: converting it would break the signature.
    const diagnostic =
      'The peer does not support 8BITMIME, and converting the message would break its signature'
    return { action: 'next', status: '5.6.3', diagnostic }
  }
  const limit = extensions.size
  if (limit !== undefined && limit > 0 && message.sizeOctets > limit) {
    const diagnostic = `The message has ${message.sizeOctets} octets, the peer accepts ${limit} (SIZE)`
    return { action: 'failed', status: '5.3.4', diagnostic }
  }
  return null
}

/** Who submitted it and our own id are nobody's business outside (RFC 4954 §5 is for hosts that trust each other). */
function envelopeOf(message: Message, group: readonly number[]): Envelope {
  const { authenticatedAs: _, xptt: __, ...wishes } = message.envelope
  return {
    ...wishes,
    reversePath: message.reversePath,
    recipients: group.flatMap(index => {
      const recipient = message.recipients[index]
      return recipient === undefined ? [] : [{ forwardPath: recipient.mailbox }]
    }),
    sizeOctets: message.sizeOctets,
  }
}
