/** Which reverse-paths a user may give: his own address and what `senders` allows (RFC 6409 §6.1). */

import { normalizeDomain } from '../smtp/domain.ts'
import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import type { MaySend } from './directory.ts'

export const maySend: MaySend = (user, reversePath) => {
  // RFC 6409 §3.2: mail programs answer with it (read receipts, RFC 8098 §3), and it MUST NOT be refused for itself. Whose
  // message it is, its From says, which is held to the same patterns.
  if (reversePath === null) return { allowed: true }
  const folded = foldMailbox(reversePath)
  const { localPart, domain } = folded
  if (localPart === user.localPart && domain === user.domain) return { allowed: true }
  const address = formatMailbox(folded)
  if (user.senders.some(pattern => pattern === address || pattern === `*@${domain}`)) return { allowed: true }
  return { allowed: false, reason: `${user.name} may not send as ${address}` }
}

/**
 * The form under which the directory compares mailboxes: our own local-parts have no case (RFC 5321 §2.4 leaves that
 * to the host that owns them), Unicode is in NFC (RFC 6532 §3.1), domains are lower-case A-labels.
 */
export function foldMailbox({ localPart, domain }: Mailbox): Mailbox {
  return { localPart: foldLocalPart(localPart), domain: normalizeDomain(domain) }
}

export function foldLocalPart(localPart: string): string {
  return localPart.normalize('NFC').toLowerCase()
}
