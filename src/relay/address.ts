/** Under which destination each recipient is queued: his domain and pool, or one of those that are no domains. */

import type { RouteRule } from '../config/routes.ts'
import type { Directory } from '../directory/directory.ts'
import type { NewRecipient } from '../queue/queue.ts'
import { normalizeDomain } from '../smtp/domain.ts'
import type { EnvelopeRecipient } from '../smtp/envelope.ts'
import type { ReversePath } from '../smtp/path.ts'
import type { Reply } from '../smtp/reply.ts'
import { refuseSuppressed, type Suppressed } from '../smtp/suppressed.ts'
import { destinationFor } from './destination.ts'
import { EXPANDED, type Expansion } from './expand.ts'
import { routeFor } from './routes.ts'
import type { Sources } from './sources.ts'
import { SUPPRESSED, type Suppression, type Suppressions } from './suppression.ts'

export interface Addressed {
  readonly recipients: readonly NewRecipient[]
  /** Nobody is left who may be written to: the sender is told at once. */
  readonly refusal: Reply | null
  /** Whom submission may refuse by himself the next time. */
  readonly told: readonly Suppressed[]
}

export async function address(
  { recipients, expanded }: Expansion,
  reversePath: ReversePath,
  around: {
    readonly sources: Pick<Sources, 'poolFor'>
    readonly suppressions: Pick<Suppressions, 'find'>
    readonly routes: readonly RouteRule[]
    readonly directory: Pick<Directory, 'targets'>
  },
): Promise<Addressed> {
  const pool = around.sources.poolFor(reversePath)
  const queued: NewRecipient[] = []
  const suppressed: Suppression[] = []
  const told: Suppressed[] = []
  for (const recipient of recipients) {
    // Notices go to our own senders, whoever they are.
    const found =
      reversePath === null ? null : await around.suppressions.find(reversePath.domain, recipient.forwardPath)
    if (found !== null) {
      suppressed.push(found)
      // A mailbox of ours that leads to itself and to others is not refused for itself.
      if ((around.directory.targets(recipient.forwardPath) ?? []).length === 0) told.push(found)
    }
    const domain = normalizeDomain(recipient.forwardPath.domain)
    const through = routeFor(around.routes, domain, reversePath)?.name ?? ''
    queued.push(queue(recipient, found === null ? destinationFor(domain, pool, through) : SUPPRESSED))
  }
  const [first] = suppressed
  if (first !== undefined && suppressed.length === recipients.length) {
    return { recipients: [], refusal: refuseSuppressed(first, suppressed.length - 1), told }
  }
  // Nobody is told of what becomes of a message from the null reverse-path (RFC 3461 §5.2).
  if (reversePath !== null) for (const recipient of expanded) queued.push(queue(recipient, EXPANDED))
  return { recipients: queued, refusal: null, told }
}

function queue({ forwardPath: mailbox, ...wishes }: EnvelopeRecipient, destination: string): NewRecipient {
  return { ...wishes, mailbox, destination }
}
