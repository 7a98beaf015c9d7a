/**
 * A mail transaction over an open connection, RFC 5321 §3.3: as few round trips as the peer's extensions allow. Used by the
 * hops (`peer.ts`), by the relay towards the Internet and by `ptt send`.
 */

import type { Envelope } from '../smtp/envelope.ts'
import type { Reply } from '../smtp/reply.ts'
import type { Connection } from './connection.ts'
import { type Content, sendChunk, sendData, sizeOf } from './content.ts'

/** What the peer answered to one transaction. */
export interface TransactionReplies {
  /** The reply to MAIL. */
  readonly mail: Reply
  /** One per recipient, in order; empty when MAIL was refused. */
  readonly recipients: readonly Reply[]
  /** The reply to the message itself; `null` when no recipient was accepted and nothing was sent. */
  readonly message: Reply | null
}

/** MAIL commands sent over a connection. */
const mails = new WeakMap<Connection, number>()

/** Connections over which the peer has taken a message. */
const proven = new WeakSet<Connection>()

/** Content up to this size may go before the peer has said whether it wants it. */
const AT_ONCE_OCTETS = 64 * 1024

/** What the peer's LIMITS (RFC 9422) leave on this connection; `Infinity` where it set none. */
export interface Room {
  /** MAILMAX less what was used of it, "regardless of whether they succeed or fail" (§4.1). */
  readonly transactions: number
  /** RCPTMAX: RCPT commands in a transaction (§4.2). */
  readonly recipients: number
}

export function roomFor(connection: Connection): Room {
  const { mailMax = Number.POSITIVE_INFINITY, rcptMax = Number.POSITIVE_INFINITY } =
    connection.extensions.limits
  return { transactions: mailMax - (mails.get(connection) ?? 0), recipients: rcptMax }
}

/**
 * To any peer: MAIL and RCPT pipelined where it can, content by BDAT where it can, else by DATA. With both extensions a small
 * message goes in one write to a peer that has taken one over this connection (RFC 3030 §4.2): a round trip less. Not the
 * first: a host that breaks off at MAIL could have taken it then, and the next host would not be asked.
 * @throws ConnectionError when the connection broke; its `phase` is `message` when the content was already sent whole
 * @throws ContentError when the content could not be read to its end
 * @throws SmtpError when an address cannot be said to this peer (RFC 6531 §3.2); nothing was sent
 */
export function deliver(
  connection: Connection,
  envelope: Envelope,
  content: Content,
): Promise<TransactionReplies> {
  return inStep(connection, async () => {
    const replies = await course(connection, envelope, content)
    if (replies.message !== null && replies.message.code < 300) proven.add(connection)
    return replies
  })
}

function course(connection: Connection, envelope: Envelope, content: Content): Promise<TransactionReplies> {
  const { extensions } = connection
  if (!extensions.has('PIPELINING')) return inSteps(connection, envelope, content)
  const small = !('start' in content) && sizeOf(content) <= AT_ONCE_OCTETS
  if (small && proven.has(connection) && extensions.has('CHUNKING'))
    return speculative(connection, envelope, content)
  return pipelined(connection, envelope, content)
}

/** The whole transaction in one write. What is said to content that nobody was to get is no answer to the message. */
async function speculative(
  connection: Connection,
  envelope: Envelope,
  content: readonly Uint8Array[],
): Promise<TransactionReplies> {
  const replies = await atOnce(connection, envelope, content)
  const wanted = replies.mail.code < 300 && replies.recipients.some(reply => reply.code < 300)
  return wanted ? replies : { ...replies, message: null }
}

/**
 * Over a hop: MAIL, RCPT and the whole content without waiting, one round trip. The peer must offer PIPELINING and CHUNKING,
 * and take a message for all recipients or for none.
 * @throws ConnectionError
 */
export function deliverAtOnce(
  connection: Connection,
  envelope: Envelope,
  content: readonly Uint8Array[],
): Promise<TransactionReplies> {
  return inStep(connection, () => atOnce(connection, envelope, content))
}

/**
 * The same for what is small, beside others who do so over the same connection: all of it in one go, so that nothing of theirs
 * comes in between.
 * @throws ConnectionError, `behind` when it broke before the replies to this were due
 */
export function deliverBeside(
  connection: Connection,
  envelope: Envelope,
  content: readonly Uint8Array[],
): Promise<TransactionReplies> {
  connection.gather()
  const whole = (octets: readonly Uint8Array[]) => connection.writeWhole('message', octets)
  return inStep(connection, () => atOnce(connection, envelope, content, whole))
}

async function atOnce(
  connection: Connection,
  envelope: Envelope,
  content: readonly Uint8Array[],
  write = (octets: readonly Uint8Array[]) => connection.write('message', octets),
): Promise<TransactionReplies> {
  const { session, timeouts } = connection
  const group = opening(connection, envelope)
  group.push(session.bdat(sizeOf(content), true), ...content)
  const written = write(group)
  const answered = connection.inTurn('message', async () => {
    // The peer's time begins when it has all of it.
    await written
    const replies = await openingReplies(connection, envelope)
    return { ...replies, message: await connection.reply('message', timeouts.dataTerminationMs) }
  })
  const [replies] = await Promise.all([answered, written])
  return replies
}

/** MAIL and RCPT in one group, and DATA with them where the content goes by DATA (RFC 2920 §3.1). */
async function pipelined(
  connection: Connection,
  envelope: Envelope,
  content: Content,
): Promise<TransactionReplies> {
  const { session, timeouts } = connection
  const chunking = connection.extensions.has('CHUNKING')
  const group = opening(connection, envelope)
  if (!chunking) group.push(session.data())
  await connection.write('MAIL', group)
  const mail = await connection.reply('MAIL', timeouts.mailMs)
  const recipients = await rcptReplies(connection, envelope, 'RCPT')
  const wanted = mail.code < 300 && recipients.some(reply => reply.code < 300)
  if (chunking) return { mail, recipients, message: wanted ? await sendChunk(connection, content) : null }
  const go = await connection.reply('DATA', timeouts.dataMs)
  if (go.code !== 354) return { mail, recipients, message: wanted ? go : null }
  // A peer that says 354 with no recipient accepted gets an empty message, which it must refuse (RFC 2920 §3.1).
  const message = await sendData(connection, wanted ? content : [])
  return { mail, recipients, message: wanted ? message : null }
}

async function inSteps(
  connection: Connection,
  envelope: Envelope,
  content: Content,
): Promise<TransactionReplies> {
  const { session, timeouts } = connection
  const mail = await connection.exchange('MAIL', mailCommand(connection, envelope), timeouts.mailMs)
  if (mail.code >= 300) return { mail, recipients: [], message: null }
  const recipients: Reply[] = []
  for (const recipient of envelope.recipients) {
    recipients.push(await connection.exchange('RCPT', session.rcpt(recipient), timeouts.rcptMs))
  }
  if (!recipients.some(reply => reply.code < 300)) return { mail, recipients, message: null }
  if (connection.extensions.has('CHUNKING')) {
    return { mail, recipients, message: await sendChunk(connection, content) }
  }
  const go = await connection.exchange('DATA', session.data(), timeouts.dataMs)
  return { mail, recipients, message: go.code === 354 ? await sendData(connection, content) : go }
}

/** MAIL and RCPT, which content may follow without waiting for their replies. */
export function opening(connection: Connection, envelope: Envelope): Uint8Array[] {
  const { session } = connection
  const mail = mailCommand(connection, envelope)
  return [mail, ...envelope.recipients.map(recipient => session.rcpt(recipient))]
}

function mailCommand(connection: Connection, envelope: Envelope): Uint8Array {
  const octets = connection.session.mail(envelope.reversePath, envelope)
  mails.set(connection, (mails.get(connection) ?? 0) + 1)
  return octets
}

/** To MAIL and RCPT, where the content was sent with them. */
export async function openingReplies(
  connection: Connection,
  envelope: Envelope,
): Promise<Pick<TransactionReplies, 'mail' | 'recipients'>> {
  const mail = await connection.reply('message', connection.timeouts.dataTerminationMs)
  return { mail, recipients: await rcptReplies(connection, envelope, 'message') }
}

async function rcptReplies(connection: Connection, envelope: Envelope, phase: string): Promise<Reply[]> {
  const replies: Reply[] = []
  for (const _ of envelope.recipients) replies.push(await connection.reply(phase, connection.timeouts.rcptMs))
  return replies
}

/** Whatever is thrown, by the network or by our own client, leaves commands and replies out of step. */
export async function inStep<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    connection.spoil()
    throw error
  }
}
