/**
 * The server side of a hop (design decision 4): ordinary ESMTP, where STARTTLS with a certificate of the deployment's CA
 * and the right role comes before anything else.
 */

import { LIMITS, MOST } from '../smtp/limits.ts'
import { type Reply, reply } from '../smtp/reply.ts'
import type { Offers, ServerOptions } from '../smtp/server.ts'
import type { Client } from './listener.ts'
import { type Role, rolesOf } from './tls.ts'

/** What submission adds to a message, and the signer: Received, Date, Message-ID, DKIM-Signature. */
const ADDED_OCTETS = 64 * 1024
/** Submission is what limits users; a hop must take whatever the one before it has accepted. */
const MESSAGE_OCTETS = 1024 * 1024 * 1024 + ADDED_OCTETS
const RECIPIENTS = 100_000
/** So many small messages share a connection: its client has no more under way, and its server takes no more at a time. */
export const SHARED_BY = 16
/** A connection is kept, and takes one message after the other. */
const TRANSACTIONS = Number.POSITIVE_INFINITY

/**
 * Whatever submission has taken goes on to the relay, which honours it; what the relay makes itself goes the same way. A hold
 * travels under XPTT: FUTURERELEASE is for submission only (RFC 4865 §4.2.2).
 */
const OFFERS: Offers = {
  dsn: true,
  requireTls: true,
  limits: true,
  deliverBy: { leastSeconds: 1 },
  priority: { profile: 'MIXER' },
}

export function hopSession(hostname: string): ServerOptions {
  return {
    hostname,
    limits: {
      ...LIMITS,
      ...MOST,
      messageOctets: MESSAGE_OCTETS,
      recipients: RECIPIENTS,
      transactions: TRANSACTIONS,
    },
    tls: 'starttls',
    auth: [],
    authRequired: false,
    tlsRequired: true,
    hop: true,
    offers: OFFERS,
  }
}

/** The role the client proved, if it is one that may speak here; else the refusal, in words for the other side's log. */
export function admit(client: Client, allowed: readonly Role[]): Role | Reply {
  const tls = client.tls
  const wanted = `a certificate for ${allowed.join(' or ')} of this deployment is required`
  if (tls === null || !tls.authorized) {
    return reply(554, '5.7.0', `Refused: ${wanted} (${tls?.authorizationError ?? 'no TLS'})`)
  }
  const role = rolesOf(tls.peerNames).find(name => allowed.includes(name))
  if (role !== undefined) return role
  return reply(554, '5.7.0', `Refused: ${wanted}, yours is for ${tls.peerNames.join(', ') || 'no name'}`)
}
