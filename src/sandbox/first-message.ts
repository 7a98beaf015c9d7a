/** The message a sandbox sends by itself, as a mail client does, and what became of it. */

import { setTimeout as pause } from 'node:timers/promises'
import { scramCrypto } from '../directory/scram.ts'
import { formatDate } from '../message/date.ts'
import { ConnectionError } from '../net/connection.ts'
import { type Account, submit } from '../net/submit.ts'
import { TIMEOUTS } from '../smtp/limits.ts'
import type { Mailbox } from '../smtp/path.ts'
import { formatReply, isPositive, type Reply } from '../smtp/reply.ts'
import { SandboxError } from './folder.ts'
import type { Delivery } from './internet.ts'

export interface Post {
  readonly account: Account
  readonly sender: Mailbox
  readonly recipient: Mailbox
  /** Resolves when the Internet's MX has stored the message with this Message-ID. */
  delivered(messageId: string): Promise<Delivery>
  /** Told why it has to be sent again: the signer waits for its key to be in DNS, for example. */
  readonly onRetry: (reason: string) => void
}

export interface Arrival {
  readonly delivery: Delivery
  /** From the client's connection to the file in the Maildir. */
  readonly ms: number
}

const PATIENCE_MS = 30_000
const RETRY_MS = 200

/** @throws SandboxError when it was refused for good, or did not arrive in half a minute. */
export async function sendFirstMessage(post: Post): Promise<Arrival> {
  const startedMs = Date.now()
  const messageId = `<first.${startedMs}.${process.pid}@${post.sender.domain}>`
  const delivered = post.delivered(messageId)
  const deadline = AbortSignal.timeout(PATIENCE_MS)
  let reason = ''
  while (!deadline.aborted) {
    const triedMs = performance.now()
    const outcome = await attempt(post, messageId, startedMs, deadline)
    if (outcome === null) {
      const late = pause(PATIENCE_MS, null, { signal: deadline, ref: false }).catch(() => null)
      const delivery = await Promise.race([delivered, late])
      if (delivery === null) throw new SandboxError('the first message was accepted but has not arrived')
      return { delivery, ms: Math.round(performance.now() - triedMs) }
    }
    if (outcome !== reason) post.onRetry(outcome)
    reason = outcome
    await pause(RETRY_MS, null, { signal: deadline }).catch(() => null)
  }
  throw new SandboxError(`the first message was not accepted: ${reason}`)
}

/** `null`: accepted; else why it was not, for now. */
async function attempt(
  post: Post,
  messageId: string,
  dateMs: number,
  signal: AbortSignal,
): Promise<string | null> {
  const { account, sender, recipient } = post
  const content = Buffer.from(compose(post, messageId, dateMs))
  const envelope = {
    reversePath: sender,
    recipients: [{ forwardPath: recipient }],
    body: '7BIT',
    smtputf8: false,
    sizeOctets: content.length,
  } as const
  try {
    const options = { hostname: 'client.example.test', timeouts: TIMEOUTS, scram: scramCrypto, signal }
    const { mail, recipients, message } = await submit(account, envelope, [content], options)
    return judge([mail, ...recipients, ...(message === null ? [] : [message])])
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error
    if (error.reply !== null) return judge([error.reply])
    return error.message
  }
}

function judge(replies: readonly Reply[]): string | null {
  const refusal = replies.find(reply => !isPositive(reply))
  if (refusal === undefined) return null
  if (refusal.code >= 500) throw new SandboxError(`the first message was refused: ${formatReply(refusal)}`)
  return formatReply(refusal)
}

function compose({ sender, recipient }: Post, messageId: string, dateMs: number): string {
  return [
    `From: Alice <${sender.localPart}@${sender.domain}>`,
    `To: Bob <${recipient.localPart}@${recipient.domain}>`,
    'Subject: The first message',
    `Date: ${formatDate(dateMs, 0)}`,
    `Message-ID: ${messageId}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=us-ascii',
    '',
    'Hello Bob,',
    '',
    'this came through submission, signer and relay to the MX of the pretend',
    'Internet, which found the DKIM key in DNS and checked the signature with it.',
    '',
    'Alice',
    '',
  ].join('\r\n')
}
