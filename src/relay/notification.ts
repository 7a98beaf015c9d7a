/**
 * A notice that is due, as mail: RFC 3464, from the null reverse-path to the reverse-path. It is queued here like any other
 * message, signed by the signer, and delivered by this relay.
 */

import { buildNotification } from '../message/dsn.ts'
import { isEightBit } from '../message/eight-bit.ts'
import type { Language } from '../message/language/words.ts'
import type { Message, NewMessage } from '../queue/queue.ts'
import { formatDateTime } from '../smtp/future-release.ts'
import { formatMailbox, parseMailbox } from '../smtp/path.ts'
import type { DueNotice } from './notice.ts'
import { deliverByMs, triedUntilMs } from './times.ts'

/** Where notices go first. No domain is called like this. */
export const TO_SIGNER = '<signer>'
/** What the id of a notice ends in while it waits for the signer: it comes back under its id without it. */
const WAITING = '-notice'

/** `null` where nobody is to be told. */
export function notification(
  message: Message,
  notice: DueNotice,
  content: Uint8Array,
  facts: {
    readonly hostname: string
    readonly postmaster: string
    readonly nowMs: number
    readonly expireMs: number
    readonly language: Language
  },
): { readonly message: NewMessage; readonly content: Uint8Array } | null {
  const { reversePath: recipient, envelope } = message
  if (recipient === null) return null
  const id = noticeId(message.id, notice)
  const requireTls = envelope.requireTls === true
  const octets = buildNotification({
    id,
    action: notice.kind === 'overdue' ? 'delayed' : notice.kind,
    originalId: message.id,
    reportingMta: facts.hostname,
    language: facts.language,
    postmaster: parseMailbox(facts.postmaster, { utf8: true }),
    recipient,
    arrivedMs: message.arrivedMs,
    nowMs: facts.nowMs,
    ...asked(message),
    // RFC 8689 §5: "as if RET=HDRS was present".
    ...(requireTls ? { ret: 'HDRS' } : {}),
    reports: notice.reports.flatMap(report => {
      const about = message.recipients[report.index]
      if (about === undefined) return []
      const { evidence, attempted = true, circumstance } = report
      return [
        {
          mailbox: about.mailbox,
          ...(about.originalRecipient === undefined ? {} : { originalRecipient: about.originalRecipient }),
          ...(circumstance === undefined ? {} : { circumstance }),
          retryUntilMs: triedUntilMs(message),
          evidence: { ...evidence, attempted },
        },
      ]
    }),
    original: content,
    smtputf8: envelope.smtputf8,
  })
  return {
    message: {
      id: `${id}${WAITING}`,
      envelope: {
        reversePath: null,
        recipients: [{ forwardPath: recipient }],
        body: isEightBit([octets]) ? '8BITMIME' : '7BIT',
        smtputf8: !/^[\x00-\x7f]*$/.test(formatMailbox(recipient)),
        // RFC 8689 §5: "protected in the same manner as the original message".
        ...(requireTls ? { requireTls: true } : {}),
        // RFC 6710 §4.6.
        ...(envelope.priority === undefined ? {} : { priority: envelope.priority }),
        xptt: { id },
      },
      arrivedMs: facts.nowMs,
      expiresMs: facts.nowMs + facts.expireMs,
      recipients: [{ mailbox: recipient, destination: TO_SIGNER }],
    },
    content: octets,
  }
}

/** What of the original's envelope the notice repeats, and RET. */
function asked(message: Message) {
  const { envelopeId, ret, hold } = message.envelope
  const deadlineMs = deliverByMs(message)
  return {
    ...(envelopeId === undefined ? {} : { envelopeId }),
    ...(ret === undefined ? {} : { ret }),
    ...(deadlineMs === null ? {} : { deliverByMs: deadlineMs }),
    ...(hold === undefined ? {} : { futureRelease: futureRelease(hold) }),
  }
}

// orig-hold-param-value = ("for;" future-release-interval) / ("until;" future-release-date-time), RFC 4865 §5.1.2.
function futureRelease(hold: NonNullable<Message['envelope']['hold']>): string {
  return 'forSeconds' in hold ? `for;${hold.forSeconds}` : `until;${formatDateTime(hold.untilMs)}`
}

const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
/** The last 16 of an id's digits are random: 80 bits. */
const RANDOM_DIGITS = 16
const RANDOM_RANGE = 1n << 80n

/**
 * The id of a notice, made from the message's and from what it tells of whom: a relay that is killed between queueing a
 * notice and settling the results makes the same one again, and the queue knows it. Where the second attempt comes to
 * something else, the notice is another one, and nobody stays untold.
 */
function noticeId(id: string, { kind, reports }: DueNotice): string {
  const told = `${kind} ${reports.map(({ index }) => index).join(' ')}`
  let random = 0n
  for (const digit of id.slice(-RANDOM_DIGITS)) random = random * 32n + BigInt(DIGITS.indexOf(digit))
  random = (random + fnv1a(told)) % RANDOM_RANGE
  let digits = ''
  for (let at = 0; at < RANDOM_DIGITS; at++, random /= 32n)
    digits = DIGITS.charAt(Number(random % 32n)) + digits
  return id.slice(0, -RANDOM_DIGITS) + digits
}

/** FNV-1a of 64 bits: what nobody gains by guessing. */
function fnv1a(text: string): bigint {
  let hash = 0xcbf29ce484222325n
  for (const octet of Buffer.from(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(octet)) * 0x100000001b3n)
  return hash
}
