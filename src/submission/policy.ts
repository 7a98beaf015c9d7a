/** What a user may do, decided with its reason. No I/O: a directory, an address, a verdict. */

import type { User } from '../directory/directory.ts'
import { maySend } from '../directory/may-send.ts'
import { isAddressLiteral } from '../smtp/domain.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import type { ForwardPath, ReversePath } from '../smtp/path.ts'
import { type Reply, reply } from '../smtp/reply.ts'

/** MAIL: `null` when the user may use this reverse-path. */
export function refuseReversePath(user: User, reversePath: ReversePath): Reply | null {
  const decision = maySend(user, reversePath)
  return decision.allowed ? null : reply(550, '5.7.1', decision.reason)
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
