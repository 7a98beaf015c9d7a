/**
 * Notices of failure, RFC 3464: what is told to the reverse-path when a recipient has failed for good. Never about a
 * message whose reverse-path is null (RFC 5321 §4.5.5). A notice is mail like any other: queued here, signed by the
 * signer, delivered by this relay.
 */

import { buildNotification } from '../message/dsn.ts'
import { isEightBit } from '../message/eight-bit.ts'
import type { Evidence, Message, NewMessage } from '../queue/queue.ts'

import { formatMailbox, parseMailbox } from '../smtp/path.ts'

/** Where notices go first. No domain is called like this. */
export const TO_SIGNER = '<signer>'
/** What the id of a notice ends in while it waits for the signer: it comes back under its id without it. */
const WAITING = '-notice'

export interface Failure {
  readonly index: number
  readonly evidence: Evidence
}

/** `null` where nobody is to be told. */
export function failureNotice(
  message: Message,
  failures: readonly Failure[],
  content: Uint8Array,
  facts: {
    readonly hostname: string
    readonly postmaster: string
    readonly nowMs: number
    readonly expireMs: number
  },
): { readonly message: NewMessage; readonly content: Uint8Array } | null {
  const recipient = message.reversePath
  const [first] = failures
  if (recipient === null || first === undefined) return null
  const id = noticeId(message.id, first.index)
  const notice = buildNotification({
    id,
    action: 'failed',
    originalId: message.id,
    reportingMta: facts.hostname,
    postmaster: parseMailbox(facts.postmaster, { utf8: true }),
    recipient,
    arrivedMs: message.arrivedMs,
    nowMs: facts.nowMs,
    reports: failures.flatMap(({ index, evidence }) => {
      const failed = message.recipients[index]
      return failed === undefined ? [] : [{ mailbox: failed.mailbox, evidence }]
    }),
    original: content,
    smtputf8: message.envelope.smtputf8,
  })
  return {
    message: {
      id: `${id}${WAITING}`,
      envelope: {
        reversePath: null,
        recipients: [{ forwardPath: recipient }],
        body: isEightBit([notice]) ? '8BITMIME' : '7BIT',
        smtputf8: !/^[\x00-\x7f]*$/.test(formatMailbox(recipient)),
        xptt: { id },
      },
      arrivedMs: facts.nowMs,
      expiresMs: facts.nowMs + facts.expireMs,
      recipients: [{ mailbox: recipient, destination: TO_SIGNER }],
    },
    content: notice,
  }
}

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/**
 * The id of the notice about a message's failures, made from its id: a relay that is killed between queueing the notice
 * and settling the failure makes the same one again, and the queue knows it.
 */
function noticeId(id: string, firstFailed: number): string {
  let digits = ''
  let carry = firstFailed + 1
  for (let at = id.length - 1; at >= 10; at--) {
    const sum = DIGITS.indexOf(id.charAt(at)) + carry
    digits = DIGITS.charAt(sum % 32) + digits
    carry = Math.floor(sum / 32)
  }
  return id.slice(0, 10) + digits
}
