/** What a user may do, decided with its reason. No I/O: a directory, an address, a verdict. */

import type { User } from '../directory/directory.ts'
import { maySend } from '../directory/may-send.ts'
import { isAddressLiteral } from '../smtp/domain.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import type { ForwardPath, ReversePath } from '../smtp/path.ts'
import { type Reply, reply } from '../smtp/reply.ts'

/** MAIL: `null` when the user may send at all, and with this reverse-path. */
export function refuseReversePath(user: User, reversePath: ReversePath): Reply | null {
  // RFC 5248 §3: 5.7.13 is a user account disabled. He may have been suspended since he signed in.
  if (user.suspended !== undefined) return reply(550, '5.7.13', user.suspended)
  const decision = maySend(user, reversePath)
  return decision.allowed ? null : reply(550, '5.7.1', decision.reason)
}

/** `limits.message_size` of the user, against SIZE= of MAIL and against the octets that came (RFC 1870 §6.1, §6.3). */
export function refuseSize({ name, limits }: User, sizeOctets: number | undefined): Reply | null {
  const most = limits?.messageOctets
  if (most === undefined || sizeOctets === undefined || sizeOctets <= most) return null
  return reply(552, '5.3.4', `${name} may send messages of up to ${most} octets`)
}

/** `limits.recipients_per_message`: with `count` recipients already. The rest may come in another transaction. */
export function refuseRecipient({ name, limits }: User, count: number): Reply | null {
  const most = limits?.recipientsPerMessage
  if (most === undefined || count < most) return null
  // RFC 5321 §4.5.3.1.10
  return reply(452, '4.5.3', `${name} may send a message to up to ${most} recipients`)
}

/**
 * RCPT: the path to use, or the refusal. `<Postmaster>` without a domain is ours (RFC 5321 §4.5.1); any other name must be
 * a domain that can exist on the Internet (RFC 6409 §4.2).
 */
export function admitRecipient(forwardPath: ForwardPath, domain: string): EnvelopeRecipient | Reply {
  if (forwardPath.domain === '') return { forwardPath: { ...forwardPath, domain } }
  if (isAddressLiteral(forwardPath.domain) || forwardPath.domain.includes('.')) return { forwardPath }
  return reply(550, '5.1.2', `${forwardPath.domain} is not a fully qualified domain name: write it whole`)
}
