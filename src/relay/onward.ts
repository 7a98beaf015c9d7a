/** The envelope as one peer is given it: what of the sender's wishes goes on, and in which form. Pure. */

import type { Message, Recipient } from '../queue/queue.ts'
import { remaining } from '../smtp/deliver-by.ts'
import { formatOriginalRecipient } from '../smtp/dsn.ts'
import type { Envelope, EnvelopeRecipient } from '../smtp/envelope.ts'
import type { Extensions } from '../smtp/extension.ts'
import { LIMITS } from '../smtp/limits.ts'
import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import { isOverdue } from './times.ts'

export interface Onward {
  readonly extensions: Pick<Extensions, 'has'>
  /** Whether REQUIRETLS is to be said: `tls-policy.ts`. */
  readonly requireTls: boolean
  /** Now: MAIL is about to be sent. */
  readonly nowMs: number
}

/**
 * Parameters of extensions that the peer does not offer may be in it: the client leaves them out. Who submitted the
 * message and our own id are nobody's business outside (RFC 4954 §5 is for hosts that trust each other), and a hold is over
 * by now: FUTURERELEASE is for submission only (RFC 4865 §4.2).
 *
 * @param group indices into `message.recipients`
 */
export function onwardEnvelope(message: Message, group: readonly number[], onward: Onward): Envelope {
  const { authenticatedAs: _, xptt: __, hold: ___, requireTls: ____, deliverBy, ...wishes } = message.envelope
  const recipients = group.flatMap(index => {
    const recipient = message.recipients[index]
    return recipient === undefined ? [] : [onwardRecipient(message, recipient, onward)]
  })
  return {
    ...wishes,
    // RFC 6710 §4.2: said in any case.
    priority: message.envelope.priority ?? 0,
    // RFC 2852 §4.1.4: "the number of seconds remaining".
    ...(deliverBy === undefined ? {} : { deliverBy: remaining(deliverBy, onward.nowMs - message.arrivedMs) }),
    ...(onward.requireTls ? { requireTls: true } : {}),
    // An alias may lead to an address that is not ASCII, of which the sender did not know (RFC 6531 §3.4).
    smtputf8:
      wishes.smtputf8 || recipients.some(({ forwardPath }) => /[^\0-\x7f]/.test(forwardPath.localPart)),
    reversePath: message.reversePath,
    recipients,
    sizeOctets: message.sizeOctets,
  }
}

function onwardRecipient(message: Message, recipient: Recipient, onward: Onward): EnvelopeRecipient {
  const { mailbox } = recipient
  const originalRecipient =
    recipient.originalRecipient ?? originalOf(mailbox, onward.extensions.has('SMTPUTF8'))
  const notify = onwardNotify(message, recipient, onward)
  return {
    forwardPath: mailbox,
    ...(notify === undefined ? {} : { notify }),
    ...(originalRecipient === null ? {} : { originalRecipient }),
  }
}

/** RFC 3461 §5.2.1 d: one may be added, with the address as it came to us. `null` when it would be longer than peers take. */
export function originalOf(
  mailbox: Mailbox,
  utf8: boolean,
): NonNullable<EnvelopeRecipient['originalRecipient']> | null {
  const address = formatMailbox(mailbox)
  // RFC 6533 §3: the address type of what is not ASCII.
  const original = { addressType: /^[\0-\x7f]*$/.test(address) ? 'rfc822' : 'utf-8', address }
  const written = formatOriginalRecipient(original, utf8)
  return Buffer.byteLength(written) > LIMITS.originalRecipientOctets ? null : original
}

/**
 * RFC 3461 §5.2.1 c: as it was given. But a peer without DELIVERBY, which does not know of the time, is asked to report a
 * delay of its own (RFC 2852 §4.1.4.2).
 */
function onwardNotify(
  message: Message,
  { notify }: Recipient,
  { extensions, nowMs }: Onward,
): EnvelopeRecipient['notify'] {
  const { deliverBy } = message.envelope
  if (deliverBy?.mode !== 'N' || extensions.has('DELIVERBY') || isOverdue(message, nowMs)) return notify
  if (notify === undefined) return ['FAILURE', 'DELAY']
  return notify.length === 0 || notify.includes('DELAY') ? notify : [...notify, 'DELAY']
}
