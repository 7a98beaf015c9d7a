/**
 * Recipients of our own domains who lead elsewhere (`targets` of users and groups, aliases) become those they lead to,
 * RFC 5321 §3.9.1: the reverse-path stays. Pure. The directory follows targets to their end and has no loops.
 *
 * What the sender asked for goes along as RFC 3461 §5.2.7 says of aliases: with a single target all of it (§5.2.7.2), with
 * several all but SUCCESS, which is answered at once with a notice "expanded" (§5.2.7.3 c). ORCPT keeps the address that the
 * sender wrote to, so that he knows it again when a target fails.
 */

import type { Directory } from '../directory/directory.ts'
import { foldMailbox } from '../directory/may-send.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import { formatMailbox, type Mailbox } from '../smtp/path.ts'
import { originalOf } from './onward.ts'

/** Where a recipient is queued whose sender is to be told that he was expanded. No domain is called like this. */
export const EXPANDED = '<expanded>'

export interface Expansion {
  /** Each mailbox once; those that lead nowhere else are as they were. */
  readonly recipients: readonly EnvelopeRecipient[]
  /** Who led elsewhere, for the log. */
  readonly aliases: readonly { readonly address: string; readonly to: readonly string[] }[]
  /** Who wants to hear of success, and has become several. */
  readonly expanded: readonly EnvelopeRecipient[]
}

export function expand(recipients: readonly EnvelopeRecipient[], directory: Directory): Expansion {
  const aliases: { address: string; to: string[] }[] = []
  const expanded: EnvelopeRecipient[] = []
  const all: EnvelopeRecipient[] = []
  for (const recipient of recipients) {
    const targets = directory.targets(recipient.forwardPath) ?? []
    if (targets.length === 0) {
      all.push(recipient)
      continue
    }
    const address = formatMailbox(recipient.forwardPath)
    aliases.push({ address, to: targets.map(target => formatMailbox(target)) })
    const several = targets.length > 1
    if (several && recipient.notify?.includes('SUCCESS')) expanded.push(recipient)
    const wishes = wishesOf(recipient, several)
    for (const forwardPath of targets) all.push({ forwardPath, ...wishes })
  }
  // Who writes to somebody twice by himself is left alone.
  return { recipients: aliases.length === 0 ? all : once(all, directory), aliases, expanded }
}

function wishesOf(recipient: EnvelopeRecipient, several: boolean): Omit<EnvelopeRecipient, 'forwardPath'> {
  const { forwardPath, notify } = recipient
  // To be written to peers of either kind: the longer form counts.
  const original = recipient.originalRecipient ?? originalOf(forwardPath, false)
  const left = several ? notify?.filter(element => element !== 'SUCCESS') : notify
  return {
    ...(left === undefined ? {} : { notify: left }),
    ...(original === null ? {} : { originalRecipient: original }),
  }
}

/** The first of those with the same mailbox, with what any of them asked for. */
function once(recipients: readonly EnvelopeRecipient[], directory: Directory): EnvelopeRecipient[] {
  const byMailbox = new Map<string, EnvelopeRecipient>()
  for (const recipient of recipients) {
    const key = keyOf(recipient.forwardPath, directory)
    const first = byMailbox.get(key)
    byMailbox.set(key, first === undefined ? recipient : { ...first, ...notifyOf(first, recipient) })
  }
  return [...byMailbox.values()]
}

/** RFC 5321 §2.4: whether case matters in a local-part is known to its own host only. */
function keyOf(mailbox: Mailbox, { domains }: Directory): string {
  const domain = normalizeDomain(mailbox.domain)
  return formatMailbox(domains.has(domain) ? foldMailbox(mailbox) : { ...mailbox, domain })
}

// RFC 3461 §4.1: without NOTIFY it is FAILURE, and DELAY where the relay likes.
const USUAL = ['FAILURE', 'DELAY'] as const

function notifyOf(one: EnvelopeRecipient, other: EnvelopeRecipient): Pick<EnvelopeRecipient, 'notify'> {
  if (one.notify === undefined && other.notify === undefined) return {}
  return { notify: [...new Set([...(one.notify ?? USUAL), ...(other.notify ?? USUAL)])] }
}
